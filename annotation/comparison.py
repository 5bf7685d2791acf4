"""Once a day both sides are compared whole: it finds what neither a webhook nor a sweep by change time tells.

Deleted tasks show in no list of changes, and a Label Studio that was restored from an old backup has lost what came
after it and brought back what was taken away. What is missing goes back to PUSHING, so that `push` sends it the way
that makes no second task; what must not be there is deleted. Each difference is written down before it is acted on.
"""

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from annotation import labelstudio, push
from annotation.comparison_models import Comparison, Difference
from annotation.intake import whose_accounts
from annotation.labelstudio import LabelStudioError, ListedTask, RemoteAnnotation, TaskRef
from annotation.models import Annotation, Campaign, LabelProject, LabelTask
from annotation.pull import chunks, record_fetched, record_tasks

logger = logging.getLogger(__name__)
EVERY = timedelta(days=1)
TOLD_FOR = timedelta(days=30)
LONGEST = timedelta(hours=1)  # one that began longer ago and has no end was cut off
State = LabelTask.State
Kind = Difference.Kind
SENDS_AGAIN = (Kind.LOST, Kind.PROJECT)


def due_projects() -> QuerySet[LabelProject]:
    """Those not compared for a day, or that got back tasks which lack what was said about them."""
    now = timezone.now()
    latest = Comparison.objects.filter(project=OuterRef("pk")).order_by("-pk")
    sent_again = Difference.objects.filter(comparison=OuterRef("latest"), kind__in=SENDS_AGAIN)
    projects = LabelProject.objects.select_related("campaign").annotate(
        latest=Subquery(latest.values("pk")[:1]),
        began=Subquery(latest.values("at")[:1]),
        ended=Subquery(latest.values("ended_at")[:1]),
        again=Exists(sent_again),
    )
    return projects.filter(
        Q(began=None)
        | Q(ended=None, began__lt=now - LONGEST)
        | Q(ended__lt=now - EVERY)
        | Q(ended__isnull=False, again=True)
    )


def compare_project(*, project: LabelProject) -> Comparison:
    """Compare all that the project has with all that should be there, and mend what differs.

    LabelStudioError ends it where it is; what was not mended then is found the next time.
    """
    comparison = Comparison.objects.create(project=project)
    try:
        if _ensure_there(comparison):
            _compare(comparison)
    except LabelStudioError:
        if not comparison.differences.exists():
            comparison.delete()
        raise
    comparison.ended_at = timezone.now()
    comparison.save(update_fields=["tasks", "ended_at"])
    return comparison


def _ensure_there(comparison: Comparison) -> bool:
    """Make the project anew if it is gone; False if it is and nothing of it is left to be done."""
    project, campaign = comparison.project, comparison.project.campaign
    earlier = campaign.projects.filter(pk__lt=project.pk).count()
    if _is_there(project, push.project_mark(campaign, earlier + 1)):
        return True
    if not project.tasks.exclude(state=State.RETRACTED).exists():
        return False
    _note(comparison, Kind.PROJECT, [(None, project.external_id)])
    project.external_id = push.make_project(campaign=campaign, number=earlier + 1)
    project.swept_until = None
    project.save(update_fields=["external_id", "swept_until"])
    return True


def _is_there(project: LabelProject, mark: str) -> bool:
    """Whether the project that has its id is ours, which its mark tells, or else our tasks in it: people change a
    description, and a mark holds the address that we had then. Another project may have inherited the id."""
    found = labelstudio.find_mark(project=project.external_id)
    if found is None or found == mark:
        return found == mark
    pushed = project.tasks.filter(state=State.PUSHED).order_by("-pushed_at").values_list("pk", flat=True)
    if not labelstudio.find_tasks(project=project.external_id, asset_ids=list(pushed[: labelstudio.MAX_IMPORT])):
        return False
    try:
        labelstudio.mark_project(project=project.external_id, mark=mark)
    except LabelStudioError as error:  # the webhook is only a hint; without its mark the project gets both next time
        logger.warning("%s", error)
    return True


# --- Tasks ---------------------------------------------------------------------------------------


def _compare(comparison: Comparison) -> None:
    listed = labelstudio.list_tasks(project=comparison.project.external_id)
    comparison.tasks = len(listed)
    _compare_answers(comparison, _compare_tasks(comparison, listed))


