"""What a release would hold if it were drafted now: for the page that shows it, and for the draft itself."""

import datetime
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from exports import selection, splits
from exports.models import Dataset, Definition, Release
from exports.selection import Candidate, Selection
from exports.versions import Step, next_step

LEFT_OUT_BY_SPLIT = "would put one person or near-duplicates in two splits"


@dataclass(frozen=True)
class Draft:
    """A release that could be built: its images with their splits, what is left out, and its number."""

    definition: Definition
    previous: Release | None
    selection: Selection
    splits: dict[Any, str]
    step: Step

    @property
    def candidates(self) -> list[Candidate]:
        return self.selection.candidates


def foresee(definition: Definition, at: datetime.datetime) -> Draft:
    """Looks, and records nothing."""
    dataset = definition.dataset
    found = selection.eligible(definition, at)
    names = splits.foresee(dataset, [one.image.pk for one in found.candidates], at, definition.shares)
    chosen = with_splits(found, names)
    previous = last_published(dataset)
    return Draft(definition, previous, chosen, names, next_step(previous, definition, chosen.candidates))


def with_splits(found: Selection, names: Collection[Any]) -> Selection:
    """The selection without images that belong in no split (`names` are those that do), which are counted."""
    kept = [one for one in found.candidates if one.image.pk in names]
    lost = Counter({LEFT_OUT_BY_SPLIT: len(found.candidates) - len(kept)})
    return Selection(kept, found.left_out + lost)


def last_published(dataset: Dataset) -> Release | None:
    """The newest published release."""
    published = dataset.releases.filter(state=Release.State.PUBLISHED).select_related("dataset__campaign", "definition")
    return published.order_by("-number").first()


def superseded_by(release: Release) -> Release | None:
    """The newest published release of its dataset, if that is a later one."""
    newest = last_published(release.dataset)
    return newest if newest and newest.number > release.number else None
