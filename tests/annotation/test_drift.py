"""Drift: what an annotator does lately, beside what they did before."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from annotation.agreement import by_control
from annotation.drift import LATELY, drift_of_annotators, same_by_annotation
from annotation.intake import record_annotations
from annotation.models import Campaign
from annotation.selection import AcceptedAnnotation
from tests.annotation.factories import good_result, make_annotator, make_campaign, make_user, rating, remote

pytestmark = pytest.mark.django_db
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE = 70


def said(stars_of):
    """Accepted annotations of as many photographs as `stars_of` has pairs: what Ann and what Bob rated each."""
    ann, bob = uuid.uuid4(), uuid.uuid4()
    rows = []
    for number, pair in enumerate(stars_of):
        image = uuid.uuid4()
        for who, stars in zip((ann, bob), pair, strict=True):
            at = BEGAN + timedelta(minutes=number)
            rows.append(AcceptedAnnotation(uuid.uuid4(), image, who, [rating(stars)], "", at, Decimal("0.10"), "EUR"))
    return ann, rows


def drift_of(stars_of):
    ann, rows = said(stars_of)
    return drift_of_annotators(rows[::-1], same_by_annotation(by_control(rows)), {})[ann]


def test_who_leaves_the_others_lately_is_told_of():
    found = drift_of([(5, 5)] * BEFORE + [(5, 5)] * 30 + [(1, 5)] * 20)
    assert (found.same_before, found.same_lately) == (1, pytest.approx(0.6))
    assert found.is_further


def test_chance_and_coming_closer_are_no_drift():
    one_off = drift_of([(5, 5)] * (BEFORE - 1) + [(1, 5)] + [(5, 5)] * (LATELY - 2) + [(1, 5)] * 2)
    assert one_off.same_lately < one_off.same_before
    assert not one_off.is_further
    assert not drift_of([(1, 5)] * BEFORE + [(5, 5)] * LATELY).is_further


def test_too_little_tells_nothing():
    found = drift_of([(5, 5)] * 10 + [(1, 5)] * LATELY)
    assert (found.same_before, found.same_lately, found.is_further) == (None, None, False)


def test_who_takes_half_as_long_lately_and_leaves_the_others_is_told_of_on_the_page(client):
    campaign = make_campaign(images=BEFORE + LATELY)
    Campaign.objects.update(reserved=campaign.task_cost * (BEFORE + LATELY))
    campaign.tasks.update(state="pushed", external_id=1, pushed_at=BEGAN)
    make_annotator(501)
    make_annotator(502)
    told = []
    for number, task in enumerate(campaign.tasks.all()):
        at, late = BEGAN + timedelta(minutes=number), number >= BEFORE
        for user, stars, seconds in ((501, 1 if late else 5, 4 if late else 10), (502, 5, 10)):
            told.append((task.pk, remote(user, result=good_result(stars), made_at=at, lead_seconds=seconds)))
    record_annotations(told=told)
    client.force_login(make_user("", "data manager"))
    page = client.get(f"/staff/campaigns/{campaign.pk}/quality/").content.decode()
    assert page.count("lately 4, before 10") == 1
    assert page.count("lately 67 %, before 100 %") == 2  # each of the two left the other; a third would tell who
