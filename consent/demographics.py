"""What contributors choose to say about themselves: the one way to write, read, count and delete it.

It serves fairness only (Art. 10(5) AI Act): to check what is made with the photographs, and to ask for photographs of
groups that are missing (targets of calls). It is never inferred, and lives apart from everything else: nobody but the
person sees their own answers, and staff see counts in which nobody can be singled out.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Case, CharField, Exists, F, OuterRef, Value, When
from django.utils import timezone

from consent.adulthood import age_on
from consent.clock import trusted_now
from consent.countries import COUNTRIES
from consent.erasure_list import note
from consent.models import PREFER_NOT_TO_SAY, Consent, Contributor, Demographics
from consent.refusals import Refused
from consent.suppression import SMALL, is_given_away, withheld

LONGEST = datetime.timedelta(days=3 * 365)
NOT_ANSWERED = ""
# The Monk Skin Tone scale by Dr. Ellis Monk and Google, CC BY 4.0, https://skintone.google: sRGB of each tone.
SKIN_TONES = {
    "1": "#f6ede4",
    "2": "#f3e7db",
    "3": "#f7ead0",
    "4": "#eadaba",
    "5": "#d7bd96",
    "6": "#a07e56",
    "7": "#825c43",
    "8": "#604134",
    "9": "#3a312a",
    "10": "#292420",
}
AGE_BANDS = {"18-29": (18, 29), "30-39": (30, 39), "40-49": (40, 49), "50-59": (50, 59), "60+": (60, 200)}
GENDERS = {"woman": "Woman", "man": "Man", "non_binary": "Non-binary", "other": "Another gender"}
ANCESTRIES = {
    "africa": "Africa",
    "americas": "The Americas (first peoples)",
    "central_south_asia": "Central or South Asia",
    "east_asia": "East or South-East Asia",
    "europe": "Europe",
    "middle_east": "Middle East or North Africa",
    "oceania": "Oceania (first peoples)",
    "several": "Several of these",
    "other": "Another",
}
# What each attribute is called, and what can be said; `prefer_not` can be said of each.
ATTRIBUTES: dict[str, tuple[str, Mapping[str, str]]] = {
    "skin_tone": ("Skin tone (Monk scale)", {tone: f"Tone {tone}" for tone in SKIN_TONES}),
    "age_band": ("Age", {band: band.replace("-", " to ").replace("+", " and over") for band in AGE_BANDS}),
    "gender": ("Gender", GENDERS),
    "ancestry": ("Ancestry", ANCESTRIES),
    "country": ("Country", COUNTRIES),
}


# --- One's own answers ---------------------------------------------------------------------------


def age_band(contributor: Contributor) -> str:
    """The age band of a contributor today, one of AGE_BANDS; empty if their date of birth is gone."""
    if contributor.date_of_birth is None:
        return NOT_ANSWERED
    age = age_on(timezone.now().date(), contributor.date_of_birth)
    return next((band for band, (first, last) in AGE_BANDS.items() if first <= age <= last), NOT_ANSWERED)


def answers_of(contributor: Contributor) -> Demographics | None:
    """What this contributor said about themselves: for their own page only."""
    return Demographics.objects.filter(contributor=contributor).first()


def save_answers(*, contributor: Contributor, **answers: str) -> Demographics | None:
    """Keep the answers, in place of earlier ones; all of them empty deletes. Returns what is kept.

    `answers` are the fields of ATTRIBUTES: a value there, `prefer_not`, or empty for not answered.
    """
    for name, value in answers.items():
        if value not in (NOT_ANSWERED, PREFER_NOT_TO_SAY) and value not in ATTRIBUTES[name][1]:
            raise Refused(f"Choose one of the answers for {ATTRIBUTES[name][0].lower()}, or leave it out.")
    if not any(answers.values()):
        delete_answers(contributor=contributor)
        return None
    kept = {**dict.fromkeys(ATTRIBUTES, NOT_ANSWERED), **answers}
    return Demographics.objects.update_or_create(
        contributor=contributor,
        defaults={**kept, "given_at": timezone.now(), "delete_on": deletion_day(contributor)},
    )[0]


def deletion_day(contributor: Contributor) -> datetime.date:
    """When the answers go: with the last permission in force, or after three years. Refused without a permission."""
    latest = Consent.objects.live().filter(contributor=contributor).order_by("-expires_at").first()
    if latest is None:
        raise Refused("We only ask this of people who signed. Please sign first, if you want to take part.")
    return min(latest.expires_at, timezone.now() + LONGEST).date()


@transaction.atomic
def delete_answers(*, contributor: Contributor) -> bool:
    """Delete what a contributor said about themselves. False if there was nothing."""
    deleted = bool(Demographics.objects.filter(contributor=contributor).delete()[0])
    if deleted:
        note("demographics", contributor=contributor.pk, at=timezone.now())
    return deleted


def delete_due(*, clock: datetime.datetime | None = None) -> int:
    """Delete answers whose day has come or whose person permits nothing any more; returns how many."""
    clock = clock or trusted_now()
    gone = Demographics.objects.filter(delete_on__lte=clock.date()).delete()[0]
    over = Consent.objects.over(clock=clock)
    standing = Consent.objects.filter(contributor=OuterRef("contributor")).exclude(pk__in=over.values("pk"))
    return gone + Demographics.objects.filter(~Exists(standing)).delete()[0]


# --- Whom a call asks for ------------------------------------------------------------------------


def answers_in_force(contributor: Contributor) -> dict[str, str]:
    """This contributor's answers by attribute until the day they are deleted, the sweep late or not; else empty."""
    said = Demographics.objects.filter(contributor=contributor, delete_on__gt=trusted_now().date()).first()
    return {name: getattr(said, name) if said else NOT_ANSWERED for name in ATTRIBUTES}


