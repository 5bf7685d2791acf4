"""Moderation and age estimation: one contract for every adapter; cost, cap, failure; and that nothing is learnt."""

import datetime
import json
from decimal import Decimal
from itertools import count

import boto3
import pytest
from botocore.exceptions import ConnectTimeoutError
from botocore.stub import ANY, Stubber
from django.db import connection

from collection import age, erasure, moderation, pipeline, vendors
from collection.models import Image, ImageStatus, VendorCall
from collection.vendors import VendorError
from consent.models import Demographics
from consent.roles import DATA_MANAGER
from consent.withdrawals import withdraw
from tests.collection.factories import receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_user

_shots = count(1)
JPEG = b"\xff\xd8 a preview"
EXPLICIT = {"ModerationLabels": [{"Name": "Explicit Nudity", "Confidence": 97.0}]}
YOUNG = {"FaceDetails": [{"AgeRange": {"Low": 34, "High": 44}}, {"AgeRange": {"Low": 12, "High": 20}}]}
OLD = {"FaceDetails": [{"AgeRange": {"Low": 34, "High": 44}}]}
METHODS = {
    moderation.RekognitionModerator: ("detect_moderation_labels", {"Image": {"Bytes": JPEG}, "MinConfidence": 60}),
    age.RekognitionAgeEstimator: ("detect_faces", {"Image": {"Bytes": JPEG}, "Attributes": ["AGE_RANGE"]}),
}


