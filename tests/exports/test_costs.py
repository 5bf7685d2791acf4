"""What photographs cost, by hand."""

from decimal import Decimal

import pytest
from django.utils import timezone

from annotation.models import Annotator, Campaign
from annotation.payout_models import Adjustment
from collection.models import ReviewDecision
from consent.models import PriceBasis
from exports import costs
from tests.consent.factories import make_licence, make_user
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_campaign,
    make_dataset,
    make_image,
    make_published,
    result,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def release():
    """Four photographs: two given, one of a flat licence (20 for the two that use it), one at 1.50 each; all labelled
    once for 0.10, one twice; the fifth is in no release."""
    campaign = make_campaign(overlap=1)
    flat = make_licence(price=Decimal(20), price_basis=PriceBasis.FLAT)
    each = make_licence(price=Decimal("1.50"), price_basis=PriceBasis.PER_IMAGE)
    images = [make_image(), make_image(), make_image(licence=flat), make_image(licence=each)]
    make_image(licence=flat)  # uses the licence up, and nobody labelled it
    ann, bob = make_annotator(), make_annotator()
    for image in images:
        annotate(image, campaign, ann, result())
    annotate(images[0], campaign, bob, result())
    return make_published(make_dataset(campaign=campaign))


def review(image, seconds):
    now = timezone.now()
    fields = {"kind": "accept", "queue": "held", "claimed_at": now, "decided_at": now, "takes_effect_at": now}
    fields["seconds"] = seconds
    ReviewDecision.objects.create(image=image, reviewer=make_user(), **fields)


def test_everything_in_all(release, settings):
    settings.REVIEW_HOURLY_COST, settings.REVIEW_CURRENCY = Decimal(36), "EUR"
    review(release.items.first().image, 150)
    [euros] = costs.all_costs()
    assert (euros.labels, euros.licences, euros.review) == (Decimal("0.50"), Decimal("21.50"), Decimal("1.50"))
    assert euros.total == Decimal("23.50")
    assert euros.share == 2  # 0.50 of 23.50
    assert sum(percent for _, _, percent in euros.parts) == pytest.approx(100)


def test_corrections_of_pay_are_what_labels_cost(release, client):
    made = {"annotator": Annotator.objects.first(), "currency": "EUR", "made_by": make_user()}
    Adjustment.objects.create(amount=Decimal("0.30"), reason="Sent twice as long", **made)
    Adjustment.objects.create(amount=Decimal("-0.10"), reason="Paid for another", **made)
    [euros] = costs.all_costs()
    assert (euros.labels, euros.corrections) == (Decimal("0.70"), Decimal("0.20"))
    client.force_login(make_user("", "data manager"))
    assert "Of the labels, 0.20 EUR are corrections of pay" in client.get("/staff/costs/").content.decode()


def test_hours_without_a_price_cost_nothing(release, settings):
    settings.REVIEW_HOURLY_COST = Decimal(0)
    review(release.items.first().image, 5400)
    assert costs.hours_of_review() == Decimal("1.5")
    assert costs.all_costs()[0].review == 0


def test_currencies_are_never_added(release):
    annotate(make_image(), make_campaign(currency="USD"), make_annotator(), result())
    assert [(one.currency, one.labels) for one in costs.all_costs()] == [
        ("EUR", Decimal("0.50")),
        ("USD", Decimal("0.10")),
    ]


def test_a_campaign_beside_its_budget(release):
    Campaign.objects.update(budget=Decimal("0.30"))
    [row] = costs.campaign_costs()
    assert (row.earned, row.photographs) == (Decimal("0.50"), 4)
    assert row.per_photograph == Decimal("0.1250")
    assert row.forecast.cost == Decimal("0.50")  # the fifth is still to be labelled
    assert row.over == Decimal("0.20")


def test_a_dataset_and_one_of_its_rows(release):
    [row] = costs.dataset_costs()
    [euros] = row.costs
    assert row.rows == 4
    assert (euros.labels, euros.licences) == (Decimal("0.50"), Decimal("11.50"))
    assert row.each == [("EUR", Decimal("3.0000"))]


def test_the_page(client, release, settings):
    client.force_login(make_user("", "data manager"))
    page = client.get("/staff/costs/").content.decode()
    assert "22.00 EUR" in page
    assert "Labels are 2 % of the whole" in page
    assert "REVIEW_HOURLY_COST is not set" in page
    client.force_login(make_user("", "reviewer"))
    assert client.get("/staff/costs/").status_code == 403


def test_nothing_spent_yet(client):
    client.force_login(make_user("", "data manager"))
    assert "Nothing has been spent yet." in client.get("/staff/costs/").content.decode()
