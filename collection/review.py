"""Decisions of the review desk: made at once, undone for a while, then they take effect, once.

A decision is a row; `ReviewCase.pending` names it until `apply_due` (a sweep, and every page of the desk) makes the
move of the state machine, which cannot be taken back. Turning down for identity takes two people.
See docs/decisions/0019.
"""

import datetime
import uuid

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from collection import claims, freezes, queues, services
from collection.distinct import mark_distinct
from collection.models import (
    Image,
    ImageStatus,
    Resemblance,
    ReviewCase,
    ReviewDecision,
    ReviewNote,
    ReviewOutcome,
)
from consent.models import User
from consent.refusals import Refused

Kind, Outcome = ReviewDecision.Kind, ReviewOutcome.Kind
# Why a reviewer turns something down, in the order of the keys 1 to 9: code in collection.reasons, words for the desk.
REJECTIONS = {
    "unsuitable": "Not what the call asks for",
    "too_blurred": "Too blurred to use",
    "bad_light": "The light hides the face",
    "face_hidden": "No face, or it is covered",
    "other_people": "More than one person",
    "not_a_photograph": "Not a photograph of a person: drawing, screenshot, object",
    "not_allowed": "Shows something that we do not take",
    "not_the_signer": "This is not the person who signed",
    "somebody_elses": "This is somebody else's photograph",
}
IDENTITY = frozenset({"not_the_signer", "somebody_elses"})  # these take two people
APPLIED_AT_ONCE = 200


# --- Deciding ------------------------------------------------------------------------------------


def decide(*, image_id: uuid.UUID, reviewer: User, kind: str, reason: str = "", note: str = "") -> ReviewDecision:
    """Note what the holder of a case decides. Sent twice, it is one decision. Refused when the case is not theirs."""
    _check(kind, reason)
    with transaction.atomic():
        case = claims.lock_case(image_id)
        if case and case.pending and case.pending.reviewer_id == reviewer.pk:
            return case.pending
        if not claims.is_theirs(case, reviewer):
            late = "Your time for this photograph ran out, and it went back to the others. Nothing is lost."
            raise Refused(claims.why_not(image_id=image_id, reviewer=reviewer) or late)
        assert case is not None  # noqa: S101  # is_theirs has seen to it
        if kind in (Kind.COPY, Kind.DISTINCT) and not resembling(case.image).exists():
            raise Refused("What it resembled is gone. Please accept it or turn it down.")
        services.refuse_unready(image=case.image, decision=_word(kind))
        decision = _note_decision(case, reviewer, kind, reason, note)
        ReviewCase.objects.filter(pk=case.pk).update(pending=decision)
    return decision


def _check(kind: str, reason: str) -> None:
    if kind not in (Kind.ACCEPT, Kind.COPY, Kind.DISTINCT, Kind.REJECT):
        raise Refused("Choose what to do with this photograph.")
    if kind == Kind.REJECT and reason not in REJECTIONS:
        raise Refused("Choose a reason before you turn it down: the contributor reads it.")


def _note_decision(case: ReviewCase, reviewer: User, kind: str, reason: str, note: str) -> ReviewDecision:
    now = timezone.now()
    decision = ReviewDecision.objects.create(
        image_id=case.pk,
        reviewer=reviewer,
        kind=kind,
        reason=reason if kind == Kind.REJECT else "",
        queue=queues.queue_of_image(case.pk),
        claimed_at=case.claimed_at or now,
        decided_at=now,
        takes_effect_at=now + datetime.timedelta(seconds=0 if kind == Kind.MINOR else settings.REVIEW_UNDO_SECONDS),
        seconds=round(claims.seconds_at_it(case, now)),
        first=case.first,
        first_reviewer=case.first.reviewer if case.first else None,
    )
    if note.strip():
        ReviewNote.objects.create(decision=decision, text=note.strip()[:300])
    return decision


def undoable(reviewer: User) -> ReviewDecision | None:
    """The reviewer's last decision, if it has not taken effect."""
    theirs = ReviewDecision.objects.filter(reviewer=reviewer, outcome__isnull=True)
    pending = ReviewCase.objects.filter(pending__isnull=False).values("pending")
    return theirs.filter(pk__in=pending).order_by("-pk").first()


def undo(*, decision_id: int, reviewer: User) -> ReviewDecision:
    """Take back a decision that has not taken effect; its case is the reviewer's again."""
    decision = ReviewDecision.objects.filter(pk=decision_id, reviewer=reviewer).first()
    if decision is None:
        raise Refused("There is no such decision of yours.")
    now = timezone.now()
    with transaction.atomic():
        back = ReviewCase.objects.filter(pending=decision).update(
            pending=None,
            holder=reviewer,
            claimed_at=decision.claimed_at,
            seen_at=now,
            held_until=now + datetime.timedelta(seconds=settings.REVIEW_CLAIM_SECONDS),
            seconds=decision.seconds,
        )
        if not back:
            raise Refused("That decision has taken effect and cannot be undone.")
        ReviewOutcome.objects.create(decision=decision, kind=Outcome.UNDONE)
    return decision


