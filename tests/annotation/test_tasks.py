"""The sweeps: Label Studio being away costs a delay and nothing else."""

import pytest
from django.conf import settings

from annotation import tasks
from annotation.models import Hint, LabelProject
from consent.withdrawals import withdraw
from tests.annotation.factories import make_campaign, make_image, make_pushed_task

pytestmark = pytest.mark.django_db


def test_every_sweep_of_the_beat_table_exists():
    names = {name for name in settings.CELERY_BEAT_SCHEDULE if name.startswith("annotation.")}
    expected = (
        "push_running pull_hinted sweep_updated retract_withdrawn pause_weak forget_bank_details forget_former "
        "compare_studio"
    )
    assert names == {f"annotation.tasks.{name}" for name in expected.split()}
    assert {getattr(tasks, name.rpartition(".")[2]).name for name in names} == names


def test_new_images_of_a_running_campaign_are_planned_while_label_studio_is_away(caplog):
    campaign = make_campaign()
    image = make_image(purposes=["research"])
    make_image(purposes=["training"])
    tasks.push_running()
    assert [task.image for task in campaign.tasks.all()] == [image]
    assert campaign.tasks.get().state == "pending"
    assert "Label Studio did not answer" in caplog.text


def test_a_paused_campaign_is_left_alone(caplog):
    campaign = make_campaign()
    type(campaign).objects.update(state="paused")
    make_image()
    tasks.push_running()
    assert not campaign.tasks.exists()
    assert not caplog.text


def test_pulling_and_retracting_while_label_studio_is_away(caplog):
    task = make_pushed_task()
    project = LabelProject.objects.create(campaign=task.campaign, external_id=1)
    type(task).objects.update(project=project)
    Hint.objects.create(project=project, task_external_id=task.external_id, action="ANNOTATION_CREATED")
    withdraw(consent=task.image.consent)
    for sweep in (tasks.pull_hinted, tasks.sweep_updated, tasks.retract_withdrawn):
        sweep()
    task.refresh_from_db()
    assert task.state == "retracting"
    assert Hint.objects.exists()
    assert caplog.text.count("Label Studio did not answer") == 3


def test_an_image_that_was_never_sent_is_retracted_without_label_studio():
    campaign = make_campaign(images=1)
    withdraw(consent=campaign.tasks.get().image.consent)
    tasks.retract_withdrawn()
    assert campaign.tasks.get().state == "retracted"
