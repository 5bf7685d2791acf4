"""How far a call is: what is counted, and that nobody can be singled out by it."""

import datetime
import itertools
from collections import defaultdict

import pytest
from django.core.cache import cache
from django.utils import timezone

from collection import progress
from collection.models import Call, Image, ImageStatus, Target
from consent import demographics
from consent.models import PREFER_NOT_TO_SAY, Demographics
from consent.suppression import SMALL, showable
from consent.withdrawals import withdraw
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_contributor, make_text


@pytest.fixture
def call(db):
    cache.clear()
    return make_call(form=make_text(slug="faces").form, opens_at=timezone.now() - datetime.timedelta(days=60))


def give(call: Call, people: int, each: int = 1, days: int = 30, status: str = "accepted", **answers: str):
    """So many people who said this each have given so many photographs, so many days ago."""
    consents = [make_consent(make_contributor(), text=call.form.texts.get()) for _ in range(people)]
    for consent in consents:
        if answers:
            demographics.save_answers(contributor=consent.contributor, **answers)
        Image.objects.bulk_create(
            Image(
                consent=consent, call=call, subject=str(consent.contributor_id), status=status, byte_size=1, width=9,
                height=9, clean_key="x", clean_sha256="x", received_at=timezone.now() - datetime.timedelta(days=days),
            )
            for _ in range(each)
        )  # fmt: skip
    return consents


def want(call: Call, people: int | None = None, photographs: int | None = None, **asks: str) -> Target:
    return Target.objects.create(call=call, people=people, photographs=photographs, **asks)


def numbers(call: Call) -> dict[str, tuple[int | None, int | None]]:
    return {row.label: (row.people, row.photographs) for row in progress.take_progress(call)}


# --- What is counted ----------------------------------------------------------------------------


def test_what_counts_is_accepted_of_people_who_said_so_and_still_permit_it(call):
    want(call, people=10, gender="woman")
    want(call, people=10, photographs=100, gender="woman", country="IE")
    want(call, people=100)
    give(call, 6, each=2, gender="woman", country="IE")
    give(call, 7, gender="woman", country="FR")
    give(call, 5, gender=PREFER_NOT_TO_SAY)
    give(call, 5)
    give(call, 3, status=ImageStatus.NEEDS_REVIEW, gender="woman", country="IE")
    give(call, 3, status=ImageStatus.DUPLICATE, gender="woman", country="IE")
    gone, *_ = give(call, 1, gender="woman", country="IE")
    withdraw(consent=gone)
    assert numbers(call) == {"Anyone": (23, 29), "Woman": (13, 19), "Woman, Ireland": (6, 12)}
    rows = {row.label: row for row in progress.take_progress(call)}
    assert rows["Woman, Ireland"].share == 12  # of photographs, which are further away than people
    assert rows["Woman"].reached
    assert rows["Woman, Ireland"].numbers == "6 of 10 people, 12 of 100 photographs"


def test_r29_due_answers_are_not_counted(call):
    want(call, people=10, gender="woman")
    give(call, 6, gender="woman")
    assert numbers(call) == {"Woman": (6, 6)}
    Demographics.objects.update(delete_on=timezone.now().date())
    assert numbers(call) == {"Woman": (None, None)}


def test_counting_is_one_query_over_the_images(call, django_assert_num_queries):
    for gender in demographics.GENDERS:
        want(call, people=10, gender=gender)
        give(call, 2, each=3, gender=gender)
    with django_assert_num_queries(3):  # the targets, the trusted clock, the count
        progress.take_progress(call)


# --- Small groups -------------------------------------------------------------------------------


def test_r36_fewer_than_five_people_are_not_shown_nor_their_photographs(call):
    want(call, photographs=1000, gender="woman")
    give(call, 4, each=50, gender="woman")
    [row] = progress.take_progress(call)
    assert (row.people, row.photographs, row.share, row.expected) == (None, None, None, "no telling yet")
    assert "fewer than 5" in row.numbers
    assert progress.public_progress(call)[0].share is None


def test_r36_what_a_difference_would_tell_is_withheld_too(call):
    want(call, people=50)
    want(call, people=50, gender="woman")
    want(call, people=50, country="IE", gender="woman")
    give(call, 9, gender="woman", country="IE")
    give(call, 6, gender="man")
    give(call, 2, gender="woman", country="FR")  # 11 - 9
    assert numbers(call) == {"Anyone": (17, 17), "Woman": (11, 11), "Woman, Ireland": (None, None)}
    give(call, 3, gender="woman", country="FR")
    assert numbers(call)["Woman, Ireland"] == (9, 9)


