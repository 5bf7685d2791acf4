"""How far the annotators of a campaign agree, and what they disagree about. It reads; nothing here decides."""

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from operator import itemgetter
from statistics import fmean, median
from typing import Any

from annotation.answers import Control, answer, answered
from annotation.drift import (
    Answers,
    Drift,
    SameByAnnotation,
    claimed_seconds,
    drift_of_annotators,
    same_by_annotation,
)
from annotation.models import Annotator, Campaign, LabelTask
from annotation.quality import alpha_interval, box_overlap, dawid_skene, is_same, krippendorff_alpha
from annotation.selection import AcceptedAnnotation

LEVELS = {"rating": "ordinal", "choices": "nominal"}
# K. Krippendorff, Content Analysis (2004), p. 241: conclusions from 0.8, tentative ones from 0.667.
RELIABLE, TENTATIVE = 0.8, 0.667


@dataclass(frozen=True)
class Agreement:
    """Of one control: Krippendorff's alpha with its 95 % interval, or the mean overlap of boxes or distance of points.

    `units` is the number of photographs that two or more people answered.
    """

    control: Control
    units: int
    alpha: float | None = None
    interval: tuple[float, float] | None = None
    overlap: float | None = None  # mean intersection over union of every two boxes of a photograph
    distance: float | None = None  # mean distance of every two points of a photograph, in percent of its side

    def verdict(self) -> str:
        """What the number means, in words."""
        if self.alpha is None:
            return ""
        if self.alpha >= RELIABLE:
            return "reliable"
        return "good enough for tentative conclusions" if self.alpha >= TENTATIVE else "not reliable"


@dataclass(frozen=True)
class Work:
    """What one annotator did in a campaign, beside what the others said of the same photographs."""

    annotator: Annotator
    annotations: int
    same_as_others: float | None  # share of comparisons with each other annotator that say the same
    probably_right: float | None  # Dawid and Skene's estimate over all controls with one choice
    seconds: float | None  # median of what their browser claims
    drift: Drift  # what changed lately


@dataclass(frozen=True)
class Disputed:
    """A photograph that annotators see differently: the share of comparisons that do not say the same."""

    task: uuid.UUID
    share: float
    controls: tuple[str, ...]  # those that are not seen alike


def by_control(said: Sequence[AcceptedAnnotation]) -> Mapping[Control, Answers]:
    """What was said, by control: by image: by annotator."""
    found: dict[Control, dict[uuid.UUID, dict[uuid.UUID, Any]]] = {}
    for control in answered(one.result for one in said):
        units: dict[uuid.UUID, dict[uuid.UUID, Any]] = defaultdict(dict)
        for one in said:
            if (value := answer(one.result, control)) is not None:
                units[one.image_id][one.annotator_id] = value
        found[control] = units
    return found


# --- Per control ---------------------------------------------------------------------------------


def agreement(control: Control, answers: Answers) -> Agreement:
    """How far the annotators agree about one control."""
    compared = [list(said.values()) for said in answers.values() if len(said) > 1]
    if control.kind in LEVELS:
        level, ratings = LEVELS[control.kind], ratings_of(answers)
        alpha = krippendorff_alpha(ratings, level)
        return Agreement(control, len(compared), alpha=alpha, interval=alpha_interval(ratings, level))
    pairs = [pair for said in compared for pair in combinations(said, 2)]
    if not pairs:
        return Agreement(control, 0)
    if control.kind == "box":
        return Agreement(control, len(compared), overlap=fmean(box_overlap(a, b) for a, b in pairs))
    return Agreement(control, len(compared), distance=fmean(math.dist(a, b) for a, b in pairs))


def ratings_of(answers: Mapping[Any, Mapping[Any, Any]]) -> list[list[Any]]:
    """Annotators × units of `answers[unit][annotator]`, None for nothing; several choices are one value."""
    people = sorted({who for said in answers.values() for who in said})
    return [[_value(said.get(who)) for said in answers.values()] for who in people]


