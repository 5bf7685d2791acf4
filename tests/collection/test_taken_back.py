"""What somebody took back does not come back through somebody else, and its owner may send it again."""

import datetime
import io

import pytest
from django.utils import timezone
from PIL import Image as Pillow

from collection import claims, erasure, review, taken_back
from collection.models import Image, ImageStatus, Removal, TakenBack
from collection.recognition import forget_digests
from collection.removals import remove_images
from collection.services import settle_review
from consent.models import Aftermath
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.collection.test_library import make_zip, run
from tests.consent.factories import make_consent, make_licence, make_user

pytestmark = pytest.mark.django_db
PHOTO = jpeg(person=1, shot=1)
GONE = "was taken back before"


def saved_anew(picture: bytes) -> bytes:
    """The same pixels in other bytes."""
    out = io.BytesIO()
    Pillow.open(io.BytesIO(picture)).save(out, "PNG")
    return out.getvalue()


def recompressed() -> bytes:
    return encoded(portrait(1, 1), quality=45)


def take_back(image: Image, aftermath: str = Aftermath.ERASE) -> None:
    remove_images(images=[image], cause=Removal.Cause.WITHDRAWN, aftermath=aftermath)


def status_of(image: Image) -> tuple[str, str]:
    image.refresh_from_db()
    return image.status, image.latest_reason().says


@pytest.mark.parametrize("aftermath", Aftermath.values)
@pytest.mark.parametrize("whole", [False, True])
def test_others_cannot_send_the_same_file_and_its_owner_can(aftermath, whole):
    consent = make_consent()
    image = make_image(consent, picture=PHOTO)
    if whole:
        withdraw(consent=consent, aftermath=aftermath)
        consent = make_consent(consent.contributor, text=consent.text)
    else:
        take_back(image, aftermath)
    erasure.purge_withdrawn()
    with pytest.raises(Refused, match=GONE):
        receive(make_consent(), PHOTO)
    assert make_image(consent, picture=PHOTO).status == ImageStatus.ACCEPTED


def test_the_same_pixels_are_turned_down():
    take_back(make_image(picture=PHOTO))
    erasure.purge_withdrawn()
    again = make_image(picture=saved_anew(PHOTO))
    assert again.status == ImageStatus.REJECTED
    assert GONE in again.latest_reason().says


@pytest.mark.parametrize("picture", [PHOTO, recompressed()])
def test_nor_in_the_minute_until_the_sweep(picture):
    consent = make_consent()
    withdraw(consent=make_image(consent, picture=PHOTO).consent)
    again = make_image(picture=picture)
    assert again.status == ImageStatus.REJECTED
    assert GONE in again.latest_reason().says
    renewed = make_consent(consent.contributor, text=consent.text)
    assert make_image(renewed, picture=picture).status == ImageStatus.ACCEPTED


def test_what_waits_at_the_desk_because_it_looks_like_it_is_turned_down():
    first = make_image(picture=PHOTO)
    second, third = make_image(picture=recompressed()), make_image(picture=encoded(portrait(1, 1), quality=60))
    reviewer = make_user("", "reviewer")
    settle_review(image=third, decision="accept", reviewer=reviewer)  # somebody looked whose it is
    take_back(first)
    with pytest.raises(
        Refused, match="was taken back by the person"
    ):  # nobody accepts it in the minute until the sweep
        settle_review(image=second, decision="accept", reviewer=reviewer)
    erasure.purge_withdrawn()
    status, says = status_of(second)
    assert (status, GONE in says) == (ImageStatus.REJECTED, True)
    assert status_of(third)[0] == ImageStatus.ACCEPTED
    assert second.transitions.last().actor == ""


def test_a_reviewers_yes_that_can_still_be_undone_is_void():
    first = make_image(picture=PHOTO)
    second = make_image(picture=recompressed())
    reviewer = make_user("", "reviewer")
    claims.take_case(image_id=second.pk, reviewer=reviewer)
    review.decide(image_id=second.pk, reviewer=reviewer, kind="accept")
    take_back(first)
    erasure.purge_withdrawn()
    assert review.apply_due() == []
    assert status_of(second)[0] == ImageStatus.REJECTED


def test_the_second_of_two_shuts_nobody_out_by_taking_theirs_back():
    """Whoever gets hold of somebody's photograph could otherwise send it and take it back, and so keep it from them."""
    consent = make_consent()
    first = make_image(consent, picture=PHOTO)
    second = make_image(picture=PHOTO)
    assert second.status == ImageStatus.NEEDS_REVIEW
    take_back(second)
    erasure.purge_withdrawn()
    assert status_of(first)[0] == ImageStatus.ACCEPTED
    assert not TakenBack.objects.exists()


def test_an_end_that_nobody_asked_for_bars_nobody():
    consent = make_consent()
    make_image(consent, picture=PHOTO)
    later = consent.expires_at + datetime.timedelta(days=1)
    erasure.purge_withdrawn(clock=later)
    assert Image.objects.get().status == ImageStatus.PURGED
    assert not TakenBack.objects.exists()


def test_rows_of_a_library_are_left_out():
    take_back(make_image(picture=PHOTO))
    erasure.purge_withdrawn()
    archive = make_zip([("1.jpg", "x", "yes"), ("2.jpg", "x", "yes")], {"1.jpg": PHOTO, "2.jpg": jpeg(2, 2)})
    done = run(archive, make_licence())
    assert (done.imported, done.refused_count) == (1, 1)


def test_no_plain_hash_and_no_pseudonym_is_kept():
    image = make_image(picture=PHOTO)
    plain = {image.sha256, image.clean_sha256, image.fingerprint.pixels_sha256, image.subject}
    take_back(image)
    erasure.purge_withdrawn()
    erasure.purge_withdrawn()
    rows = list(TakenBack.objects.values_list("owner", "digest"))
    assert len(rows) == len(plain) - 1
    assert not plain & {value for row in rows for value in row}


def test_digests_go_after_their_time(settings):
    take_back(make_image(picture=PHOTO))
    erasure.purge_withdrawn()
    later = timezone.now() + datetime.timedelta(days=settings.REMOVED_DIGEST_DAYS)
    assert forget_digests(clock=later - datetime.timedelta(hours=1)) == 0
    assert forget_digests(clock=later + datetime.timedelta(hours=1)) > 0
    assert make_image(picture=PHOTO).status == ImageStatus.ACCEPTED


def test_many_files_are_asked_for_at_once(django_assert_num_queries):
    image = make_image(picture=PHOTO)
    sha256, subject = image.sha256, image.subject
    take_back(image)
    erasure.purge_withdrawn()
    with django_assert_num_queries(1):
        found = taken_back.taken_back_among([(sha256, "somebody else"), ("0" * 64, subject)])
    assert found == {sha256}
    assert taken_back.taken_back_among([(sha256, subject)]) == set()
