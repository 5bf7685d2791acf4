"""The pages of contributors and reviewers, as a browser without JavaScript sees them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import ImageFilter

from collection import pipeline
from collection.models import Image, ImageStatus
from consent.withdrawals import withdraw
from tests.collection.factories import make_call, make_image
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_contributor, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def consent(client):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    return consent


def send(client, call, *files, **headers):
    photos = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post(f"/calls/{call.slug}/upload/", {"photos": photos}, headers=headers or None)


def test_each_file_gets_its_own_answer(client, consent):
    call = make_call(form=consent.text.form)
    answer = send(
        client,
        call,
        ("good.jpg", jpeg()),
        ("empty.jpg", b""),
        ("letter.jpg", b"Dear all, this is a text."),
        ("also good.png", encoded(portrait(2, 2), "PNG")),
        accept="application/json",
    ).json()
    taken = {row["name"]: row["image_id"] is not None for row in answer["files"]}
    assert taken == {"good.jpg": True, "empty.jpg": False, "letter.jpg": False, "also good.png": True}
    assert Image.objects.count() == 2
    page = send(client, call, ("empty.jpg", b"")).content.decode()
    assert "empty.jpg" in page
    assert "empty file" in page


def test_nothing_chosen_is_said_kindly(client, consent):
    call = make_call(form=consent.text.form)
    assert "Choose at least one photograph" in client.post(f"/calls/{call.slug}/upload/", {}).content.decode()


def test_script_in_a_file_name_stays_text(client, consent):
    call = make_call(form=consent.text.form)
    page = send(client, call, ("<script>alert(1)</script>.jpg", jpeg())).content.decode()
    assert "<script>alert" not in page


def test_without_a_signature_one_is_led_to_the_form(client):
    call = make_call()
    client.force_login(make_contributor().user)
    answer = send(client, call, ("me.jpg", jpeg()))
    assert (answer.status_code, answer["Location"]) == (302, f"/sign/{call.form.slug}/?next=/calls/{call.slug}/upload/")
    assert not Image.objects.exists()


def test_after_withdrawing_nothing_more_is_taken(client, consent):
    call = make_call(form=consent.text.form)
    withdraw(consent=consent)
    assert send(client, call, ("me.jpg", jpeg())).status_code == 302
    assert not Image.objects.exists()


def test_the_number_per_person_is_kept(client, consent):
    call = make_call(form=consent.text.form, max_per_person=1)
    send(client, call, ("1.jpg", jpeg()))
    assert "as many as it takes" in send(client, call, ("2.jpg", jpeg(2, 2))).content.decode()


def test_a_closed_call_takes_nothing(client, consent):
    import datetime

    from django.utils import timezone

    now = timezone.now()
    hour = datetime.timedelta(hours=1)
    call = make_call(form=consent.text.form, opens_at=now - 2 * hour, closes_at=now - hour)
    assert "closed" in send(client, call, ("1.jpg", jpeg())).content.decode()


def test_my_photos_says_why_and_how_to_do_better(client, consent):
    make_image(consent)
    make_image(consent, picture=encoded(portrait(size=(400, 500))))
    page = client.get("/me/photos/").content.decode()
    assert "accepted" in page
    assert "It is too small. Please send it as large as the camera took it" in page


def test_thumbnails_are_mine_alone_and_end_with_the_withdrawal(client, consent):
    image = make_image(consent)
    address = f"/me/photos/{image.pk}/thumb"
    answer = client.get(address)
    assert (answer.status_code, answer["Content-Type"], answer["Cache-Control"]) == (200, "image/jpeg", "no-store")
    assert answer.content.startswith(b"\xff\xd8")
    client.force_login(make_contributor().user)
    assert client.get(address).status_code == 404
    client.logout()
    assert client.get(address).status_code == 302
    client.force_login(consent.contributor.user)
    withdraw(consent=consent)
    assert client.get(address).status_code == 404


def test_a_reviewer_sees_pairs_and_decides(client, settings):
    settings.REVIEW_UNDO_SECONDS = 0
    make_image(picture=encoded(portrait(8, 8)))
    held = make_image(picture=encoded(portrait(8, 8), quality=50))
    client.force_login(make_user("", "reviewer"))
    assert str(held.pk) in client.get("/staff/review/").content.decode()
    page = client.get(f"/staff/review/{held.pk}/").content.decode()
    assert page.count("<figure>") == 2
    assert "somebody else&#x27;s" in page or "somebody else's" in page
    assert client.get(f"/staff/images/{held.pk}/preview").status_code == 200
    client.post(f"/staff/review/{held.pk}/take/")
    client.post(f"/staff/review/{held.pk}/", {"decision": "duplicate", "note": "the same picture"})
    held.refresh_from_db()
    assert held.status == ImageStatus.DUPLICATE


def test_reviewers_lose_sight_of_an_image_with_its_basis(client):
    held = make_image(picture=encoded(portrait().filter(ImageFilter.GaussianBlur(30)), quality=90))
    client.force_login(make_user("", "reviewer"))
    withdraw(consent=held.consent)
    assert client.get(f"/staff/images/{held.pk}/preview").status_code == 404
    assert client.get(f"/staff/review/{held.pk}/").status_code == 404
    assert str(held.pk) not in client.get("/staff/review/").content.decode()


def test_contributors_do_not_reach_staff_pages(client, consent):
    image = make_image(consent)
    for address in ("/staff/review/", f"/staff/images/{image.pk}/preview", "/staff/calls/new/"):
        assert client.get(address).status_code == 403


def test_a_data_manager_opens_a_call(client):
    client.force_login(make_user("", "data manager"))
    form = make_call().form
    fields = {
        "slug": "winter",
        "title": "Winter light",
        "description": "Outside, please.",
        "form": form.pk,
        "opens_at": "2026-01-01T00:00",
        "closes_at": "2025-01-01T00:00",
        "max_per_person": 20,
        "dpia_reference": "DPIA-7",
    }
    assert "must close after it opens" in client.post("/staff/calls/new/", fields).content.decode()
    assert client.post("/staff/calls/new/", {**fields, "closes_at": "2100-01-01T00:00"}).status_code == 302
    assert "Winter light" in client.get("/calls/").content.decode()


def test_a_call_shows_its_markdown_and_no_tags_of_others(client):
    call = make_call(description="You, **outside**. <b>Now</b>")
    assert "<p>You, <strong>outside</strong>. &lt;b&gt;Now" in client.get(f"/calls/{call.slug}/").content.decode()
    assert "<p>You, outside." in client.get("/calls/").content.decode()


def test_who_comes_for_a_call_and_has_no_account_keeps_the_way_back(client):
    call = make_call()
    sign_in = client.get(f"/calls/{call.slug}/upload/", follow=True).content.decode()
    assert f"/accounts/signup/?next=%2Fcalls%2F{call.slug}%2Fupload%2F" in sign_in


def test_the_plain_form_and_the_pipeline_meet(client, consent):
    call = make_call(form=consent.text.form)
    send(client, call, ("me.jpg", jpeg()))
    image = Image.objects.get()
    pipeline.advance(image.pk)
    assert 'alt="Your photograph me.jpg"' in client.get("/me/photos/").content.decode()
