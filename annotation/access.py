"""What an annotator may see and do now: which campaigns, and which photographs were handed to them."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from annotation.gold import paused_for
from annotation.handout_models import ANSWER_KEPT, Handout
from annotation.languages import spoken_by
from annotation.models import Annotator, Campaign, LabelProject, LabelTask
from annotation.services import is_usable_for
from annotation.terms import agreed_by, has_agreed
from annotation.training import may_be_looked_at, passed_by, still_to_do
from collection.models import prepared
from collection.models.prepared import Question

TO_FINISH = (Campaign.State.RUNNING, Campaign.State.PAUSED)


def annotator_of(user: AbstractBaseUser | AnonymousUser) -> Annotator | None:
    """The annotator that somebody signed in is, once they accepted the agreement."""
    return Annotator.objects.filter(user=user.pk).first() if user.is_authenticated else None


def campaigns_open_to(annotator: Annotator) -> QuerySet[Campaign]:
    """The campaigns that this annotator gets photographs of now: none before they agreed to the terms in force, and of
    the others those whose languages they know and whose training they passed, or the training itself."""
    if not has_agreed(annotator):
        return Campaign.objects.none()
    wanted = _wanted_of(annotator)
    return wanted.filter(passed_by(annotator), still_to_do(annotator, wanted))


def _wanted_of(annotator: Annotator) -> QuerySet[Campaign]:
    """Campaigns that they could work on today, whatever training these ask for."""
    return Campaign.objects.open_today().filter(spoken_by(annotator)).exclude(paused_for(annotator))


def _begun_by(annotator: uuid.UUID, today: datetime.date, **which: int) -> QuerySet[Campaign, tuple[int, bool]]:
    """The campaign that is meant, if `campaigns_open_to` can have it; and whether only that says so: of a training, or
    one that takes so many labels in a day."""
    them = Annotator(pk=annotator)
    asks_more = Q(training_set__isnull=False) | Q(daily_annotations__isnull=False) | Q(daily_cost__isnull=False)
    theirs = Campaign.objects.within_dates(today).filter(agreed_by(them), spoken_by(them), passed_by(them))
    more = ExpressionWrapper(asks_more, output_field=BooleanField())
    return theirs.exclude(paused_for(them)).filter(**which).values_list("pk", more)


# Asked at every call of the labelling page.
WHO, WHICH, DAY = uuid.UUID(int=1), 987_654_321, datetime.date(1234, 5, 6)
BEGUN = Question(lambda which, **who: _begun_by(pk=which, **who), annotator=WHO, today=DAY, which=WHICH)
BEGUN_BY_PROJECT = Question(
    lambda which, **who: _begun_by(projects__external_id=which, **who), annotator=WHO, today=DAY, which=WHICH
)


def is_open_to(annotator: Annotator, campaign: int) -> bool:
    """Whether `campaigns_open_to` has the campaign with this key, asked in fewer statements."""
    return _may_begin(annotator, BEGUN, campaign)


def may_begin_in(annotator: Annotator, *, project: int) -> bool:
    """Whether the project with this id of Label Studio's is of a campaign that is open to them."""
    return _may_begin(annotator, BEGUN_BY_PROJECT, project)


def _may_begin(annotator: Annotator, question: Question, which: int) -> bool:
    return any(
        not more or campaigns_open_to(annotator).filter(pk=campaign).exists()
        for campaign, more in question.ask(annotator=annotator.pk, today=timezone.localdate(), which=which)
    )


def campaigns_to_finish() -> QuerySet[Campaign]:
    """Campaigns in which whoever holds a photograph may finish it: a pause or a day's limit ends what comes next, and
    takes nobody's work off their screen."""
    return Campaign.objects.filter(state__in=TO_FINISH)


def may_finish_in(*, project: int) -> bool:
    """Whether the project with this id of Label Studio's is of a campaign that is to be finished."""
    return LabelProject.objects.filter(external_id=project, campaign__state__in=TO_FINISH).exists()


@dataclass(frozen=True)
class Held:
    """A task that was handed to an annotator, and what is asked about it at every call."""

    task: uuid.UUID
    campaign: int
    project: int | None  # Label Studio's id
    purpose: str
    config: str
    was_last: bool  # of their campaign's, that they were handed, and the campaign is to be finished
    is_kept: bool  # a place of the overlap is theirs for as long as an answer may be on its way


def _handed_to(annotator: uuid.UUID, at: datetime.datetime, **which: Any) -> QuerySet[LabelTask, tuple[Any, ...]]:
    handed = Handout.objects.filter(annotator=annotator)
    last = handed.filter(task__campaign=OuterRef("campaign")).order_by("-at", "-pk").values("task")[:1]
    was_last = Q(campaign__state__in=TO_FINISH, pk=Subquery(last))
    kept = Exists(handed.filter(task=OuterRef("pk"), place_until__gt=at))
    tasks = LabelTask.objects.filter(Exists(handed.filter(task=OuterRef("pk"))), **which).order_by("pk")
    about = ("pk", "campaign", "project__external_id", "campaign__purpose", "campaign__config")
    return tasks.values_list(*about, ExpressionWrapper(was_last, output_field=BooleanField()), kept)[:1]


HANDED = Question(
    lambda which, **who: _handed_to(external_id=which, **who), annotator=WHO, at=prepared.STAND_IN, which=WHICH
)
HANDED_BY_KEY = Question(
    lambda which, **who: _handed_to(pk=which, **who), annotator=WHO, at=prepared.STAND_IN, which=uuid.UUID(int=2)
)


def task_held_by(annotator: Annotator, *, external_id: int) -> Held | None:
    """The task with Label Studio's id `external_id`, if it was handed to them and may still be worked on."""
    held = _held(annotator, HANDED, external_id)
    return held if held and is_usable_for(held.purpose, task=held.task) else None


def is_handed_to(annotator: Annotator, *, task: LabelTask) -> bool:
    """Whether they hold this task now; `may_be_seen` says whether anybody may see its photograph."""
    return _held(annotator, HANDED_BY_KEY, task.pk) is not None


def _held(annotator: Annotator, question: Question, which: int | uuid.UUID) -> Held | None:
    """The task, if they may look at and answer it: what was handed to them, in a campaign that is open to them any;
    in one that is to be finished what was handed to them last, or they could collect photographs and go on after a
    pause. What they were trained with they may look at again."""
    found = question.ask(annotator=annotator.pk, at=timezone.now() + ANSWER_KEPT, which=which)
    if not found:
        return None
    task, *rest = found[0]
    held = Held(uuid.UUID(str(task)), *rest)
    if held.was_last or is_open_to(annotator, held.campaign):
        return held
    return held if LabelTask.objects.filter(may_be_looked_at(annotator), pk=held.task).exists() else None
