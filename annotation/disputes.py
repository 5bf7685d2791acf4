"""Disputes: an annotator says, once and in time, that an annotation was judged wrongly; a second person decides.

What a rejected annotation earned stays theirs anyway, so granting brings the label back into coming datasets. What was
refused was not paid: granting pays it, but makes no label of it, for it does not keep to what the campaign asks. See
docs/decisions/0028.
"""

import datetime
import uuid
from collections.abc import Collection

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation.dispute_models import Dispute, DisputeDecision, DisputeWords
from annotation.gold import OWN_WORK
from annotation.intake import SKIPPED, record_earnings
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelTask
from consent.mailing import try_to_send, write_mail
from consent.models import User
from consent.refusals import Refused

GRANTED = DisputeDecision.Outcome.GRANTED
Paid = tuple[uuid.UUID, uuid.UUID]  # task, annotator


# --- By the annotator ----------------------------------------------------------------------------


def dispute_annotation(*, annotation: Annotation, annotator: Annotator, words: str) -> Dispute:
    """Keep that they disagree and why; Refused for what is not theirs, nothing to dispute, disputed, or too old."""
    if annotation.annotator_id != annotator.pk:
        raise Refused("This is not your work.")
    if not words.strip():
        raise Refused("Say why you disagree: a second reviewer reads it.")
    with transaction.atomic():
        # Versions of one annotation are disputed once, so two clicks take turns.
        Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
        disputed, paid = _known_of([annotation])
        if against := _reason_against(annotation, disputed, paid):
            raise Refused(against)
        dispute = Dispute.objects.create(annotation=annotation)
        DisputeWords.objects.create(dispute=dispute, words=words.strip())
    return dispute


def disputable(annotations: Collection[Annotation]) -> set[uuid.UUID]:
    """Which of somebody's annotations they may dispute now."""
    disputed, paid = _known_of(annotations)
    return {one.pk for one in annotations if not _reason_against(one, disputed, paid)}


def _known_of(annotations: Collection[Annotation]) -> tuple[set[uuid.UUID], set[Paid]]:
    """The unique_ids of those that were disputed in any version, and the (task, annotator) that were paid."""
    unique_ids, tasks = {one.unique_id for one in annotations}, {one.task_id for one in annotations}
    disputed = Dispute.objects.filter(annotation__unique_id__in=unique_ids)
    paid = Earning.objects.filter(task__in=tasks)
    return set(disputed.values_list("annotation__unique_id", flat=True)), set(paid.values_list("task", "annotator"))


def _reason_against(annotation: Annotation, disputed: set[uuid.UUID], paid: set[Paid]) -> str:
    """Why it cannot be disputed (any more), in words for the annotator; "" when it can."""
    judged_at, refused = _judged_at(annotation), annotation.verdict == Annotation.Verdict.REFUSED
    if annotation.unique_id in disputed:
        return "You have disputed this already. Your page shows what became of it."
    if judged_at is None:
        return "There is nothing to dispute here: it was accepted and paid, or you skipped the photograph."
    if refused and (annotation.task_id, annotation.annotator_id) in paid:
        return "You are paid for this photograph already."
    if judged_at < timezone.now() - datetime.timedelta(days=settings.DISPUTE_DAYS):
        return f"This was judged more than {settings.DISPUTE_DAYS} days ago, which is the time that there is for it."
    return ""


def _judged_at(annotation: Annotation) -> datetime.datetime | None:
    """When it was rejected or refused; None for what was not, and for what they skipped themselves."""
    if annotation.verdict == Annotation.Verdict.REFUSED:
        return None if annotation.refusal == SKIPPED else annotation.recorded_at
    return annotation.rejection.at if hasattr(annotation, "rejection") else None


# --- By a second reviewer ------------------------------------------------------------------------


def waiting() -> QuerySet[Dispute]:
    """Disputes that nobody has decided, longest waiting first."""
    return Dispute.objects.filter(decision=None).order_by("at")


def waiting_in(campaign: Campaign) -> int:
    """How many disputes of its annotations wait."""
    return waiting().filter(annotation__task__campaign=campaign).count()


