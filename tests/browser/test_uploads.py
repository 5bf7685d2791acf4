"""The upload page in a real Chromium: it goes on after a lost connection, a closed tab; it works without JavaScript."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from playwright.sync_api import Browser, Page, expect

from collection import parts, pipeline
from collection.models import Image, ImageStatus, Upload
from tests.browser.conftest import PHONE
from tests.browser.test_sign_and_upload import overflow
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg, portrait
from tests.consent.factories import PASSWORD, make_consent
from tests.gunicorn import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
SLOWLY = 3_000_000  # bytes a second


@pytest.fixture
def sender(phone: Page) -> Page:
    """A phone on the upload page of somebody who has signed."""
    sign_in(phone)
    phone.goto("/calls/faces/upload/")
    return phone


def sign_in(page: Page) -> None:
    consent = make_consent()
    make_call(form=consent.text.form, slug="faces")
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(consent.contributor.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def choose(page: Page, *photos: Path) -> None:
    page.locator("input.uppy-Dashboard-input").first.set_input_files(photos)


def send(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Send [0-9]+ photograph")).click()


def large(folder: Path) -> Path:
    """A photograph of about 13 MB: four pieces."""
    noise = np.random.default_rng(5).integers(0, 60, (1900, 2300, 3), dtype=np.uint8)
    pixels = np.asarray(portrait(4, 4, (2300, 1900)), dtype=np.uint8) // 2 + noise
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG", compress_level=0)
    path = folder / "large.png"
    path.write_bytes(buffer.getvalue())
    return path


def slow_down(page: Page) -> None:
    throttle = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOWLY}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", throttle)


def arrived() -> int:
    upload = Upload.objects.first()
    return (upload and parts.size(upload.pk)) or 0


def test_many_at_once_each_with_its_answer(sender: Page, tmp_path):
    (tmp_path / "one.jpg").write_bytes(jpeg(1, 1, (1200, 1500)))
    (tmp_path / "two.jpg").write_bytes(jpeg(2, 2, (1200, 1500)))
    (tmp_path / "letter.jpg").write_bytes(b"Dear all, this is a text.")
    choose(sender, *sorted(tmp_path.iterdir()))
    expect(sender.locator(".uppy-Dashboard-Item-previewImg").first).to_be_visible()
    send(sender)
    for name in ("one.jpg", "two.jpg"):
        expect(sender.locator("[data-sent] li", has_text=name)).to_contain_text("being checked")
    letter = sender.locator("[data-sent] li", has_text="letter.jpg")
    expect(letter).to_contain_text("not taken")
    expect(letter).to_contain_text("not a picture that we can read")
    assert Image.objects.count() == 2
    assert overflow(sender) <= 0
    for image in Image.objects.all():
        pipeline.advance(image.pk)
    expect(sender.locator("[data-sent] li", has_text="one.jpg")).to_contain_text("accepted", timeout=15_000)


def test_what_cannot_be_chosen_stays_in_the_list_with_its_reason(sender: Page, tmp_path):
    (tmp_path / "me.jpg").write_bytes(jpeg(1, 1, (1200, 1500)))
    (tmp_path / "notes.txt").write_text("Dear all")
    choose(sender, *sorted(tmp_path.iterdir()))
    told = sender.locator("[data-sent] li", has_text="notes.txt")
    expect(told).to_contain_text("not taken")
    expect(told).to_contain_text("Only photographs, please")
    send(sender)  # and the other one goes
    expect(sender.locator("[data-sent] li", has_text="me.jpg")).to_contain_text("being checked")
    expect(told).to_be_visible()


def test_what_screening_says_is_said_on_the_page(sender: Page, tmp_path):
    dark = tmp_path / "dark.jpg"
    Picture.fromarray(np.asarray(portrait(1, 1)) // 12).save(dark)
    choose(sender, dark)
    send(sender)
    row = sender.locator("[data-sent] li", has_text="dark.jpg")
    expect(row).to_contain_text("being checked")
    pipeline.advance(Image.objects.get().pk)
    expect(row).to_contain_text("Face a window", timeout=15_000)
    assert Image.objects.get().status == ImageStatus.REJECTED


def test_the_same_file_again_is_named_before_it_is_sent(browser: Browser, live_server, tmp_path):
    context = browser.new_context(viewport=PHONE, base_url=live_server.url)
    page = context.new_page()  # not `phone`: what is refused Chromium writes to the console as an error
    sign_in(page)
    photo = tmp_path / "me.jpg"
    photo.write_bytes(jpeg(1, 1, (1200, 1500)))
    row = page.locator("[data-sent] li", has_text="me.jpg")
    page.goto("/calls/faces/upload/")
    choose(page, photo)
    send(page)
    expect(row).to_contain_text("being checked")
    expect(page.get_by_text("Everything was sent").first).to_be_visible()
    page.goto("/calls/faces/upload/")
    another = tmp_path / "another.jpg"
    another.write_bytes(jpeg(2, 2, (1200, 1500)))
    choose(page, photo, another)
    send(page)
    expect(row).to_contain_text("You sent this one earlier today")
    expect(row).to_contain_text("not taken")
    expect(page.locator("[data-sent] li", has_text="another.jpg")).to_contain_text("being checked")
    # It was answered, so nothing of it is left to fail or to be sent again.
    expect(page.get_by_text("Everything was sent").first).to_be_visible()
    expect(page.get_by_text(re.compile("[Ff]ailed"))).to_have_count(0)
    context.close()
    assert Upload.objects.count() == Image.objects.count() == 2


def test_a_connection_lost_in_the_middle_is_taken_up_again(sender: Page, tmp_path):
    photo = large(tmp_path)
    slow_down(sender)
    choose(sender, photo)
    send(sender)
    wait_until(lambda: arrived() > 0, "nothing arrived", within=30.0)
    sender.context.set_offline(True)
    before = arrived()
    assert 0 < before < photo.stat().st_size
    expect(sender.locator("[data-sent]")).to_be_hidden()
    sender.context.set_offline(False)
    expect(sender.locator("[data-sent] li")).to_contain_text("being checked", timeout=60_000)
    assert Image.objects.get().byte_size == photo.stat().st_size
    assert Upload.objects.count() == 1


def test_an_announcement_carries_no_bytes(sender: Page, tmp_path):
    """If it did and broke off, its repetition would carry all of them over the slow line again."""
    kinds: list[str | None] = []
    announced = lambda request: request.method == "POST" and request.url.endswith("/uploads/")  # noqa: E731
    sender.on("request", lambda one: announced(one) and kinds.append(one.headers.get("content-type")))
    (tmp_path / "me.jpg").write_bytes(jpeg(1, 1, (1200, 1500)))
    choose(sender, tmp_path / "me.jpg")
    send(sender)
    expect(sender.locator("[data-sent] li")).to_contain_text("being checked")
    assert kinds == [None]


def test_a_closed_tab_goes_on_where_it_was(sender: Page, tmp_path):
    photo = large(tmp_path)
    slow_down(sender)
    choose(sender, photo)
    send(sender)
    wait_until(lambda: arrived() > 0, "nothing arrived", within=30.0)
    context = sender.context
    sender.close()
    before = arrived()
    assert 0 < before < photo.stat().st_size
    page = context.new_page()
    patched: list[int] = []
    page.on(
        "request",
        lambda request: patched.append(int(request.headers["upload-offset"])) if request.method == "PATCH" else None,
    )
    page.goto("/calls/faces/upload/")
    page.get_by_role("button", name=re.compile("^(Resume|Send [0-9]+)")).click()
    expect(page.locator("[data-sent] li")).to_contain_text("being checked", timeout=60_000)
    assert min(patched) >= before
    assert Image.objects.get().byte_size == photo.stat().st_size
    assert Upload.objects.count() == 1


def test_without_javascript_the_form_does_it(browser: Browser, live_server, tmp_path):
    photo = tmp_path / "me.jpg"
    photo.write_bytes(jpeg(1, 1, (1200, 1500)))
    context = browser.new_context(viewport=PHONE, base_url=live_server.url, java_script_enabled=False)
    page = context.new_page()
    sign_in(page)
    page.goto("/calls/faces/upload/")
    page.get_by_label("Your photographs").set_input_files(photo)
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("1 of 1 arrived")).to_be_visible()
    context.close()
    assert Image.objects.count() == 1
