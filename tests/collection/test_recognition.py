"""A photograph that the desk erased because of somebody in it does not come in again."""

import datetime
import io

import pytest
from django.utils import timezone
from PIL import Image as Pillow

from collection import erasure, freezes, pipeline, recognition, storage
from collection.models import Fingerprint, Image, ImageStatus, Removal, RemovedDigest
from collection.removals import remove_images
from consent import desk
from consent.models import Aftermath, RightsRequest
from consent.refusals import Refused
from tests.collection.factories import make_image, receive
from tests.collection.pictures import jpeg
from tests.collection.test_library import make_zip, run
from tests.consent.factories import make_consent, make_contributor, make_licence, make_user

pytestmark = pytest.mark.django_db
Kind = RightsRequest.Kind


def erase(image: Image, kind: str = Kind.DEPICTED) -> RightsRequest:
    request = desk.open_request(kind=kind, name="Somebody", email="somebody@example.org", details="That is me.")
    freezes.freeze_images(images=[image.pk], request=request)
    freezes.erase_frozen(request=request, images=[image.pk])
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert image.status == ImageStatus.PURGED
    return request


def consent_of(email: str):
    return make_consent(make_contributor(make_user(email)))


def saved_anew(picture: bytes) -> bytes:
    """The same pixels in other bytes: a lossless copy, which is what a screenshot tool or a converter makes."""
    out = io.BytesIO()
    Pillow.open(io.BytesIO(picture)).save(out, "PNG")
    return out.getvalue()


def stored_originals() -> set[str]:
    bucket = storage.originals()
    return {key for image_id in storage.image_ids(bucket) for key in storage.keys_of(bucket, image_id)}


@pytest.mark.parametrize("kind", [Kind.DEPICTED, Kind.MINOR])
def test_the_same_file_is_refused_at_the_door(kind):
    picture = jpeg(person=1, shot=1)
    erase(make_image(consent_of("ada@example.org"), picture=picture), kind)
    with pytest.raises(Refused, match="taken out for good before"):
        receive(consent_of("bob@example.org"), picture)
    before = stored_originals()
    archive = make_zip([("1.jpg", "x", "yes"), ("2.jpg", "x", "yes")], {"1.jpg": picture, "2.jpg": jpeg(2, 2)})
    done = run(archive, make_licence())
    assert (done.imported, done.refused_count) == (1, 1)
    assert "taken out for good before" in done.refused.get().reason
    assert Image.objects.count() == 2
    assert stored_originals() - before == {Image.objects.get(licence__isnull=False).original_key}


def test_the_same_pixels_are_turned_down_and_erased_under_the_same_request():
    picture = jpeg(person=1, shot=1)
    request = erase(make_image(consent_of("ada@example.org"), picture=picture))
    again = receive(consent_of("bob@example.org"), saved_anew(picture))
    pipeline.advance(again.pk)
    again.refresh_from_db()
    assert again.status == ImageStatus.REJECTED
    assert "taken out for good before" in again.latest_reason().says
    removal = Removal.objects.get(image=again)
    assert (removal.cause, removal.request) == (Removal.Cause.DEPICTED, request)
    assert not Fingerprint.objects.filter(image=again).exists()
    erasure.purge_withdrawn()
    again.refresh_from_db()
    assert again.status == ImageStatus.PURGED
    with pytest.raises(Refused):  # by now its bytes are known too
        receive(consent_of("cem@example.org"), saved_anew(picture))


def test_what_the_owner_takes_back_may_come_again():
    picture = jpeg(person=1, shot=1)
    consent = consent_of("ada@example.org")
    remove_images(images=[make_image(consent, picture=picture)], cause=Removal.Cause.WITHDRAWN)
    erasure.purge_withdrawn()
    assert not RemovedDigest.objects.exists()
    assert make_image(consent, picture=picture).status == ImageStatus.ACCEPTED


def test_what_is_kept_for_its_owner_leaves_no_digest():
    image = make_image(consent_of("ada@example.org"))
    remove_images(images=[image], cause=Removal.Cause.DEPICTED, aftermath=Aftermath.KEEP)
    assert not RemovedDigest.objects.exists()


def test_no_plain_hash_of_an_erased_photograph_is_kept():
    image = make_image(consent_of("ada@example.org"), picture=jpeg(person=1, shot=1))
    plain = {image.sha256, image.clean_sha256, image.fingerprint.pixels_sha256}
    erase(image)
    kept = set(RemovedDigest.objects.values_list("digest", flat=True))
    assert len(kept) == len(plain)
    assert not kept & plain


def test_the_digests_do_not_hang_on_the_secret_key(settings):
    before = recognition.digests_of(["0" * 64])
    settings.SECRET_KEY = "another one"
    assert recognition.digests_of(["0" * 64]) == before


def test_digests_go_after_their_time(settings):
    picture = jpeg(person=1, shot=1)
    erase(make_image(consent_of("ada@example.org"), picture=picture))
    later = timezone.now() + datetime.timedelta(days=settings.REMOVED_DIGEST_DAYS)
    assert recognition.forget_digests(clock=later - datetime.timedelta(hours=1)) == 0
    assert recognition.forget_digests(clock=later + datetime.timedelta(hours=1)) > 0
    assert make_image(consent_of("bob@example.org"), picture=picture).status == ImageStatus.ACCEPTED