def decide_dispute(*, dispute: Dispute, outcome: str, answer: str, user: User) -> DisputeDecision:
    """Uphold or grant, with an answer for the annotator. Refused for whoever judged or labelled the photograph, when
    somebody else decided, and when the campaign's budget cannot pay what is granted."""
    if not answer.strip():
        raise Refused("Say why: the annotator will read it.")
    if barred := reasons_barred([dispute], user)[dispute.pk]:
        raise Refused(barred)
    with transaction.atomic():
        decision = _decide(dispute, outcome, answer.strip(), user)
        if outcome == GRANTED and dispute.annotation.verdict == Annotation.Verdict.REFUSED:
            assert dispute.annotation.annotator is not None  # noqa: S101  # who disputed it
            _pay(dispute.annotation, dispute.annotation.annotator)
    _tell(decision)
    return decision


def reasons_barred(disputes: Collection[Dispute], user: User) -> dict[uuid.UUID, str]:
    """By dispute (its pk), why somebody may not decide it: they rejected the annotation or labelled the photograph, as
    its annotator first of all. "" where they may."""
    # Also what they were paid nothing for: they might dispute the very same themselves.
    theirs = Annotation.objects.filter(annotator__user=user).exclude(refusal=SKIPPED)
    tasks = [one.annotation.task_id for one in disputes]
    labelled = set(theirs.filter(task__in=tasks).values_list("task", flat=True))
    return {one.pk: _reason_barred(one.annotation, user, labelled) for one in disputes}


def _reason_barred(annotation: Annotation, user: User, labelled: Collection[uuid.UUID]) -> str:
    if hasattr(annotation, "rejection") and annotation.rejection.made_by_id == user.pk:
        return "You rejected this annotation yourself. Leave the dispute to another reviewer."
    if annotation.annotator and annotation.annotator.user_id == user.pk:
        return "This is your own dispute. Another reviewer decides it."
    return OWN_WORK if annotation.task_id in labelled else ""


def _decide(dispute: Dispute, outcome: str, answer: str, user: User) -> DisputeDecision:
    try:
        with transaction.atomic():
            return DisputeDecision.objects.create(dispute=dispute, outcome=outcome, answer=answer, made_by=user)
    except IntegrityError:
        raise Refused("Somebody else decided this dispute meanwhile. Their decision stays.") from None


def _pay(annotation: Annotation, annotator: Annotator) -> None:
    """Pay for a refused annotation, from budget that is reserved for it here and now.

    Its task's own reserve is for labels, and is gone once the task is retracted. So it makes no difference whether the
    campaign is running or closed: what it has not reserved for others can pay, and not a cent beyond.
    """
    LabelTask.objects.select_for_update(of=("self",)).get(pk=annotation.task_id)  # as intake does, which may pay too
    if Earning.objects.filter(task=annotation.task_id, annotator=annotator).exists():
        raise Refused("They are paid for this photograph by now. Uphold it, and say so.")
    campaign = Campaign.objects.select_for_update().get(pk=annotation.task.campaign_id)
    if campaign.reserved + campaign.rate > campaign.budget:
        raise Refused(
            f"The budget of “{campaign}” is used up, so {campaign.rate.normalize():f} {campaign.currency} cannot be "
            "paid from it. A data manager can add to the budget on the campaign's page, also when it is closed. "
            "Then decide again."
        )
    Campaign.objects.change_reserved(campaign.pk, campaign.rate)
    record_earnings(
        [
            Earning.objects.create(
                annotation=annotation,
                task=annotation.task,
                annotator=annotator,
                amount=campaign.rate,
                currency=campaign.currency,
            )
        ]
    )


def _tell(decision: DisputeDecision) -> None:
    """By mail; their page says the same, should it fail."""
    annotation = decision.dispute.annotation
    if annotation.annotator and annotation.annotator.user:
        address, campaign = annotation.annotator.user.email, annotation.task.campaign
        try_to_send(lambda: _mail(address, campaign, decision), what="answer to a dispute")


def _mail(address: str, campaign: Campaign, decision: DisputeDecision) -> None:
    write_mail(
        "Likeness: your dispute was decided",
        f"A second reviewer looked at what you disputed in “{campaign}”.\n\n{decision.get_outcome_display()}. "
        f"{decision.answer}\n\nYour page shows it beside the annotation:\n{settings.BASE_URL}/work/\n",
        [address],
    ).send()


# --- Forgetting ----------------------------------------------------------------------------------


def forget_words() -> int:
    """Delete what was written by people who have no account here any more."""
    return DisputeWords.objects.filter(dispute__annotation__annotator__user=None).delete()[0]
