"""Light, blur and faces: what is turned down, what is held, and that nobody's skin is taken for bad light."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageEnhance, ImageFilter

from collection import erasure, faces, pipeline, quality, screening, services
from collection.models import ImageStatus, Screening, VendorCall
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection import monk
from tests.collection.factories import make_call, make_image, receive
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent, make_user

WALLS = {"white": monk.WHITE_WALL, "grey": monk.GREY_WALL, "dark": monk.DARK_WALL}


def failures_of(picture):
    preview = picture.copy()
    preview.thumbnail((800, 800))
    buffer = io.BytesIO()
    preview.save(buffer, "JPEG", quality=85)
    grey = quality.decode_grey(buffer.getvalue())
    return {failure.reason for failure in quality.failures(quality.measure(grey, faces.find_faces(grey), 800))}


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("tone", monk.TONES)
def test_in_good_light_no_tone_is_turned_down_or_held(tone, wall):
    assert failures_of(monk.portrait(tone, WALLS[wall])) == set()


@pytest.mark.parametrize("tone", monk.TONES)
def test_bad_light_is_seen_in_every_tone(tone):
    good = monk.portrait(tone)
    assert "too_dark" in failures_of(ImageEnhance.Brightness(monk.portrait(tone, monk.WHITE_WALL)).enhance(0.15))
    assert "backlit" in failures_of(monk.backlit(tone))
    assert "too_bright" in failures_of(Pillow.fromarray((210 + np.asarray(good) * 0.15).astype("uint8")))
    assert "blurred" in failures_of(good.filter(ImageFilter.GaussianBlur(9)))


def test_a_face_in_fog_is_held():
    foggy = Pillow.fromarray((140 + np.asarray(monk.portrait(5)) * 0.2).astype("uint8"))
    assert "flat_face" in failures_of(foggy)


def test_a_blurred_background_is_no_fault():
    sharp, soft = portrait(), portrait().filter(ImageFilter.GaussianBlur(12))
    middle = (200, 200, 600, 700)
    soft.paste(sharp.crop(middle), middle[:2])
    assert "blurred" not in failures_of(soft)


@pytest.mark.parametrize("people", [1, 2, 3])
def test_faces_are_counted_and_lie_where_they_are(people):
    grey = np.asarray(monk.portrait(4, people=people).convert("L"))
    found = sorted(faces.find_faces(grey), key=lambda box: box.x)
    assert len(found) == people
    for number, box in enumerate(found):
        assert abs(box.x + box.w / 2 - (number + 0.5) / people) < 0.06
        assert abs(box.y + box.h / 2 - 0.45) < 0.1


def test_a_box_covers_what_lies_in_it():
    box = faces.Box(0.2, 0.2, 0.4, 0.4)
    assert box.covers(faces.Box(0.3, 0.3, 0.1, 0.1)) == pytest.approx(1)
    assert box.covers(faces.Box(0.5, 0.5, 0.2, 0.2)) == pytest.approx(0.25)
    assert box.covers(faces.Box(0.7, 0.7, 0.2, 0.2)) == 0


# --- In the pipeline ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_measures_and_faces_are_kept_and_erased_with_the_photograph():
    consent = make_consent()
    image = make_image(consent, picture=encoded(monk.portrait(6), quality=90))
    assert image.status == ImageStatus.ACCEPTED
    found = image.screening
    assert found.failures == []
    assert len(found.faces) == 1
    assert 0 < found.measures["blur"] < quality.BLUR
    withdraw(consent=consent)
    assert erasure.purge_withdrawn() == 1
    assert not Screening.objects.exists()


@pytest.mark.django_db
def test_purged_while_it_was_measured_it_leaves_nothing(settings):
    consent = make_consent()

    def withdrawn_meanwhile(preview):
        withdraw(consent=consent)
        assert erasure.purge_withdrawn() == 1
        return False

    options = {"answer": withdrawn_meanwhile}
    settings.MODERATION = {"BACKEND": "collection.moderation.FakeModerator", "OPTIONS": options}
    image = receive(consent, encoded(monk.portrait(6), quality=90))
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.PURGED
    assert not Screening.objects.exists()
    assert not VendorCall.objects.filter(image__isnull=False).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("picture", "status", "reason"),
    [
        (monk.backlit(3), ImageStatus.NEEDS_REVIEW, "backlit"),
        (monk.portrait(5, people=2), ImageStatus.NEEDS_REVIEW, "more_than_one_face"),
        (ImageEnhance.Brightness(monk.portrait(2)).enhance(0.1), ImageStatus.REJECTED, "too_dark"),
    ],
)
def test_each_fault_has_a_reason_and_advice(picture, status, reason):
    image = make_image(picture=encoded(picture, quality=90))
    last = image.transitions.order_by("pk").last()
    assert (image.status, last.reason) == (status, reason)
    assert image.latest_reason().advice.endswith(".")


@pytest.mark.django_db
def test_no_face_found_is_a_hint_and_never_a_verdict():
    image = make_image(picture=encoded(portrait(1, 1), quality=90))
    assert image.status == ImageStatus.ACCEPTED
    assert image.screening.faces == []
    assert "no face" in screening.hints_of(image)[0].says


@pytest.mark.django_db
def test_a_reviewer_cannot_wave_further_faces_through():
    image = make_image(picture=encoded(monk.portrait(5, people=2), quality=90))
    with pytest.raises(Refused, match="each further face"):
        services.settle_review(image=image, decision="accept", reviewer=make_user("", "reviewer"))


@pytest.mark.django_db
def test_a_call_may_want_every_photograph_looked_at():
    consent = make_consent()
    call = make_call(form=consent.text.form, look_at_all=True)
    image = receive(consent, encoded(monk.portrait(6), quality=90), call=call)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert (image.status, image.transitions.order_by("pk").last().reason) == (ImageStatus.NEEDS_REVIEW, "call_looks")
    services.settle_review(image=image, decision="accept", reviewer=make_user("", "reviewer"))
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
