"""Covering a face in a real browser: by ticking, by drawing with the pointer, and by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from collection import pipeline
from collection.models import FaceMark, ImageStatus
from tests.collection import monk
from tests.collection.factories import make_image
from tests.collection.pictures import encoded
from tests.consent.factories import make_consent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def crowded(phone: Page, client, live_server):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    cookie = client.cookies["likeness_session"].value
    phone.context.add_cookies([{"name": "likeness_session", "value": cookie, "url": live_server.url}])
    return make_image(consent, picture=encoded(monk.portrait(5, people=2)))


def test_ticking_a_face_covers_it(phone: Page, crowded):
    phone.goto("/me/photos/")
    phone.get_by_role("link", name="Cover faces").click()
    phone.get_by_label("Cover it").first.check()
    phone.get_by_role("button", name="Cover them for good").click()
    expect(phone.get_by_text("covered, for good")).to_be_visible()
    pipeline.advance(crowded.pk)
    crowded.refresh_from_db()
    assert crowded.status == ImageStatus.ACCEPTED


def test_a_box_is_drawn_with_the_pointer(phone: Page, crowded):
    phone.goto(f"/me/photos/{crowded.pk}/faces/")
    place = phone.locator("svg.faces").bounding_box()
    assert place is not None
    phone.mouse.move(place["x"] + place["width"] * 0.1, place["y"] + place["height"] * 0.1)
    phone.mouse.down()
    phone.mouse.move(place["x"] + place["width"] * 0.25, place["y"] + place["height"] * 0.2)
    phone.mouse.move(place["x"] + place["width"] * 0.4, place["y"] + place["height"] * 0.3)
    phone.mouse.up()
    expect(phone.locator("svg .drawn")).to_have_count(1)
    phone.get_by_role("button", name="Cover them for good").click()
    expect(phone.get_by_text("covered, for good")).to_be_visible()
    mark = FaceMark.objects.get(image=crowded)
    assert [mark.x, mark.y, mark.w, mark.h] == pytest.approx([0.1, 0.1, 0.3, 0.2], abs=0.03)


def test_a_box_is_placed_by_keyboard(phone: Page, crowded):
    phone.goto(f"/me/photos/{crowded.pk}/faces/")
    phone.get_by_role("button", name="Add a box").focus()
    phone.keyboard.press("Enter")
    for keys in ("ArrowLeft",) * 30 + ("Shift+ArrowRight",) * 5 + ("Shift+ArrowUp",) * 5:
        phone.keyboard.press(keys)
    expect(phone.locator("[data-said]")).to_contain_text("10 % from the left, 35 % from the top, 25 % wide, 15 % high")
    phone.get_by_role("button", name="Add a box").focus()
    phone.keyboard.press("Enter")
    phone.keyboard.press("Delete")
    expect(phone.get_by_role("button", name="Add a box")).to_be_focused()
    phone.get_by_role("button", name="Cover them for good").focus()
    phone.keyboard.press("Enter")
    expect(phone.get_by_text("covered, for good")).to_be_visible()
    mark = FaceMark.objects.get(image=crowded)
    assert [mark.x, mark.y, mark.w, mark.h] == pytest.approx([0.1, 0.35, 0.25, 0.15], abs=0.001)
