"""Further faces (R11): held until each is covered or decided on; covered for good in every copy but the original."""

import io

import numpy as np
import pytest
from django.core.files.storage import storages
from PIL import Image as Pillow

from collection import claims, erasure, face_marks, faces, masking, pipeline, quality, storage
from collection.boxes import Box
from collection.face_forms import write_mark
from collection.models import FaceMark, Fingerprint, Image, ImageStatus
from consent.refusals import Refused
from consent.roles import REVIEWER
from consent.withdrawals import withdraw
from tests.collection import monk
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded
from tests.consent.factories import make_consent, make_contributor, make_licence, make_user

pytestmark = pytest.mark.django_db
COVER, NO_FACE = FaceMark.Kind.COVER, FaceMark.Kind.NO_FACE


@pytest.fixture
def consent(client):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    return consent


def two_faces(consent=None, tone=5, **more):
    image = make_image(consent, picture=encoded(monk.portrait(tone, people=2), quality=90), **more)
    assert image.status == ImageStatus.NEEDS_REVIEW
    return image


def left_and_right(image):
    return sorted(face_marks.faces_of(image), key=lambda box: box.x)


def mark(image, *marks, user=None, as_reviewer=False):
    face_marks.mark_faces(image=image, marks=marks, user=user or make_user("", REVIEWER), as_reviewer=as_reviewer)


def inside(picture: bytes, box: Box) -> np.ndarray:
    with Pillow.open(io.BytesIO(picture)) as opened:
        width, height = opened.size
        cut = (box.x * width, box.y * height, (box.x + box.w) * width, (box.y + box.h) * height)
        return np.asarray(opened.convert("L").crop(tuple(round(side) for side in cut)), dtype=float)


def test_a_covered_face_is_in_no_copy_and_the_photograph_goes_on(consent):
    image = two_faces(consent)
    _, right = left_and_right(image)
    before = {key for name in ("derivatives",) for key in storage.keys_of(storages[name], image.pk)}
    hashes = Fingerprint.objects.get(image=image).phash256
    mark(image, (COVER, right), user=consent.contributor.user)
    image.refresh_from_db()
    assert (image.status, image.clean_key, image.preview_key) == (ImageStatus.RECEIVED, "", "")
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
    with storage.open_clean(image) as clean, storage.open_preview(image) as preview:
        for picture in (clean.read(), preview.read()):
            assert inside(picture, right).std() < 3
            assert len(faces.find_faces(quality.decode_grey(picture))) == 1
    after = set(storage.keys_of(storages["derivatives"], image.pk))
    assert after == {image.clean_key, image.preview_key}
    assert not before & after
    assert Fingerprint.objects.get(image=image).phash256 != hashes
    with storage.open_original(image) as original:
        assert inside(original.read(), right).std() > 10


def test_killed_while_it_is_covered_it_is_covered_after_all(consent, monkeypatch):
    image = two_faces(consent)
    _, right = left_and_right(image)
    mark(image, (COVER, right))
    write = storages["derivatives"].save

    def die(*args, **options):
        write(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storages["derivatives"], "save", die)
        with pytest.raises(KeyboardInterrupt):
            pipeline.advance(image.pk)
    Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
    assert set(storage.keys_of(storages["derivatives"], image.pk)) == {image.clean_key, image.preview_key}


def test_of_three_faces_one_covered_leaves_it_held():
    image = make_image(picture=encoded(monk.portrait(4, people=3), quality=90))
    first, *_ = left_and_right(image)
    mark(image, (COVER, first))
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.NEEDS_REVIEW
    assert len(face_marks.open_faces(image)) == 2


def test_what_a_reviewer_says_is_no_face_stays_decided():
    image = two_faces()
    left, _ = left_and_right(image)
    mark(image, (NO_FACE, left), as_reviewer=True)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
    assert len(image.screening.faces) == 2
    with storage.open_clean(image) as clean:
        assert inside(clean.read(), left).std() > 10


def test_a_model_release_counts_for_licensed_photographs_alone():
    licensed = two_faces(licence=make_licence())
    mark(licensed, (FaceMark.Kind.RELEASED, left_and_right(licensed)[0]), as_reviewer=True)
    pipeline.advance(licensed.pk)
    licensed.refresh_from_db()
    assert licensed.status == ImageStatus.ACCEPTED
    sent = two_faces(tone=8)
    with pytest.raises(Refused, match="licensed"):
        mark(sent, (FaceMark.Kind.RELEASED, left_and_right(sent)[0]), as_reviewer=True)


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ([], "at least one"),
        ([(NO_FACE, Box(0.1, 0.1, 0.2, 0.2))], "Only a reviewer"),
        ([(COVER, Box(0.9, 0.1, 0.2, 0.2))], "not inside"),
        ([(COVER, Box(0.1, 0.1, 0.2, 0.0))], "too small"),
        ([(COVER, Box(0.1, 0.1, 0.2, 0.2))] * 51, "At most 50"),
    ],
)
def test_what_makes_no_sense_is_refused(marks, says):
    image = two_faces()
    with pytest.raises(Refused, match=says):
        mark(image, *marks)
    image.refresh_from_db()
    assert image.status == ImageStatus.NEEDS_REVIEW
    assert not FaceMark.objects.exists()


