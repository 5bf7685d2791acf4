"""What runs in the background: sweeps. Their to-do are rows, so a lost message costs a delay and nothing else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task

from annotation import about_annotators, accounts, comparison, disputes, gold, payouts, pull, push, retract, services
from annotation.labelstudio import LabelStudioError
from annotation.models import Campaign, LabelProject

logger = logging.getLogger(__name__)


@contextmanager
def left_for_next_sweep() -> Iterator[None]:
    """Label Studio being away is ordinary: say so, and let the next sweep find the same rows."""
    try:
        yield
    except LabelStudioError as error:
        logger.warning("%s", error)


@shared_task
def push_running() -> None:
    """Push new images of every campaign that is worked on today."""
    for campaign in Campaign.objects.open_today():
        services.plan_tasks(campaign=campaign)
        with left_for_next_sweep():
            push.push_pending(campaign=campaign)


@shared_task
def pull_hinted() -> None:
    """Fetch what webhooks named."""
    with left_for_next_sweep():
        pull.pull_hinted()


@shared_task
def sweep_updated() -> None:
    """Fetch what changed, named or not."""
    for project in LabelProject.objects.all():
        with left_for_next_sweep():
            pull.sweep_updated(project=project)


@shared_task
def retract_withdrawn() -> None:
    """Remove the tasks of images whose rights ended, and those of closed campaigns."""
    with left_for_next_sweep():
        retract.retract_withdrawn()


@shared_task
def forget_bank_details() -> None:
    """Forget accounts that nobody is paid by any more."""
    payouts.forget_bank_details()


@shared_task
def forget_former() -> None:
    """Forget what people wrote in disputes and said about themselves who have no account any more."""
    disputes.forget_words()
    about_annotators.forget_former()


@shared_task
def pause_weak() -> None:
    """Pause who agrees with too little of the gold of a running campaign."""
    for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING):
        gold.pause_weak(campaign=campaign)


@shared_task
def compare_studio() -> None:
    """Compare each project with Label Studio once a day."""
    if due := list(comparison.due_projects()):
        with left_for_next_sweep():
            accounts.forget_lost_accounts()
    for project in due:
        with left_for_next_sweep():
            comparison.compare_project(project=project)