CELLS = [(gender, country) for gender in ("woman", "man", "unsaid") for country in ("IE", "else")]


def group(**asks: str) -> frozenset[tuple[str, str]]:
    return frozenset(
        cell for cell in CELLS if all(asks.get(n, v) == v for n, v in zip(("gender", "country"), cell, strict=True))
    )


def tables(cells: int, most: int):
    """Every way to spread at most so many people over so many cells."""
    if not cells:
        yield ()
        return
    for first in range(most + 1):
        for rest in tables(cells - 1, most - first):
            yield (first, *rest)


WOMEN, MEN, IRISH = group(gender="woman"), group(gender="man"), group(country="IE")


@pytest.mark.parametrize(
    "groups",
    [
        (frozenset(CELLS), WOMEN, MEN),
        (frozenset(CELLS), WOMEN, WOMEN & IRISH),
        (WOMEN, IRISH, WOMEN & IRISH),
        (frozenset(CELLS), IRISH, WOMEN, WOMEN & IRISH),
        (frozenset(CELLS), WOMEN, MEN, IRISH, WOMEN & IRISH, MEN & IRISH),
    ],
)
def test_r36_no_small_group_of_joint_targets_is_derivable(groups):
    """Whoever knows how we choose, and all that is shown, still finds several values for each group of fewer than
    five: of a cell, of a target, and of what two targets share or differ by."""
    most = 14
    place = {cell: index for index, cell in enumerate(CELLS)}
    alike = defaultdict(list)
    for counts in tables(len(CELLS), most):
        people = dict(zip(CELLS, counts, strict=True))
        shown = showable(groups, people)
        seen = tuple(sum(map(people.get, one)) if visible else None for one, visible in zip(groups, shown, strict=True))
        alike[seen].append(counts)
    pairs = itertools.product(groups, groups)
    derived = {part for a, b in pairs for part in (a, a & b, a - b)} | {frozenset([cell]) for cell in CELLS}
    for seen, possible in alike.items():
        total_is_shown = groups[0] == frozenset(CELLS) and seen[0] is not None
        if not total_is_shown and min(map(sum, possible)) > most - SMALL:
            continue  # what is possible here is cut off by `most`
        for part in filter(None, derived):
            values = {sum(counts[place[cell]] for cell in part) for counts in possible}
            assert len(values) > 1 or min(values) >= SMALL, (seen, part, values)


# --- For everybody, and the pace ----------------------------------------------------------------


@pytest.mark.parametrize(("people", "share"), [(4, None), (5, 10), (19, 30), (49, 90), (50, 100)])
def test_the_public_sees_tenths_of_groups_that_are_not_small(call, people, share):
    want(call, people=50, gender="man")
    give(call, people, gender="man")
    assert [row.share for row in progress.public_progress(call)] == [share]


def test_the_pace_of_the_last_two_weeks_says_when(call):
    want(call, photographs=100, gender="man")
    give(call, 5, each=4, days=40, gender="man")
    assert progress.take_progress(call)[0].expected == "too little came lately to say"
    give(call, 7, each=4, days=3, gender="man")  # two a day, 52 to go
    [row] = progress.take_progress(call)
    assert (row.days_left, row.expected, row.too_late) == (27, "at this pace in about 4 weeks", False)
    Call.objects.update(closes_at=timezone.now() + datetime.timedelta(days=20))
    assert progress.take_progress(call)[0].too_late


def test_the_pace_of_few_people_is_not_told(call):
    want(call, photographs=100, gender="man")
    give(call, 6, days=40, gender="man")
    give(call, 4, each=10, days=3, gender="man")
    assert progress.take_progress(call)[0].days_left is None


def test_a_newer_text_than_the_call_is_named(call):
    assert [newer for _, newer in progress.versions(call)] == [False], "there is no older one"
    make_text(slug=call.form.slug)
    assert [newer for _, newer in progress.versions(call)] == [True]
    Call.objects.update(opens_at=timezone.now())
    call.refresh_from_db()
    assert [newer for _, newer in progress.versions(call)] == [False]