def _value(said: Any) -> Any:
    return "|".join(said) if isinstance(said, list) else said


# --- Per annotator -------------------------------------------------------------------------------


def work_of_annotators(campaign: Campaign, said: Sequence[AcceptedAnnotation]) -> list[Work]:
    """What each annotator did of what was `said` in the campaign, those first who agree least with the others."""
    answers = by_control(said)
    compared, claimed = same_by_annotation(answers), claimed_seconds(campaign)
    same, right = _share_of_same(compared), _probably_right(answers)
    seconds = {who: median(theirs) for who, theirs in claimed.items()}
    drift = drift_of_annotators(said, compared, claimed)
    people = Annotator.objects.select_related("user").in_bulk({one.annotator_id for one in said})
    count: dict[uuid.UUID, int] = defaultdict(int)
    for one in said:
        count[one.annotator_id] += 1
    work = [Work(people[pk], count[pk], same.get(pk), right.get(pk), seconds.get(pk), drift[pk]) for pk in count]
    return sorted(work, key=lambda one: (one.same_as_others is None, one.same_as_others, -one.annotations))


def same_as_others(answers: Mapping[Control, Answers]) -> dict[uuid.UUID, float]:
    """By annotator, the share of comparisons with each other annotator that say the same."""
    return _share_of_same(same_by_annotation(answers))


class Pairs:
    """How often every two annotators said the same of the same photographs. These may come some at a time, each with
    all that was said of it."""

    def __init__(self) -> None:
        self.compared: Counter[tuple[uuid.UUID, uuid.UUID]] = Counter()
        self.same: Counter[tuple[uuid.UUID, uuid.UUID]] = Counter()

    def add(self, said: Sequence[AcceptedAnnotation]) -> None:
        for control, units in by_control(said).items():
            for answers in units.values():
                for (one, a), (other, b) in combinations(sorted(answers.items(), key=itemgetter(0)), 2):
                    self.compared[one, other] += 1
                    self.same[one, other] += is_same(control.kind, a, b)


def _share_of_same(compared: SameByAnnotation) -> dict[uuid.UUID, float]:
    found: dict[uuid.UUID, list[bool]] = defaultdict(list)
    for (who, _), same in compared.items():
        found[who] += same
    return {who: fmean(same) for who, same in found.items()}


def _probably_right(answers: Mapping[Control, Answers]) -> dict[uuid.UUID, float]:
    estimates: dict[uuid.UUID, list[float]] = defaultdict(list)
    for control, units in answers.items():
        if control.kind != "choices":
            continue
        try:
            found = dawid_skene(
                (unit, who, _value(value)) for unit, said in units.items() for who, value in said.items()
            )
        except ValueError:  # it does not settle: then there is nothing to tell
            continue
        for who, rates in found.error_rates.items():
            estimates[who].append(sum(share * rates[true][true] for true, share in found.prior.items()))
    return {who: fmean(found) for who, found in estimates.items()}


# --- Per photograph ------------------------------------------------------------------------------


def most_disputed(campaign: Campaign, said: Sequence[AcceptedAnnotation], most: int) -> list[Disputed]:
    """The photographs whose annotations differ most, at most so many, of those that may be looked at."""
    tasks = dict(LabelTask.objects.of_usable_images(campaign).values_list("image", "pk"))
    compared: dict[uuid.UUID, list[tuple[str, bool]]] = defaultdict(list)
    for control, units in by_control(said).items():
        for image, answers in units.items():
            for a, b in combinations(answers.values() if image in tasks else (), 2):
                compared[image].append((control.name, is_same(control.kind, a, b)))
    disputed = [
        Disputed(
            task=tasks[image],
            share=fmean(not same for _, same in found),
            controls=tuple(sorted({name for name, same in found if not same})),
        )
        for image, found in compared.items()
        if not all(same for _, same in found)
    ]
    return sorted(disputed, key=lambda one: (-one.share, str(one.task)))[:most]
