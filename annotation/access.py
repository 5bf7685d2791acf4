"""What an annotator may see and do now: which campaigns, and which photographs were handed to them."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import OuterRef, Q, QuerySet, Subquery

from annotation.gold import paused_for
from annotation.handout_models import Handout
from annotation.languages import spoken_by
from annotation.models import Annotator, Campaign, LabelProject, LabelTask
from annotation.services import may_be_seen
from annotation.terms import has_agreed
from annotation.training import may_be_looked_at, passed_by, still_to_do


def annotator_of(user: AbstractBaseUser | AnonymousUser) -> Annotator | None:
    """The annotator that somebody signed in is, once they accepted the agreement."""
    return Annotator.objects.filter(user=user.pk).first() if user.is_authenticated else None


def campaigns_open_to(annotator: Annotator) -> QuerySet[Campaign]:
    """The campaigns that this annotator gets photographs of now: none before they agreed to the terms in force, and of
    the others those whose languages they know and whose training they passed, or the training itself."""
    if not has_agreed(annotator):
        return Campaign.objects.none()
    wanted = Campaign.objects.open_today().filter(spoken_by(annotator)).exclude(paused_for(annotator))
    return wanted.filter(passed_by(annotator), still_to_do(annotator, wanted))


def campaigns_to_finish() -> QuerySet[Campaign]:
    """Campaigns in which whoever holds a photograph may finish it: a pause or a day's limit ends what comes next, and
    takes nobody's work off their screen."""
    return Campaign.objects.filter(state__in=[Campaign.State.RUNNING, Campaign.State.PAUSED])


def project_open_to(annotator: Annotator, *, external_id: int, begins: bool = True) -> LabelProject | None:
    """The project with Label Studio's id `external_id`, if they may begin (or else finish) something in it now."""
    campaigns = campaigns_open_to(annotator) if begins else campaigns_to_finish()
    return LabelProject.objects.filter(external_id=external_id, campaign__in=campaigns).first()


def task_held_by(annotator: Annotator, *, external_id: int) -> LabelTask | None:
    """The task with Label Studio's id `external_id`, if it was handed to them and may still be worked on."""
    task = _handed_to(annotator).filter(external_id=external_id).select_related("campaign").first()
    return task if task and may_be_seen(task=task) else None


def is_handed_to(annotator: Annotator, *, task: LabelTask) -> bool:
    """Whether they hold this task now; `may_be_seen` says whether anybody may see its photograph."""
    return _handed_to(annotator).filter(pk=task.pk).exists()


def _handed_to(annotator: Annotator) -> QuerySet[LabelTask]:
    """What they may look at and answer: in a campaign that is open to them all that was handed to them; in one that is
    to be finished what was handed to them last, or they could collect photographs and go on after a pause. What they
    were trained with they may look at again."""
    theirs = LabelTask.objects.filter(handouts__annotator=annotator)
    latest = Handout.objects.filter(annotator=annotator, task__campaign=OuterRef("campaign")).order_by("-at", "-pk")
    last = Q(campaign__in=campaigns_to_finish(), pk=Subquery(latest.values("task")[:1]))
    return theirs.filter(Q(campaign__in=campaigns_open_to(annotator)) | last | may_be_looked_at(annotator))
