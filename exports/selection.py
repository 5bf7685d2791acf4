"""What a dataset may hold at a moment, with its labels, and why the rest is left out."""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, OuterRef

from annotation.models import Campaign
from annotation.selection import accepted_annotations
from collection.models import Image, ImageQuerySet, ImageStatus, Transition
from exports.models import Dataset


@dataclass(frozen=True)
class Said:
    """One annotator's accepted annotation of one image, and what it was paid."""

    annotator: str
    result: list[dict[str, Any]]
    result_sha256: str
    made_at: datetime.datetime
    amount: str
    currency: str


@dataclass(frozen=True)
class Candidate:
    """An image that a release may hold, with what was said about it."""

    image: Image
    said: tuple[Said, ...] = ()


@dataclass
class Selection:
    """What may be in a release, and how many images are left out for which reason."""

    candidates: list[Candidate]
    left_out: Counter[str] = field(default_factory=Counter)


def eligible(dataset: Dataset, at: datetime.datetime) -> Selection:
    """The images whose basis covers the dataset's purpose at `at`, labelled by then if the dataset has a campaign."""
    usable = accepted_by(at).open_for(dataset.purpose_id, at).select_related("consent__text__form", "licence")
    images = list(usable.order_by("pk"))
    left_out = _reasons(dataset, len(images), at)
    if dataset.campaign is None:
        return Selection([Candidate(image) for image in images], left_out)
    said = _said(dataset.campaign, at)
    candidates = [Candidate(image, tuple(said[image.pk])) for image in images if image.pk in said]
    left_out["no accepted label yet"] = len(images) - len(candidates)
    return Selection(candidates, +left_out)


def accepted_by(at: datetime.datetime) -> ImageQuerySet:
    """Images, without those that were accepted only after `at`: a snapshot stays what it was."""
    later = Transition.objects.filter(image=OuterRef("pk"), new=ImageStatus.ACCEPTED, at__gt=at)
    return Image.objects.filter(~Exists(later), received_at__lte=at)


def not_usable(dataset: Dataset, image_ids: Iterable[Any]) -> int:
    """How many of these images may no longer go into a new release for the dataset's purpose, now."""
    wanted = set(image_ids)
    usable = set(Image.objects.open_for(dataset.purpose_id).values_list("pk", flat=True))
    return len(wanted - usable)


def _said(campaign: Campaign, at: datetime.datetime) -> dict[Any, list[Said]]:
    """By image: what each annotator said, in an order that does not tell who is who."""
    by_image: dict[Any, list[Said]] = defaultdict(list)
    for annotation in accepted_annotations(campaign, at):
        by_image[annotation.image_id].append(
            Said(
                annotator=str(annotation.annotator_id),
                result=annotation.result,
                result_sha256=annotation.result_sha256,
                made_at=annotation.made_at,
                amount=str(annotation.amount),
                currency=annotation.currency,
            )
        )
    return {image: sorted(said, key=lambda one: (one.result_sha256, one.annotator)) for image, said in by_image.items()}


def _reasons(dataset: Dataset, usable: int, at: datetime.datetime) -> Counter[str]:
    """Images that are not usable, by reason."""
    accepted = accepted_by(at).filter(status=ImageStatus.ACCEPTED).count()
    reasons = Counter({f"basis does not cover {dataset.purpose_id}": accepted - usable})
    others = Image.objects.exclude(status=ImageStatus.ACCEPTED).values("status").annotate(n=Count("pk"))
    for row in others:
        reasons[ImageStatus(row["status"]).label.lower()] = row["n"]
    return +reasons
