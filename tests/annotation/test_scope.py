"""Which photographs a campaign labels, on which days, for how much, and when it will be done."""

import datetime
from collections import Counter
from decimal import Decimal

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import push
from annotation.forecast import Finish, finish, forecast
from annotation.intake import record_annotation
from annotation.models import Campaign, LabelTask, TopUp
from annotation.retract import retract_withdrawn
from annotation.scope import even_share
from annotation.services import LARGEST_BUDGET, change_campaign, plan_tasks, top_up
from collection.models import Image, ImageStatus
from consent.demographics import save_answers
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.annotation.factories import make_annotator, make_campaign, make_image, make_pushed_task, remote
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_licence, make_user

pytestmark = pytest.mark.django_db


def planned(campaign):
    return {task.image_id for task in campaign.tasks.exclude(state="retracted")}


# --- Which ---------------------------------------------------------------------------------------


def test_only_photographs_of_its_call_and_basis():
    call = make_call()
    of_call, elsewhere, licensed = make_image(), make_image(), make_image()
    Image.objects.filter(pk=of_call.pk).update(call=call)
    Image.objects.filter(pk=licensed.pk).update(consent=None, licence=make_licence())
    assert planned(make_campaign(call=call)) == {of_call.pk}
    assert planned(make_campaign(basis="licence")) == {licensed.pk}
    assert planned(make_campaign(basis="consent")) == {of_call.pk, elsewhere.pk}
    assert planned(make_campaign()) == {of_call.pk, elsewhere.pk, licensed.pk}


def test_a_sample_stays_as_large_as_it_is_and_replaces_who_withdraws():
    consents = [make_consent() for _ in range(4)]
    images = [make_image(consent) for consent in consents for _ in range(2)]
    campaign = make_campaign(sample_size=3)
    first = planned(campaign)
    assert len(first) == 3
    make_image()
    assert plan_tasks(campaign=campaign) == 0
    gone = next(image for image in images if image.pk in first)
    withdraw(consent=gone.consent)
    retract_withdrawn()
    plan_tasks(campaign=campaign)
    theirs = set(gone.consent.images.values_list("pk", flat=True))
    assert len(planned(campaign)) == 3
    assert not planned(campaign) & theirs
    assert first - theirs <= planned(campaign)


def test_a_sample_is_spread_evenly_over_what_people_say_of_themselves():
    for tone, images in (("2", 6), ("5", 6), ("9", 1)):
        consent = make_consent()
        save_answers(contributor=consent.contributor, skin_tone=tone)
        for _ in range(images):
            make_image(consent)
    campaign = make_campaign(sample_size=7, strata="skin_tone")
    answered = "image__consent__contributor__demographics__skin_tone"
    assert Counter(campaign.tasks.values_list(answered, flat=True)) == {"2": 3, "5": 3, "9": 1}
    Campaign.objects.filter(pk=campaign.pk).update(sample_size=9)
    plan_tasks(campaign=campaign)
    assert Counter(campaign.tasks.values_list(answered, flat=True)) == {"2": 4, "5": 4, "9": 1}


def test_even_share_counts_what_was_drawn_before():
    candidates = [(f"a{n}", "a") for n in range(5)] + [(f"b{n}", None) for n in range(5)]
    assert sorted(even_share(candidates, Counter({"a": 3}), 3)) == ["b0", "b1", "b2"]
    assert sorted(even_share(candidates, Counter(), 3)) == ["a0", "a1", "b0"]
    assert len(even_share(candidates, Counter(), 99)) == 10


# --- When ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "last", "worked_on"), [(0, 0, True), (1, None, False), (None, -1, False)])
def test_a_campaign_is_worked_on_between_its_days(first, last, worked_on):
    def day(offset):
        return None if offset is None else timezone.localdate() + datetime.timedelta(days=offset)

    campaign = make_campaign(starts_on=day(first), ends_on=day(last))
    assert Campaign.objects.open_today().filter(pk=campaign.pk).exists() == worked_on


