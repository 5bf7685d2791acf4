"""What a release would hold if it were drafted now: for the page that shows it, and for the draft itself."""

import datetime
from dataclasses import dataclass
from typing import Any

from exports import selection, splits
from exports.models import Dataset, Definition, Release
from exports.selection import Candidate, Selection
from exports.versions import Step, next_step


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
    foreseen = list(splits.foresee(dataset, found.candidates, at, found.left_out, definition.shares))
    names = {candidate.image.pk: name for candidate, name in foreseen}
    chosen = Selection([candidate for candidate, _ in foreseen], +found.left_out)
    previous = last_published(dataset)
    return Draft(definition, previous, chosen, names, next_step(previous, definition, chosen.candidates))


def last_published(dataset: Dataset) -> Release | None:
    """The newest published release."""
    published = dataset.releases.filter(state=Release.State.PUBLISHED).select_related("dataset__campaign", "definition")
    return published.order_by("-number").first()


def superseded_by(release: Release) -> Release | None:
    """The newest published release of its dataset, if that is a later one."""
    newest = last_published(release.dataset)
    return newest if newest and newest.number > release.number else None
