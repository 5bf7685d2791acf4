"""Rights or the campaign ended: the photograph's tasks leave Label Studio, and what they did not earn is free again.

Refusing comes first and needs nobody (see views.task_image); this cleans up behind it.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from annotation import labelstudio
from annotation.labelstudio import LabelStudioError
from annotation.models import Campaign, Earning, LabelProject, LabelTask, MoneySum
from annotation.pull import record_tasks
from consent.clock import trusted_now

State = LabelTask.State
RETRY_AFTER = timedelta(seconds=10)
SPOT_CHECKS = 10  # requests per batch


def retract_withdrawn() -> int:
    """Retract every task of a closed campaign or of an image that may no longer be used; how many are gone now.

    A project that fails holds up no other: its LabelStudioError comes when all had their turn.
    """
    for campaign in Campaign.objects.all():
        mark_lost(campaign=campaign)
    waiting = LabelTask.objects.filter(state=State.RETRACTING).due()
    gone, failed = 0, None
    for project in LabelProject.objects.filter(tasks__in=waiting).distinct():
        try:
            gone += retract_batch(project=project)
        except LabelStudioError as error:
            failed = error
    if failed:
        raise failed
    return gone


def mark_lost(*, campaign: Campaign) -> None:
    """What was never sent is retracted at once; the rest is to be deleted in Label Studio."""
    lost = LabelTask.objects.of_lost_images(campaign, clock=trusted_now())
    if campaign.state == Campaign.State.CLOSED:
        lost = LabelTask.objects.filter(campaign=campaign)
    now = timezone.now()
    lost.filter(state=State.PENDING).update(state=State.RETRACTED, retracted_at=now)
    lost.filter(state__in=[State.PUSHING, State.PUSHED]).update(state=State.RETRACTING, next_attempt_at=now)


def retract_batch(*, project: LabelProject) -> int:
    """Delete one batch of retracting tasks in Label Studio and make sure; how many are gone."""
    waiting = LabelTask.objects.filter(project=project, state=State.RETRACTING).due()
    batch = list(waiting[: labelstudio.MAX_IMPORT])
    try:
        _delete(project, batch)
    except LabelStudioError as error:
        _postpone(batch, str(error))
        raise
    return _finish(project, batch)


def _delete(project: LabelProject, batch: Sequence[LabelTask]) -> None:
    """By asset_id, so that copies go too. Work done before the withdrawal is fetched first: it stays paid."""
    asset_ids = [task.asset_id for task in batch]
    there = labelstudio.find_tasks(project=project.external_id, asset_ids=asset_ids)
    task_ids = [ref.external_id for ref in there]
    record_tasks(project=project, task_ids=task_ids)
    labelstudio.delete_tasks(project=project.external_id, task_ids=task_ids)
    left = labelstudio.find_tasks(project=project.external_id, asset_ids=asset_ids)
    # The look-up has asked for all of them; that they really answer 404 is asked of some: each is a request of 40 ms.
    left += [ref for ref in there[:: len(there) // SPOT_CHECKS + 1] if labelstudio.task_exists(ref=ref)]
    if left:
        raise LabelStudioError(f"Label Studio still has {len(left)} tasks that it was told to delete.", retry=True)


def _postpone(batch: Sequence[LabelTask], reason: str) -> None:
    LabelTask.objects.filter(pk__in=[task.pk for task in batch], state=State.RETRACTING).update(
        last_error=reason, next_attempt_at=timezone.now() + RETRY_AFTER
    )


@transaction.atomic
def _finish(project: LabelProject, batch: Sequence[LabelTask]) -> int:
    """RETRACTING → RETRACTED, and the campaign gets back what these tasks did not earn."""
    held = LabelTask.objects.select_for_update().filter(pk__in=[task.pk for task in batch], state=State.RETRACTING)
    gone = list(held.values_list("pk", flat=True))
    labels = Earning.objects.of_labels().filter(task__in=gone)
    earned = labels.aggregate(total=MoneySum("amount"))["total"] or 0
    LabelTask.objects.filter(pk__in=gone).update(
        state=State.RETRACTED, retracted_at=timezone.now(), external_id=None, last_error=""
    )
    campaign = project.campaign
    released = campaign.task_cost * len(gone) - earned
    Campaign.objects.change_reserved(campaign.pk, -released)
    return len(gone)
