"""The rows of a release as `exports.deviation` compares them: whose, of which groups by self-report, with which scores.

It joins what people said about themselves with labels, in memory only: nothing of it is stored, and only whole groups
leave it, small ones withheld.
"""

import datetime
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

from annotation.answers import Control, answer
from annotation.config import parse_config
from annotation.selection import AcceptedAnnotation, accepted_annotations
from collection import licensed_attributes
from collection.models import DIMENSIONS, Image
from consent.clock import trusted_now
from consent.demographics import ATTRIBUTES
from consent.models import PREFER_NOT_TO_SAY, Demographics
from exports.deviation import GroupReport, group_report
from exports.labels import consolidate
from exports.models import Release
from exports.selection import Depicted, in_batches
from exports.steady_tables import UNSURE

STARS = "stars"  # the column with what each annotator said: {score: {annotator: stars}}
NO_STARS: dict[str, dict[str, Any]] = {}  # one for all


def reports_of(release: Release) -> list[GroupReport]:
    """One report per score (each rating of the campaign, as 0 to 1) and attribute; none if nothing is rated."""
    scores = scales(release)
    rows = rows_of(release) if scores else []
    return [group_report(rows, score, attribute) for score in scores for attribute in DIMENSIONS]


def rows_of(release: Release, *, labels: bool = True) -> list[dict[str, Any]]:
    """A row per image that is in the release and still usable for its purpose; without `labels`, no scores."""
    items = release.items.values("image")
    usable = Image.objects.usable_for(release.dataset.purpose_id).filter(pk__in=items)
    images = list(usable)
    if labels:
        return rows_of_images(release, images)
    said = answers_of({image.subject for image in images})
    return [{"subject": image.subject, **said.get(image.subject, {})} for image in images]


def rows_as_reported(release: Release, made_at: datetime.datetime) -> list[dict[str, Any]]:
    """The rows from which a report was made then, as far as they may still be used: labels are as of the snapshot.

    Answers are today's. Whoever gave none, or gave them after the report, is UNSURE: they may have said otherwise then.
    """
    items = release.items.values("image")
    usable = Image.objects.usable_for(release.dataset.purpose_id).filter(pk__in=items)
    images = list(usable.select_related("consent"))
    people = {image.consent.contributor_id for image in images if image.consent}
    since = Demographics.objects.filter(pk__in=people, given_at__lte=made_at).values_list("pk", flat=True)
    sure = set(map(str, since)) | set(licensed_attributes.said_of({image.subject for image in images}))
    return [{**row, UNSURE: row["subject"] not in sure} for row in rows_of_images(release, images)]


def rows_of_images(
    release: Release,
    images: Iterable[Image | Depicted],
    hear: Callable[[Sequence[AcceptedAnnotation]], None] | None = None,
) -> list[dict[str, Any]]:
    """A row per image: its subject, the person's answers, its scores, and the single ratings under STARS.

    The images are those of the release, whose rights the caller has checked. They are taken some at a time, and where
    nothing is rated a person's rows are one and the same. `hear` is told the labels, some photographs' at a time.
    """
    rows: list[dict[str, Any]] = []
    people: dict[str, dict[str, Any]] = {}
    rated = bool(release.dataset.campaign and scales(release))
    for some in in_batches(images):
        fresh = {image.subject for image in some} - people.keys()
        answers = answers_of(fresh)
        people |= {who: {"subject": who, **answers.get(who, {}), STARS: NO_STARS} for who in fresh}
        said = _said(release, some) if rated or hear else []
        if hear:
            hear(said)
        labels = _labels(release, some, said) if rated else {}
        rows += [
            people[image.subject] | labels[image.pk] if image.pk in labels else people[image.subject] for image in some
        ]
    return rows


def scales(release: Release) -> dict[str, int]:
    """The ratings that a release holds, each with its highest value."""
    campaign, wanted = release.dataset.campaign, release.definition.controls
    found = parse_config(campaign.config).values() if campaign else ()
    return {
        control.name: control.max_rating
        for control in found
        if control.kind == "rating" and control.max_rating > 1 and (control.name in wanted or not wanted)
    }


def _said(release: Release, images: Collection[Image | Depicted]) -> list[AcceptedAnnotation]:
    campaign = release.dataset.campaign
    ids = [image.pk for image in images]
    return accepted_annotations(campaign, release.snapshot_at, images=ids) if campaign else []


def _labels(
    release: Release, images: Collection[Image | Depicted], annotations: Sequence[AcceptedAnnotation]
) -> dict[Any, dict[str, Any]]:
    """By image: the consolidated ratings that the release holds, from 1..most stars to 0..1, and the single ones."""
    highest, rules = scales(release), release.definition.rules
    said: dict[Any, list[AcceptedAnnotation]] = defaultdict(list)
    for annotation in annotations:
        said[annotation.image_id].append(annotation)
    labels: dict[Any, dict[str, Any]] = {}
    for image in images:
        made = consolidate([one.result for one in said[image.pk]], image.width or 1, image.height or 1, rules)
        scores = {name: _share(str(made[name]), most) for name, most in highest.items() if name in made}
        labels[image.pk] = {**scores, STARS: {name: _stars(said[image.pk], name) for name in scores}}
    return labels


def _share(stars: str, most: int) -> float:
    return float((Decimal(stars) - 1) / (most - 1))


def _stars(said: Iterable[AcceptedAnnotation], name: str) -> dict[str, Any]:
    control = Control(name, "rating")
    # One text for all that somebody rated: a text for each rating would be a third of the memory.
    given = ((sys.intern(str(one.annotator_id)), answer(one.result, control)) for one in said)
    return {annotator: stars for annotator, stars in given if stars is not None}


def answers_of(subjects: Collection[str]) -> dict[str, dict[str, str | None]]:
    """By subject: what they chose to say, until the day it is deleted. Whoever prefers not to say has not said it."""
    people = list(filter(None, map(_contributor, subjects)))
    own = Demographics.objects.filter(delete_on__gt=trusted_now().date()).in_bulk(people)
    answers = {str(who): {name: getattr(row, name) for name in ATTRIBUTES} for who, row in own.items()}
    licensed = licensed_attributes.said_of(subjects)
    return {
        who: {name: None if value == PREFER_NOT_TO_SAY else value for name, value in said.items()}
        for who, said in (answers | licensed).items()
    }


def _contributor(subject: str) -> uuid.UUID | None:
    """The contributor that an image's subject is; None if that is somebody in a library."""
    try:
        return uuid.UUID(subject)
    except ValueError:
        return None
