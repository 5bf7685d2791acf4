"""Whose photographs a call still takes: the targets, what counts towards them, and where one contributor stands.

A photograph counts from its arrival until it is turned down or its permission ends, so a place that a check or a
withdrawal frees is free again, within RECOUNTED. A group is only ever what people say of themselves; who leaves out
what a target asks for counts in none.
"""

import datetime
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from collection.models import DIMENSIONS, Call, CallQuerySet, Image, ImageQuerySet, ImageStatus, Target
from collection.models.prepared import Question
from consent import demographics
from consent.models import PREFER_NOT_TO_SAY, Consent, Contributor, Demographics
from consent.refusals import Refused

# Statuses in which a photograph holds a place: it has arrived and is not turned down.
HOLDING = (
    ImageStatus.RECEIVED,
    ImageStatus.SANITIZED,
    ImageStatus.SCREENED,
    ImageStatus.NEEDS_REVIEW,
    ImageStatus.ACCEPTED,
)
RECOUNTED = datetime.timedelta(minutes=1)  # a group that is full is counted again after so long
PERSON = "consent__contributor"
CALLED = {"skin_tone": "skin tone", "age_band": "age", "gender": "gender", "country": "country"}

UNSAID = (
    "This call takes only photographs of people who told us what it asks for. You need not tell us: there may be other "
    "calls, which are open to everybody."
)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where one contributor stands with a call, in words for them alone."""

    sent: int  # photographs that count towards the most that the call takes of one person
    refusal: str = ""  # why the call takes no more of them; empty while it does
    asks: bool = False  # the targets go by something that they have not answered, and it would matter


def hold_place(*, contributor: Contributor, call: Call) -> None:
    """Refused if the call takes no more of this person. For the transaction that creates the image.

    Until that transaction ends nobody else gets a place, of this person or of a group: so neither the most per person
    nor a target is exceeded, however many send at once.
    """
    lock_person(contributor)
    if WITH_ROOM.ask(contributor=contributor.pk, call=call.pk):
        return
    if call.targets.exists():
        Call.objects.select_for_update(no_key=True).get(pk=call.pk)
    if refusal := standing(contributor=contributor, call=call).refusal:
        raise Refused(refusal)
    _count_one_more(contributor, call)


WHO, WHICH = uuid.UUID(int=1), 987_654_321
PERSON_LOCK = Question(
    lambda contributor: Contributor.objects.select_for_update(no_key=True).filter(pk=contributor).values_list("pk"),
    contributor=WHO,
)


def lock_person(contributor: Contributor) -> None:
    """Until the transaction ends nobody else announces or takes in a photograph of theirs."""
    PERSON_LOCK.ask(contributor=contributor.pk)


def with_room(contributor: uuid.UUID) -> CallQuerySet:
    """Calls without targets that take more photographs of this person: as nearly all are, asked in one statement."""
    sent = _sent(contributor, OuterRef("pk"))
    counted = sent.order_by().values("call").annotate(count=Count("pk")).values("count")
    calls = Call.objects.filter(~Exists(Target.objects.filter(call=OuterRef("pk"))))
    return calls.alias(sent=Coalesce(Subquery(counted), 0)).filter(max_per_person__gt=F("sent"))


def _sent(contributor: uuid.UUID, call: int | OuterRef) -> ImageQuerySet:
    """What this person sent to a call, but for what was turned down."""
    theirs = Consent.objects.filter(contributor=contributor).values("pk")  # by index, among however many photographs
    return Image.objects.filter(call=call, consent__in=theirs).exclude(status=ImageStatus.REJECTED)


SENT = Question(
    lambda contributor, call: _sent(contributor, call).values("call").annotate(count=Count("pk")).values_list("count"),
    contributor=WHO,
    call=WHICH,
)


def count_sent(*, contributor: Contributor, call: Call) -> int:
    """How many photographs of theirs count towards the most that the call takes of one person."""
    found = SENT.ask(contributor=contributor.pk, call=call.pk)
    return found[0][0] if found else 0


WITH_ROOM = Question(
    lambda contributor, call: with_room(contributor).filter(pk=call).values_list("pk"),
    contributor=WHO,
    call=WHICH,
)


def _count_one_more(contributor: Contributor, call: Call) -> None:
    targets = list(call.targets.all())
    if mine := _of(contributor, targets):
        newcomer = int(_is_newcomer(contributor, call))
        Target.objects.filter(pk__in=[target.pk for target in mine]).update(
            held_photographs=F("held_photographs") + 1, held_people=F("held_people") + newcomer
        )


def _of(contributor: Contributor, targets: list[Target]) -> list[Target]:
    """The targets that this person belongs to."""
    answers = demographics.answers_in_force(contributor) if targets else {}
    return [target for target in targets if target.fits(answers)]


def _is_newcomer(contributor: Contributor, call: Call) -> bool:
    """Whether nothing of theirs holds a place: as `held_places`, but without looking at everybody's permissions."""
    live = list(Consent.objects.live().filter(contributor=contributor).values_list("pk", flat=True))
    theirs = Image.objects.filter(consent__in=live, call=call, status__in=HOLDING, removals__isnull=True)
    return not theirs.exists()


