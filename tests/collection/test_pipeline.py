"""Screening, failing storage, the review desk."""

import pytest
from django.core.files.storage import storages
from PIL import ImageEnhance, ImageFilter

from collection import pipeline, services, tasks
from collection.models import Fingerprint, Image, ImageStatus
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("picture", "status", "reason"),
    [
        (ImageEnhance.Brightness(portrait()).enhance(0.1), ImageStatus.REJECTED, "too_dark"),
        (portrait(size=(400, 500)), ImageStatus.REJECTED, "too_small"),
        (portrait().filter(ImageFilter.GaussianBlur(30)), ImageStatus.NEEDS_REVIEW, "blurred"),
    ],
)
def test_screening_says_why(picture, status, reason):
    image = make_image(picture=encoded(picture, quality=90))
    assert image.status == status
    assert image.transitions.order_by("pk").last().reason == reason


def test_a_bad_file_is_rejected_and_the_next_one_goes_on():
    consent = make_consent()
    bad = make_image(consent, picture=jpeg()[:-4000])
    good = make_image(consent, picture=jpeg(2, 2))
    assert (bad.status, good.status) == (ImageStatus.REJECTED, ImageStatus.ACCEPTED)
    assert "not complete" in bad.latest_reason().says


def test_storage_that_is_away_costs_only_time(settings):
    image = receive(make_consent(), jpeg())
    home = storages["originals"].path(image.original_key)
    import os

    os.rename(home, home + ".away")
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert (image.status, image.attempts) == (ImageStatus.RECEIVED, 1)
    assert "FileNotFoundError" in image.last_error
    os.rename(home + ".away", home)
    Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
    tasks.sweep_due()
    image.refresh_from_db()
    assert (image.status, image.attempts, image.last_error) == (ImageStatus.ACCEPTED, 0, "")


def test_withdrawn_in_the_middle_it_stays_where_it_is():
    consent = make_consent()
    image = receive(consent, jpeg())
    withdraw(consent=consent)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.RECEIVED
    assert not Fingerprint.objects.filter(image=image).exists()


def test_a_reviewer_settles_once():
    image = make_image(picture=encoded(portrait().filter(ImageFilter.GaussianBlur(30)), quality=90))
    reviewer = make_user("", "reviewer")
    services.settle_review(image=image, decision="accept", reviewer=reviewer)
    image.refresh_from_db()
    assert image.status == ImageStatus.SCREENED
    assert image.transitions.order_by("pk").last().actor == f"user:{reviewer.pk}"
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
    with pytest.raises(services.Refused, match="before you"):
        services.settle_review(image=image, decision="reject", reviewer=reviewer)
