"""What changed from one release of a dataset to a later one, row by row: both never change, so neither does this."""

import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache

from annotation.selection import accepted_annotations
from consent.refusals import Refused
from exports.labels import Label, consolidate
from exports.models import Item, Release

COUNTS_KEPT = 86_400  # seconds; anybody may ask, and it takes a look at every label


@dataclass(frozen=True)
class Difference:
    """Row ids, in order. `relabelled` rows are in both releases, with other consolidated labels; `kept` is a number."""

    added: list[str]
    removed: list[str]
    relabelled: list[str]
    kept: int


def difference(*, release: Release, earlier: Release) -> Difference:
    """What `release` holds that `earlier` of the same dataset does not, and the other way round."""
    if release.dataset_id != earlier.dataset_id or earlier.number >= release.number:
        raise Refused(f"{earlier} is not an earlier release of the same dataset as {release}. Choose one that is.")
    now, then = _items(release), _items(earlier)
    both = {image: item for image, item in now.items() if image in then}
    new, old = _labels(release, both), _labels(earlier, both)
    return Difference(
        added=sorted(item.row_id for image, item in now.items() if image not in then),
        removed=sorted(item.row_id for image, item in then.items() if image not in now),
        relabelled=sorted(item.row_id for image, item in both.items() if new[image] != old[image]),
        kept=len(both),
    )


def count_difference(*, release: Release, earlier: Release) -> dict[str, int]:
    """How many rows were added, removed, relabelled and kept."""
    key = f"difference-{earlier.pk}-{release.pk}"
    counts: dict[str, int] | None = cache.get(key)
    if counts is None:
        found = difference(release=release, earlier=earlier)
        counts = {
            "added": len(found.added),
            "removed": len(found.removed),
            "relabelled": len(found.relabelled),
            "kept": found.kept,
        }
        cache.set(key, counts, COUNTS_KEPT)
    return counts


def _items(release: Release) -> dict[uuid.UUID, Item]:
    items = release.items.select_related("image").only("row_id", "image__width", "image__height")
    return {item.image_id: item for item in items}


def _labels(release: Release, items: Mapping[uuid.UUID, Item]) -> dict[uuid.UUID, dict[str, Label]]:
    """The consolidated labels of these rows as they were at the release's snapshot."""
    said: dict[uuid.UUID, list[Any]] = defaultdict(list)
    if release.dataset.campaign:
        for annotation in accepted_annotations(release.dataset.campaign, release.snapshot_at):
            said[annotation.image_id].append(annotation.result)
    return {
        image: consolidate(said[image], item.image.width or 1, item.image.height or 1) for image, item in items.items()
    }
