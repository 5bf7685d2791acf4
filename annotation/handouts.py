"""Photographs are handed out: never to more people than a campaign pays for each.

Label Studio counts too, but may give a photograph to one more than its overlap: two ask in the same moment, or it
forgot its locks. So a place of the overlap is kept here, under the task's lock, before anybody sees the photograph,
and asked for again before an answer goes to Label Studio: what is taken is paid. See docs/decisions/0038.
"""

import datetime
import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, IntegerField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation.access import campaigns_to_finish
from annotation.handout_models import ANSWER_KEPT, Handout
from annotation.labelstudio import TaskRef
from annotation.models import Annotator, Earning, LabelProject, LabelTask
from annotation.services import is_usable_for, may_be_seen
from collection.models import prepared
from collection.models.prepared import Question

PLACE_KEPT = timedelta(hours=2)  # for whoever holds a photograph; then it may be given to somebody else
NEARLY_OVER = timedelta(minutes=1)  # a place that ends so soon is asked for under the lock
TRIES = 5  # others may be quicker, and of a withdrawn photograph the task is there for some seconds more


def hand_out(annotator: Annotator, *, task: LabelTask) -> bool:
    """Keep a place on this task for them, and note that they have it; False if they earned something with it already,
    others have all its places, or its photograph may not be seen any more."""
    return _hand_out(annotator, task.pk)


def hand_out_offered(annotator: Annotator, *, ref: TaskRef) -> bool:
    """The same for a task that Label Studio offers; False also if we know none by these ids."""
    return _hand_out(annotator, ref.asset_id, offered_as=ref.external_id)


@transaction.atomic
def _hand_out(annotator: Annotator, task: uuid.UUID, *, offered_as: int | None = None) -> bool:
    for external_id, purpose in LOCKED.ask(task=task):
        if offered_as in (None, external_id) and _has_place(annotator, task) and is_usable_for(purpose, task=task):
            _note_handout(annotator, task)
            return True
    return False


def _locked(task: uuid.UUID) -> QuerySet[LabelTask, tuple[Any, ...]]:
    tasks = LabelTask.objects.select_for_update(of=("self",)).filter(pk=task)
    return tasks.values_list("external_id", "campaign__purpose")


LOCKED = Question(_locked, task=uuid.UUID(int=1))


def _note_handout(annotator: Annotator, task: uuid.UUID) -> None:
    Handout.objects.bulk_create(
        [Handout(annotator=annotator, task_id=task, place_until=timezone.now() + PLACE_KEPT)],
        update_conflicts=True,
        unique_fields=["annotator", "task"],
        update_fields=["place_until", "answered_at"],
    )


def _has_place(annotator: Annotator, task: uuid.UUID) -> bool:
    """Whether one more label, theirs, would be paid. Exact under the task's lock, which recording labels takes too."""
    return bool(FREE.ask(task=task, annotator=annotator.pk, at=timezone.now()))


def _free(task: uuid.UUID, annotator: uuid.UUID, at: datetime.datetime) -> QuerySet[LabelTask, tuple[int]]:
    earned = Earning.objects.filter(task=OuterRef("pk"), annotator=annotator)
    tasks = LabelTask.objects.filter(~Exists(earned), pk=task)
    return with_places(tasks, at=at, besides=annotator).values_list(Value(1))


def with_places(
    tasks: QuerySet[LabelTask], *, at: datetime.datetime | None = None, besides: uuid.UUID | None = None
) -> QuerySet[LabelTask]:
    """Of these, the tasks that have a place for somebody who has none, as things are `at` (now), a place that this
    annotator has counted as none."""
    labelled = Earning.objects.of_labels().filter(task=OuterRef("pk"))
    theirs = Earning.objects.of_labels().filter(task=OuterRef("task"), annotator=OuterRef("annotator"))
    kept = Handout.objects.filter(~Exists(theirs), task=OuterRef("pk"), place_until__gt=at or timezone.now())
    if besides:
        kept = kept.exclude(annotator=besides)
    return tasks.annotate(taken=_number(labelled) + _number(kept)).filter(taken__lt=F("campaign__overlap"))