def test_after_the_permission_ended_nothing_is_marked(consent):
    image = two_faces(consent)
    box = left_and_right(image)[0]
    withdraw(consent=consent)
    with pytest.raises(Refused, match="does not wait"):
        mark(image, (COVER, box))
    assert not FaceMark.objects.exists()


def test_marks_are_erased_with_the_photograph(consent):
    image = two_faces(consent)
    mark(image, (COVER, left_and_right(image)[0]))
    pipeline.advance(image.pk)
    withdraw(consent=consent)
    assert erasure.purge_withdrawn() == 1
    assert not FaceMark.objects.exists()


def test_covering_keeps_to_the_edges_of_the_picture():
    picture = encoded(monk.portrait(5), quality=90)
    covered = masking.cover(picture, [Box(0, 0, 0.2, 0.2), Box(0.9, 0.9, 0.1, 0.1)])
    assert inside(covered, Box(0, 0, 0.24, 0.24)).std() < 2
    assert inside(covered, Box(0.9, 0.9, 0.1, 0.1)).std() < 2
    with Pillow.open(io.BytesIO(covered)) as opened:
        assert opened.size == monk.SIZE


# --- Pages ----------------------------------------------------------------------------------------


def test_a_contributor_covers_on_their_own_page(client, consent):
    image = two_faces(consent)
    assert f"/me/photos/{image.pk}/faces/" in client.get("/me/photos/").content.decode()
    page = client.get(f"/me/photos/{image.pk}/faces/")
    values = [value for face in page.context["faces"] for value, _ in face["choices"]]
    assert len(values) == 2
    assert page.content.decode().count('class="tag"') == 2
    answer = client.post(f"/me/photos/{image.pk}/faces/", {"mark": values[:1]}, follow=True)
    assert "covered, for good" in answer.content.decode()
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED


def test_a_box_by_numbers_needs_no_script(client, consent):
    image = two_faces(consent)
    numbers = {"left": "60", "top": "25,5", "width": "30", "height": "40"}
    client.post(f"/me/photos/{image.pk}/faces/", numbers)
    found = FaceMark.objects.get(image=image)
    assert (found.kind, found.x, found.y) == (COVER, pytest.approx(0.6), pytest.approx(0.255))


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({}, "choose at least one face"),
        ({"mark": "cover x y z"}, "could not read"),
        ({"mark": "cover nan 0.1 0.1 0.1"}, "could not read"),
        ({"mark": "everything 0.1 0.1 0.1 0.1"}, "could not read"),
        ({"mark": "no_face 0.1 0.1 0.1 0.1"}, "Only a reviewer"),
        ({"left": "10", "top": "", "width": "5", "height": "5"}, "all four numbers"),
        ({"left": "90", "top": "10", "width": "50", "height": "5"}, "not inside"),
    ],
)
def test_bad_input_gets_a_sentence(client, consent, sent, says):
    image = two_faces(consent)
    answer = client.post(f"/me/photos/{image.pk}/faces/", sent)
    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert not FaceMark.objects.exists()


def test_the_page_is_the_contributors_alone(client, consent):
    image = two_faces(make_consent())
    assert client.get(f"/me/photos/{image.pk}/faces/").status_code == 404
    assert client.post(f"/me/photos/{image.pk}/faces/", {"mark": "cover 0.1 0.1 0.1 0.1"}).status_code == 404


def test_a_reviewer_is_led_to_the_faces(client):
    image = two_faces()
    client.force_login(make_user("", REVIEWER))
    client.post(f"/staff/review/{image.pk}/take/")
    review = client.get(f"/staff/review/{image.pk}/").content.decode()
    assert f"/staff/review/{image.pk}/faces/" in review
    assert "Decide on its 2 faces" in review
    page = client.get(f"/staff/review/{image.pk}/faces/").context
    no_face = page["faces"][0]["choices"][1][0]
    client.post(f"/staff/review/{image.pk}/faces/", {"mark": no_face})
    assert FaceMark.objects.get(image=image).kind == NO_FACE


@pytest.mark.parametrize("whose", ["a colleague's", "nobody's", "their own photograph"])
def test_a_reviewer_decides_on_faces_of_their_own_case_only(client, whose):
    reviewer = make_user("reviewer@example.org", REVIEWER)
    image = two_faces(make_consent(make_contributor(reviewer)) if whose == "their own photograph" else None)
    if whose == "a colleague's":
        claims.take_case(image_id=image.pk, reviewer=make_user("colleague@example.org", REVIEWER))
    client.force_login(reviewer)
    sent = {"mark": write_mark(NO_FACE, left_and_right(image)[1])}
    assert client.post(f"/staff/review/{image.pk}/faces/", sent).status_code == 200
    assert not image.face_marks.exists()


def test_whoever_decoded_before_faces_were_covered_does_not_win(monkeypatch):
    """A worker stalls in the middle; its lease is over, others finish, and the faces are covered."""
    image = receive(make_consent(), encoded(monk.portrait(5, people=2), quality=90))

    def stall(data, covers, beat):
        opened = open_safely(data, covers, beat)
        monkeypatch.undo()
        Image.objects.filter(pk=image.pk).update(next_attempt_at=image.received_at)
        pipeline.advance(image.pk)
        image.refresh_from_db()
        mark(image, (COVER, left_and_right(image)[1]))
        return opened

    open_safely = pipeline.open_safely
    monkeypatch.setattr(pipeline, "open_safely", stall)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.RECEIVED  # and the next worker makes it anew, covered
