"""What an annotator may see and do now: which campaigns, and which photographs were handed to them."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import OuterRef, Q, QuerySet, Subquery

from annotation.gold import paused_for
from annotation.models import Annotator, Campaign, Earning, Handout, LabelProject, LabelTask
from annotation.services import may_be_seen


def annotator_of(user: AbstractBaseUser | AnonymousUser) -> Annotator | None:
    """The annotator that somebody signed in is, once they accepted the agreement."""
    return Annotator.objects.filter(user=user.pk).first() if user.is_authenticated else None


def campaigns_open_to(annotator: Annotator) -> QuerySet[Campaign]:
    """The campaigns that this annotator gets photographs of now."""
    return Campaign.objects.open_today().exclude(paused_for(annotator))


def campaigns_to_finish() -> QuerySet[Campaign]:
    """Campaigns in which whoever holds a photograph may finish it: a pause or a day's limit ends what comes next, and
    takes nobody's work off their screen."""
    return Campaign.objects.filter(state__in=[Campaign.State.RUNNING, Campaign.State.PAUSED])


def project_open_to(annotator: Annotator, *, external_id: int, begins: bool = True) -> LabelProject | None:
    """The project with Label Studio's id `external_id`, if they may begin (or else finish) something in it now."""
    campaigns = campaigns_open_to(annotator) if begins else campaigns_to_finish()
    return LabelProject.objects.filter(external_id=external_id, campaign__in=campaigns).first()


def hand_out(annotator: Annotator, *, task: LabelTask) -> bool:
    """Note that Label Studio gave them this task; False if its photograph may not be seen any more, or nothing that
    they say of it would be paid: a Label Studio that lost its answers asks for them again."""
    if not may_be_seen(task=task) or _is_answered(annotator, task):
        return False
    Handout.objects.get_or_create(annotator=annotator, task=task)
    return True


def _is_answered(annotator: Annotator, task: LabelTask) -> bool:
    """Whether all annotations that were wanted are there, or theirs is."""
    paid = set(Earning.objects.filter(task=task).values_list("annotator", flat=True))
    return annotator.pk in paid or len(paid) >= task.campaign.overlap


def task_held_by(annotator: Annotator, *, external_id: int) -> LabelTask | None:
    """The task with Label Studio's id `external_id`, if it was handed to them and may still be worked on."""
    task = _handed_to(annotator).filter(external_id=external_id).select_related("campaign").first()
    return task if task and may_be_seen(task=task) else None


def is_handed_to(annotator: Annotator, *, task: LabelTask) -> bool:
    """Whether they hold this task now; `may_be_seen` says whether anybody may see its photograph."""
    return _handed_to(annotator).filter(pk=task.pk).exists()


def _handed_to(annotator: Annotator) -> QuerySet[LabelTask]:
    """What they may look at and answer: in a campaign that is open to them all that was handed to them; in one that is
    to be finished what was handed to them last, or they could collect photographs and go on after a pause."""
    theirs = LabelTask.objects.filter(handouts__annotator=annotator)
    latest = Handout.objects.filter(annotator=annotator, task__campaign=OuterRef("campaign")).order_by("-at", "-pk")
    last = Q(campaign__in=campaigns_to_finish(), pk=Subquery(latest.values("task")[:1]))
    return theirs.filter(Q(campaign__in=campaigns_open_to(annotator)) | last)