FREE = Question(_free, task=uuid.UUID(int=1), annotator=uuid.UUID(int=2), at=prepared.STAND_IN)


def _number(rows: QuerySet[Earning] | QuerySet[Handout]) -> Coalesce:
    counted = rows.order_by().values("task").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def hand_out_another(annotator: Annotator, *, project: int) -> LabelTask | None:
    """Hand out a task of Label Studio's project that has a place and was never given to them; None if there is none."""
    tasks = LabelTask.objects.filter(project__external_id=project, state=LabelTask.State.PUSHED)
    never = with_places(tasks.exclude(Exists(Handout.objects.filter(task=OuterRef("pk"), annotator=annotator))))
    anywhere = uuid.uuid4()  # ids are random: from here on is cheaper than all of them in a random order
    for some in (never.filter(pk__gte=anywhere), never.filter(pk__lt=anywhere)):
        for task in some.order_by("pk")[:TRIES]:
            if hand_out(annotator, task=task):
                return task
    return None


def with_what_is_left(projects: QuerySet[LabelProject], annotator: Annotator) -> QuerySet[LabelProject]:
    """These, each with `left`: whether it has a photograph for this annotator, one that they hold or that has a place
    and was not answered or skipped by them."""
    pushed = LabelTask.objects.filter(project=OuterRef("pk"), state=LabelTask.State.PUSHED)
    theirs = Handout.objects.filter(annotator=annotator, task=OuterRef("pk"))
    held = pushed.filter(Exists(theirs.filter(answered_at=None, place_until__gt=timezone.now())))
    open_to_them = with_places(pushed.exclude(Exists(theirs.filter(answered_at__isnull=False))))
    return projects.annotate(left=Exists(held) | Exists(open_to_them))


def let_go(annotator: Annotator, *, task: LabelTask) -> None:
    """Take back what was just handed out and could not be shown, as if it had not been."""
    Handout.objects.filter(annotator=annotator, task=task, answered_at=None).delete()


def to_finish_first(annotator: Annotator) -> list[LabelTask]:
    """What they have to answer or skip before they get more, longest held first: nothing while they hold fewer than
    HELD_AT_ONCE that are still wanted of them."""
    if len(HELD.ask(annotator=annotator.pk)) < settings.HELD_AT_ONCE:
        return []
    held = _held_by(annotator.pk).select_related("task__campaign", "task__project").order_by("at", "pk")
    tasks = [one.task for one in held]
    wanted = [task for task in tasks if _has_place(annotator, task.pk) and may_be_seen(task=task)]
    return wanted if len(wanted) >= settings.HELD_AT_ONCE else []


def _held_by(annotator: uuid.UUID) -> QuerySet[Handout]:
    return Handout.objects.filter(
        annotator=annotator,
        answered_at=None,
        task__state=LabelTask.State.PUSHED,
        task__campaign__in=campaigns_to_finish(),
    )


HELD = Question(lambda annotator: _held_by(annotator).values_list("pk"), annotator=uuid.UUID(int=1))


def keep_place(annotator: Annotator, *, task: uuid.UUID) -> bool:
    """Whether an answer of theirs to the task with this key will find its place: it has been paid, or a place is kept
    for it from now on."""
    now = timezone.now()
    theirs = Handout.objects.filter(annotator=annotator, task=task)
    if theirs.filter(place_until__gt=now + NEARLY_OVER).update(place_until=now + PLACE_KEPT):
        return True
    if Earning.objects.filter(annotator=annotator, task=task).exists():
        return True
    return theirs.exists() and _hand_out(annotator, task)


def note_answer(annotator: Annotator, *, task: uuid.UUID, skipped: bool) -> None:
    """They answered or skipped the task with this key, so they do not hold it any more; of what was skipped somebody
    else may have the place at once."""
    now = timezone.now()
    held = Handout.objects.filter(annotator=annotator, task=task)
    held.update(answered_at=Coalesce("answered_at", now), place_until=None if skipped else now + ANSWER_KEPT)
