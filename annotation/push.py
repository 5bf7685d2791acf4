"""Tasks go to Label Studio: budget reserved first, each image there once, whatever gets lost on the way.

A task is PUSHING from the moment its budget is reserved until Label Studio's id for it is known. An import whose
answer was lost may have worked, so PUSHING tasks are looked up by asset_id and adopted; only what is missing is sent
again, and only after `SETTLE`, when an import that was cut off has surely ended.
"""

import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import islice

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from annotation import labelstudio
from annotation.labelstudio import LabelStudioError, TaskRef
from annotation.lease import importer_lease, renew
from annotation.models import Campaign, Earning, LabelProject, LabelTask
from collection.models import Image

State = LabelTask.State
HELD = Count("tasks", filter=~Q(tasks__state=State.RETRACTED))  # what a project has in Label Studio, or may have
LOOKED_AT = 500  # images whose rights one query asks for
SETTLE = timedelta(seconds=60)  # longer than a lease and than any import


def push_pending(*, campaign: Campaign) -> int:
    """Push what the campaign's budget allows; how many tasks are there now that were not known to be there before.

    0 at once while another process imports. LabelStudioError leaves every task where the next call finds it.
    """
    with importer_lease() as holder, ThreadPoolExecutor(1) as importer:
        if holder is None:
            return 0
        pushed = sum(settle_doubtful(project=project, holder=holder) for project in campaign.projects.all())
        full = None
        while (project := ensure_project(campaign=campaign)) != full:
            pushed += _push_to(project, holder, importer)
            full = project  # or nothing is left to be sent, and then it is the same one again
        return pushed


def _push_to(project: LabelProject, holder: uuid.UUID, importer: Executor) -> int:
    """Push batch after batch until nothing is left or the project is full; how many.

    One import at a time, by the importer's thread, which knows no database. While Label Studio works at a batch, the
    one before is confirmed here and the next one claimed. If an import fails, what was claimed ahead stays PUSHING.
    """
    pushed, learned = 0, list[TaskRef]()
    batch = claim_pending(campaign=project.campaign, project=project)
    while batch and renew(holder):
        ids = importer.submit(_import, project, batch)
        pushed += _confirm(project, learned)
        ahead = claim_pending(campaign=project.campaign, project=project)
        learned = _learn(project, batch, ids.result)
        batch = ahead
    return pushed + _confirm(project, learned)


def ensure_project(*, campaign: Campaign) -> LabelProject:
    """The first project of the campaign that has room, made in Label Studio when there is none."""
    projects = list(campaign.projects.annotate(held=HELD).order_by("pk"))
    if roomy := next((project for project in projects if project.held < labelstudio.MAX_PROJECT), None):
        return roomy
    external_id = make_project(campaign=campaign, number=len(projects) + 1)
    return LabelProject.objects.get_or_create(campaign=campaign, external_id=external_id)[0]


def make_project(*, campaign: Campaign, number: int) -> int:
    """Label Studio's id of the campaign's project `number`, made there when it is absent."""
    return labelstudio.ensure_project(
        title=campaign.name, mark=project_mark(campaign, number), config=campaign.config, overlap=campaign.overlap
    )


def project_mark(campaign: Campaign, number: int) -> str:
    """By what the campaign's project `number`, from 1, is known again in Label Studio."""
    mark = f"{settings.BASE_URL}/staff/campaigns/{campaign.pk}/"
    return mark if number == 1 else f"{mark}#{number}"


# --- Claims --------------------------------------------------------------------------------------


@transaction.atomic
def claim_pending(*, campaign: Campaign, project: LabelProject) -> list[LabelTask]:
    """Up to one import's worth of pending tasks, their budget reserved.

    The row lock lets claims of one campaign take turns; were it not there, the CHECK on `reserved` would refuse.
    """
    campaign = Campaign.objects.select_for_update().get(pk=campaign.pk)
    if campaign.state != Campaign.State.RUNNING:
        return []
    room = labelstudio.MAX_PROJECT - LabelProject.objects.annotate(held=HELD).get(pk=project.pk).held
    most = min(labelstudio.MAX_IMPORT, affordable_tasks(campaign), max(room, 0))
    wanted = _open_pending(campaign, most)
    claimed = LabelTask.objects.filter(pk__in=wanted, state=State.PENDING).update(
        state=State.PUSHING, project=project, next_attempt_at=timezone.now() + SETTLE
    )
    Campaign.objects.change_reserved(campaign.pk, campaign.task_cost * claimed)
    return list(LabelTask.objects.filter(pk__in=wanted, state=State.PUSHING))


def _open_pending(campaign: Campaign, most: int) -> list[uuid.UUID]:
    """Up to `most` pending tasks, longest waiting first, whose images are open to the campaign.

    The rights of some images at a time are asked for: those of all that wait would be asked again for every batch.
    """
    pending = LabelTask.objects.filter(campaign=campaign, state=State.PENDING).due().order_by("next_attempt_at", "pk")
    waiting = pending.values_list("pk", "image").iterator(chunk_size=LOOKED_AT)
    found: list[uuid.UUID] = []
    while len(found) < most and (some := dict(islice(waiting, LOOKED_AT))):
        usable = set(
            Image.objects.open_for(campaign.purpose_id).filter(pk__in=some.values()).values_list("pk", flat=True)
        )
        found += [task for task, image in some.items() if image in usable]
    return found[:most]


