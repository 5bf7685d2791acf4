"""What a release may hold at a moment, with its labels, and why the rest is left out: each image for one reason."""

import datetime
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Any, NamedTuple, TypeVar

from django.db.models import Count, Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce

from annotation.answers import Result, answer, answered
from annotation.models import Campaign
from annotation.quality import is_same
from annotation.selection import accepted_annotations
from collection.models import Image, ImageQuerySet, ImageStatus, Transition
from consent.licensing import WORLD
from consent.models import Consent, FormText, Licence
from exports.models import Dataset, Definition

AT_ONCE = 2_000  # rows read from the database
T = TypeVar("T")


@dataclass(frozen=True)
class Said:
    """One annotator's accepted annotation of one image, as far as the definition asks for it, and what it was paid."""

    annotator: str
    result: list[dict[str, Any]]
    result_sha256: str  # of all of it
    made_at: datetime.datetime
    amount: str
    currency: str


class Photograph(NamedTuple):
    """What of an image a release is made of, under the names that it has there. Read much faster than an `Image`."""

    pk: uuid.UUID
    consent_id: uuid.UUID | None
    licence_id: uuid.UUID | None
    call_id: uuid.UUID | None
    subject: str
    sha256: str
    received_at: datetime.datetime
    width: int | None
    height: int | None
    clean_key: str
    clean_sha256: str
    clean_format: str
    consent: Consent | None = None
    licence: Licence | None = None


READ = Photograph._fields[:-2]  # without the bases, of which many photographs have one


@dataclass(frozen=True)
class Candidate:
    """An image that a release may hold, with what was said about it."""

    image: Photograph
    said: tuple[Said, ...] = ()


def candidates(definition: Definition, at: datetime.datetime, left_out: Counter[str]) -> Iterator[Candidate]:
    """The images that the definition asks for and whose basis covers the dataset's purpose at `at`, in the order of
    their ids. `left_out`, how many are not for which reason, is complete when the last one was taken."""
    rules, usable = _rules(definition), 0
    for images in in_batches(_usable(definition.dataset, at).values_list(*READ).iterator(AT_ONCE)):
        usable += len(images)
        said = said_by_image(definition, at, images=[image[0] for image in images])
        for image in _with_bases(images):
            candidate = Candidate(image, tuple(said.get(image.pk, ())))
            if reason := _misfit(rules, candidate):
                left_out[reason] += 1
            else:
                yield candidate
    left_out.update(_reasons(definition.dataset, usable, at))


def in_batches(rows: Iterable[T]) -> Iterator[list[T]]:
    """AT_ONCE of them at a time."""
    rest = iter(rows)
    return iter(lambda: list(islice(rest, AT_ONCE)), [])


def _usable(dataset: Dataset, at: datetime.datetime) -> ImageQuerySet:
    return accepted_by(at).open_for(dataset.purpose_id, at).order_by("pk")


class Depicted(NamedTuple):
    """What of an image its groups and ratings are told by."""

    pk: uuid.UUID
    subject: str
    width: int | None
    height: int | None


def images_among(dataset: Dataset, at: datetime.datetime, wanted: Iterable[str]) -> Iterator[Depicted]:
    """Those of the images usable at `at` that are `wanted`, which are ids (hex) in their order.

    Whatever was purged meanwhile is missing: no release with it is published.
    """
    usable = _usable(dataset, at).values_list(*Depicted._fields)
    rest = iter(wanted)
    awaited = next(rest, "")
    for image in map(Depicted._make, usable.iterator(AT_ONCE)):
        while awaited and awaited < image.pk.hex:
            awaited = next(rest, "")
        if image.pk.hex == awaited:
            yield image


def count_closed(dataset: Dataset, wanted: Iterable[str]) -> int:
    """How many of these images (ids in hex, in their order) may no longer go into a new release, now."""
    still = Image.objects.open_for(dataset.purpose_id).order_by("pk").values_list("pk", flat=True)
    usable = (pk.hex for pk in still.iterator(AT_ONCE))
    found, closed = next(usable, None), 0
    for image in wanted:
        while found is not None and found < image:
            found = next(usable, None)
        closed += found != image
    return closed


def _with_bases(rows: Sequence[tuple[Any, ...]]) -> Iterator[Photograph]:
    """Each basis once, with what it covers: read with every photograph, a text of many pages would be read as often.

    `rows` are as READ.
    """
    covers = ("granted", "withdrawals")
    consents = Consent.objects.prefetch_related(*covers).in_bulk({consent for _, consent, *_ in rows if consent})
    licences = Licence.objects.prefetch_related("granted").in_bulk({licence for _, _, licence, *_ in rows if licence})
    texts = FormText.objects.select_related("form").in_bulk({consent.text_id for consent in consents.values()})
    for consent in consents.values():
        consent.text = texts[consent.text_id]
    for row in rows:
        _, consent, licence, *_ = row
        bases = consents[consent] if consent else None, licences[licence] if licence else None
        yield Photograph._make((*row, *bases))


