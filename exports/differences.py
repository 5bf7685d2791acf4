"""What changed from one release of a dataset to a later one, row by row: both never change, so neither does this."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.core.cache import cache

from consent.refusals import Refused
from exports.labels import Label, Rules, consolidate
from exports.models import Item, Release
from exports.pseudonyms import keyed
from exports.selection import Candidate, Said, said_by_image

COUNTS_KEPT = 86_400  # seconds; anybody may ask, and it takes a look at every label


@dataclass(frozen=True)
class Difference:
    """Row ids, in order. `relabelled` rows are in both releases, with other consolidated labels; `kept` is a number."""

    added: list[str]
    removed: list[str]
    relabelled: list[str]
    kept: int

    def counts(self) -> dict[str, int]:
        return {
            "added": len(self.added),
            "removed": len(self.removed),
            "relabelled": len(self.relabelled),
            "kept": self.kept,
        }


@dataclass(frozen=True)
class _Row:
    row_id: str
    labels: dict[str, Label]  # in pixels of the photograph as it was accepted, whatever size the release has


_Rows = Mapping[uuid.UUID, _Row]


def difference(*, release: Release, earlier: Release) -> Difference:
    """What `release` holds that `earlier` of the same dataset does not, and the other way round."""
    if release.dataset_id != earlier.dataset_id or earlier.number >= release.number:
        raise Refused(f"{earlier} is not an earlier release of the same dataset as {release}. Choose one that is.")
    return _compare(_rows_of(release), _rows_of(earlier))


def foreseen(*, candidates: Iterable[Candidate], rules: Rules, earlier: Release) -> Difference:
    """What a release of these images, with labels by these rules, will change since `earlier`."""
    now = {
        one.image.pk: _Row(
            keyed(earlier.dataset, "row", one.image.pk), _labels(one.said, one.image.width, one.image.height, rules)
        )
        for one in candidates
    }
    return _compare(now, _rows_of(earlier))


def count_difference(*, release: Release, earlier: Release) -> dict[str, int]:
    """How many rows were added, removed, relabelled and kept."""
    key = f"difference-{earlier.pk}-{release.pk}"
    counts: dict[str, int] | None = cache.get(key)
    if counts is None:
        counts = difference(release=release, earlier=earlier).counts()
        cache.set(key, counts, COUNTS_KEPT)
    return counts


def _compare(now: _Rows, then: _Rows) -> Difference:
    both = now.keys() & then.keys()
    return Difference(
        added=sorted(now[image].row_id for image in now.keys() - both),
        removed=sorted(then[image].row_id for image in then.keys() - both),
        relabelled=sorted(now[image].row_id for image in both if now[image].labels != then[image].labels),
        kept=len(both),
    )


def _rows_of(release: Release) -> _Rows:
    """Its rows, with their consolidated labels as they were at its snapshot."""
    said = said_by_image(release.definition, release.snapshot_at)
    rules = release.definition.rules
    items: Iterable[Item] = release.items.select_related("image").only("row_id", "image__width", "image__height")
    return {
        item.image_id: _Row(
            item.row_id, _labels(said.get(item.image_id, ()), item.image.width, item.image.height, rules)
        )
        for item in items
    }


def _labels(said: Iterable[Said], width: int | None, height: int | None, rules: Rules) -> dict[str, Label]:
    return consolidate([one.result for one in said], width or 1, height or 1, rules)
