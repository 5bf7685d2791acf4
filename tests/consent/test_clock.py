"""A clock that is wrong destroys nothing, and a clock that was wrong is believed again after a day."""

import datetime

import pytest
from django.utils import timezone

from annotation.models import LabelTask
from annotation.retract import mark_lost
from annotation.services import plan_tasks
from collection import erasure
from collection.models import Image, ImageStatus
from consent.clock import observe, trusted_now
from consent.models import Clock, Licence
from consent.withdrawals import withdraw
from exports.models import Notice
from exports.notices import revoke_items
from tests.annotation.factories import make_campaign
from tests.collection.factories import make_image
from tests.consent.factories import make_consent, make_licence
from tests.exports.factories import make_dataset, make_published
from tests.exports.factories import make_image as make_drawn_image

pytestmark = pytest.mark.django_db
NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
MINUTE, HOUR, DAY = (datetime.timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))


def run_until(start, end, step=30 * MINUTE):
    """The sweep notes the time every `step`."""
    while start <= end:
        observe(start)
        start += step
    return observe(end)


def set_clock_ahead_by(span):
    """As if the machine's clock had stood `span` behind until a moment ago, and the sweep had seen it."""
    then = timezone.now() - span
    Clock.objects.all().delete()
    Clock.objects.create(seen_at=then, steady_since=then - 30 * DAY)


def test_a_fresh_installation_believes_its_clock():
    assert trusted_now(NOW) == NOW
    observe(NOW)
    assert trusted_now(NOW + HOUR) == NOW + HOUR


@pytest.mark.parametrize("seen", [True, False])
def test_a_clock_that_jumps_ahead_is_not_believed_for_a_day(seen):
    run_until(NOW, NOW + HOUR)
    wrong = NOW + 1500 * DAY
    if seen:  # what destroys may run before the sweep notes the jump
        observe(wrong)
    assert trusted_now(wrong) == NOW + HOUR
    run_until(wrong, wrong + DAY - MINUTE)
    assert trusted_now(wrong + DAY - MINUTE) == NOW + HOUR
    observe(wrong + DAY)
    assert trusted_now(wrong + DAY) == wrong + DAY
    assert Clock.objects.get().before_jump is None


def test_a_clock_that_is_set_right_again_has_never_been_believed():
    run_until(NOW, NOW + HOUR)
    wrong = NOW + 1500 * DAY
    run_until(wrong, wrong + 3 * HOUR)
    back = NOW + 5 * HOUR
    observe(back)
    assert trusted_now(back) == NOW + HOUR  # the first of the two jumps counts
    run_until(back, back + DAY)
    assert trusted_now(back + DAY) == back + DAY


def test_a_clock_that_is_set_back_destroys_no_more_than_before():
    run_until(NOW, NOW + HOUR)
    assert trusted_now(NOW - 400 * DAY) == NOW - 400 * DAY
    observe(NOW - 400 * DAY)
    run_until(NOW, NOW + HOUR)  # and set right again
    assert trusted_now(NOW + HOUR) == NOW + HOUR


def test_small_differences_between_machines_are_no_jump():
    observe(NOW)
    observe(NOW - MINUTE)
    observe(NOW + 59 * MINUTE)
    assert Clock.objects.get().before_jump is None
    assert trusted_now(NOW + 59 * MINUTE) == NOW + 59 * MINUTE


def test_a_long_shutdown_delays_deletions_by_a_day():
    run_until(NOW, NOW + HOUR)
    back_up = NOW + 10 * DAY
    run_until(back_up, back_up + 23 * HOUR)
    assert trusted_now(back_up + 23 * HOUR) == NOW + HOUR
    run_until(back_up + 23 * HOUR, back_up + DAY)
    assert trusted_now(back_up + DAY) == back_up + DAY


def test_the_settling_time_is_a_setting(settings):
    settings.CLOCK_SETTLE_HOURS = 2
    observe(NOW)
    wrong = NOW + 10 * DAY
    run_until(wrong, wrong + 2 * HOUR)
    assert trusted_now(wrong + 2 * HOUR) == wrong + 2 * HOUR


# --- What destroys goes by it --------------------------------------------------------------------


def test_r13_a_clock_years_ahead_erases_nothing_but_what_was_withdrawn():
    """By the real time the licence ended long ago; the time that was last believed says that it runs."""
    set_clock_ahead_by(1500 * DAY)
    today = timezone.now().date()
    running = make_licence(starts=today - 1600 * DAY, ends=today - 900 * DAY)
    kept = Image.objects.create(licence=running, subject="a", external_id="a.jpg", byte_size=1, sha256="a" * 64)
    gone = make_image()
    withdraw(consent=gone.consent)
    assert not Licence.objects.live().filter(pk=running.pk).exists()  # reads refuse by the real time
    assert erasure.purge_withdrawn() == 1
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert (kept.status, gone.status) == (ImageStatus.RECEIVED, ImageStatus.PURGED)
    Clock.objects.update(seen_at=timezone.now(), before_jump=None)  # a day later
    assert erasure.purge_withdrawn() == 1


def test_a_clock_set_back_behind_the_signature_retracts_revokes_and_erases_nothing(time_machine):
    campaign = make_campaign()
    image = make_image()
    plan_tasks(campaign=campaign)
    consent = make_consent()
    make_drawn_image(consent)
    make_published(make_dataset())
    observe()
    time_machine.move_to(timezone.now() - 5000 * DAY)
    assert not Image.objects.entitled().exists()  # signed in the future: nobody may use it now
    assert erasure.purge_withdrawn() == 0
    mark_lost(campaign=campaign)
    assert LabelTask.objects.get(image=image).state == LabelTask.State.PENDING
    revoke_items()
    assert not Notice.objects.exists()


def test_images_of_a_licence_that_has_not_started_are_not_erased():
    today = timezone.now().date()
    licence = make_licence(starts=today + 10 * DAY, ends=today + 20 * DAY)
    Image.objects.create(licence=licence, subject="a", external_id="a.jpg", byte_size=1, sha256="a" * 64)
    assert erasure.purge_withdrawn() == 0
    assert erasure.purge_withdrawn(clock=timezone.now() + 15 * DAY) == 0
    assert erasure.purge_withdrawn(clock=timezone.now() + 21 * DAY) == 1
