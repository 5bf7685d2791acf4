"""What changed from one release of a dataset to a later one, row by row: both never change, so neither does this."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.cache import cache

from annotation.answers import Control, answered
from consent.refusals import Refused
from consent.signing import canonical_json
from exports.labels import Label, Rules, consolidate
from exports.models import Release
from exports.plans import Before
from exports.selection import AT_ONCE, Candidate, Photograph, Said, in_batches, said_by_image


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
    return _compare(_rows_of(release, said_of(release)), _rows_of(earlier, said_of(earlier)))


class _Item(NamedTuple):
    """What of a release's row is compared, with the size of its photograph under the names that an image has."""

    row_id: str
    shard: str
    image_id: uuid.UUID
    width: int | None
    height: int | None


def _items_of(release: Release) -> Iterator[_Item]:
    found = release.items.order_by("pk").values_list("row_id", "shard", "image_id", "image__width", "image__height")
    return map(_Item._make, found.iterator(AT_ONCE))


class Ahead:
    """What a release will change since `earlier`. It is told the photographs one by one, in any order.

    Of each row of the earlier release it holds two numbers, not what was said of it.
    """

    def __init__(self, earlier: Release, rules: Rules) -> None:
        self.earlier, self._rules = earlier, rules
        self.columns, self.columns_before = set[Control](), set[Control]()
        self._rows = self._kept = self._relabelled = 0
        self._before: dict[int, int] = {}  # image to the hash of its labels
        for item, said in _items_with_labels(earlier):
            self._before[item.image_id.int] = hash(labels_text(said, item, earlier.definition.rules))
            self.columns_before |= _columns(said)

    def add(self, candidate: Candidate) -> None:
        """A photograph that the release will hold."""
        self._rows += 1
        self.columns |= _columns(candidate.said)
        before = self._before.get(candidate.image.pk.int)
        if before is not None:
            self._kept += 1
            self._relabelled += before != hash(labels_text(candidate.said, candidate.image, self._rules))

    def counts(self) -> dict[str, int]:
        """How many rows of those that it was told of are added, removed, relabelled and kept."""
        return {
            "added": self._rows - self._kept,
            "removed": len(self._before) - self._kept,
            "relabelled": self._relabelled,
            "kept": self._kept,
        }


def _columns(said: Iterable[Said]) -> set[Control]:
    return set(answered(one.result for one in said))


def said_of(release: Release) -> Mapping[Any, Sequence[Said]]:
    """By image, what annotators had said at the release's snapshot, as far as it asks for that."""
    return said_by_image(release.definition, release.snapshot_at)


def rows_before(release: Release, *, same_size: bool) -> Iterator[Before]:
    """The rows of a release as a plan of the next one knows them; with photographs of another size none keeps its
    shard, which would be filled otherwise."""
    rules = release.definition.rules
    for item, said in _items_with_labels(release):
        yield Before(item.row_id, item.shard if same_size else "", labels_text(said, item, rules))


def _items_with_labels(release: Release) -> Iterator[tuple[_Item, Sequence[Said]]]:
    """Each row of a release with what had been said of its photograph at its snapshot."""
    for some in in_batches(_items_of(release)):
        said = said_by_image(release.definition, release.snapshot_at, images=[item.image_id for item in some])
        yield from ((item, said.get(item.image_id, ())) for item in some)


def labels_text(said: Iterable[Said], image: _Item | Photograph, rules: Rules) -> str:
    """The consolidated labels in the one form that two releases are compared by, whatever size either has."""
    return canonical_json(_labels(said, image.width, image.height, rules))


def kept_counts(*, release: Release, earlier: Release) -> dict[str, int] | None:
    """What `count_difference` found when it was last asked; None if it has to look again."""
    counts: dict[str, int] | None = cache.get(_key(release, earlier))
    return counts


def count_difference(*, release: Release, earlier: Release) -> dict[str, int]:
    """How many rows were added, removed, relabelled and kept. It looks at every label, and what it finds is kept."""
    counts = difference(release=release, earlier=earlier).counts()
    cache.set(_key(release, earlier), counts, timeout=None)  # neither release ever changes
    return counts


def _key(release: Release, earlier: Release) -> str:
    return f"difference-{earlier.sums_sha256}-{release.sums_sha256}"


def _compare(now: _Rows, then: _Rows) -> Difference:
    both = now.keys() & then.keys()
    return Difference(
        added=sorted(now[image].row_id for image in now.keys() - both),
        removed=sorted(then[image].row_id for image in then.keys() - both),
        relabelled=sorted(now[image].row_id for image in both if now[image].labels != then[image].labels),
        kept=len(both),
    )


def _rows_of(release: Release, said: Mapping[Any, Sequence[Said]]) -> _Rows:
    """Its rows, with their consolidated labels as they were at its snapshot."""
    rules = release.definition.rules
    return {
        item.image_id: _Row(item.row_id, _labels(said.get(item.image_id, ()), item.width, item.height, rules))
        for item in _items_of(release)
    }


def _labels(said: Iterable[Said], width: int | None, height: int | None, rules: Rules) -> dict[str, Label]:
    return consolidate([one.result for one in said], width or 1, height or 1, rules)
