"""What annotators choose to say about themselves: the one way to write, read and delete it, and what it is for.

It answers one question: do groups of annotators label alike? Only means of groups in which nobody can be singled out
are shown, to people with the role for it.
"""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from django.db import transaction
from django.utils import timezone

from annotation.agreement import SameAsOthers
from annotation.joining_models import AnnotatorAbout, AnnotatorLanguage
from annotation.models import Annotator
from annotation.selection import AcceptedAnnotation
from consent.demographics import AGE_BANDS, GENDERS
from consent.erasure_list import note
from consent.models import PREFER_NOT_TO_SAY
from consent.refusals import Refused
from consent.suppression import SMALL, is_given_away, withheld

REGIONS = {
    "africa": "Africa",
    "asia": "Asia",
    "europe": "Europe",
    "latin_america": "Latin America and the Caribbean",
    "middle_east": "Middle East",
    "north_america": "North America",
    "oceania": "Oceania",
}
# What each attribute is called, and what can be said; `prefer_not` can be said of each.
ATTRIBUTES: dict[str, tuple[str, Mapping[str, str]]] = {
    "region": ("Where do you live?", REGIONS),
    "age_band": ("How old are you?", {band: band.replace("-", " to ").replace("+", " and over") for band in AGE_BANDS}),
    "gender": ("Your gender", GENDERS),
}
UNSAID = "Not said"
APART = 0.10  # between the means of two regions, from which on they are said not to label alike


# --- One's own answers ---------------------------------------------------------------------------


def answers_of(annotator: Annotator) -> AnnotatorAbout | None:
    """What this annotator said about themselves: for their own page only."""
    return AnnotatorAbout.objects.filter(annotator=annotator).first()


def save_answers(*, annotator: Annotator, **answers: str) -> AnnotatorAbout | None:
    """Keep the answers in place of earlier ones; all of them empty deletes. Returns what is kept."""
    for name, value in answers.items():
        if value not in ("", PREFER_NOT_TO_SAY) and value not in ATTRIBUTES[name][1]:
            raise Refused(f"Choose one of the answers to “{ATTRIBUTES[name][0]}”, or leave it out.")
    if not any(answers.values()):
        delete_answers(annotator=annotator)
        return None
    kept = {**dict.fromkeys(ATTRIBUTES, ""), **answers, "given_at": timezone.now()}
    return AnnotatorAbout.objects.update_or_create(annotator=annotator, defaults=kept)[0]


@transaction.atomic
def delete_answers(*, annotator: Annotator) -> bool:
    """Delete what an annotator said about themselves, also from a restored backup. False if there was nothing."""
    deleted = bool(AnnotatorAbout.objects.filter(annotator=annotator).delete()[0])
    if deleted:
        note("annotator_about", annotator=annotator.pk, at=timezone.now())
    return deleted


def forget_former() -> int:
    """Delete what people said about themselves, and the languages they know, who have no account here any more."""
    gone = AnnotatorAbout.objects.filter(annotator__user=None).delete()[0]
    return gone + AnnotatorLanguage.objects.filter(annotator__user=None).delete()[0]


# --- What it is for ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """How often one group's annotators said the same as others of the same photographs: mean over its people, 0 to 1.

    None where the group is withheld, or shares no photograph with anybody.
    """

    name: str
    people: int | None
    same: float | None


def group_agreement(said: Sequence[AcceptedAnnotation]) -> list[tuple[str, list[Group]]]:
    """By attribute, its groups among those who said something; nothing while groups are so small that people could be
    singled out."""
    heard = SameAsOthers()
    heard.add(said)
    same = heard.shares()
    about = AnnotatorAbout.objects.in_bulk(list(same))
    tables = []
    for attribute, (title, words) in ATTRIBUTES.items():
        members: dict[str, list[uuid.UUID]] = defaultdict(list)
        for person in same:
            value = getattr(about[person], attribute) if person in about else ""
            members[words.get(value, UNSAID)].append(person)
        if len(members) > 1 and not is_given_away([len(people) for people in members.values()]):
            tables.append((title, _groups(members, same)))
    return tables


def _groups(members: Mapping[str, Sequence[uuid.UUID]], same: Mapping[uuid.UUID, float]) -> list[Group]:
    names = sorted(members)
    hidden = withheld([len(members[name]) for name in names])
    return [
        Group(name, None, None)
        if at in hidden
        else Group(name, len(members[name]), fmean(same[person] for person in members[name]))
        for at, name in enumerate(names)
    ]


def regions_in_a_word(same: Mapping[uuid.UUID, float]) -> str:
    """Whether annotators of different regions label alike: "alike", "apart" or "too few to tell".

    `same` is how often each says what others say of the same photographs (0 to 1). A region counts from SMALL people
    on. One word, for whoever knows who labelled what could work out from numbers who lives where (ADR 0031).
    """
    members: dict[str, list[float]] = defaultdict(list)
    about = AnnotatorAbout.objects.filter(annotator__in=list(same), region__in=REGIONS)
    for annotator, region in about.values_list("annotator", "region"):
        members[region].append(same[annotator])
    means = [fmean(people) for people in members.values() if len(people) >= SMALL]
    if len(means) < 2:
        return "too few to tell"
    return "apart" if max(means) - min(means) > APART else "alike"
