"""How a score differs between groups of people, as they describe themselves. Pure functions on plain values.

`passes` looks at every group that is large enough; what is shown hides the groups of few people.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from consent.suppression import SMALL, is_given_away, withheld

LARGEST_GAP = 0.05  # between the means of two groups, on a score from 0 to 1
COMPARED_FROM = 20  # rows with a score that a group must have to be compared
NORMAL_95 = 1.959963984540054
RESAMPLES = 2000
SEED = 20  # the same rows give the same intervals
BLOCK = 1_000_000  # numbers drawn at a time
NOT_SAID = "not said"

Interval = tuple[float, float]


@dataclass(frozen=True)
class GroupLine:
    """One group. Withheld, it has a name and nothing else: so few people, or needed to hide such a group.

    `share` is of all rows, with its Wilson interval; `ratio` is share ÷ the reference's share. `mean` is of the rows
    with a score, with an interval from resampling people, not rows; None if fewer than SMALL people have one.
    Intervals are at 95 %.
    """

    group: str
    withheld: bool = False
    n: int | None = None
    people: int | None = None
    share: float | None = None
    share_interval: Interval | None = None
    ratio: float | None = None
    scored: int | None = None
    mean: float | None = None
    mean_interval: Interval | None = None
    compared: bool = False


@dataclass(frozen=True)
class Gap:
    """How far the means of two groups lie apart."""

    higher: str
    lower: str
    gap: float


@dataclass(frozen=True)
class GroupReport:
    """What `group_report` found. `n` and `people` are None where the total would give a withheld group away.

    `passes` judges every group of at least COMPARED_FROM scored rows, withheld or not; `gaps` (largest first), `gap`
    and `disparity` (1 − lowest mean ÷ highest mean) are about those shown. They are None with fewer than two.
    """

    score: str
    group: str
    n: int | None
    people: int | None
    lines: list[GroupLine]
    gaps: list[Gap]
    gap: float | None
    disparity: float | None
    passes: bool


def group_report(
    rows: Iterable[Mapping[str, Any]],
    score: str,
    group: str | Sequence[str],
    reference: Mapping[str, float] | None = None,
) -> GroupReport:
    """Compare the means of column `score` (0 to 1, None for none) between the groups in column `group`.

    Several columns give their intersection ("a × b"). Rows without an answer are the group `not said`, which is shown
    but never compared. Column `subject` says whose row it is; without it each row is a person's own. `reference` gives
    shares of a population by group. ValueError for a score outside 0 to 1.
    """
    columns = (group,) if isinstance(group, str) else tuple(group)
    members = _members(rows, score, columns)
    names = sorted(members, key=lambda name: (name == NOT_SAID, name))
    people = [len(members[name].scores) for name in names]
    hidden = {names[index] for index in withheld(people)}
    total = sum(members[name].n for name in names)
    lines = [_line(name, members[name], total, reference, hidden=name in hidden) for name in names]
    means = _compared(members)
    shown = {name: mean for name, mean in means.items() if name not in hidden and members[name].people_scored >= SMALL}
    gaps = _gaps(shown)
    told = not is_given_away(people)
    return GroupReport(
        score=score,
        group=" × ".join(columns),
        n=total if told else None,
        people=len({subject for name in names for subject in members[name].scores}) if told else None,
        lines=lines,
        gaps=gaps,
        gap=gaps[0].gap if gaps else None,
        disparity=_disparity(list(shown.values())),
        passes=not any(map(is_too_far, _gaps(means)[:1])),
    )


def judged_gap(rows: Iterable[Mapping[str, Any]], score: str, group: str | Sequence[str]) -> Gap | None:
    """The largest gap that `group_report` judges, of withheld groups too; None if fewer than two can be compared."""
    columns = (group,) if isinstance(group, str) else tuple(group)
    return next(iter(_gaps(_compared(_members(rows, score, columns)))), None)


def is_too_far(gap: Gap) -> bool:
    """Whether a gap is more than LARGEST_GAP."""
    return gap.gap > LARGEST_GAP + 1e-12  # 0.8 − 0.75 is not quite 0.05


class _Members:
    """The rows of one group, by person."""

    def __init__(self) -> None:
        self.n = 0
        self.scores: dict[Any, list[float]] = defaultdict(list)

    def add(self, subject: Any, score: Any) -> None:
        self.n += 1
        scores = self.scores[subject]
        if score is not None:
            if not 0 <= score <= 1:
                raise ValueError(f"a score must lie between 0 and 1, not {score!r}")
            scores.append(float(score))

    @property
    def scored(self) -> int:
        return sum(map(len, self.scores.values()))

    @property
    def people_scored(self) -> int:
        """People with a score."""
        return sum(map(bool, self.scores.values()))

    @property
    def mean(self) -> float:
        return math.fsum(score for scores in self.scores.values() for score in scores) / self.scored


def _members(rows: Iterable[Mapping[str, Any]], score: str, columns: Sequence[str]) -> dict[str, _Members]:
    members: dict[str, _Members] = defaultdict(_Members)
    for number, row in enumerate(rows):
        members[_name(row, columns)].add(row.get("subject", number), row.get(score))
    return members


def _compared(members: Mapping[str, _Members]) -> dict[str, float]:
    """The means of the groups that are large enough to be compared, by name."""
    large = (name for name in sorted(members) if members[name].scored >= COMPARED_FROM)
    return {name: members[name].mean for name in large if name != NOT_SAID}


def _name(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    answers = [row.get(column) for column in columns]
    return NOT_SAID if any(answer in (None, "") for answer in answers) else " × ".join(map(str, answers))


def _line(
    name: str, members: _Members, total: int, reference: Mapping[str, float] | None, *, hidden: bool
) -> GroupLine:
    if hidden:
        return GroupLine(name, withheld=True)
    share, expected = members.n / total, (reference or {}).get(name)
    told = members.people_scored >= SMALL
    return GroupLine(
        name,
        n=members.n,
        people=len(members.scores),
        share=share,
        share_interval=wilson_interval(members.n, total),
        ratio=share / expected if expected else None,
        scored=members.scored,
        mean=members.mean if told else None,
        mean_interval=_mean_interval(members) if told else None,
        compared=told and name != NOT_SAID and members.scored >= COMPARED_FROM,
    )


def _gaps(means: Mapping[str, float]) -> list[Gap]:
    found = []
    for one, other in combinations(means, 2):
        higher, lower = (one, other) if means[one] >= means[other] else (other, one)
        found.append(Gap(higher, lower, means[higher] - means[lower]))
    return sorted(found, key=lambda gap: (-gap.gap, gap.higher, gap.lower))


def _disparity(means: Sequence[float]) -> float | None:
    return 1 - min(means) / max(means) if len(means) > 1 and max(means) > 0 else None


def wilson_interval(count: int, total: int) -> Interval:
    """The 95 % score interval of a share. Source: E. B. Wilson, Probable Inference, JASA 22 (1927), 209-212."""
    share, square = count / total, NORMAL_95**2
    middle = share + square / (2 * total)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    below, above = (middle - half) / (1 + square / total), (middle + half) / (1 + square / total)
    return max(0.0, below), min(1.0, above)


def _mean_interval(members: _Members) -> Interval:
    """Percentiles of the mean when people are drawn with replacement: photographs of one person are not independent."""
    clusters = [scores for scores in members.scores.values() if scores]
    sums, sizes = np.array([math.fsum(scores) for scores in clusters]), np.array([len(scores) for scores in clusters])
    chance = np.random.default_rng(SEED)
    means: list[np.ndarray] = []
    at_once = max(1, BLOCK // len(clusters))
    for begun in range(0, RESAMPLES, at_once):
        drawn = chance.integers(len(clusters), size=(min(at_once, RESAMPLES - begun), len(clusters)))
        means.append(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))
    below, above = np.percentile(np.concatenate(means), [2.5, 97.5])
    return float(below), float(above)