def rekognition(adapter, *answers, error=None):
    """The vendor's class on a stubbed botocore; it fails when anything but the preview's bytes is sent."""
    client = boto3.client("rekognition", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    method, sent = METHODS[adapter]
    for answer in answers:
        stubber.add_response(method, answer, sent)
    if error:
        stubber.add_client_error(method, error)
    stubber.activate()
    return adapter("eu-central-1", client=client)


ADAPTERS = {
    "moderation desk": (moderation.HumanDesk, False),
    "moderation fake": (lambda: moderation.FakeModerator(lambda preview: True), True),
    "moderation rekognition, clear": (
        lambda: rekognition(moderation.RekognitionModerator, {"ModerationLabels": []}),
        False,
    ),
    "moderation rekognition, named": (lambda: rekognition(moderation.RekognitionModerator, EXPLICIT), True),
    "age desk": (age.HumanDesk, False),
    "age fake": (lambda: age.FakeAgeEstimator(lambda preview: False), False),
    "age rekognition, one is young": (lambda: rekognition(age.RekognitionAgeEstimator, YOUNG), True),
    "age rekognition, adults": (lambda: rekognition(age.RekognitionAgeEstimator, OLD), False),
    "age rekognition, no face": (lambda: rekognition(age.RekognitionAgeEstimator, {"FaceDetails": []}), False),
}


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_says_whether_a_person_must_look_and_nothing_else(name):
    make, expected = ADAPTERS[name]
    vendor = make()
    assert vendor.must_look(JPEG) is expected
    assert vendor.name
    assert vendor.price is None or vendor.price > 0
    assert (vendor.price is None) == (vendor.name == "desk")


@pytest.mark.parametrize("adapter", METHODS)
@pytest.mark.parametrize(
    ("error", "retry"),
    [
        ("ThrottlingException", True),
        ("ProvisionedThroughputExceededException", True),
        ("InternalServerError", True),
        ("AccessDeniedException", False),
        ("InvalidImageFormatException", False),
        ("ImageTooLargeException", False),
    ],
)
def test_an_error_says_whether_a_retry_helps(adapter, error, retry):
    with pytest.raises(VendorError) as caught:
        rekognition(adapter, error=error).must_look(JPEG)
    assert caught.value.retry is retry


@pytest.mark.parametrize("adapter", METHODS)
def test_no_network_is_worth_a_retry_and_says_no_more_than_its_kind(adapter):
    class Away:
        def __getattr__(self, name):
            def call(**sent):
                raise ConnectTimeoutError(endpoint_url="https://rekognition.example")

            return call

    with pytest.raises(VendorError, match="ConnectTimeoutError") as caught:
        adapter("eu-central-1", client=Away()).must_look(JPEG)
    assert caught.value.retry is True


def test_the_settings_name_rekognition(settings):
    options = {"region": "eu-central-1", "price": "0.0008"}
    settings.MODERATION = {"BACKEND": "collection.moderation.RekognitionModerator", "OPTIONS": options}
    settings.AGE_ESTIMATION = {"BACKEND": "collection.age.RekognitionAgeEstimator", "OPTIONS": options}
    for kind in VendorCall.Kind:
        assert (vendors.vendor_for(kind).name, vendors.vendor_for(kind).price) == ("rekognition", Decimal("0.0008"))


# --- In the pipeline ------------------------------------------------------------------------------


class Vendor:
    """Answers in turn; what is an exception is raised. Fails when it is called inside a transaction."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []

    def __call__(self, preview):
        assert len(connection.savepoint_ids) <= self.depth
        self.seen.append(preview)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest.fixture
def use(settings, db):
    def use(moderator=None, estimator=None, price="0.01"):
        for vendor, name, backend in (
            (moderator, "MODERATION", "collection.moderation.FakeModerator"),
            (estimator, "AGE_ESTIMATION", "collection.age.FakeAgeEstimator"),
        ):
            if vendor:
                vendor.depth = len(connection.savepoint_ids)
                setattr(settings, name, {"BACKEND": backend, "OPTIONS": {"answer": vendor, "price": price}})

    return use


def send(consent=None):
    shot = next(_shots)
    image = receive(consent or make_consent(), jpeg(person=shot, shot=shot))
    return advance(image)


def advance(image):
    Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    return image


def reason_of(image):
    last = image.transitions.order_by("pk").last()
    return last.reason, last.detail


@pytest.mark.django_db
def test_by_default_nobody_is_asked():
    assert send().status == ImageStatus.ACCEPTED
    assert not VendorCall.objects.exists()


@pytest.mark.parametrize("kind", ["moderation", "age"])
def test_what_a_vendor_wants_looked_at_waits_for_a_person(use, kind):
    vendor = Vendor(True)
    use(**{"moderator" if kind == "moderation" else "estimator": vendor})
    image = send()
    assert (image.status, reason_of(image)[0]) == (ImageStatus.NEEDS_REVIEW, kind)
    call = VendorCall.objects.get()
    assert (call.kind, call.outcome, call.cost, call.vendor) == (kind, "desk", Decimal("0.01"), "fake")
    with pipeline.storage.open_preview(image) as preview:
        assert vendor.seen == [preview.read()]


def test_each_is_asked_once_and_the_photograph_goes_on(use):
    moderator, estimator = Vendor(False), Vendor(False)
    use(moderator, estimator)
    assert send().status == ImageStatus.ACCEPTED
    assert set(VendorCall.objects.values_list("kind", "outcome")) == {("moderation", "passed"), ("age", "passed")}
    assert vendors.spent_this_month() == Decimal("0.02")


@pytest.mark.django_db
def test_no_attribute_of_a_person_is_kept(settings):
    """R33: what a vendor answers decides a queue. No row anywhere says what it saw."""
    client = boto3.client("rekognition", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    face = {"AgeRange": {"Low": 61, "High": 69}, "Gender": {"Value": "Female", "Confidence": 99.0}}
    stubber.add_response(
        "detect_faces", {"FaceDetails": [face]}, {"Image": {"Bytes": ANY}, "Attributes": ["AGE_RANGE"]}
    )
    stubber.activate()
    settings.AGE_ESTIMATION = {
        "BACKEND": "collection.age.RekognitionAgeEstimator",
        "OPTIONS": {"region": "eu-central-1", "client": client},
    }
    image = send()
    assert image.status == ImageStatus.ACCEPTED
    stubber.assert_no_pending_responses()
    call = VendorCall.objects.get()
    allowed = {"id", "image_id", "kind", "vendor", "cost", "outcome", "at"}
    assert {field.attname for field in VendorCall._meta.concrete_fields} == allowed
    kept = json.dumps([call.kind, call.vendor, call.outcome, image.screening.measures, image.screening.failures])
    assert not {"61", "69", "Female", "Gender"} & set(kept.replace('"', " ").replace(",", " ").split())
    assert not Demographics.objects.exists()


def test_at_the_cap_people_look_and_nobody_is_called(use, settings):
    settings.VENDOR_MONTHLY_CAP = Decimal("0.025")
    vendor = Vendor(False, False)
    use(vendor)
    assert [send().status for _ in range(2)] == [ImageStatus.ACCEPTED] * 2
    held = send()
    assert (held.status, reason_of(held)) == (
        ImageStatus.NEEDS_REVIEW,
        ("moderation", "the monthly cap for vendors is reached"),
    )
    assert vendors.spent_this_month() == Decimal("0.02")


def test_the_cap_begins_anew_each_month(use, settings):
    settings.VENDOR_MONTHLY_CAP = Decimal("0.01")
    VendorCall.objects.create(
        kind="age", vendor="fake", cost=5, at=datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=32)
    )
    use(Vendor(False))
    assert send().status == ImageStatus.ACCEPTED


def test_a_vendor_that_fails_for_good_leaves_it_to_people(use):
    use(Vendor(VendorError("no", retry=False)))
    image = send()
    assert (image.status, reason_of(image)) == (
        ImageStatus.NEEDS_REVIEW,
        ("moderation", "the vendor could not be asked"),
    )
    assert (VendorCall.objects.get().outcome, vendors.spent_this_month()) == ("failed", 0)


def test_a_vendor_that_is_away_is_asked_again_then_people_look(use):
    tries = len(pipeline.DELAYS)
    use(Vendor(*[VendorError("away", retry=True)] * (tries + 1)))
    image = send()
    assert (image.status, image.attempts) == (ImageStatus.SANITIZED, 1)
    for _ in range(tries - 1):
        assert advance(image).status == ImageStatus.SANITIZED
    assert advance(image).status == ImageStatus.NEEDS_REVIEW
    assert reason_of(image)[0] == "moderation"


def test_killed_after_the_call_it_asks_once_more_and_both_are_counted(use):
    use(Vendor(KeyboardInterrupt(), False))
    consent = make_consent()
    image = receive(consent, jpeg(person=70, shot=70))
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(image.pk)
    assert VendorCall.objects.get().outcome == "asked"
    assert advance(image).status == ImageStatus.ACCEPTED
    assert vendors.spent_this_month() == Decimal("0.02")


def test_killed_after_the_note_it_asks_no_more(use):
    vendor = Vendor(False, KeyboardInterrupt(), False)
    use(vendor, vendor)
    image = receive(make_consent(), jpeg(person=71, shot=71))
    with pytest.raises(KeyboardInterrupt):
        pipeline.advance(image.pk)
    assert advance(image).status == ImageStatus.ACCEPTED
    assert VendorCall.objects.filter(kind="moderation").count() == 1


def test_what_a_vendor_was_asked_goes_with_the_photograph_and_the_cost_stays(use):
    use(Vendor(True))
    consent = make_consent()
    image = send(consent)
    withdraw(consent=consent)
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert image.status == ImageStatus.PURGED
    call = VendorCall.objects.get()
    assert (call.image, call.cost) == (None, Decimal("0.01"))


def test_the_staff_page_says_what_it_costs(use, client):
    use(Vendor(True))
    send()
    client.force_login(make_user("", DATA_MANAGER))
    page = client.get("/staff/screening/").content.decode()
    assert "0.01 of 20.00 USD" in page
    assert "a person looks at it" in page
    client.force_login(make_user("", "reviewer"))
    assert client.get("/staff/screening/").status_code == 403
