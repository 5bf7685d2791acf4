"""The rights checks, from the lasting one to the narrowest: entitled, with_live_basis, usable_for, open_for."""

import datetime
from collections import Counter

import pytest
from django.utils import timezone

from annotation.models import LabelTask
from annotation.retract import mark_lost
from annotation.services import may_be_seen, plan_tasks
from collection.models import Freeze, Image, Removal
from consent.models import Consent, PurposeEnd, RightsRequest
from consent.withdrawals import withdraw
from exports.definitions import current_definition
from exports.selection import candidates
from tests.annotation.factories import make_campaign
from tests.collection.factories import make_image
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text
from tests.exports.factories import make_dataset

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def standing(image, purpose="research", at=None):
    """Which of the four checks an image passes."""
    images = Image.objects
    checks = {
        "entitled": images.entitled(purpose, at),
        "live": images.with_live_basis(purpose, at),
        "usable": images.usable_for(purpose, at),
        "open": images.open_for(purpose, at),
    }
    return {name for name, found in checks.items() if found.filter(pk=image.pk).exists()}


ALL = {"entitled", "live", "usable", "open"}


def freeze(image):
    request = RightsRequest.objects.create(kind="depicted", due_at=timezone.now() + 30 * DAY)
    return Freeze.objects.create(image=image, request=request)


def sign(contributor, text, purposes=("research",)):
    return make_consent(contributor, purposes, text=text)


# --- R07: a new major version --------------------------------------------------------------------


def test_r07_a_new_major_version_keeps_earlier_images_out_of_new_uses():
    text = make_text(slug="faces", version="1.0.0")
    image = make_image(sign(make_contributor(), text))
    before = timezone.now()
    assert standing(image) == ALL
    make_text(slug="faces", version="2.0.0", recipients=["Somebody else"])
    assert standing(image) == ALL - {"open"}  # what was begun goes on, nothing new begins
    assert standing(image, at=before) == ALL  # a snapshot of then stays what it was


def test_r07_signing_again_opens_them_for_what_both_signatures_allow():
    contributor = make_contributor()
    image = make_image(sign(contributor, make_text(("research", "product"), slug="faces", version="1.0.0")))
    new = make_text(("research", "product"), slug="faces", version="2.0.0", recipients=["Somebody else"])
    sign(make_contributor(), new)
    assert "open" not in standing(image)  # somebody else's signature
    again = sign(contributor, new, ("research", "product"))
    assert standing(image) == ALL
    assert standing(image, "product") == set()  # allowed for the first time: for photographs sent from now on
    withdraw(consent=again)
    assert "open" not in standing(image)


def test_r07_a_minor_version_changes_nothing():
    image = make_image(sign(make_contributor(), make_text(slug="faces", version="1.0.0")))
    make_text(slug="faces", version="1.1.0", summary="Clearer words.")
    assert standing(image) == ALL


def test_r07_images_under_outdated_terms_get_no_new_label_task():
    campaign = make_campaign()
    image = make_image(sign(make_contributor(), make_text(slug="faces", version="1.0.0")))
    make_text(slug="faces", version="2.0.0", recipients=["Somebody else"])
    assert plan_tasks(campaign=campaign) == 0
    assert not LabelTask.objects.filter(image=image).exists()


# --- R01, R09: what a release may hold -----------------------------------------------------------


def test_r01_r09_an_expired_consent_is_usable_for_nothing_from_that_second_on():
    image = make_image()
    end = image.consent.expires_at
    assert standing(image, at=end - datetime.timedelta(microseconds=1)) == ALL
    assert standing(image, at=end) == set()
    definition = current_definition(make_dataset())
    assert [one.image.pk for one in candidates(definition, end - DAY, Counter())] == [image.pk]
    assert list(candidates(definition, end, Counter())) == []


# --- Freezing and removing -----------------------------------------------------------------------


def test_a_frozen_image_is_refused_everywhere_and_loses_nothing():
    campaign = make_campaign()
    image = make_image()
    plan_tasks(campaign=campaign)
    task = LabelTask.objects.get(image=image)
    LabelTask.objects.filter(pk=task.pk).update(state="pushing")
    assert may_be_seen(task=task)
    held = freeze(image)
    assert standing(image) == {"entitled"}
    assert not may_be_seen(task=task)
    mark_lost(campaign=campaign)
    assert LabelTask.objects.get(pk=task.pk).state == "pushing"  # nothing is retracted by a freeze
    Freeze.objects.filter(pk=held.pk).update(lifted_at=timezone.now())
    assert standing(image) == ALL
    assert may_be_seen(task=task)


def test_a_removed_image_is_entitled_to_nothing_while_its_consent_lives():
    image = make_image()
    other = make_image(image.consent)
    Removal.objects.create(image=image, cause="withdrawn")
    assert standing(image) == set()
    assert Consent.objects.live("research").filter(pk=image.consent_id).exists()
    assert standing(other) == ALL


# --- The end of a purpose ------------------------------------------------------------------------


def test_an_ended_purpose_is_covered_by_nothing():
    consent = make_consent(purposes=("research", "product"))
    image, bought = make_image(consent), make_licence(("research",))
    PurposeEnd.objects.create(purpose_id="research", reason="The project is over.")
    assert standing(image) == set()
    assert standing(image, "product") == ALL
    assert not type(bought).objects.live().filter(pk=bought.pk).exists()


def test_what_destroys_may_be_told_a_clock_of_its_own():
    """A clock that is wrong by years must not end what it has no right to end; acts bite all the same."""
    image = make_image()
    far = timezone.now() + 4000 * DAY
    assert not Image.objects.entitled(at=far).exists()
    assert not Image.objects.lost(clock=timezone.now()).exists()
    withdraw(consent=image.consent)
    assert Image.objects.lost(clock=timezone.now()).get() == image
