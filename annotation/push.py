"""Tasks go to Label Studio: budget reserved first, each image there once, whatever gets lost on the way.

A task is PUSHING from the moment its budget is reserved until Label Studio's id for it is known. An import whose
answer was lost may have worked, so PUSHING tasks are looked up by asset_id and adopted; only what is missing is sent
again, and only after `SETTLE`, when an import that was cut off has surely ended.
"""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from annotation import labelstudio
from annotation.labelstudio import LabelStudioError, TaskRef
from annotation.lease import importer_lease, renew
from annotation.models import Campaign, LabelProject, LabelTask

State = LabelTask.State
SETTLE = timedelta(seconds=60)  # longer than a lease and than any import


def push_pending(*, campaign: Campaign) -> int:
    """Push what the campaign's budget allows; how many tasks are there now that were not known to be there before.

    0 at once while another process imports. LabelStudioError leaves every task where the next call finds it.
    """
    with importer_lease() as holder:
        if holder is None:
            return 0
        project = ensure_project(campaign=campaign)
        pushed = settle_doubtful(project=project, holder=holder)
        while renew(holder) and (batch := claim_pending(campaign=campaign, project=project)):
            pushed += _send(project, batch, holder)
        return pushed


def ensure_project(*, campaign: Campaign) -> LabelProject:
    """The campaign's project, made in Label Studio when it is not there yet."""
    if project := LabelProject.objects.filter(campaign=campaign).first():
        return project
    external_id = labelstudio.ensure_project(
        title=campaign.name,
        mark=f"{settings.BASE_URL}/staff/campaigns/{campaign.pk}/",
        config=campaign.config,
        overlap=campaign.overlap,
    )
    return LabelProject.objects.get_or_create(campaign=campaign, external_id=external_id)[0]


# --- Claims --------------------------------------------------------------------------------------


@transaction.atomic
def claim_pending(*, campaign: Campaign, project: LabelProject) -> list[LabelTask]:
    """Up to one import's worth of pending tasks, their budget reserved.

    The row lock lets claims of one campaign take turns; were it not there, the CHECK on `reserved` would refuse.
    """
    campaign = Campaign.objects.select_for_update().get(pk=campaign.pk)
    if campaign.state != Campaign.State.RUNNING:
        return []
    pending = LabelTask.objects.filter(state=State.PENDING).of_open_images(campaign).due().order_by("next_attempt_at")
    wanted = list(pending.values_list("pk", flat=True)[: min(labelstudio.MAX_IMPORT, affordable_tasks(campaign))])
    claimed = LabelTask.objects.filter(pk__in=wanted, state=State.PENDING).update(
        state=State.PUSHING, project=project, next_attempt_at=timezone.now() + SETTLE
    )
    Campaign.objects.change_reserved(campaign.pk, campaign.task_cost * claimed)
    return list(LabelTask.objects.filter(pk__in=wanted, state=State.PUSHING))


def affordable_tasks(campaign: Campaign) -> int:
    """For how many more tasks the budget lasts."""
    return int((campaign.budget - campaign.reserved) // campaign.task_cost)


# --- Sending -------------------------------------------------------------------------------------


def settle_doubtful(*, project: LabelProject, holder: uuid.UUID) -> int:
    """Look up the tasks that a crash or a lost answer left PUSHING: adopt what is there, send what is not."""
    settled = 0
    while renew(holder) and (batch := _claim_doubtful(project)):
        settled += _adopt(project, batch)
        missing = LabelTask.objects.filter(pk__in=[task.pk for task in batch], state=State.PUSHING)
        settled += _send(project, list(missing.of_open_images(project.campaign)), holder)
    return settled


def _claim_doubtful(project: LabelProject) -> list[LabelTask]:
    """Postponing them first leaves them alone for a while even if this process dies."""
    due = LabelTask.objects.filter(project=project, state=State.PUSHING).due()
    batch = list(due[: labelstudio.MAX_IMPORT])
    due.filter(pk__in=[task.pk for task in batch]).update(next_attempt_at=timezone.now() + SETTLE)
    return batch


def _send(project: LabelProject, batch: Sequence[LabelTask], holder: uuid.UUID) -> int:
    """Import a batch and learn its ids; how many. Only under the lease: two imports of one task make two."""
    if not batch or not renew(holder):
        return 0
    try:
        ids = labelstudio.import_batch(project=project.external_id, data=[_data(task) for task in batch])
    except LabelStudioError as error:
        if not error.retry:
            _put_back(project, batch, str(error))
            raise
        adopted = _adopt(project, batch)
        if adopted < len(batch):  # the missing ones may still be on their way: not before SETTLE
            raise
        return adopted
    refs = [TaskRef(external_id, task.asset_id) for external_id, task in zip(ids, batch, strict=True)]
    return _confirm(project, refs)


def _data(task: LabelTask) -> dict[str, str]:
    """All that Label Studio ever learns about an image."""
    return {"image": f"{settings.LABELLING_URL}/images/{task.view_key}/", "asset_id": str(task.asset_id)}


def _adopt(project: LabelProject, batch: Sequence[LabelTask]) -> int:
    """Confirm what Label Studio has of `batch`: the oldest of each image, deleting what it has twice."""
    found = labelstudio.find_tasks(project=project.external_id, asset_ids=[task.asset_id for task in batch])
    oldest: dict[uuid.UUID, TaskRef] = {}
    for ref in sorted(found, key=lambda ref: ref.external_id):
        oldest.setdefault(ref.asset_id, ref)
    adopted = _confirm(project, list(oldest.values()))
    twice = [ref.external_id for ref in found if ref != oldest[ref.asset_id]]
    labelstudio.delete_tasks(project=project.external_id, task_ids=twice)
    return adopted


def _confirm(project: LabelProject, refs: Sequence[TaskRef]) -> int:
    """PUSHING → PUSHED for each; what was retracted in the meantime is deleted in Label Studio again."""
    now = timezone.now()
    pushing = LabelTask.objects.filter(state=State.PUSHING)
    with transaction.atomic():
        confirmed = {
            ref
            for ref in refs
            if pushing.filter(pk=ref.asset_id).update(
                state=State.PUSHED, external_id=ref.external_id, pushed_at=now, last_error=""
            )
        }
    lost = [ref.asset_id for ref in refs if ref not in confirmed]
    retracted = set(LabelTask.objects.filter(pk__in=lost, state=State.RETRACTED).values_list("pk", flat=True))
    unwanted = [ref.external_id for ref in refs if ref.asset_id in retracted]
    labelstudio.delete_tasks(project=project.external_id, task_ids=unwanted)
    return len(confirmed)


@transaction.atomic
def _put_back(project: LabelProject, batch: Sequence[LabelTask], reason: str) -> None:
    """A refused import wrote nothing: the tasks wait again and their budget is free."""
    refused = LabelTask.objects.filter(pk__in=[task.pk for task in batch], state=State.PUSHING).update(
        state=State.PENDING, last_error=reason, next_attempt_at=timezone.now() + SETTLE
    )
    campaign = project.campaign
    Campaign.objects.change_reserved(campaign.pk, -campaign.task_cost * refused)
