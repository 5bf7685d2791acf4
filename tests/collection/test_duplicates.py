"""Copies are found, lookalikes are not merged, and of two copies that arrive together one is accepted."""

import itertools
import random

import pytest
from PIL import ImageEnhance, ImageFilter, ImageOps

from collection import fingerprints, pipeline
from collection.models import Fingerprint, Image, ImageStatus, Resemblance
from collection.services import settle_review
from consent.withdrawals import withdraw
from tests.collection.factories import advance_at_once, make_call, make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_licence, make_user

pytestmark = pytest.mark.django_db
ORIGINAL = portrait(3, 1)
EDITS = {
    "exact": (encoded(ORIGINAL, quality=90), ImageStatus.DUPLICATE, Resemblance.Kind.EXACT),
    "recompressed": (encoded(ORIGINAL, quality=40), ImageStatus.DUPLICATE, Resemblance.Kind.NEAR),
    "another format": (encoded(ORIGINAL, "WEBP", quality=80), ImageStatus.DUPLICATE, Resemblance.Kind.NEAR),
    "resized": (encoded(ORIGINAL.resize((640, 800)), quality=85), ImageStatus.DUPLICATE, Resemblance.Kind.NEAR),
    "brighter": (
        encoded(ImageEnhance.Brightness(ORIGINAL).enhance(1.25), quality=90),
        ImageStatus.DUPLICATE,
        Resemblance.Kind.NEAR,
    ),
    "mirrored": (encoded(ImageOps.mirror(ORIGINAL), quality=90), ImageStatus.NEEDS_REVIEW, Resemblance.Kind.MIRRORED),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_copy_is_recognised(edit):
    copy, status, kind = EDITS[edit]
    consent = make_consent()
    original = make_image(consent, picture=encoded(ORIGINAL, quality=90))
    found = make_image(consent, picture=copy)
    assert (original.status, found.status) == (ImageStatus.ACCEPTED, status)
    assert [(r.original_id, r.kind) for r in found.resembles.all()] == [(original.pk, kind)]


def test_of_equally_near_matches_the_same_bytes_come_first():
    """A mirrored copy may have the hashes of its original to the bit."""
    kinds = (Resemblance.Kind.EXACT, Resemblance.Kind.NEAR, Resemblance.Kind.MIRRORED)
    images = [make_image() for _ in kinds]
    for order in itertools.permutations(kinds):
        found = {image.pk: (kind, 0) for image, kind in zip(images, order, strict=True)}
        assert [match.kind for match in fingerprints.matches(found)] == list(kinds)


def test_somebody_elses_photograph_is_a_case_for_the_desk():
    make_image(picture=encoded(ORIGINAL, quality=90))
    taken = make_image(picture=encoded(ORIGINAL, quality=50))
    assert taken.status == ImageStatus.NEEDS_REVIEW
    assert taken.latest_reason().says == "looks like a photograph that somebody else sent"


def test_what_a_reviewer_lets_through_screening_is_still_compared():
    blurred = encoded(portrait(4, 1).filter(ImageFilter.GaussianBlur(30)), quality=90)
    reviewer = make_user("", "reviewer")
    for status in (ImageStatus.ACCEPTED, ImageStatus.NEEDS_REVIEW):  # the second person's is a copy of the first's
        copy = make_image(picture=blurred)
        settle_review(image=copy, decision="accept", reviewer=reviewer)
        pipeline.advance(copy.pk)
        copy.refresh_from_db()
        assert copy.status == status
    settle_review(image=copy, decision="accept", reviewer=reviewer)
    copy.refresh_from_db()
    assert copy.status == ImageStatus.ACCEPTED
    assert copy.resembles.count() == 1  # so both go into one split


def test_different_people_and_different_shots_are_not_merged():
    made = [make_image(picture=encoded(portrait(p, s))) for p in range(20, 26) for s in range(4)]
    assert {image.status for image in made} == {ImageStatus.ACCEPTED}


def test_a_look_up_finds_every_hash_within_the_threshold_and_no_other(django_assert_max_num_queries):
    """However the bits that differ are spread over the four bands, as it is and mirrored."""
    dice = random.Random(7)
    hashes = [dice.getrandbits(64) for _ in range(2)]
    own = Fingerprint(phash=fingerprints.signed(hashes[0], 64), mirror=fingerprints.signed(hashes[1], 64))
    licence, images, known, near = make_licence(), [], [], set()
    spreads = [spread for spread in itertools.product(range(12), repeat=4) if sum(spread) in (0, 10, 11)]
    for mirrored, spread in itertools.product((False, True), spreads):
        image = Image(licence=licence, subject="x", external_id=str(len(images)), byte_size=1)
        turned = (1 << (16 * band + bit) for band, many in enumerate(spread) for bit in dice.sample(range(16), many))
        value = hashes[mirrored] ^ sum(turned)
        bands = {f"band{number}": band for number, band in enumerate(fingerprints.bands(value))}
        large = f"{len(images):064x}"
        said = {"phash": fingerprints.signed(value, 64), "mirror": 0, "phash256": large, "mirror256": large, **bands}
        known.append(Fingerprint(image=image, pixels_sha256="", mean_luma=0, sharpness=0, **said))
        images.append(image)
        if sum(spread) <= fingerprints.CANDIDATE_BITS:
            near.add((mirrored, image.pk, large))
    Image.objects.bulk_create(images)
    Fingerprint.objects.bulk_create(known)
    with django_assert_max_num_queries(2):
        assert set(fingerprints.candidates(own)) == near


@pytest.mark.django_db(transaction=True)
def test_of_copies_that_arrive_together_one_is_accepted():
    consent = make_consent()
    call = make_call(form=consent.text.form)
    images = [receive(consent, encoded(ORIGINAL, quality=90 - i), call=call) for i in range(4)]
    advance_at_once(images)
    statuses = sorted(Image.objects.values_list("status", flat=True))
    assert statuses == [ImageStatus.ACCEPTED] + [ImageStatus.DUPLICATE] * 3


def test_what_was_withdrawn_is_compared_with_nothing_of_its_owner_even_before_it_is_purged():
    first = make_image(picture=jpeg(person=3))
    withdraw(consent=first.consent)
    renewed = make_consent(first.consent.contributor, text=first.consent.text)
    assert make_image(renewed, picture=jpeg(person=3)).status == "accepted"