def affordable_tasks(campaign: Campaign) -> int:
    """For how many more tasks the budget lasts."""
    return int((campaign.budget - campaign.reserved) // campaign.task_cost)


# --- Sending -------------------------------------------------------------------------------------


def settle_doubtful(*, project: LabelProject, holder: uuid.UUID) -> int:
    """Look up the tasks that a crash or a lost answer left PUSHING: adopt what is there, send what is not."""
    settled = 0
    while renew(holder) and (batch := _claim_doubtful(project)):
        settled += _confirm(project, _find(project, batch))
        missing = LabelTask.objects.filter(pk__in=[task.pk for task in batch], state=State.PUSHING)
        unsent = list(missing.of_open_images(project.campaign))
        if unsent and renew(holder):
            settled += _confirm(project, _learn(project, unsent, partial(_import, project, unsent)))
    return settled


def _claim_doubtful(project: LabelProject) -> list[LabelTask]:
    """Postponing them first leaves them alone for a while even if this process dies."""
    due = LabelTask.objects.filter(project=project, state=State.PUSHING).due()
    batch = list(due[: labelstudio.MAX_IMPORT])
    due.filter(pk__in=[task.pk for task in batch]).update(next_attempt_at=timezone.now() + SETTLE)
    return batch


def _import(project: LabelProject, batch: Sequence[LabelTask]) -> list[int]:
    """Only under the lease, just renewed: two imports of one task make two."""
    return labelstudio.import_batch(project=project.external_id, data=[_data(task) for task in batch])


def _learn(project: LabelProject, batch: Sequence[LabelTask], answer: Callable[[], list[int]]) -> list[TaskRef]:
    """What Label Studio made of a batch: as it answers, or what is there if its answer was lost."""
    try:
        return [TaskRef(external_id, task.asset_id) for external_id, task in zip(answer(), batch, strict=True)]
    except LabelStudioError as error:
        if not error.retry:
            _put_back(project, batch, str(error))
            raise
        found = _find(project, batch)
        if len(found) < len(batch):  # the missing ones may still be on their way: not before SETTLE
            _confirm(project, found)
            raise
        return found


def _data(task: LabelTask) -> dict[str, str]:
    """All that Label Studio ever learns about an image."""
    return {"image": f"{settings.LABELLING_URL}/images/{task.view_key}/", "asset_id": str(task.asset_id)}


def _find(project: LabelProject, batch: Sequence[LabelTask]) -> list[TaskRef]:
    """What Label Studio has of `batch`: the oldest of each image. What it has twice is deleted."""
    found = labelstudio.find_tasks(project=project.external_id, asset_ids=[task.asset_id for task in batch])
    oldest: dict[uuid.UUID, TaskRef] = {}
    for ref in sorted(found, key=lambda ref: ref.external_id):
        oldest.setdefault(ref.asset_id, ref)
    twice = [ref.external_id for ref in found if ref != oldest[ref.asset_id]]
    labelstudio.delete_tasks(project=project.external_id, task_ids=twice)
    return list(oldest.values())


def _confirm(project: LabelProject, refs: Sequence[TaskRef]) -> int:
    """PUSHING → PUSHED for each; what was retracted in the meantime is deleted in Label Studio again. How many."""
    if not refs:
        return 0
    now = timezone.now()
    there = {ref.asset_id: ref.external_id for ref in refs}
    with transaction.atomic():
        pushing = LabelTask.objects.select_for_update().filter(pk__in=there, state=State.PUSHING).order_by("pk")
        confirmed = list(pushing)
        for task in confirmed:
            task.state, task.external_id, task.pushed_at, task.last_error = State.PUSHED, there[task.pk], now, ""
        # All of them exist and are locked: this updates, in a third of the time that bulk_update takes.
        LabelTask.objects.bulk_create(
            confirmed,
            update_conflicts=True,
            unique_fields=["asset_id"],
            update_fields=["state", "external_id", "pushed_at", "last_error"],
        )
    lost = there.keys() - {task.pk for task in confirmed}
    retracted = set(LabelTask.objects.filter(pk__in=lost, state=State.RETRACTED).values_list("pk", flat=True))
    unwanted = [ref.external_id for ref in refs if ref.asset_id in retracted]
    labelstudio.delete_tasks(project=project.external_id, task_ids=unwanted)
    return len(confirmed)


@transaction.atomic
def _put_back(project: LabelProject, batch: Sequence[LabelTask], reason: str) -> None:
    """A refused import wrote nothing: the tasks wait again and their budget is free.

    What was there before and was lost stays PUSHING if it has earned something: its budget has paid that.
    """
    pushing = LabelTask.objects.filter(pk__in=[task.pk for task in batch], state=State.PUSHING)
    locked = list(pushing.select_for_update().order_by("pk").values_list("pk", flat=True))  # as intake does, which pays
    tasks = LabelTask.objects.filter(pk__in=locked)
    tasks.update(last_error=reason, next_attempt_at=timezone.now() + SETTLE)
    earned = Earning.objects.of_labels().filter(task=OuterRef("pk"))
    refused = tasks.exclude(Exists(earned)).update(state=State.PENDING)
    campaign = project.campaign
    Campaign.objects.change_reserved(campaign.pk, -campaign.task_cost * refused)