@pytest.mark.parametrize("limit", [{"daily_annotations": 1}, {"daily_cost": Decimal("0.19")}])
def test_what_a_day_may_bring(limit):
    campaign = make_campaign(images=1, rate=Decimal("0.10"), **limit)
    task = make_pushed_task(campaign)
    make_annotator(7)
    assert Campaign.objects.open_today().exists()
    with time_machine.travel("2026-03-01T12:00Z"):
        record_annotation(task=task, remote=remote(7))
        assert not Campaign.objects.open_today().exists()
    with time_machine.travel("2026-03-02T00:01Z"):
        assert Campaign.objects.open_today().exists()


# --- Money ---------------------------------------------------------------------------------------


def test_topping_up_lets_more_be_sent():
    campaign = make_campaign(images=2, rate=Decimal("0.10"), overlap=2, budget=Decimal("0.30"))
    assert push.affordable_tasks(campaign) == 1
    manager = make_user()
    top_up(campaign=campaign, amount=Decimal("0.10"), user=manager)
    assert push.affordable_tasks(campaign) == 2
    added = TopUp.objects.get()
    assert (added.amount, added.made_by) == (Decimal("0.10"), manager)
    with pytest.raises(Refused, match="a moment ago"):  # the form was sent twice
        top_up(campaign=campaign, amount=Decimal("0.10"), user=manager)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        TopUp.objects.update(amount=1)
    with pytest.raises(Refused, match="larger"):
        top_up(campaign=campaign, amount=LARGEST_BUDGET, user=manager)
    change_campaign(campaign=campaign, action="close")
    with pytest.raises(Refused, match="closed"):
        top_up(campaign=campaign, amount=Decimal(1), user=manager)


def test_the_forecast_counts_what_is_there_and_what_may_come():
    campaign = make_campaign(images=3, rate=Decimal("0.10"), overlap=2, budget=Decimal("0.45"))
    coming = make_image()
    Image.objects.filter(pk=coming.pk).update(status=ImageStatus.SCREENED)
    now = forecast(campaign)
    assert (now.images, now.images_most) == (3, 4)
    assert (now.cost, now.cost_most) == (Decimal("0.60"), Decimal("0.80"))
    assert now.beyond_budget == 1
    assert (now.left, now.finish) == (6, None)
    campaign.sample_size = 2
    assert (forecast(campaign).images, forecast(campaign).images_most) == (2, 2)


def test_the_forecast_remembers_what_was_paid_for_photographs_that_are_gone():
    campaign = make_campaign(images=1, overlap=2, rate=Decimal("0.10"), budget=Decimal("0.30"))
    task = make_pushed_task(campaign)
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    withdraw(consent=task.image.consent)
    LabelTask.objects.update(state="retracted", retracted_at=timezone.now(), external_id=None)
    make_image()
    now = forecast(campaign)
    assert (now.images, now.cost, now.beyond_budget) == (1, Decimal("0.30"), 0)
    campaign.budget = Decimal("0.29")
    assert forecast(campaign).beyond_budget == 1


def test_the_forecast_goes_by_the_last_week():
    campaign = make_campaign(images=1, overlap=2)
    task = make_pushed_task(campaign)
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    now = forecast(campaign)
    assert now.left == 1
    assert now.per_day == 1.0
    assert now.finish.likely == timezone.localdate() + datetime.timedelta(days=1)


def test_finish_by_hand():
    """100 in 5 days are 20 a day, give or take 1.96 * 10 in 5 days: 16.08 to 23.92 a day."""
    day = datetime.date(2026, 3, 1)
    days = [day + datetime.timedelta(days=n) for n in (42, 50, 63)]
    assert finish(1000, 100, 5.0, today=day) == Finish(*days)
    assert finish(10, 3, 1.0, today=day).late is None
    assert finish(10**9, 1, 7.0, today=day).likely is None


# --- The end -------------------------------------------------------------------------------------


def test_closing_frees_the_budget_of_what_was_never_sent():
    campaign = make_campaign(images=2)
    change_campaign(campaign=campaign, action="close")
    retract_withdrawn()
    assert set(campaign.tasks.values_list("state", flat=True)) == {LabelTask.State.RETRACTED}
