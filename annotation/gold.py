"""Gold: tasks drawn at random of which a reviewer says the answer, and what follows for those who labelled them.

Nobody who labels can tell a gold task from another: it is drawn when it is planned, and the reviewer's answer comes
afterwards and never leaves here. See docs/decisions/0027.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, F, OuterRef, Q
from django.utils import timezone

from annotation.answers import Control, Result, answer, answered
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelTask, LabelTaskQuerySet
from annotation.quality import is_same
from annotation.quality_models import GoldAnswer, Pause, Rejection
from annotation.selection import AcceptedAnnotation, accepted_annotations
from consent.mailing import try_to_send, write_mail
from consent.models import User
from consent.refusals import Refused

LATELY = 20  # gold tasks of one annotator that count for a pause
FEWEST = 5  # under so many nobody is paused
OWN_WORK = "You labelled this photograph yourself. Leave it to another reviewer."


@dataclass(frozen=True)
class GoldRecord:
    """How many of an annotator's latest gold tasks they answered as the reviewer did."""

    right: int
    of: int

    def percent(self) -> int:
        """Whole percent, 0 without any."""
        return self.right * 100 // self.of if self.of else 0


# --- Answers -------------------------------------------------------------------------------------


def awaiting_answer(campaign: Campaign, user: User | None = None) -> LabelTaskQuerySet:
    """Gold tasks that have all their annotations and no reviewer's answer, of photographs that may be looked at.

    Without those that `user` labelled: another reviewer answers them.
    """
    tasks = LabelTask.objects.of_usable_images(campaign).filter(is_gold=True, gold_answer__isnull=True)
    if user is not None:
        tasks = tasks.exclude(earnings__annotator__user=user)
    labels = Count("earnings", filter=Q(earnings__annotation__verdict=Annotation.Verdict.ACCEPTED))
    return tasks.annotate(labelled=labels).filter(labelled__gte=F("campaign__overlap"))


def answer_gold(*, task: LabelTask, result: Result, user: User) -> GoldAnswer:
    """Keep the reviewer's answer; Refused when there is one, or when they labelled the photograph themselves."""
    if not task.is_gold:
        raise Refused("This photograph was not drawn as gold. Choose one of those that were.")
    if not answered([result]):
        raise Refused("Answer at least one thing, or leave the photograph for somebody else.")
    _refuse_own_work(task, user)
    try:
        with transaction.atomic():
            return GoldAnswer.objects.create(task=task, result=result, made_by=user)
    except IntegrityError:
        raise Refused("Somebody else answered this one meanwhile. Their answer stays.") from None


def _refuse_own_work(task: LabelTask, user: User) -> None:
    if Earning.objects.filter(task=task, annotator__user=user).exists():
        raise Refused(OWN_WORK)


def reject_annotation(*, annotation: Annotation, reason: str, user: User) -> Rejection:
    """Take an accepted annotation out of datasets from now on. Its pay stays: it was work that met the rules."""
    if annotation.verdict != Annotation.Verdict.ACCEPTED:
        raise Refused("This annotation was not accepted, so it is in no dataset.")
    if not reason.strip():
        raise Refused("Say why: the annotator will read it.")
    _refuse_own_work(annotation.task, user)
    try:
        with transaction.atomic():
            return Rejection.objects.create(annotation=annotation, reason=reason.strip(), made_by=user)
    except IntegrityError:
        raise Refused("This annotation has been rejected already.") from None


# --- Records and pauses --------------------------------------------------------------------------


def is_right(result: Result, gold: Result) -> bool:
    """Whether an annotation says the same as the reviewer about everything that the reviewer answered."""
    return all(is_same_answer(control, answer(result, control), answer(gold, control)) for control in answered([gold]))


def is_same_answer(control: Control, said: Any, known: Any) -> bool:
    """Whether what somebody said about a control is what the reviewer said; of choices, saying nothing is choosing
    none of them."""
    if control.kind == "choices":
        said = said or []
    return said is not None and is_same(control.kind, said, known)


def records(campaign: Campaign) -> dict[uuid.UUID, GoldRecord]:
    """By annotator, over their latest gold tasks since their last pause was lifted."""
    gold = dict(GoldAnswer.objects.filter(task__campaign=campaign).values_list("task__image", "result"))
    if not gold:
        return {}
    # Also what was rejected: or rejecting somebody's wrong answers would make their record better.
    said = accepted_annotations(campaign, timezone.now(), images=gold, also_rejected=True)
    lifted = dict(
        Pause.objects.filter(campaign=campaign, lifted_at__isnull=False)
        .order_by("lifted_at")
        .values_list("annotator", "lifted_at")
    )
    mine: dict[uuid.UUID, list[AcceptedAnnotation]] = {}
    for one in sorted(said, key=lambda one: one.made_at, reverse=True):
        since = lifted.get(one.annotator_id)
        if since is None or one.made_at > since:
            mine.setdefault(one.annotator_id, []).append(one)
    return {who: _record(found[:LATELY], gold) for who, found in mine.items()}


def _record(latest: Iterable[AcceptedAnnotation], gold: dict[uuid.UUID, Result]) -> GoldRecord:
    judged = [is_right(one.result, gold[one.image_id]) for one in latest]
    return GoldRecord(right=sum(judged), of=len(judged))


def pause_weak(*, campaign: Campaign) -> int:
    """Pause everybody whose gold record is below what the campaign asks for; how many were paused now."""
    if campaign.gold_pass_percent is None:
        return 0
    weak = {
        who: record
        for who, record in records(campaign).items()
        if record.of >= FEWEST and record.percent() < campaign.gold_pass_percent
    }
    return sum(
        pause_annotator(
            annotator=annotator,
            campaign=campaign,
            reason=f"{weak[annotator.pk].right} of your last {weak[annotator.pk].of} answers that a reviewer checked "
            f"were as the reviewer's. This campaign asks for {campaign.gold_pass_percent} %.",
        )
        for annotator in Annotator.objects.filter(pk__in=weak)
    )


def pause_annotator(*, annotator: Annotator, campaign: Campaign, reason: str) -> bool:
    """Give them no more of the campaign and tell them why; False if they are paused already."""
    try:
        with transaction.atomic():
            Pause.objects.create(annotator=annotator, campaign=campaign, reason=reason)
    except IntegrityError:
        return False
    if annotator.user:
        email = annotator.user.email
        # Their page says the same, should the mail fail.
        try_to_send(lambda: _mail_pause(email, campaign, reason), what="notice of a pause")
    return True


def _mail_pause(email: str, campaign: Campaign, reason: str) -> None:
    write_mail(
        f"Likeness: your work on “{campaign.name}” is paused",
        f"{reason}\n\nYou get no more photographs of this campaign for now. What you earned stays yours, and other "
        f"campaigns stay open to you:\n{settings.BASE_URL}/work/\n\nIf you think that this is a mistake, answer this "
        "mail: a person will look at it.\n",
        [email],
    ).send()


def lift_pause(*, pause: Pause, user: User) -> None:
    """Let them go on; their record begins anew. Refused if it was lifted already, and to whom is paused themselves."""
    if pause.annotator.user_id == user.pk:
        raise Refused("This is your own pause. Ask a colleague to look at your work.")
    lifted = Pause.objects.filter(pk=pause.pk, lifted_at=None).update(lifted_at=timezone.now(), lifted_by=user)
    if not lifted:
        raise Refused("This pause was lifted already.")


def paused_for(annotator: Annotator) -> Exists:
    """For a query of campaigns: whether this annotator is paused there."""
    return Exists(Pause.objects.filter(campaign=OuterRef("pk"), annotator=annotator, lifted_at=None))
