"""What happened to photographs after they were accepted: who looked at them, what holds them, who pulled that.

A handful of queries for any number of photographs.
"""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count, Max, Min

from annotation.handout_models import ImageView
from annotation.models import Earning, MoneySum
from collection.models import Image
from exports.models import Download, Item, Release


@dataclass(frozen=True)
class Seen:
    """A campaign in which the photograph was shown to annotators, `times` times."""

    campaign: str
    times: int
    first: datetime.datetime
    last: datetime.datetime


@dataclass(frozen=True)
class Pull:
    """A recipient who fetched files that held the photograph."""

    recipient: str
    first: datetime.datetime
    last: datetime.datetime


@dataclass(frozen=True)
class Held:
    """A published release that the photograph is in, or was dropped from."""

    dataset: str
    slug: str
    version: str
    published_at: datetime.datetime | None
    dropped: bool
    pulls: tuple[Pull, ...]


@dataclass
class History:
    """All of it for one photograph. `paid` is what people earned for labelling it, by currency."""

    seen: list[Seen] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    paid: dict[str, Decimal] = field(default_factory=dict)


def histories(images: Collection[uuid.UUID]) -> dict[uuid.UUID, History]:
    """By image id; images with nothing to tell have an empty history."""
    found = {image_id: History() for image_id in images}
    for image_id, seen in _views(images):
        found[image_id].seen.append(seen)
    for image_id, held in _releases(images):
        found[image_id].held.append(held)
    paid = Earning.objects.filter(task__image__in=images).order_by("currency").values("task__image", "currency")
    for row in paid.annotate(total=MoneySum("amount")):
        found[row["task__image"]].paid[row["currency"]] = row["total"]
    return found


def _views(images: Collection[uuid.UUID]) -> list[tuple[uuid.UUID, Seen]]:
    served = ImageView.objects.filter(task__image__in=images, served=True)
    by_campaign = served.values("task__image", "task__campaign__name").annotate(
        times=Count("pk"), first=Min("at"), last=Max("at")
    )
    return [
        (row["task__image"], Seen(row["task__campaign__name"], row["times"], row["first"], row["last"]))
        for row in by_campaign.order_by("first")
    ]


def _releases(images: Collection[uuid.UUID]) -> list[tuple[uuid.UUID, Held]]:
    published = Item.objects.filter(image__in=images, release__state=Release.State.PUBLISHED)
    items = list(published.select_related("release__dataset", "revocation").order_by("release__published_at"))
    pulls = pulls_of({item.release_id for item in items})
    usable = {
        purpose: set(Image.objects.usable_for(purpose).filter(pk__in=images).values_list("pk", flat=True))
        for purpose in {item.release.dataset.purpose_id for item in items}
    }
    return [
        (
            item.image_id,
            _held(item, pulls, dropped=item.image_id not in usable[item.release.dataset.purpose_id]),
        )
        for item in items
    ]


def _held(item: Item, pulls: dict[tuple[int, str], list[Pull]], *, dropped: bool) -> Held:
    release = item.release
    return Held(
        dataset=release.dataset.title,
        slug=release.dataset.slug,
        version=release.version,
        published_at=release.published_at,
        dropped=dropped or hasattr(item, "revocation"),
        pulls=tuple(merged(pulls[release.pk, item.shard])),
    )


def pulls_of(releases: Collection[int]) -> dict[tuple[int, str], list[Pull]]:
    """By (release id, shard): who fetched files with rows of it."""
    fetched = Download.objects.filter(file__release__in=releases).exclude(file__shard="")
    found: dict[tuple[int, str], list[Pull]] = defaultdict(list)
    by_shard = fetched.values("file__release", "file__shard", "recipient", "recipient__name")
    for row in by_shard.annotate(first=Min("at"), last=Max("at")).order_by("first"):
        found[row["file__release"], row["file__shard"]].append(Pull(row["recipient__name"], row["first"], row["last"]))
    return found


def merged(pulls: Collection[Pull]) -> list[Pull]:
    """One line per recipient, whoever pulled first above."""
    by_name: dict[str, Pull] = {}
    for pull in sorted(pulls, key=lambda one: one.first):
        known = by_name.setdefault(pull.recipient, pull)
        by_name[pull.recipient] = Pull(known.recipient, known.first, max(known.last, pull.last))
    return list(by_name.values())
