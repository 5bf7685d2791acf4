"""What a release would hold if it were drafted now: for the page that shows it, and for the draft itself."""

import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from exports import selection, splits
from exports.differences import Ahead
from exports.models import Dataset, Definition, Release
from exports.selection import Candidate, in_batches
from exports.versions import Step, next_step

Chosen = tuple[Candidate, str]  # a photograph and its split


@dataclass(frozen=True)
class Draft:
    """A release that could be built: how many photographs, how many are left out for which reason, and its number.

    Together they are all photographs there were.
    """

    definition: Definition
    previous: Release | None
    rows: int
    left_out: Counter[str]
    step: Step

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why photographs are left out, and how many for that reason, the commonest first."""
        return self.left_out.most_common()

    @property
    def lost(self) -> int:
        return self.left_out.total()

    @property
    def total(self) -> int:
        return self.rows + self.lost


def foresee(
    definition: Definition, at: datetime.datetime, see: Callable[[Sequence[Chosen]], object] = lambda some: None
) -> Draft:
    """Looks, and records nothing. `see` is shown all photographs that would be in it, some at a time."""
    previous = last_published(definition.dataset)
    ahead = Ahead(previous, definition.rules) if previous else None
    left_out, rows = Counter[str](), 0
    for some in in_batches(choose(definition, at, left_out)):
        rows += len(some)
        for candidate, _ in some:
            if ahead:
                ahead.add(candidate)
        see(some)
    return Draft(definition, previous, rows, +left_out, next_step(definition, ahead))


def choose(definition: Definition, at: datetime.datetime, left_out: Counter[str]) -> Iterator[Chosen]:
    """The photographs that would be in it, one by one. `left_out` is complete when the last one was taken."""
    found = selection.candidates(definition, at, left_out)
    return splits.foresee(definition.dataset, found, at, left_out, definition.shares)


def last_published(dataset: Dataset) -> Release | None:
    """The newest published release."""
    published = dataset.releases.filter(state=Release.State.PUBLISHED).select_related("dataset__campaign", "definition")
    return published.order_by("-number").first()


def superseded_by(release: Release) -> Release | None:
    """The newest published release of its dataset, if that is a later one."""
    newest = last_published(release.dataset)
    return newest if newest and newest.number > release.number else None