def said_in_force(path: str, names: Iterable[str]) -> dict[str, Case]:
    """The same for counting in a query, of the contributor at `path` ("consent__contributor")."""
    kept = {f"{path}__demographics__delete_on__gt": trusted_now().date()}
    return {
        name: Case(
            When(**kept, then=F(f"{path}__demographics__{name}")),
            default=Value(NOT_ANSWERED),
            output_field=CharField(),
        )
        for name in names
    }


# --- Counts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """How many people gave each answer; None stands for a number that is withheld."""

    title: str
    rows: list[tuple[str, int | None]]
    total: int


def count_tables() -> list[Table]:
    """One table per attribute, in which no group of fewer than five can be worked out; empty if too few answered."""
    said = {name: _said(name) for name in ATTRIBUTES}
    total = Demographics.objects.count()
    if total < SMALL or any(is_given_away(list(counts.values())) for counts in said.values()):
        return []
    return [_table(ATTRIBUTES[name][0], counts, total) for name, counts in said.items()]


def _table(title: str, said: dict[str, int], total: int) -> Table:
    hidden = withheld(list(said.values()))
    rows = [(word, None if at in hidden else count) for at, (word, count) in enumerate(said.items())]
    return Table(title, rows, total)


def _said(name: str) -> dict[str, int]:
    """How many people gave each answer, in words."""
    given = Counter(Demographics.objects.values_list(name, flat=True))
    said = {word: given[value] for value, word in ATTRIBUTES[name][1].items()}
    unsaid = {"Prefer not to say": given[PREFER_NOT_TO_SAY], "Not answered": given[NOT_ANSWERED]}
    return pooled(said, unsaid) if name == "country" else {**said, **unsaid}


def pooled(said: dict[str, int], unsaid: dict[str, int]) -> dict[str, int]:
    """Over two hundred rows made few: only what can be shown has a name, for a name alone says "at least five"."""
    everybody = sum(said.values())
    named = {word: count for word, count in said.items() if count >= SMALL}
    while True:
        rows = {**named, "All other countries": everybody - sum(named.values()), **unsaid}
        hidden = withheld(list(rows.values()))
        shown = {word: count for at, (word, count) in enumerate(rows.items()) if word in named and at not in hidden}
        if shown == named:
            return rows
        named = shown
