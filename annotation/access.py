"""What an annotator may see and do now: which campaigns, and which photographs were handed to them."""

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from annotation.gold import paused_for
from annotation.handout_models import Handout
from annotation.joining_models import TrainingSet
from annotation.languages import spoken_by
from annotation.models import Annotator, Campaign, LabelProject, LabelTask
from annotation.services import may_be_seen
from annotation.terms import has_agreed
from annotation.training import may_be_looked_at, passed_by, still_to_do

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


def is_open_to(annotator: Annotator, campaign: Campaign) -> bool:
    """Whether `campaigns_open_to` has it. Asked at every call, so what concerns trainings is left out where it can be:
    it takes as long as all the rest."""
    if TrainingSet.objects.filter(campaign=campaign).exists():
        return campaigns_open_to(annotator).filter(pk=campaign.pk).exists()
    theirs = _wanted_of(annotator).filter(pk=campaign.pk)
    if campaign.training_id is not None:
        theirs = theirs.filter(passed_by(annotator))
    return has_agreed(annotator) and theirs.exists()


def campaigns_to_finish() -> QuerySet[Campaign]:
    """Campaigns in which whoever holds a photograph may finish it: a pause or a day's limit ends what comes next, and
    takes nobody's work off their screen."""
    return Campaign.objects.filter(state__in=TO_FINISH)


def project_open_to(annotator: Annotator, *, external_id: int, begins: bool = True) -> LabelProject | None:
    """The project with Label Studio's id `external_id`, if they may begin (or else finish) something in it now."""
    project = LabelProject.objects.filter(external_id=external_id).select_related("campaign").first()
    if project is None:
        return None
    is_theirs = is_open_to(annotator, project.campaign) if begins else project.campaign.state in TO_FINISH
    return project if is_theirs else None


def task_held_by(annotator: Annotator, *, external_id: int) -> LabelTask | None:
    """The task with Label Studio's id `external_id`, if it was handed to them and may still be worked on."""
    handed = LabelTask.objects.filter(external_id=external_id, handouts__annotator=annotator)
    task = handed.select_related("campaign").first()
    return task if task and _may_work_on(annotator, task) and may_be_seen(task=task) else None


def is_handed_to(annotator: Annotator, *, task: LabelTask) -> bool:
    """Whether they hold this task now; `may_be_seen` says whether anybody may see its photograph."""
    return Handout.objects.filter(annotator=annotator, task=task).exists() and _may_work_on(annotator, task)


def _may_work_on(annotator: Annotator, task: LabelTask) -> bool:
    """Whether they may look at and answer this task, which was handed to them: in a campaign that is open to them any;
    in one that is to be finished what was handed to them last, or they could collect photographs and go on after a
    pause. What they were trained with they may look at again."""
    if task.campaign.state in TO_FINISH and _last_handed(annotator, task.campaign) == task.pk:
        return True
    if is_open_to(annotator, task.campaign):
        return True
    return LabelTask.objects.filter(may_be_looked_at(annotator), pk=task.pk).exists()


def _last_handed(annotator: Annotator, campaign: Campaign) -> uuid.UUID | None:
    handed = Handout.objects.filter(annotator=annotator, task__campaign=campaign).order_by("-at", "-pk")
    return handed.values_list("task", flat=True).first()
