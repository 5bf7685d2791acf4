"""What a dataset's next release will hold: reading and writing definitions."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from annotation.config import parse_config
from consent.models import User
from consent.refusals import Refused
from exports.models import Dataset, Definition, Format

BOXES = (Format.COCO, Format.LABEL_STUDIO)


def current_definition(dataset: Dataset) -> Definition:
    """The newest one; of a dataset that has none yet the defaults, not saved."""
    newest = dataset.definitions.select_related("call").order_by("-number").first()
    return newest or Definition(dataset=dataset, number=1, description=dataset.description)


def kept_definition(*, dataset: Dataset, user: User) -> Definition:
    """The current definition as a row, so that a release can hold on to it."""
    found = current_definition(dataset)
    if found.pk is None:
        found, _ = Definition.objects.get_or_create(
            dataset=dataset, number=1, defaults={"description": dataset.description, "made_by": user}
        )
    return found


def define(
    *, dataset: Dataset, user: User, fields: Mapping[str, Any], targets: Sequence[Mapping[str, Any]]
) -> Definition:
    """Write the next definition; saying the same again changes nothing. Releases that are there keep their own."""
    before = current_definition(dataset)
    fresh = Definition(
        dataset=dataset,
        number=before.number + 1 if before.pk else 1,
        made_by=user,
        targets=[dict(row) for row in targets],
        **fields,
    )
    names = (*Definition.FIELDS, "targets")
    if before.pk and before.values(*names) == fresh.values(*names):
        return before
    _check(dataset, fresh)
    try:
        with transaction.atomic():
            fresh.save(force_insert=True)
    except IntegrityError:
        raise Refused("Somebody else changed this dataset at the same moment. Look at theirs first.") from None
    return fresh


def _check(dataset: Dataset, fresh: Definition) -> None:
    known = control_names(dataset)
    if unknown := set(fresh.controls) - known.keys():
        raise Refused(f"The campaign does not ask for “{min(unknown)}”. Choose among: {', '.join(known)}.")
    asked = {known[name] for name in fresh.controls or known}
    if set(fresh.formats) & set(BOXES) and dataset.campaign is None:
        raise Refused("COCO and Label Studio files hold labels, and this dataset has none. Choose other files.")
    if Format.COCO in fresh.formats and not asked & {"rectanglelabels", "keypointlabels"}:
        raise Refused("COCO files hold boxes and points, and no label of this dataset is one. Choose other files.")
    if set(fresh.formats) & set(BOXES) and Format.FOLDER not in fresh.formats:
        raise Refused("COCO and Label Studio files name photographs in the folder. Choose the folder too.")


def control_names(dataset: Dataset) -> dict[str, str]:
    """What the dataset's campaign asks annotators for, by name, and of which kind it is."""
    config = parse_config(dataset.campaign.config) if dataset.campaign else {}
    return {name: control.kind for name, control in config.items()}