def report_minor(*, image: Image, reviewer: User, note: str = "") -> None:
    """Freeze everything of a person who may be a minor, at once: the rights desk decides. Anybody may, claim or not."""
    with transaction.atomic():
        case = claims.lock_case(image.pk)
        if Image.objects.with_live_basis().filter(pk=image.pk).exists():  # else somebody has reported it before
            theirs = case if case and case.holder_id == reviewer.pk and not case.pending_id else None
            blank = ReviewCase(image=image, first=None)
            decision = _note_decision(theirs or blank, reviewer, Kind.MINOR, "", note)
            ReviewOutcome.objects.create(decision=decision, kind=Outcome.APPLIED)
        freezes.report_minor(image=image)
        claims.leave_case(image_id=image.pk, reviewer=reviewer)


# --- Taking effect -------------------------------------------------------------------------------


def apply_due(*, most: int = APPLIED_AT_ONCE) -> list[uuid.UUID]:
    """Let decisions take effect whose time to undo is over; returns the images that moved."""
    due = ReviewCase.objects.filter(pending__takes_effect_at__lte=timezone.now()).order_by("pending")
    return [case.pk for case in due.select_related("pending__first", "image")[:most] if _apply(case)]


def _apply(case: ReviewCase) -> bool:
    """Whoever takes the decision off the case applies it: killed here, the next sweep finds it as it was."""
    decision = case.pending
    assert decision is not None  # noqa: S101  # apply_due asks for those
    with transaction.atomic():
        if not ReviewCase.objects.filter(pk=case.pk, pending=decision).update(pending=None, **claims.RELEASED):
            return False  # undone, or applied by somebody else
        held_again = case.image.transitions.filter(new=ImageStatus.NEEDS_REVIEW, at__gt=decision.decided_at)
        if held_again.exists() or not claims.waiting().filter(pk=case.pk).exists():
            _conclude(decision, Outcome.VOID)
        elif decision.reason in IDENTITY and decision.first is None:
            ReviewCase.objects.filter(pk=case.pk).update(first=decision)  # and it waits for a second person
        elif _take_effect(decision):
            ReviewCase.objects.filter(pk=case.pk).delete()
            return True
        return False


def _take_effect(decision: ReviewDecision) -> bool:
    moved = _settle(decision)
    _conclude(decision, Outcome.APPLIED if moved else Outcome.VOID)
    if moved and decision.first:
        _conclude(decision.first, Outcome.CONFIRMED if decision.reason in IDENTITY else Outcome.OVERRULED)
    return moved


def _conclude(decision: ReviewDecision, kind: str) -> None:
    ReviewOutcome.objects.create(decision=decision, kind=kind)


def _settle(decision: ReviewDecision) -> bool:
    """False: somebody settled the image otherwise, or its permission ended in this moment."""
    image = decision.image
    try:
        with transaction.atomic():
            if decision.kind == Kind.DISTINCT:
                for pair in resembling(image).select_related("original"):
                    mark_distinct(image=image, original=pair.original, reviewer=decision.reviewer)
            word = _word(decision.kind)
            services.settle_review(image=image, decision=word, reviewer=decision.reviewer, code=decision.reason)
    except Refused:
        return False
    return True


def _word(kind: str) -> str:
    """What `services.settle_review` calls it: what is no copy is accepted."""
    return Kind.ACCEPT.value if kind == Kind.DISTINCT else kind


def forget_settled() -> int:
    """Delete cases of images that wait for nobody any more (settled, erased); a first word on them is void.

    A note that was written while its photograph was being erased goes too.
    """
    ReviewNote.objects.filter(decision__image__status=ImageStatus.PURGED).delete()
    over = ReviewCase.objects.exclude(image__status=ImageStatus.NEEDS_REVIEW).filter(pending__isnull=True)
    with transaction.atomic():
        gone = list(over.select_for_update(no_key=True, of=("self",)))
        for case in gone:
            if case.first:
                _conclude(case.first, Outcome.VOID)
        ReviewCase.objects.filter(pk__in=[case.pk for case in gone]).delete()
    return len(gone)


# --- What it resembles ---------------------------------------------------------------------------


def resembling(image: Image) -> QuerySet[Resemblance]:
    """What an image resembles and may be looked at, nearest first."""
    return image.resembles.filter(original__in=Image.objects.with_live_basis()).order_by("distance", "pk")
