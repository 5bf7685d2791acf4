"""Who has which case. A claim is one conditional UPDATE of the case's row, so two reviewers never hold one case.

It ends by a decision, by leaving, or after REVIEW_CLAIM_SECONDS without a sign of life; then anybody may take the case.
"""

import datetime
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from collection import queues
from collection.models import Image, ReviewCase
from consent.models import User
from consent.refusals import Refused

IDLE = datetime.timedelta(seconds=60)  # a longer silence does not count as work
TRIED = 20  # cases that others may snatch in the same moment before there is nothing for this reviewer
RELEASED: dict[str, Any] = {"holder": None, "claimed_at": None, "seen_at": None, "held_until": None, "seconds": 0}
GONE = "This photograph does not wait any more: it was settled, or the permission for it ended."


# --- What waits ----------------------------------------------------------------------------------


def waiting(queue: str = "") -> queues.Held:
    """Images that wait for somebody to decide (in one queue, or in all), with the columns of `queues.held`."""
    decided = ReviewCase.objects.filter(image=OuterRef("pk"), pending__isnull=False)
    images = queues.held(Image.objects.with_live_basis()).filter(~Exists(decided))
    return queues.in_queue(images, queue) if queue else images


def open_to(reviewer: User, queue: str = "") -> queues.Held:
    """What waits and this reviewer may decide: not their own photograph, nor one that they turned down first."""
    theirs = ReviewCase.objects.filter(image=OuterRef("pk"), first__reviewer=reviewer)
    return waiting(queue).filter(~Exists(theirs)).exclude(consent__contributor__user=reviewer)


def free_for(reviewer: User, queue: str = "") -> queues.Held:
    """What is open to this reviewer and nobody else has at present."""
    held = ReviewCase.objects.filter(image=OuterRef("pk"), held_until__gt=timezone.now())
    return open_to(reviewer, queue).filter(~Exists(held.exclude(holder=reviewer)))


# --- Taking, keeping, leaving --------------------------------------------------------------------


def take_case(*, image_id: uuid.UUID, reviewer: User) -> None:
    """Make this reviewer the holder of a case that is free, or keep the one that they have. Refused says why not."""
    now = timezone.now()
    until = now + _claim_time()
    ReviewCase.objects.bulk_create([ReviewCase(image_id=image_id)], ignore_conflicts=True)
    rows = ReviewCase.objects.filter(pk=image_id, pending__isnull=True, image__in=open_to(reviewer).values("pk"))
    free = rows.filter(Q(held_until__isnull=True) | Q(held_until__lte=now))
    taken = rows.filter(holder=reviewer).update(seen_at=now, held_until=until) or free.update(
        holder=reviewer, claimed_at=now, seen_at=now, held_until=until, seconds=0
    )
    if not taken:
        raise Refused(why_not(image_id=image_id, reviewer=reviewer))


def take_next(
    *, reviewer: User, queue: str = "", after: uuid.UUID | None = None, back: bool = False
) -> uuid.UUID | None:
    """Take the oldest case that is free (or the next after, or before, the image `after`, and round again)."""
    free = free_for(reviewer, queue)
    here = queues.held(Image.objects.filter(pk=after)).values_list("hold", flat=True).first() if after else None
    ordered = free.filter(~Q(pk=after)).order_by("-hold" if back else "hold", "pk").values_list("pk", flat=True)
    turns = [ordered] if here is None else [ordered.filter(**{"hold__lt" if back else "hold__gt": here}), ordered]
    tries: Iterable[uuid.UUID] = (image_id for turn in turns for image_id in turn[:TRIED])
    for image_id in tries:
        try:
            take_case(image_id=image_id, reviewer=reviewer)
        except Refused:
            continue  # somebody was faster
        return image_id
    return None


def keep_case(*, image_id: uuid.UUID, reviewer: User) -> datetime.datetime:
    """A sign of life: until when the case is theirs now. Refused when it is theirs no more."""
    with transaction.atomic():
        case = lock_case(image_id)
        if not is_theirs(case, reviewer):
            raise Refused(why_not(image_id=image_id, reviewer=reviewer))
        assert case is not None  # noqa: S101  # is_theirs has seen to it
        now = timezone.now()
        case.seconds, case.seen_at, case.held_until = seconds_at_it(case, now), now, now + _claim_time()
        case.save(update_fields=["seconds", "seen_at", "held_until"])
    return case.held_until


def leave_case(*, image_id: uuid.UUID, reviewer: User) -> bool:
    """Give a case back undecided; False if it was not theirs."""
    return bool(ReviewCase.objects.filter(pk=image_id, holder=reviewer, pending__isnull=True).update(**RELEASED))


def lock_case(image_id: uuid.UUID) -> ReviewCase | None:
    """The case, locked until the transaction ends."""
    return ReviewCase.objects.select_for_update(no_key=True).filter(pk=image_id).first()


def is_theirs(case: ReviewCase | None, reviewer: User) -> bool:
    """True while the reviewer may decide it. Out of time, it stays theirs until somebody takes it."""
    if case is None or case.holder_id != reviewer.pk or case.pending_id is not None:
        return False
    return bool(open_to(reviewer).filter(pk=case.pk).exists())


def seconds_at_it(case: ReviewCase, now: datetime.datetime) -> float:
    """How long the holder was at it: the time between signs of life, of which a long silence is not work."""
    silence = now - case.seen_at if case.seen_at else datetime.timedelta()
    return case.seconds + max(min(silence, IDLE), datetime.timedelta()).total_seconds()


def _claim_time() -> datetime.timedelta:
    return datetime.timedelta(seconds=settings.REVIEW_CLAIM_SECONDS)


# --- Why not -------------------------------------------------------------------------------------


def why_not(*, image_id: uuid.UUID, reviewer: User) -> str:
    """Why this reviewer cannot decide this case, in words for them; empty if they can (they have it, or it is free)."""
    case = ReviewCase.objects.select_related("first", "pending").filter(pk=image_id).first()
    if not queues.held(Image.objects.with_live_basis()).filter(pk=image_id).exists():
        return GONE
    if Image.objects.filter(pk=image_id, consent__contributor__user=reviewer).exists():
        return "This photograph is your own. A colleague has to decide about it."
    return _taken(case, reviewer) if case else ""


def _taken(case: ReviewCase, reviewer: User) -> str:
    if case.pending:
        own = case.pending.reviewer_id == reviewer.pk
        return f"{'You' if own else 'A colleague'} decided about this photograph a moment ago."
    if case.first and case.first.reviewer_id == reviewer.pk:
        return "You turned this photograph down because of identity. A second person has to confirm that."
    if case.holder_id != reviewer.pk and case.held_until and case.held_until > timezone.now():
        return f"Another reviewer has this photograph until {case.held_until:%H:%M:%S} UTC. Then it is free again."
    return ""
