"""R31: the term of a licence ends at midnight UTC of its last day, for every use at once and before any sweep."""

import datetime

import pytest
from django.utils import timezone

from annotation.models import LabelTask
from annotation.services import may_be_seen, plan_tasks
from collection.models import Image
from collection.tasks import warn_licences
from consent.models import Licence, LicenceWarning
from consent.refusals import Refused
from exports.services import draft_release, publish_release
from tests.annotation.factories import make_campaign as make_running_campaign
from tests.consent.factories import make_licence, make_user
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_campaign,
    make_dataset,
    make_image,
    make_manager,
    make_published,
    make_token,
    result,
)

pytestmark = pytest.mark.django_db
TINY = datetime.timedelta(microseconds=1)
DAY = datetime.timedelta(days=1)


def midnight(day):
    """The first moment after `day` in UTC."""
    return datetime.datetime.combine(day + DAY, datetime.time(), datetime.UTC)


@pytest.fixture
def licence():
    return make_licence(("research", "product"), ends=timezone.now().date())


def test_r31_the_last_microsecond_counts_and_the_next_day_does_not(licence):
    image = make_image(licence=licence)
    end = midnight(licence.ends_on)
    for purpose in (None, "research", "product"):
        assert Licence.objects.live(purpose, at=end - TINY).exists()
        assert not Licence.objects.live(purpose, at=end).exists()
    assert Image.objects.usable_for("research", at=end - TINY).get() == image
    assert not Image.objects.usable_for("research", at=end).exists()
    assert not Image.objects.open_for("research", at=end).exists()
    assert not Image.objects.usable_for("marketing", at=end - TINY).exists()


def test_r31_days_are_those_of_utc_wherever_the_clock_stands(licence):
    """23:30 in New York on the last day is the next day in UTC: over."""
    new_york = datetime.timezone(datetime.timedelta(hours=-5))
    late = datetime.datetime.combine(licence.ends_on, datetime.time(23, 30), new_york)
    assert not Licence.objects.live(at=late.astimezone(datetime.UTC)).exists()


def test_r31_releases_and_label_tasks_refuse_in_the_second_the_licence_ends(client, licence, time_machine):
    campaign, worker = make_campaign(), make_annotator()
    images = [make_image(licence=licence, subject=f"{licence.pk}:{number}") for number in range(4)]
    for image in images:
        annotate(image, campaign, worker, result())
    release = make_published(make_dataset(campaign=campaign, slug="bought"))
    token = make_token(release.dataset)
    path = f"/api/datasets/bought/{release.version}/files/{release.files.filter(path__startswith='rows/').first().path}"
    running = make_running_campaign()
    task = LabelTask.objects.filter(campaign=running, image=images[0]).get()
    LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=1, pushed_at=timezone.now())

    def answers():
        answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
        b"".join(answer.streaming_content if answer.streaming else ())
        return answer.status_code, may_be_seen(task=task), Image.objects.usable_for("research").count()

    time_machine.move_to(midnight(licence.ends_on) - datetime.timedelta(seconds=1), tick=False)
    assert answers() == (200, True, 4)
    time_machine.move_to(midnight(licence.ends_on), tick=False)
    assert answers() == (410, False, 0)
    assert plan_tasks(campaign=make_running_campaign(name="New")) == 0


def test_r31_an_ended_licence_blocks_a_new_export_and_one_that_waits(licence, time_machine):
    campaign, worker = make_campaign(), make_annotator()
    for number in range(2):
        annotate(make_image(licence=licence, subject=f"{licence.pk}:{number}"), campaign, worker, result())
    dataset = make_dataset(campaign=campaign)
    waiting = make_built(dataset)
    time_machine.move_to(midnight(licence.ends_on), tick=False)
    with pytest.raises(Refused):
        publish_release(release=waiting, user=make_manager())
    with pytest.raises(Refused, match="No image may go into"):
        draft_release(dataset=dataset, user=make_manager())


def test_a_licence_is_warned_of_as_time_goes_by(time_machine, mailoutbox):
    make_user("manager@example.org", "data manager")
    start = timezone.now().date()
    make_licence(ends=start + 31 * DAY)
    told = []
    for day in (0, 1, 15, 31, 32, 40):
        time_machine.move_to(midnight(start + (day - 1) * DAY) + datetime.timedelta(hours=12), tick=False)
        warn_licences()
        told.append(list(LicenceWarning.objects.order_by("pk").values_list("kind", flat=True)))
    assert told == [[], ["ends_soon"], ["ends_soon"], ["ends_soon"], ["ends_soon", "ended"], ["ends_soon", "ended"]]
    assert len(mailoutbox) == 2