def _compare_tasks(comparison: Comparison, listed: Sequence[ListedTask]) -> dict[uuid.UUID, ListedTask]:
    """Mend which tasks there are. Returns the one that stands for each task that is there as it should be."""
    ours = LabelTask.objects.filter(project=comparison.project).only("state", "external_id").in_bulk()
    there: dict[uuid.UUID, list[ListedTask]] = defaultdict(list)
    strange: list[int] = []
    for task in listed:
        if task.ref and task.ref.asset_id in ours:
            there[task.ref.asset_id].append(task)
        else:
            strange.append(task.external_id)
    _note(comparison, Kind.STRANGE, [(None, external_id) for external_id in strange])
    wanted, unwanted = _settled_before(comparison, State.PUSHED), _settled_before(comparison, State.RETRACTED)
    kept = {pk: _to_keep(ours[pk], there[pk]) for pk in wanted & there.keys()}
    _delete(comparison, Kind.RETURNED, [copy for pk in unwanted & there.keys() for copy in there[pk]])
    _delete(comparison, Kind.SECOND, [copy for pk, keep in kept.items() for copy in there[pk] if copy != keep])
    moved = {pk: keep.external_id for pk, keep in kept.items() if keep.external_id != ours[pk].external_id}
    _note(comparison, Kind.MOVED, moved.items())
    for pk, external_id in moved.items():
        LabelTask.objects.filter(pk=pk, state=State.PUSHED).update(external_id=external_id)
    _send_again(comparison, _surely_missing(comparison.project, wanted - there.keys()))
    return kept


def _settled_before(comparison: Comparison, state: str) -> set[uuid.UUID]:
    """The project's tasks in `state` since before the look: what changed during it says nothing."""
    settled = Q(pushed_at__lt=comparison.at) if state == State.PUSHED else Q(retracted_at__lt=comparison.at)
    return set(LabelTask.objects.filter(settled, project=comparison.project, state=state).values_list("pk", flat=True))


def _to_keep(task: LabelTask, copies: Sequence[ListedTask]) -> ListedTask:
    """The copy that we know, or else the oldest."""
    return next((copy for copy in copies if copy.external_id == task.external_id), copies[0])


def _surely_missing(project: LabelProject, tasks: Iterable[uuid.UUID]) -> list[uuid.UUID]:
    """Those that a second look does not find either: a list of many pages can miss one."""
    missing: list[uuid.UUID] = []
    for some in chunks(sorted(tasks), labelstudio.MAX_IMPORT):
        found = labelstudio.find_tasks(project=project.external_id, asset_ids=some)
        missing += set(some) - {ref.asset_id for ref in found}
    return missing


# --- What was said about them --------------------------------------------------------------------


def _compare_answers(comparison: Comparison, kept: Mapping[uuid.UUID, ListedTask]) -> None:
    """Fetch every task that has another number of annotations there than here, or of other people, and mend what that
    shows. That somebody's annotation was exchanged for another of theirs it does not see."""
    known = Annotation.objects.filter(task__project=comparison.project).order_by()
    counts = Counter(dict(known.values_list("task").annotate(Count("unique_id", distinct=True))))
    here: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for pk, annotator in known.filter(annotator__isnull=False).values_list("task", "annotator").distinct():
        here[pk].add(annotator)
    whose = whose_accounts({user for keep in kept.values() for user in keep.users})
    there = {pk: {whose[user].pk for user in keep.users if user in whose} for pk, keep in kept.items()}
    differing = {
        keep.external_id
        for pk, keep in kept.items()
        if keep.annotations != counts[pk] or there[pk] != here.get(pk, set())
    }
    for some in chunks(sorted(differing), labelstudio.MAX_FETCH):
        _mend_answers(comparison, some)


def _mend_answers(comparison: Comparison, external_ids: Sequence[int]) -> None:
    """Record what is only there, and give back what was accepted and is only here: without it Label Studio would ask
    for all of it again, and nobody is paid twice for one photograph."""
    project = comparison.project
    fetched = labelstudio.fetch_tasks(project=project.external_id, task_ids=external_ids)
    labelstudio.purge_exports(project=project.external_id)
    ids = {task.ref.asset_id: task.ref.external_id for task in fetched}
    told = {said.unique_id: task.ref for task in fetched for said in task.annotations}
    known = set(Annotation.objects.filter(unique_id__in=told).values_list("unique_id", flat=True))
    untold = {ref for unique_id, ref in told.items() if unique_id not in known}
    _note(comparison, Kind.UNTOLD, [(ref.asset_id, ref.external_id) for ref in untold])
    record_fetched(project, fetched)
    forgotten = [one for one in _standing(ids) if one.unique_id not in told]
    _note(comparison, Kind.FORGOTTEN, [(pk, ids[pk]) for pk in {one.task_id for one in forgotten}])
    users = labelstudio.addresses_of_users() if forgotten else {}
    for one in forgotten:
        labelstudio.give_back(task=ids[one.task_id], answer=_as_remote(one, users))


