"""How far a call is: per target what was accepted, as far as it may be shown, and when it would be reached.

Numbers of people are withheld where fewer than five could be singled out, also by way of other targets
(`consent.suppression.showable`), and with them the numbers of their photographs.
"""

import datetime
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.cache import cache
from django.db.models import Count, Min, Q
from django.utils import timezone

from collection.models import DIMENSIONS, Call, ImageStatus, Target
from collection.targets import PERSON, held_places, is_said
from consent import demographics
from consent.models import FormText
from consent.suppression import SMALL, showable

PUBLIC_SECONDS = 60
LATELY = datetime.timedelta(days=14)  # the pace is that of so many days
OTHER = "other"  # an answer that no target of the call asks for
Cell = tuple[str, ...]  # an answer, OTHER or NOT_ANSWERED for each of the dimensions


@dataclass(frozen=True)
class Person:
    """What one person gave to a call: accepted photographs, how many of them lately, and since when."""

    said: dict[str, str]
    photographs: int
    lately: int
    since: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One target and how far it is. The numbers are None where they are withheld."""

    target: Target
    people: int | None
    photographs: int | None
    days_left: int | None  # until it is reached at the pace of lately; None where there is no telling

    @property
    def label(self) -> str:
        return label(self.target)

    @property
    def share(self) -> int | None:
        """Per cent of the goal, rounded down; of the goal that is further away if there are two."""
        if self.people is None or self.photographs is None:
            return None
        parts = ((self.people, self.target.people), (self.photographs, self.target.photographs))
        return min(min(100, 100 * have // goal) for have, goal in parts if goal)

    @property
    def reached(self) -> bool:
        return self.share == 100

    @property
    def numbers(self) -> str:
        """`34 of 50 people, 120 of 400 photographs`."""
        if self.people is None or self.photographs is None:
            return f"fewer than {SMALL} people, or withheld so that no group of fewer can be worked out"
        people, photographs = (
            f"{have:,} of {goal:,}" if goal else f"{have:,}"
            for have, goal in ((self.people, self.target.people), (self.photographs, self.target.photographs))
        )
        return f"{people} people, {photographs} photographs"

    @property
    def goal(self) -> str:
        """`50 people`, `50 people and 400 photographs`."""
        people = f"{self.target.people:,} people" if self.target.people else ""
        photographs = f"{self.target.photographs:,} photographs" if self.target.photographs else ""
        return " and ".join(filter(None, (people, photographs)))

    @property
    def expected(self) -> str:
        """When it would be reached, as coarse as such a guess is."""
        if self.share is None:
            return "no telling yet"
        if self.reached:
            return "reached"
        if self.days_left is None:
            return "too little came lately to say"
        return f"at this pace {_in_words(self.days_left)}"

    @property
    def too_late(self) -> bool:
        """At this pace only after the call has closed."""
        if self.days_left is None or self.reached:
            return False
        return timezone.now() + datetime.timedelta(days=self.days_left) > self.target.call.closes_at


@dataclass(frozen=True)
class PublicProgress:
    """What everybody may see of one target: the share is in per cent, rounded down to tenths; None if withheld."""

    label: str
    goal: str
    share: int | None

    @property
    def reached(self) -> bool:
        return self.share == 100


def label(target: Target) -> str:
    """The group in words: `Woman, 18 to 29, Tone 7, Ireland`."""
    asks = target.asks()
    order = ("gender", "age_band", "skin_tone", "country")
    words = [demographics.ATTRIBUTES[name][1][asks[name]] for name in order if name in asks]
    return ", ".join(words) or "Anyone"


def _in_words(days: int) -> str:
    if days < 14:
        return f"in about {max(days, 2)} days"
    if days < 70:
        return f"in about {round(days / 7)} weeks"
    if days < 3650:
        return f"in {timezone.now() + datetime.timedelta(days=days):%B %Y}"
    return "in more than ten years"


def versions(call: Call) -> list[tuple[FormText, bool]]:
    """The texts that whoever takes part now signs, and whether each replaced an older one after the call had opened."""
    return [(text, _replaced(text, call)) for text in call.form.current_texts()]


def _replaced(text: FormText, call: Call) -> bool:
    older = call.form.texts.filter(language=text.language, published_at__lt=text.published_at)
    return text.published_at > call.opens_at and older.exists()


# --- Counting ------------------------------------------------------------------------------------


def take_progress(call: Call) -> list[Progress]:
    """Every target of the call, the broadest first, counted at this moment."""
    targets = sorted(call.targets.select_related("call"), key=lambda target: (len(target.asks()), target.pk))
    if not targets:
        return []
    people = count_people(call)
    shown = shown_targets(targets, [person.said for person in people])
    return [_progress(target, people, visible) for target, visible in zip(targets, shown, strict=True)]


def public_progress(call: Call) -> list[PublicProgress]:
    """For the page that anybody may open, as often as they like: at most PUBLIC_SECONDS old."""
    key = f"call-progress-{call.pk}"
    found: list[PublicProgress] | None = cache.get(key)
    if found is None:
        rows = take_progress(call)
        found = [
            PublicProgress(row.label, row.goal, None if row.share is None else row.share // 10 * 10) for row in rows
        ]
        cache.set(key, found, PUBLIC_SECONDS)
    return found


def count_people(call: Call) -> list[Person]:
    """Everybody of whom a photograph was accepted for the call, in one grouped query."""
    accepted = held_places(call.pk).filter(status=ImageStatus.ACCEPTED)
    said = demographics.said_in_force(PERSON, DIMENSIONS)
    rows = (
        accepted.order_by()
        .annotate(**said)
        .values(PERSON, *DIMENSIONS)
        .annotate(
            photographs=Count("pk"),
            lately=Count("pk", filter=Q(received_at__gt=timezone.now() - LATELY)),
            since=Min("received_at"),
        )
    )
    return [
        Person({name: row[name] for name in DIMENSIONS}, row["photographs"], row["lately"], row["since"])
        for row in rows
    ]


def _progress(target: Target, people: Sequence[Person], visible: bool) -> Progress:
    if not visible:
        return Progress(target=target, people=None, photographs=None, days_left=None)
    mine = [person for person in people if target.fits(person.said)]
    photographs = sum(person.photographs for person in mine)
    return Progress(
        target=target, people=len(mine), photographs=photographs, days_left=_days_left(target, mine, photographs)
    )


def _days_left(target: Target, mine: Sequence[Person], photographs: int) -> int | None:
    """Of the goals the one that takes longer. None if fewer than SMALL people sent something lately."""
    if sum(bool(person.lately) for person in mine) < SMALL:
        return None
    now = timezone.now()
    days = min(LATELY, max(now - target.call.opens_at, datetime.timedelta(days=1))) / datetime.timedelta(days=1)
    newcomers = sum(person.since > now - LATELY for person in mine)
    paces = [
        (target.people, len(mine), newcomers),
        (target.photographs, photographs, sum(person.lately for person in mine)),
    ]
    missing = [(goal - have, lately) for goal, have, lately in paces if goal and goal > have]
    if not all(lately for _, lately in missing):
        return None
    return max((int(left / lately * days) + 1 for left, lately in missing), default=0)


def shown_targets(targets: Sequence[Target], said: Sequence[Mapping[str, str]]) -> list[bool]:
    """Which targets may be shown with their numbers, if people said this of themselves. Broad targets come first."""
    used = {name: {target.asks()[name] for target in targets if name in target.asks()} for name in DIMENSIONS}
    used = {name: values for name, values in used.items() if values}
    cells = list(itertools.product(*(_answers(name, values) for name, values in used.items())))
    groups = [[cell for cell in cells if target.fits(dict(zip(used, cell, strict=True)))] for target in targets]
    return showable(groups, Counter(_cell(one, used) for one in said))


def _answers(name: str, values: set[str]) -> list[str]:
    """Every kind of answer that matters here: what targets ask for, another one, none."""
    others = [OTHER] if len(values) < len(demographics.ATTRIBUTES[name][1]) else []
    return [*sorted(values), *others, demographics.NOT_ANSWERED]


def _cell(answers: Mapping[str, str], used: dict[str, set[str]]) -> Cell:
    return tuple(
        said if said in values else OTHER if is_said(said) else demographics.NOT_ANSWERED
        for said, values in ((answers[name], values) for name, values in used.items())
    )
