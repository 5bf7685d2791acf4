"""Labels come back: a webhook hints, a sweep by change time finds what no hint told."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from time import monotonic
from typing import TypeVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation import labelstudio
from annotation.intake import record_annotations
from annotation.labelstudio import LabelStudioError, RemoteTask, TaskRef
from annotation.models import Hint, LabelProject, LabelTask

T = TypeVar("T")
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
# A change becomes visible a little after the time it carries: look again at the last moments.
MARGIN = timedelta(seconds=10)
TAKEN_FOR = timedelta(minutes=1)  # a hint, by whoever fetches it: longer than a fetch may take; the sweep is sooner
AT_ONE_GO = 30.0  # seconds that one call goes on with what is hinted meanwhile; other sweeps wait for their turn


def pull_hinted() -> int:
    """Fetch the tasks that webhooks named, and what they name meanwhile; how many annotations they hold.

    Hints go once their task is fetched. Two that pull at once share them. LabelStudioError, at the end, if a project
    could not be fetched: its hints stay taken, so that for a while they are in no other project's way.
    """
    seen, failed, end = 0, list[LabelStudioError](), monotonic() + AT_ONE_GO
    while monotonic() < end and (hints := _take_hints()):
        by_project = sorted(hints, key=lambda hint: hint.project_id)
        for project, theirs in groupby(by_project, key=lambda hint: hint.project):
            try:
                seen += _pull_hints(project, list(theirs))
            except LabelStudioError as error:
                failed.append(error)
    if failed:
        raise failed[0]
    return seen


@transaction.atomic
def _take_hints() -> list[Hint]:
    """As many as one fetch takes, the first noted first."""
    now = timezone.now()
    waiting = Hint.objects.filter(Q(taken_until=None) | Q(taken_until__lte=now)).select_related("project")
    locked = waiting.select_for_update(of=("self",), skip_locked=True)
    hints = list(locked.order_by("pk")[: labelstudio.MAX_FETCH])
    Hint.objects.filter(pk__in=[hint.pk for hint in hints]).update(taken_until=now + TAKEN_FOR)
    return hints


def _pull_hints(project: LabelProject, hints: Sequence[Hint]) -> int:
    seen = record_tasks(project=project, task_ids={hint.task_external_id for hint in hints})
    Hint.objects.filter(pk__in=[hint.pk for hint in hints]).delete()
    return seen


def sweep_updated(*, project: LabelProject) -> int:
    """Fetch every task that changed since the last sweep; how many annotations they hold."""
    refs, asked_at = labelstudio.updated_since(project=project.external_id, since=project.swept_until or BEGINNING)
    seen = record_tasks(project=project, task_ids={ref.external_id for ref in refs})
    labelstudio.delete_tasks(project=project.external_id, task_ids=_unwanted(refs))
    LabelProject.objects.filter(pk=project.pk).update(swept_until=asked_at - MARGIN)
    return seen


def _unwanted(refs: Sequence[TaskRef]) -> list[int]:
    """Tasks that must not be there: of images that were retracted, or second ones of an image."""
    tasks = LabelTask.objects.in_bulk({ref.asset_id for ref in refs})
    return [ref.external_id for ref in refs if (task := tasks.get(ref.asset_id)) and _is_unwanted(task, ref)]


def _is_unwanted(task: LabelTask, ref: TaskRef) -> bool:
    second = task.state == LabelTask.State.PUSHED and task.external_id != ref.external_id
    return second or task.state == LabelTask.State.RETRACTED


def record_tasks(*, project: LabelProject, task_ids: Iterable[int]) -> int:
    """Fetch tasks by Label Studio's ids and record all their annotations; how many there are."""
    seen = sum(record_fetched(project, fetched) for fetched in fetch_ahead(project, sorted(task_ids)))
    labelstudio.purge_exports(project=project.external_id)
    return seen


def fetch_ahead(project: LabelProject, task_ids: Sequence[int]) -> Iterator[list[RemoteTask]]:
    """Tasks as Label Studio tells them, some at a time: it is asked for the next while these are recorded."""
    with ThreadPoolExecutor(1) as fetcher:
        coming: Future[list[RemoteTask]] | None = None
        for some in chunks(task_ids, labelstudio.MAX_FETCH):
            asked = fetcher.submit(labelstudio.fetch_tasks, project=project.external_id, task_ids=some)
            if coming:
                yield coming.result()
            coming = asked
        if coming:
            yield coming.result()


def record_fetched(project: LabelProject, fetched: Sequence[RemoteTask]) -> int:
    """Record the annotations of our tasks among these, oldest first; how many there are."""
    asset_ids = [remote.ref.asset_id for remote in fetched]
    ours = LabelTask.objects.filter(pk__in=asset_ids, project=project).in_bulk()
    told = [(pk, said) for remote in fetched if (pk := remote.ref.asset_id) in ours for said in remote.annotations]
    record_annotations(told=sorted(told, key=lambda one: one[1].made_at))
    return len(told)


def chunks(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """`items` in lists of at most `size`."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
