"""Promise 5 for images: refused at once, gone by the sweep, and nothing left anywhere."""

import datetime
import uuid
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import storages
from django.utils import timezone

from collection import erasure, keys, storage
from collection.models import Fingerprint, Image, ImageStatus, Removal, Resemblance
from consent.models import Contributor, PurposeEnd, Withdrawal
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_licence, make_text

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def files_of(image: Image) -> list[Path]:
    return [p for p in Path(settings.VAR_DIR / "storage").rglob("*") if p.is_file() and image.pk.hex in str(p)]


def test_purging_leaves_no_byte_and_no_hash():
    consent = make_consent()
    original = make_image(consent, picture=encoded(portrait(5, 5)))
    copy = make_image(consent, picture=encoded(portrait(5, 5), quality=40))
    other = make_image()
    assert len(files_of(original)) == 4  # original, clean copy, preview, key
    withdraw(consent=consent)
    assert erasure.purge_withdrawn() == 2
    for image in (original, copy):
        image.refresh_from_db()
        assert image.status == ImageStatus.PURGED
        assert files_of(image) == []
        assert (image.sha256, image.clean_sha256, image.original_key, image.client_name) == ("", "", "", "")
    assert list(Fingerprint.objects.values_list("image_id", flat=True)) == [other.pk]
    assert not Resemblance.objects.exists()
    assert len(files_of(other)) == 4


def test_withdrawing_one_purpose_of_two_purges_nothing():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    withdraw(consent=image.consent, purpose="research")
    assert erasure.purge_withdrawn() == 0
    withdraw(consent=image.consent, purpose="evaluation")
    assert erasure.purge_withdrawn() == 1


def test_purging_twice_is_harmless():
    image = make_image()
    withdraw(consent=image.consent)
    assert erasure.purge(image)
    assert not erasure.purge(image)
    assert image.transitions.filter(new=ImageStatus.PURGED).count() == 1


def test_bytes_that_no_row_owns_are_removed_once_they_are_old():
    import os

    image = receive(make_consent(), jpeg())
    lost = "ab/" + "ab" * 16 + "/" + "0" * 64 + ".jpg"
    keys.make_image_key(image_id=uuid.UUID(hex="ab" * 16), subject="nobody")
    storage.write_once(storages["originals"], lost, jpeg())
    assert erasure.remove_orphans() == 0  # it may be an upload whose row is about to be written
    os.utime(storages["originals"].path(lost), (1, 1))
    os.utime(storages["originals"].path(image.original_key), (1, 1))
    assert erasure.remove_orphans() == 1
    assert not storages["originals"].exists(lost)
    assert storages["originals"].exists(image.original_key)


# --- Why it goes ---------------------------------------------------------------------------------


def reason(image):
    """Why the image was purged, else None."""
    purged = image.transitions.filter(new=ImageStatus.PURGED).first()
    return purged and purged.reason


def take_back(consent, aftermath="erase", cause="withdrawn", purpose=None):
    return Withdrawal.objects.create(consent=consent, aftermath=aftermath, cause=cause, purpose_id=purpose)


def remove(image, aftermath="erase", cause="withdrawn"):
    return Removal.objects.create(image=image, aftermath=aftermath, cause=cause)


def test_r13_photographs_go_when_the_term_of_their_permission_ends():
    image = make_image(make_consent(text=make_text(slug="short", retention_days=30)))
    assert erasure.purge_withdrawn(clock=timezone.now() + 29 * DAY) == 0
    assert erasure.purge_withdrawn(clock=timezone.now() + 30 * DAY) == 1
    assert reason(image) == "expired"
    assert files_of(image) == []


def test_r13_photographs_go_when_every_purpose_is_over():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    other = make_image(make_consent(purposes=("research", "product")))
    PurposeEnd.objects.create(purpose_id="research", reason="The project is over.")
    assert erasure.purge_withdrawn() == 0
    PurposeEnd.objects.create(purpose_id="evaluation", reason="The project is over.")
    assert erasure.purge_withdrawn() == 1
    assert (reason(image), reason(other)) == ("purpose_over", None)


def test_photographs_go_when_one_purpose_is_over_and_the_other_was_taken_back():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    PurposeEnd.objects.create(purpose_id="research", reason="The project is over.")
    take_back(image.consent, purpose="evaluation")
    assert erasure.purge_withdrawn() == 1


