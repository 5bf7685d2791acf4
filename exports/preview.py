"""What staff see of a draft before it is built: its balance against targets, the terms it travels with, what it cost.

How many people of a group it would hold is told in fives, rounded down, and not at all where fewer than five could be
singled out: otherwise two definitions that differ by one person would tell what that person said of themselves.
"""

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from collection.models import DIMENSIONS, Target
from collection.progress import label, shown_targets
from consent.dates import day
from consent.models import FormText, Licence
from consent.suppression import SMALL
from exports.costs import Costs, Spending
from exports.drafts import Chosen, Draft, foresee
from exports.group_rows import answers_of
from exports.models import Dataset, Definition
from exports.splits import NAMES

STEP = 5  # people; what is told is a multiple of it
Basis = tuple[FormText | None, Licence | None]  # the text that was signed, or the licence


@dataclass(frozen=True)
class Balance:
    """One target, and how much of it the draft would hold. `people` and `photographs` are None where withheld."""

    label: str
    goal: str
    people: int | None
    photographs: int | None
    share: int | None  # per cent of the goal that is further away, at most 100

    @property
    def reached(self) -> bool:
        return self.share == 100

    @property
    def numbers(self) -> str:
        if self.people is None:
            return f"fewer than {SMALL} people, or withheld so that no group of fewer can be worked out"
        return f"at least {self.people:,} people, {self.photographs:,} photographs"


@dataclass(frozen=True)
class Terms:
    """What so many of the photographs come with: a text that was signed, or a licence."""

    name: str
    terms: str
    territory: str
    until: str
    rows: int


@dataclass(frozen=True)
class Look:
    """Everything that the page shows beside the draft's own numbers."""

    people: int
    splits: list[tuple[str, int]]
    balance: list[Balance]
    terms: list[Terms]
    costs: list[Costs]


def look_ahead(definition: Definition, at: datetime.datetime) -> tuple[Draft, Look]:
    """What a release would hold if it were drafted at this moment. It records nothing."""
    seen = _Seen(definition.dataset)
    draft = foresee(definition, at, seen.add)
    return draft, seen.look(definition)


class _Seen:
    """Counts what the page shows of photographs that come some at a time: all of them would fill the memory."""

    def __init__(self, dataset: Dataset) -> None:
        self.splits = Counter[str]()
        self.photographs = Counter[str]()  # of each person
        self.bases = Counter[Basis]()
        self.spending = Spending(dataset)

    def add(self, some: Sequence[Chosen]) -> None:
        images = [candidate.image for candidate, _ in some]
        self.splits.update(name for _, name in some)
        self.photographs.update(image.subject for image in images)
        self.bases.update((image.consent.text if image.consent else None, image.licence) for image in images)
        self.spending.add({image.pk: image.licence_id for image in images})

    def look(self, definition: Definition) -> Look:
        return Look(
            people=len(self.photographs),
            splits=[(name, self.splits[name]) for name in NAMES if self.splits[name]],
            balance=balance(definition.goals(), self.photographs),
            terms=terms(self.bases),
            costs=self.spending.costs(),
        )


def balance(goals: Sequence[Target], photographs: Counter[str]) -> list[Balance]:
    """How far so many photographs of each subject come up to the goals, the broadest first."""
    goals = sorted(goals, key=lambda goal: len(goal.asks()))
    if not goals:
        return []
    answers = answers_of(photographs)
    people = {who: {name: answers.get(who, {}).get(name) or "" for name in DIMENSIONS} for who in photographs}
    shown = shown_targets(goals, list(people.values()))
    return [
        _balance(goal, [who for who, said in people.items() if goal.fits(said)] if visible else None, photographs)
        for goal, visible in zip(goals, shown, strict=True)
    ]


def _balance(goal: Target, people: list[str] | None, photographs: Counter[str]) -> Balance:
    wanted = [(goal.people, "people"), (goal.photographs, "photographs")]
    words = " and ".join(f"{number:,} {what}" for number, what in wanted if number)
    if people is None:
        return Balance(label(goal), words, None, None, None)
    have = _rounded(len(people)), _rounded(sum(photographs[who] for who in people))
    shares = [min(100, 100 * number // want) for number, (want, _) in zip(have, wanted, strict=True) if want]
    return Balance(label(goal), words, *have, min(shares))


def _rounded(number: int) -> int:
    return number // STEP * STEP


def terms(counts: Counter[Basis]) -> list[Terms]:
    """What permits so many photographs, and until when, those with the most first."""
    found = []
    for (text, licence), rows in counts.items():
        if licence is not None:
            name, until = f"licence “{licence.title}” of {licence.licensor}", f"until {day(licence.ends_on)}"
            found.append(Terms(name, licence.terms, f"good for {licence.territory}", until, rows))
        elif text is not None:
            name = f"consent to {text.form.name} {text.version} ({text.language})"
            found.append(Terms(name, "terms as signed", f"law of {text.jurisdiction}", "until withdrawn", rows))
    return sorted(found, key=lambda one: (-one.rows, one.name))
