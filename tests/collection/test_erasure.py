"""Promise 5 for images: refused at once, gone by the sweep, and nothing left anywhere."""

from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import storages

from collection import erasure, storage
from collection.models import Fingerprint, Image, ImageStatus, Resemblance
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent

pytestmark = pytest.mark.django_db


def files_of(image: Image) -> list[Path]:
    return [p for p in Path(settings.VAR_DIR / "storage").rglob("*") if p.is_file() and image.pk.hex in str(p)]


def test_purging_leaves_no_byte_and_no_hash():
    consent = make_consent()
    original = make_image(consent, picture=encoded(portrait(5, 5)))
    copy = make_image(consent, picture=encoded(portrait(5, 5), quality=40))
    other = make_image()
    assert len(files_of(original)) == 3
    withdraw(consent=consent)
    assert erasure.purge_withdrawn() == 2
    for image in (original, copy):
        image.refresh_from_db()
        assert image.status == ImageStatus.PURGED
        assert files_of(image) == []
        assert (image.sha256, image.clean_sha256, image.original_key, image.client_name) == ("", "", "", "")
    assert list(Fingerprint.objects.values_list("image_id", flat=True)) == [other.pk]
    assert not Resemblance.objects.exists()
    assert len(files_of(other)) == 3


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
    storage.write_once(storages["originals"], lost, jpeg())
    assert erasure.remove_orphans() == 0  # it may be an upload whose row is about to be written
    os.utime(storages["originals"].path(lost), (1, 1))
    os.utime(storages["originals"].path(image.original_key), (1, 1))
    assert erasure.remove_orphans() == 1
    assert not storages["originals"].exists(lost)
    assert storages["originals"].exists(image.original_key)
