"""Whether somebody labels otherwise lately than before: further from the others, or faster. Nothing here decides."""

import math
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median
from typing import Any

from annotation.answers import Control
from annotation.models import Annotation, Campaign
from annotation.quality import is_same
from annotation.selection import AcceptedAnnotation

LATELY = 50  # their latest annotations, beside all before them
FEWEST = 20  # fewer on either side tell nothing
SURELY = 1.96  # standard errors: one in forty of those who did not change is told of by chance
MUCH_FASTER = 0.5  # of the seconds that they took before

Answers = Mapping[uuid.UUID, Mapping[uuid.UUID, Any]]  # by image: by annotator what they said
# By annotator and image, for each other annotator and control whether they said the same.
SameByAnnotation = Mapping[tuple[uuid.UUID, uuid.UUID], Sequence[bool]]


@dataclass(frozen=True)
class Drift:
    """Shares of comparisons with others that say the same, and median seconds, before and lately. None: too few."""

    same_before: float | None = None
    same_lately: float | None = None
    is_further: bool = False  # from the others, by more than chance
    seconds_before: float | None = None
    seconds_lately: float | None = None

    @property
    def is_faster(self) -> bool:
        """Whether they take less than half as long: perhaps they learnt, perhaps they no longer look."""
        if self.seconds_before is None or self.seconds_lately is None:
            return False
        return self.seconds_lately < MUCH_FASTER * self.seconds_before


def drift_of_annotators(
    said: Sequence[AcceptedAnnotation], same: SameByAnnotation, claimed: Mapping[uuid.UUID, Sequence[float]]
) -> dict[uuid.UUID, Drift]:
    """By annotator, of what was `said` in a campaign: `same_by_annotation` and `claimed_seconds` tell the rest."""
    images: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for one in sorted(said, key=lambda one: (one.made_at, one.id)):
        images[one.annotator_id].append(one.image_id)
    return {
        who: _drift([same.get((who, image), ()) for image in theirs], claimed.get(who, ()))
        for who, theirs in images.items()
    }


def _drift(same: Sequence[Sequence[bool]], seconds: Sequence[float]) -> Drift:
    """Of one annotator's annotations in the order in which they were made."""
    before, lately = _flat(same[:-LATELY]), _flat(same[-LATELY:])
    comparable = min(len(before), len(lately)) >= FEWEST
    timed = len(seconds) >= LATELY + FEWEST
    return Drift(
        same_before=fmean(before) if comparable else None,
        same_lately=fmean(lately) if comparable else None,
        is_further=comparable and _is_lower(lately, before),
        seconds_before=median(seconds[:-LATELY]) if timed else None,
        seconds_lately=median(seconds[-LATELY:]) if timed else None,
    )


def _is_lower(a: Sequence[bool], b: Sequence[bool]) -> bool:
    """Whether the share of `a` lies below that of `b` by more than chance: the two-proportion z-test, pooled."""
    pooled = (sum(a) + sum(b)) / (len(a) + len(b))
    error = math.sqrt(pooled * (1 - pooled) * (1 / len(a) + 1 / len(b)))
    return fmean(b) - fmean(a) > SURELY * error


def _flat(comparisons: Iterable[Sequence[bool]]) -> list[bool]:
    return [same for of_one in comparisons for same in of_one]


def same_by_annotation(answers: Mapping[Control, Answers]) -> SameByAnnotation:
    """By annotator and image, whether each other annotator said the same, over all controls."""
    found: dict[tuple[uuid.UUID, uuid.UUID], list[bool]] = defaultdict(list)
    for control, units in answers.items():
        for image, said in units.items():
            for (a, first), (b, second) in combinations(said.items(), 2):
                same = is_same(control.kind, first, second)
                found[a, image].append(same)
                found[b, image].append(same)
    return found


def claimed_seconds(campaign: Campaign) -> Mapping[uuid.UUID, list[float]]:
    """By annotator, what their browser claims that each annotation took, in the order in which they were made."""
    claimed: dict[uuid.UUID, list[float]] = defaultdict(list)
    rows = Annotation.objects.filter(task__campaign=campaign, annotator__isnull=False, lead_seconds__isnull=False)
    for who, lead in rows.order_by("made_at", "pk").values_list("annotator", "lead_seconds"):
        if who is not None and lead is not None:
            claimed[who].append(lead)
    return claimed
