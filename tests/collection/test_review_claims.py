"""The queues of the review desk, and that two reviewers never hold one case."""

import uuid

import pytest
from django.db import connection
from django.utils import timezone

from collection import claims, queues, review
from collection.models import Image, ReviewCase, ReviewDecision
from consent.models import User
from consent.refusals import Refused
from tests.collection.factories import make_image
from tests.collection.test_review import at_once, hold, later
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return make_user("ann@example.org", "reviewer")


@pytest.fixture
def ben() -> User:
    return make_user("ben@example.org", "reviewer")


# --- Queues --------------------------------------------------------------------------------------


def test_rows_and_querysets_sort_alike():
    reasons = [reason for queue in queues.QUEUES.values() for reason in queue.reasons]
    reasons += ["blurred", "more_than_one_face", "no_face_found", "backlit", "never heard of", ""]
    images = {hold(reason).pk: reason for reason in reasons}
    for name in queues.QUEUES:
        found = set(queues.in_queue(queues.held(Image.objects.all()), name).values_list("pk", flat=True))
        assert found == {pk for pk, reason in images.items() if queues.queue_of(reason) == name}
        assert found


def test_the_latest_reason_counts():
    image = hold("age", hold("mirrored"))
    assert [q for q in queues.QUEUES if claims.waiting(q).filter(pk=image.pk).exists()] == ["age"]


def test_why_an_image_is_held_is_looked_up_by_an_index():
    image = hold()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET enable_seqscan = off")
        plan = queues.held(Image.objects.filter(pk=image.pk)).order_by().explain()
    assert "transition_held" in plan


# --- Claims --------------------------------------------------------------------------------------


def test_a_held_case_is_refused_to_others_until_its_time_is_over(ann, ben):
    image = hold()
    claims.take_case(image_id=image.pk, reviewer=ann)
    until = ReviewCase.objects.get().held_until
    with pytest.raises(Refused, match=f"until {until:%H:%M:%S} UTC"):
        claims.take_case(image_id=image.pk, reviewer=ben)
    assert claims.take_next(reviewer=ben) is None
    with pytest.raises(Refused, match="Another reviewer has"):
        review.decide(image_id=image.pk, reviewer=ben, kind="accept")
    with later(301):
        assert claims.take_next(reviewer=ben) == image.pk
        with pytest.raises(Refused, match="Another reviewer has"):
            review.decide(image_id=image.pk, reviewer=ann, kind="reject", reason="unsuitable")
        assert not ReviewDecision.objects.exists()


def test_late_but_wanted_by_nobody_the_decision_stands(ann):
    image = hold()
    claims.take_case(image_id=image.pk, reviewer=ann)
    with later(900):
        assert review.decide(image_id=image.pk, reviewer=ann, kind="accept").seconds == claims.IDLE.total_seconds()


def test_a_sign_of_life_keeps_it_and_counts_the_time(ann, ben):
    image = hold()
    claims.take_case(image_id=image.pk, reviewer=ann)
    with later(20):
        claims.keep_case(image_id=image.pk, reviewer=ann)
    with later(310):
        with pytest.raises(Refused):
            claims.take_case(image_id=image.pk, reviewer=ben)
        decision = review.decide(image_id=image.pk, reviewer=ann, kind="accept")
    assert decision.seconds == 20 + 60  # of the long silence one minute is work
    with pytest.raises(Refused, match="a moment ago"):
        claims.keep_case(image_id=image.pk, reviewer=ann)


def test_who_leaves_a_case_gives_it_to_the_next(ann, ben):
    first, second = hold(), hold()
    assert claims.take_next(reviewer=ann) == first.pk
    assert claims.leave_case(image_id=first.pk, reviewer=ann)
    assert claims.take_next(reviewer=ann, after=first.pk) == second.pk
    assert claims.take_next(reviewer=ben) == first.pk
    assert claims.take_next(reviewer=ben, after=first.pk) is None
    claims.leave_case(image_id=second.pk, reviewer=ann)
    assert claims.take_next(reviewer=ben, after=first.pk, back=True) == second.pk  # round again


def test_nobody_decides_about_a_photograph_of_their_own(ann):
    consent = make_consent()
    image = hold(image=make_image(consent))
    own = consent.contributor.user
    own.groups.set(ann.groups.all())
    assert claims.take_next(reviewer=own) is None
    with pytest.raises(Refused, match="your own"):
        claims.take_case(image_id=image.pk, reviewer=own)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_one_case_at_once_one_gets_it(ann):
    image = hold()
    people = [make_user("", "reviewer") for _ in range(6)]
    got: list[uuid.UUID | None] = []
    at_once(*(lambda p=p: got.append(claims.take_next(reviewer=p)) for p in people))
    assert sorted(got, key=str) == sorted([image.pk, *[None] * 5], key=str)


@pytest.mark.django_db(transaction=True)
def test_many_who_start_at_once_get_different_cases():
    images = {hold().pk for _ in range(6)}
    people = [make_user("", "reviewer") for _ in range(6)]
    got: list[uuid.UUID | None] = []
    at_once(*(lambda p=p: got.append(claims.take_next(reviewer=p)) for p in people))
    assert set(got) == images
    assert len(got) == 6


@pytest.mark.django_db(transaction=True)
def test_a_late_decision_and_a_new_claim_race_and_one_wins(ann, ben):
    for _ in range(4):
        image = hold()
        claims.take_case(image_id=image.pk, reviewer=ann)
        ReviewCase.objects.update(held_until=timezone.now())  # its time is over
        won: list[str] = []

        def late(image: Image = image, won: list[str] = won) -> None:
            try:
                review.decide(image_id=image.pk, reviewer=ann, kind="accept")
                won.append("ann")
            except Refused:
                pass

        def take(image: Image = image, won: list[str] = won) -> None:
            try:
                claims.take_case(image_id=image.pk, reviewer=ben)
                won.append("ben")
            except Refused:
                pass

        at_once(late, take)
        case = ReviewCase.objects.get(pk=image.pk)
        assert won == (["ann"] if case.pending_id else ["ben"])
