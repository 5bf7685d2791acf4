"""The review desk's rules: undo, taking effect once, four eyes, rights, what erasure leaves. (test_review_claims.py)"""

import contextlib
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from PIL import ImageFilter

from collection import claims, erasure, review, tasks
from collection.distinct import distinct_from
from collection.models import (
    Image,
    ImageStatus,
    ReviewCase,
    ReviewDecision,
    ReviewNote,
    ReviewOutcome,
    Transition,
)
from collection.services import settle_review
from consent.models import User
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_image
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db
Outcome = ReviewOutcome.Kind


def hold(reason: str = "backlit", image: Image | None = None) -> Image:
    """An image that screening holds for `reason`."""
    image = image or make_image()
    Image.objects.filter(pk=image.pk).update(status=ImageStatus.NEEDS_REVIEW)
    Transition.objects.create(image=image, old="sanitized", new=ImageStatus.NEEDS_REVIEW, reason=reason)
    return image


def hold_copy() -> Image:
    """Somebody else's photograph sent again, as the pipeline holds it."""
    picture = portrait(int(uuid.uuid4().int % 500), 1)
    make_image(picture=encoded(picture, quality=90))
    copy = make_image(picture=encoded(picture, quality=60))
    assert copy.status == ImageStatus.NEEDS_REVIEW
    return copy


@pytest.fixture
def ann() -> User:
    return make_user("ann@example.org", "reviewer")


@pytest.fixture
def ben() -> User:
    return make_user("ben@example.org", "reviewer")


def decide(image: Image, reviewer: User, kind: str = "accept", **more: str) -> ReviewDecision:
    claims.take_case(image_id=image.pk, reviewer=reviewer)
    return review.decide(image_id=image.pk, reviewer=reviewer, kind=kind, **more)


def later(seconds: float = 21) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


def settle(image: Image) -> str:
    """Time passes, the sweep runs; the image's status."""
    with later():
        tasks.apply_reviews()
    return Image.objects.get(pk=image.pk).status


def outcome(decision: ReviewDecision) -> str:
    return ReviewOutcome.objects.get(decision=decision).kind