def _standing(tasks: Iterable[uuid.UUID]) -> list[Annotation]:
    """The latest version of each annotation of these tasks, if it was accepted."""
    versions = Annotation.objects.filter(task__in=tasks).select_related("annotator").order_by("version")
    latest = {one.unique_id: one for one in versions}
    return [one for one in latest.values() if one.verdict == Annotation.Verdict.ACCEPTED]


def _as_remote(annotation: Annotation, users: Container[int]) -> RemoteAnnotation:
    """As it is to be in Label Studio: in the annotator's name, if their account is still there."""
    user = annotation.annotator.label_studio_user if annotation.annotator else None
    return RemoteAnnotation(
        unique_id=annotation.unique_id,
        user=user if user in users else None,
        result=annotation.result,
        skipped=False,
        made_at=annotation.made_at,
        lead_seconds=annotation.lead_seconds,
    )


# --- Acting --------------------------------------------------------------------------------------


def _note(comparison: Comparison, kind: str, found: Iterable[tuple[uuid.UUID | None, int | None]]) -> None:
    Difference.objects.bulk_create(
        Difference(comparison=comparison, kind=kind, asset_id=asset_id, external_id=external_id)
        for asset_id, external_id in found
    )


def _delete(comparison: Comparison, kind: str, copies: Sequence[ListedTask]) -> None:
    _note(comparison, kind, [(copy.ref.asset_id if copy.ref else None, copy.external_id) for copy in copies])
    _clear(comparison.project, [copy.ref for copy in copies if copy.ref])


def _clear(project: LabelProject, copies: Sequence[TaskRef]) -> None:
    """Delete tasks in Label Studio; what was said about them is fetched first.

    Their numbers are old by then, and may have been given to other tasks: only what still is that copy goes.
    """
    for some in chunks(copies, labelstudio.MAX_IMPORT):
        record_tasks(project=project, task_ids={copy.external_id for copy in some})
        asset_ids = list({copy.asset_id for copy in some})
        still = set(labelstudio.find_tasks(project=project.external_id, asset_ids=asset_ids))
        labelstudio.delete_tasks(
            project=project.external_id, task_ids=[copy.external_id for copy in some if copy in still]
        )


@transaction.atomic
def _send_again(comparison: Comparison, tasks: Sequence[uuid.UUID]) -> None:
    """Back to PUSHING, budget kept: the next push looks each up and sends it if it is still missing."""
    _note(comparison, Kind.LOST, [(pk, None) for pk in tasks])
    for some in chunks(tasks, labelstudio.MAX_IMPORT):
        LabelTask.objects.filter(pk__in=some, state=State.PUSHED).update(
            state=State.PUSHING, external_id=None, next_attempt_at=timezone.now()
        )


# --- Telling -------------------------------------------------------------------------------------


def comparison_facts(campaign: Campaign) -> dict[str, Any]:
    """For the campaign's page: when it was last compared, and what differed since `TOLD_FOR`."""
    compared = Comparison.objects.filter(project__campaign=campaign, ended_at__isnull=False)
    since = Difference.objects.filter(
        comparison__project__campaign=campaign, comparison__at__gt=timezone.now() - TOLD_FOR
    )
    counts = since.order_by("kind").values_list("kind").annotate(Count("pk"), Max("comparison__at"))
    return {
        "compared_at": compared.aggregate(at=Max("ended_at"))["at"],
        "differences": [
            {"words": Kind(kind).label, "count": count, "last": last, "ids": _ids_to_look_at(since, kind)}
            for kind, count, last in counts
        ],
    }


def _ids_to_look_at(since: QuerySet[Difference], kind: str) -> list[int]:
    """Only what nobody mends has to be looked at; a few of them will do."""
    if kind != Kind.STRANGE:
        return []
    ids = since.filter(kind=kind).order_by("-pk").values_list("external_id", flat=True)
    return sorted({external_id for external_id in ids[:10] if external_id is not None})