def test_licensed_photographs_go_the_day_after_their_term():
    licence = make_licence()
    image = make_image(licence=licence)
    last_day = datetime.datetime.combine(licence.ends_on, datetime.time.max, datetime.UTC)
    assert erasure.purge_withdrawn(clock=last_day) == 0
    assert erasure.purge_withdrawn(clock=last_day + datetime.timedelta(microseconds=1)) == 1
    assert reason(image) == "ended"


@pytest.mark.parametrize("cause", Withdrawal.Cause.values)
def test_the_transition_names_the_cause_of_the_withdrawal(cause):
    image = make_image()
    take_back(image.consent, cause=cause)
    erasure.purge_withdrawn()
    assert reason(image) == cause
    image.refresh_from_db()
    assert image.latest_reason().says.startswith("was erased")


@pytest.mark.parametrize("cause", Removal.Cause.values)
def test_a_removed_photograph_goes_alone_and_says_why(cause):
    image = make_image()
    other = make_image(image.consent)
    remove(image, cause=cause)
    assert erasure.purge_withdrawn() == 1
    assert (reason(image), reason(other)) == (cause, None)
    image.refresh_from_db()
    assert image.latest_reason().says.startswith("was erased")
    assert len(files_of(other)) == 4


def test_a_removed_photograph_of_a_library_goes_too():
    image = make_image(licence=make_licence())
    remove(image, cause="depicted")
    assert erasure.purge_withdrawn() == 1


# --- Kept for their owner alone ------------------------------------------------------------------


def keep_all(image):
    take_back(image.consent, "keep")


def keep_one(image):
    remove(image, "keep")


KEEPING = pytest.mark.parametrize("keep", [keep_all, keep_one])


@KEEPING
def test_what_an_owner_keeps_loses_its_hashes_and_no_byte(keep):
    consent = make_consent()
    image = make_image(consent, picture=encoded(portrait(5, 5)))
    make_image(consent, picture=encoded(portrait(5, 5), quality=40))
    assert Resemblance.objects.exists()
    keep(image)
    assert erasure.purge_withdrawn() == 0
    assert not Fingerprint.objects.filter(image=image).exists()
    assert not Resemblance.objects.exists()
    assert len(files_of(image)) == 4
    assert list(erasure.kept_images(clock=timezone.now()).filter(pk=image.pk)) == [image]
    image.refresh_from_db()
    assert (image.status, bool(image.original_key)) == (ImageStatus.ACCEPTED, True)
    assert not Image.objects.entitled().filter(pk=image.pk).exists()


@KEEPING
def test_what_an_owner_keeps_goes_when_the_term_ends(keep):
    image = make_image()
    keep(image)
    end = image.consent.expires_at
    assert erasure.purge_withdrawn(clock=end - DAY / 2) == 0
    assert erasure.purge_withdrawn(clock=end) == 1
    assert files_of(image) == []


@KEEPING
def test_what_an_owner_keeps_goes_with_the_account(keep):
    image = make_image()
    keep(image)
    Contributor.objects.update(user=None)
    assert erasure.purge_withdrawn() == 1


@KEEPING
def test_r13_what_an_owner_keeps_goes_when_they_are_not_heard_of(keep, settings):
    image = make_image(make_consent(text=make_text(slug="long", retention_days=4000)))
    keep(image)
    silence = settings.RETENTION_CONTACT_DAYS * DAY
    assert erasure.purge_withdrawn(clock=timezone.now() + silence - DAY) == 0
    assert erasure.purge_withdrawn(clock=timezone.now() + silence) == 1


def test_a_later_act_that_says_erase_erases_what_was_kept():
    by_withdrawal, by_removal, neither = make_image(), make_image(), make_image()
    for image in (by_removal, neither):
        take_back(image.consent, "keep")
    remove(by_removal)
    remove(by_withdrawal, "keep")
    take_back(by_withdrawal.consent)
    assert erasure.purge_withdrawn() == 2
    assert (reason(by_withdrawal), reason(by_removal), reason(neither)) == ("withdrawn", "withdrawn", None)


def test_taking_back_one_purpose_does_not_erase_a_photograph_that_was_kept():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    remove(image, "keep")
    take_back(image.consent, purpose="research")
    assert erasure.purge_withdrawn() == 0
    take_back(image.consent)
    assert erasure.purge_withdrawn() == 1


def test_the_last_word_counts_when_purposes_are_taken_back_one_by_one():
    image = make_image(make_consent(purposes=("research", "evaluation")))
    take_back(image.consent, "erase", purpose="research")
    take_back(image.consent, "keep", purpose="evaluation")
    assert erasure.purge_withdrawn() == 0
