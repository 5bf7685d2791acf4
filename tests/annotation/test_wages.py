"""What an hour of labelling brings, by hand."""

import datetime
from decimal import Decimal

import pytest

from annotation.handout_models import ImageView
from annotation.models import Annotation
from annotation.wages import wage_of
from tests.annotation.factories import make_user
from tests.annotation.test_gold import make_labelled, stars

pytestmark = pytest.mark.django_db


def make_timed(seconds, **fields):
    """A campaign of which each photograph was looked at so many seconds before its annotation came."""
    campaign, (ann,) = make_labelled(len(seconds), [stars(4)], rate=Decimal("0.05"), **fields)
    annotations = Annotation.objects.order_by("made_at")
    for annotation, looked in zip(annotations, seconds, strict=True):
        for before in (looked, looked + 500):  # an earlier look does not count
            at = annotation.made_at - datetime.timedelta(seconds=before)
            ImageView.objects.create(task=annotation.task, annotator=ann, served=True, at=at)
        later = annotation.made_at + datetime.timedelta(seconds=1)
        ImageView.objects.create(task=annotation.task, annotator=ann, served=True, at=later)
    return campaign


def test_the_median_hour(settings):
    settings.WAGE_FLOOR = {}
    wage = wage_of(make_timed([8, 10, 12, 14, 9999]))
    assert (wage.hourly, wage.timed) == (Decimal("15.00"), 5)  # 0.05 every 12 seconds
    assert (wage.floor, wage.rate_needed) == (None, None)


def test_a_break_counts_for_no_more_than_five_minutes():
    assert wage_of(make_timed([301, 400, 9999, 9999, 9999])).hourly == Decimal("0.60")


def test_below_the_floor_it_says_which_rate_would_do(settings):
    campaign = make_timed([12] * 5)
    settings.WAGE_FLOOR = {"EUR": "20"}
    assert wage_of(campaign).rate_needed == Decimal("0.0667")
    settings.WAGE_FLOOR = {"EUR": "15"}
    assert wage_of(campaign).rate_needed is None
    settings.WAGE_FLOOR = {"USD": "90"}
    assert wage_of(campaign).floor is None


def test_few_tell_nothing():
    assert wage_of(make_timed([12] * 4)) is None


def test_somebody_elses_look_is_no_work_of_theirs():
    campaign, _ = make_labelled(5, [stars(4)])
    for annotation in Annotation.objects.all():
        at = annotation.made_at - datetime.timedelta(seconds=3)
        ImageView.objects.create(task=annotation.task, annotator=None, served=True, at=at)
    assert wage_of(campaign) is None


def test_the_campaign_page_warns(client, settings):
    settings.WAGE_FLOOR = {"EUR": "20"}
    campaign = make_timed([12] * 5)
    client.force_login(make_user("", "data manager"))
    page = client.get(f"/staff/campaigns/{campaign.pk}/").content.decode()
    assert "An hour of this work brings 15.00 EUR, less than the 20 EUR" in page
    assert "At 0.0667 EUR an annotation" in page