def at_once(*works: Callable[[], None]) -> None:
    def run(work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# --- Deciding, undoing, taking effect ------------------------------------------------------------


def test_a_decision_takes_effect_after_the_time_to_undo_it(ann):
    image = hold_copy()
    decision = decide(image, ann, "duplicate", note="same shirt")
    tasks.apply_reviews()
    assert Image.objects.get(pk=image.pk).status == ImageStatus.NEEDS_REVIEW
    assert not claims.waiting().exists()  # nobody else sees it meanwhile
    assert settle(image) == ImageStatus.DUPLICATE
    assert outcome(decision) == Outcome.APPLIED
    assert not ReviewCase.objects.exists()
    last = image.transitions.order_by("pk").last()
    assert (last.reason, last.actor, last.detail) == ("copy", f"user:{ann.pk}", "")


def test_what_screening_held_goes_on_to_the_search_for_copies(ann):
    image = make_image(picture=encoded(portrait(4, 1).filter(ImageFilter.GaussianBlur(30)), quality=90))
    decide(image, ann)
    assert settle(image) == ImageStatus.ACCEPTED
    assert [t.new for t in image.transitions.order_by("pk")][-2:] == ["screened", "accepted"]


def test_undone_it_is_the_same_persons_again_and_nothing_happened(ann, ben):
    image = hold()
    decision = decide(image, ann, "reject", reason="unsuitable")
    with pytest.raises(Refused, match="no such decision"):
        review.undo(decision_id=decision.pk, reviewer=ben)
    review.undo(decision_id=decision.pk, reviewer=ann)
    assert (outcome(decision), ReviewCase.objects.get().holder) == (Outcome.UNDONE, ann)
    with pytest.raises(Refused, match="Another reviewer"):
        claims.take_case(image_id=image.pk, reviewer=ben)
    assert settle(image) == ImageStatus.NEEDS_REVIEW
    again = review.decide(image_id=image.pk, reviewer=ann, kind="accept")
    assert settle(image) == ImageStatus.ACCEPTED
    assert again.claimed_at == decision.claimed_at
    with pytest.raises(Refused, match="taken effect"):
        review.undo(decision_id=again.pk, reviewer=ann)


def test_sent_twice_it_is_one_decision(ann):
    image = hold()
    one, two = decide(image, ann), review.decide(image_id=image.pk, reviewer=ann, kind="accept")
    assert one == two
    assert settle(image) == ImageStatus.ACCEPTED
    with pytest.raises(Refused, match="settled"):
        review.decide(image_id=image.pk, reviewer=ann, kind="accept")
    assert ReviewDecision.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_sent_by_many_threads_it_is_one_decision_and_takes_effect_once(ann, settings):
    image = hold("mirrored", hold_copy())
    claims.take_case(image_id=image.pk, reviewer=ann)
    at_once(*[lambda: review.decide(image_id=image.pk, reviewer=ann, kind="duplicate")] * 5)
    decision = ReviewDecision.objects.get()
    with later():
        at_once(*[review.apply_due] * 5)
    assert outcome(decision) == Outcome.APPLIED
    assert image.transitions.filter(new=ImageStatus.DUPLICATE).count() == 1


@pytest.mark.django_db(transaction=True)
def test_undo_and_the_sweep_race_and_one_wins(ann):
    for _ in range(5):
        image = hold()
        decision = decide(image, ann, "reject", reason="unsuitable")

        def undo(decision: ReviewDecision = decision) -> None:
            with contextlib.suppress(Refused):
                review.undo(decision_id=decision.pk, reviewer=ann)

        with later():
            at_once(undo, review.apply_due)
        status = Image.objects.get(pk=image.pk).status
        expected = {Outcome.UNDONE: ImageStatus.NEEDS_REVIEW, Outcome.APPLIED: ImageStatus.REJECTED}
        assert status == expected[Outcome(outcome(decision))]
        claims.leave_case(image_id=image.pk, reviewer=ann)


def test_killed_while_it_takes_effect_the_next_sweep_finds_it_as_it_was(ann, monkeypatch):
    image = hold()
    decision = decide(image, ann, "reject", reason="unsuitable")

    class Killed(BaseException):
        pass

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(ReviewOutcome.objects, "create", die)
        with later(), pytest.raises(Killed), transaction.atomic():
            review.apply_due()
    assert Image.objects.get(pk=image.pk).status == ImageStatus.NEEDS_REVIEW
    assert settle(image) == ImageStatus.REJECTED
    assert outcome(decision) == Outcome.APPLIED


def test_turned_down_it_wants_a_reason_that_the_contributor_reads(ann):
    image = hold()
    claims.take_case(image_id=image.pk, reviewer=ann)
    for reason in ("", "because"):
        with pytest.raises(Refused, match="Choose a reason"):
            review.decide(image_id=image.pk, reviewer=ann, kind="reject", reason=reason)
    review.decide(image_id=image.pk, reviewer=ann, kind="reject", reason="bad_light")
    assert settle(image) == ImageStatus.REJECTED
    assert Image.objects.get(pk=image.pk).latest_reason().says == "has light that hides the face"
    now, soon = timezone.now(), timezone.now() + timedelta(minutes=1)
    with pytest.raises(IntegrityError, match="review_reason_if_rejected"), transaction.atomic():
        ReviewDecision.objects.create(
            image=image, reviewer=ann, kind="reject", queue="held", claimed_at=now, takes_effect_at=soon, seconds=1
        )


def test_what_resembles_nothing_is_no_copy(ann):
    image = hold_copy()
    claims.take_case(image_id=image.pk, reviewer=ann)
    withdraw(consent=image.resembles.get().original.consent)
    with pytest.raises(Refused, match="is gone"):
        review.decide(image_id=image.pk, reviewer=ann, kind="duplicate")


# --- Four eyes -----------------------------------------------------------------------------------


def turn_down_first(image: Image, reviewer: User, reason: str = "not_the_signer") -> ReviewDecision:
    first = decide(image, reviewer, "reject", reason=reason, note="another face")
    assert settle(image) == ImageStatus.NEEDS_REVIEW
    return first


@pytest.mark.parametrize(
    ("kind", "reason", "status", "of_first"),
    [
        ("reject", "not_the_signer", ImageStatus.REJECTED, Outcome.CONFIRMED),
        ("reject", "somebody_elses", ImageStatus.REJECTED, Outcome.CONFIRMED),
        ("reject", "bad_light", ImageStatus.REJECTED, Outcome.OVERRULED),
        ("accept", "", ImageStatus.ACCEPTED, Outcome.OVERRULED),
    ],
)
def test_identity_takes_a_second_person(ann, ben, kind, reason, status, of_first):
    image = hold()
    first = turn_down_first(image, ann)
    assert claims.take_next(reviewer=ann) is None
    with pytest.raises(Refused, match="second person"):
        claims.take_case(image_id=image.pk, reviewer=ann)
    second = decide(image, ben, kind, reason=reason)
    assert (second.first, second.first_reviewer) == (first, ann)
    assert settle(image) == status
    assert (outcome(first), outcome(second)) == (of_first, Outcome.APPLIED)


def test_a_second_word_that_was_undone_leaves_the_first_waiting(ann, ben):
    image = hold()
    first = turn_down_first(image, ann)
    review.undo(decision_id=decide(image, ben).pk, reviewer=ben)
    assert ReviewCase.objects.get().first == first
    assert not ReviewOutcome.objects.filter(decision=first).exists()


def test_the_database_refuses_one_pair_of_eyes(ann, ben):
    image = hold()
    first = turn_down_first(image, ann)
    now = timezone.now()
    row = {"image": image, "reviewer": ann, "kind": "reject", "reason": "not_the_signer", "queue": "held"}
    row |= {"claimed_at": now, "takes_effect_at": now + timedelta(minutes=1), "seconds": 1, "first": first}
    for first_reviewer in (ann, None):
        with pytest.raises(IntegrityError, match="review_four_eyes"), transaction.atomic():
            ReviewDecision.objects.create(**row, first_reviewer=first_reviewer)
    ReviewDecision.objects.create(**{**row, "reviewer": ben}, first_reviewer=ann)


# --- Rights --------------------------------------------------------------------------------------


def test_withdrawn_it_is_off_the_desk_at_once(ann, ben):
    image, other = hold(), hold()
    claims.take_case(image_id=image.pk, reviewer=ann)
    withdraw(consent=image.consent)
    withdraw(consent=other.consent)
    assert not claims.waiting().exists()
    with pytest.raises(Refused, match="permission for it ended"):
        claims.take_case(image_id=other.pk, reviewer=ben)
    with pytest.raises(Refused, match="permission for it ended"):
        claims.keep_case(image_id=image.pk, reviewer=ann)
    with pytest.raises(Refused, match="permission for it ended"):
        review.decide(image_id=image.pk, reviewer=ann, kind="accept")


def test_a_decision_that_the_withdrawal_overtook_is_void_and_its_words_are_erased(ann, ben):
    image = hold()
    first = turn_down_first(image, ann)
    second = decide(image, ben, "reject", reason="not_the_signer", note="a man with a beard")
    assert ReviewNote.objects.count() == 2
    withdraw(consent=image.consent)
    erasure.purge_withdrawn()
    assert not ReviewNote.objects.exists()
    assert settle(image) == ImageStatus.PURGED
    assert (outcome(first), outcome(second)) == (Outcome.VOID, Outcome.VOID)
    assert not ReviewCase.objects.exists()


def test_words_written_while_it_was_being_erased_go_with_the_next_sweep(ann):
    image = hold()
    decision = decide(image, ann)
    withdraw(consent=image.consent)
    erasure.purge_withdrawn()
    ReviewNote.objects.create(decision=decision, text="a man with a beard")
    tasks.apply_reviews()
    assert not ReviewNote.objects.exists()


# --- Not a copy ----------------------------------------------------------------------------------


def test_not_a_copy_is_remembered_for_the_pair(ann):
    image = hold_copy()
    original = image.resembles.get().original
    decision = decide(image, ann, "distinct")
    assert not distinct_from(image.pk)  # it can still be undone
    assert settle(image) == ImageStatus.ACCEPTED
    assert distinct_from(image.pk) == {original.pk}
    assert not image.resembles.exists()
    assert outcome(decision) == Outcome.APPLIED


def test_not_a_copy_is_not_remembered_when_the_image_moved_on(ann):
    image = hold_copy()
    decision = decide(image, ann, "distinct")
    settle_review(image=image, decision="reject", reviewer=ann)
    assert settle(image) == ImageStatus.REJECTED
    assert (outcome(decision), distinct_from(image.pk)) == (Outcome.VOID, set())


def test_a_decision_is_void_when_the_photograph_was_made_anew_meanwhile(ann):
    """It waits to take effect; meanwhile faces were covered, and the new copy is held for another reason."""
    image = hold()
    decide(image, ann, "accept")
    hold("too_dark", image)
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        review.apply_due()
    image.refresh_from_db()
    assert image.status == ImageStatus.NEEDS_REVIEW
    assert ReviewOutcome.objects.get().kind == Outcome.VOID