def accepted_by(at: datetime.datetime) -> ImageQuerySet:
    """Images, without those that were accepted only after `at`: a snapshot stays what it was."""
    later = Transition.objects.filter(image=OuterRef("pk"), new=ImageStatus.ACCEPTED, at__gt=at)
    return Image.objects.filter(~Exists(later), received_at__lte=at)


def _reasons(dataset: Dataset, usable: int, at: datetime.datetime) -> Counter[str]:
    """Images that are not usable, by reason: by the status that each had at `at`, whatever became of it since."""
    later = Transition.objects.filter(image=OuterRef("pk"), at__gt=at).order_by("pk").values("old")[:1]
    there = Image.objects.filter(received_at__lte=at).annotate(stood=Coalesce(Subquery(later), F("status")))
    counts = dict(there.order_by().values_list("stood").annotate(n=Count("pk")))
    reasons = Counter({ImageStatus(status).label.lower(): n for status, n in counts.items()})
    accepted = reasons.pop(ImageStatus.ACCEPTED.label.lower(), 0)
    reasons[f"basis does not cover {dataset.purpose_id}"] = accepted - usable
    return +reasons


# --- What a definition asks for ------------------------------------------------------------------


Rule = tuple[Callable[[Candidate], bool], str]  # whether an image is wanted, and why it is left out if not


def _misfit(rules: Iterable[Rule], candidate: Candidate) -> str:
    """The first reason why an image that may be used is not wanted; empty if it is."""
    return next((reason for is_wanted, reason in rules if not is_wanted(candidate)), "")


def _rules(definition: Definition) -> list[Rule]:
    return [*_rules_for_images(definition), *(_rules_for_labels(definition) if definition.dataset.campaign else ())]


def _rules_for_images(definition: Definition) -> list[Rule]:
    rules: list[Rule] = []
    if definition.call_id is not None:
        rules.append((lambda one: one.image.call_id == definition.call_id, "of another call, or of none"))
    if definition.basis == Campaign.Basis.CONSENT:
        rules.append((lambda one: one.image.consent_id is not None, "licensed, not contributed"))
    if definition.basis == Campaign.Basis.LICENCE:
        rules.append((lambda one: one.image.licence_id is not None, "contributed, not licensed"))
    if land := definition.territory:
        rules.append((lambda one: _covers(one.image, land), f"licence does not cover {land}"))
    if side := definition.shorter_side:
        rules.append(
            (lambda one: min(one.image.width or 0, one.image.height or 0) >= side, f"shorter side under {side} pixels")
        )
    return rules


def _covers(image: Photograph, land: str) -> bool:
    """A consent is for a purpose wherever that is followed; a licence names the countries it is good for."""
    return image.licence is None or bool({WORLD, land} & set(image.licence.territory.split(",")))


def _rules_for_labels(definition: Definition) -> list[Rule]:
    rules: list[Rule] = [(lambda one: bool(one.said), "no accepted label yet")]
    if (least := definition.least_annotators) > 1:
        rules.append((lambda one: len(one.said) >= least, f"labelled by fewer than {least} annotators"))
    if percent := definition.least_agreement:
        rules.append(
            (
                lambda one: agreement([said.result for said in one.said]) * 100 >= percent,
                f"annotators agree on less than {percent} %",
            )
        )
    return rules


def agreement(results: Sequence[Result]) -> float:
    """The share, 0 to 1, of comparisons between two annotators that say the same of one image, over all controls.

    Ratings one step apart, boxes that overlap by half and points within 5 % of the side say the same
    (`annotation.quality.is_same`). 1 if nothing can be compared.
    """
    same = []
    for control in answered(results):
        said = [value for one in results if (value := answer(one, control)) is not None]
        same += [is_same(control.kind, a, b) for a, b in combinations(said, 2)]
    return sum(same) / len(same) if same else 1.0


# --- Labels --------------------------------------------------------------------------------------


def said_by_image(
    definition: Definition, at: datetime.datetime, *, images: Collection[Any] | None = None
) -> Mapping[Any, list[Said]]:
    """What each annotator had said by `at` of what the definition asks for, in an order that does not tell who is who.

    Of all images of its campaign, or of these; those of which nobody said anything are missing.
    """
    campaign = definition.dataset.campaign
    by_image: dict[Any, list[Said]] = defaultdict(list)
    for annotation in accepted_annotations(campaign, at, images=images) if campaign else ():
        said = Said(
            annotator=str(annotation.annotator_id),
            result=annotation.result,
            result_sha256=annotation.result_sha256,
            made_at=annotation.made_at,
            amount=str(annotation.amount),
            currency=annotation.currency,
        )
        if definition.controls:
            asked = [item for item in said.result if item.get("from_name") in definition.controls]
            if not asked:
                continue
            said = replace(said, result=asked)
        by_image[annotation.image_id].append(said)
    return {image: sorted(said, key=lambda one: (one.result_sha256, one.annotator)) for image, said in by_image.items()}