def standing(*, contributor: Contributor, call: Call) -> Standing:
    """Where this contributor stands with the call at this moment."""
    sent = count_sent(contributor=contributor, call=call)
    targets = list(call.targets.order_by("pk"))
    answers = demographics.answers_in_force(contributor) if targets else {}
    open_to_them = (target for target in targets if _may_fit(target, answers))
    silent = any(not answers[name] for target in open_to_them for name in target.asks())
    refusal = (
        f"You have sent {sent} photographs to this call, which is as many as it takes."
        if sent >= call.max_per_person
        else _refusal(contributor, call, targets, answers)
    )
    return Standing(sent=sent, refusal=refusal, asks=silent and refusal in ("", UNSAID))


def _refusal(contributor: Contributor, call: Call, targets: list[Target], answers: Mapping[str, str]) -> str:
    mine = [target for target in targets if target.fits(answers)]
    if not targets:
        return ""
    if not mine:
        return _refusal_outside(call, targets, answers)
    newcomer = _is_newcomer(contributor, call)
    full = [target for target in _counted(call, mine) if _is_full(target, newcomer)]
    if any(target.counted_at < timezone.now() - RECOUNTED for target in full if target.counted_at):
        full = [target for target in _count_again(call, full) if _is_full(target, newcomer)]
    if not full:
        return ""
    return (
        f"We have enough photographs of {_people_like(full)} at the moment, so this call takes no more of this group. "
        "What you have sent already stays welcome."
    )


def _refusal_outside(call: Call, targets: list[Target], answers: Mapping[str, str]) -> str:
    """For somebody who belongs to no target."""
    if not any(_may_fit(target, answers) for target in targets):
        return (
            "At the moment this call looks for photographs of other groups of people than those that you told us you "
            "belong to. What you have sent already stays welcome."
        )
    if call.open_to_unsaid:
        return ""
    return UNSAID


def _may_fit(target: Target, answers: Mapping[str, str]) -> bool:
    """Whether they would belong to the target if they said more than they did."""
    return all(answers[name] == value or not is_said(answers[name]) for name, value in target.asks().items())


def is_said(answer: str) -> bool:
    return answer not in (demographics.NOT_ANSWERED, PREFER_NOT_TO_SAY)


def _people_like(targets: Iterable[Target]) -> str:
    names = {name for target in targets for name in target.asks()}
    words = [CALLED[name] for name in DIMENSIONS if name in names]
    if not words or any(not target.asks() for target in targets):
        return "everybody"
    listed = " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    return f"people of your {listed}"


# --- Counting ------------------------------------------------------------------------------------


def _is_full(target: Target, newcomer: bool) -> bool:
    """Whether the target takes no further photograph, of somebody who has none there yet or of others."""
    enough_people = newcomer and target.people is not None and target.held_people >= target.people
    return enough_people or (target.photographs is not None and target.held_photographs >= target.photographs)


def _counted(call: Call, targets: list[Target]) -> list[Target]:
    """The targets with numbers that are never too low: counted once, and again when people changed their answers."""
    fresh = [target for target in targets if target.counted_at]
    since = min((target.counted_at for target in fresh if target.counted_at), default=None)
    if since is None or len(fresh) < len(targets) or _answers_moved(call, since):
        return _count_again(call, targets)
    return targets


def _answers_moved(call: Call, since: datetime.datetime) -> bool:
    """Whether somebody who takes part in the call has said something new about themselves."""
    theirs = Image.objects.filter(call=call, consent__contributor=OuterRef("contributor"))
    return Demographics.objects.filter(Exists(theirs), given_at__gte=since).exists()


def _count_again(call: Call, targets: list[Target]) -> list[Target]:
    """Count what these targets hold, while nothing comes in."""
    with transaction.atomic():
        Call.objects.select_for_update(no_key=True).get(pk=call.pk)
        for target in targets:
            _count(target)
    return targets


def _count(target: Target) -> None:
    target.counted_at = timezone.now()
    held = held_places(target.call_id).alias(**demographics.said_in_force(PERSON, target.asks()))
    found = held.filter(**target.asks()).aggregate(photographs=Count("pk"), people=Count(PERSON, distinct=True))
    target.held_photographs, target.held_people = found["photographs"], found["people"]
    target.save(update_fields=["held_photographs", "held_people", "counted_at"])


def held_places(call_id: int) -> ImageQuerySet:
    """The photographs that count towards the targets of a call; those that the rights desk holds keep their place."""
    return Image.objects.entitled().filter(call=call_id, consent__isnull=False, status__in=HOLDING)
