"""What annotators choose to say about themselves: the one way to write, read and delete it, and what it is for.

It answers one question: do groups of annotators label alike? Only means of groups in which nobody can be singled out
are shown, to people with the role for it.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from django.db import transaction
from django.utils import timezone

from annotation.agreement import Pairs, by_control, same_as_others
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
APART = 0.10  # from here on people are said to agree more with those of their own region
FEWEST = 400  # comparisons of either kind: of fewer, a difference of 0.10 may well be chance


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
    same = same_as_others(by_control(said))
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


def regions_in_a_word(pairs: Pairs) -> str:
    """Whether annotators agree more with those of their own region: "alike" (no), "apart" or "too few to tell".

    "apart" if two of one region say the same more often than two of different regions, by more than APART. A region
    counts from SMALL people on. One word, for whoever knows who labelled what could work out from numbers who lives
    where (ADR 0031).
    """
    people = {who for pair in pairs.compared for who in pair}
    about = AnnotatorAbout.objects.filter(annotator__in=people, region__in=REGIONS)
    region_of = dict(about.values_list("annotator", "region"))
    large = {region for region, count in Counter(region_of.values()).items() if count >= SMALL}
    compared, same = Counter[bool](), Counter[bool]()
    for pair, count in pairs.compared.items():
        regions = {region_of.get(who) for who in pair}
        if regions <= large:
            compared[len(regions) == 1] += count
            same[len(regions) == 1] += pairs.same[pair]
    if min(compared[True], compared[False]) < FEWEST:
        return "too few to tell"
    return "apart" if same[True] / compared[True] - same[False] / compared[False] > APART else "alike"
