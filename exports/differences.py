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


def kept_counts(*, release: Release, earlier: Release) -> dict[str, int] | None:
    """What `count_difference` found when it was last asked; None if it has to look again."""
    counts: dict[str, int] | None = cache.get(_key(release, earlier))
    return counts


def count_difference(*, release: Release, earlier: Release) -> dict[str, int]:
    """How many rows were added, removed, relabelled and kept. It looks at every label, and what it finds is kept."""
    found = difference(release=release, earlier=earlier)
    counts = {
        "added": len(found.added),
        "removed": len(found.removed),
        "relabelled": len(found.relabelled),
        "kept": found.kept,
    }
    cache.set(_key(release, earlier), counts, timeout=None)  # neither release ever changes
    return counts


def _key(release: Release, earlier: Release) -> str:
    return f"difference-{earlier.sums_sha256}-{release.sums_sha256}"


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
