"""The review desk without a mouse: five cases by single keys; typing steals none; views, dialogs, a lost case."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from collection import claims, tasks
from collection.models import Image, ImageStatus, ReviewDecision, ReviewOutcome
from tests.browser.conftest import DESKTOP
from tests.collection.test_review import hold, hold_copy, later
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def reviewer():
    return make_user("ann@example.org", "reviewer")


@pytest.fixture
def page(browser, live_server, client, reviewer):
    context: BrowserContext = browser.new_context(viewport=DESKTOP, base_url=live_server.url)
    client.force_login(reviewer)
    session = client.cookies["likeness_session"].value
    context.add_cookies([{"name": "likeness_session", "value": session, "url": live_server.url}])
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    # Chromium calls it an error when a case is not ours any more.
    assert [line for line in problems if "409 (Conflict)" not in line] == []


def start(page: Page, queue: str = "held") -> None:
    page.goto(f"/staff/review/queues/{queue}/")
    page.get_by_role("button", name="Start").press("Enter")
    expect(page.locator("[data-decide]")).to_be_visible()
    page.wait_for_load_state()  # before that no key is listened to


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def on(page: Page, image: Image) -> None:
    expect(page).to_have_url(re.compile(f"/staff/review/{image.pk}/$"))
    page.wait_for_load_state()


def test_five_cases_by_keyboard_alone(page):
    images = [hold() for _ in range(5)]
    start(page)
    on(page, images[0])
    press(page, "a")
    on(page, images[1])
    press(page, "r", "3")  # the reason after the key
    on(page, images[2])
    press(page, "u")  # undone: back at the second
    on(page, images[1])
    press(page, "2", "r")  # the reason before it
    on(page, images[2])
    press(page, "j")  # leave it
    on(page, images[3])
    press(page, "k")
    on(page, images[2])
    press(page, "r", "8")  # identity: a second person has to confirm
    on(page, images[3])
    press(page, "m")
    expect(page.get_by_role("dialog")).to_contain_text("a minor")
    press(page, "m")
    on(page, images[4])
    press(page, "a")
    expect(page).to_have_url(re.compile("/queues/held/$"))
    made = list(ReviewDecision.objects.order_by("pk").values_list("image", "kind", "reason"))
    assert made == [
        (images[0].pk, "accept", ""),
        (images[1].pk, "reject", "bad_light"),
        (images[1].pk, "reject", "too_blurred"),
        (images[2].pk, "reject", "not_the_signer"),
        (images[3].pk, "minor", ""),
        (images[4].pk, "accept", ""),
    ]
    with later(60):
        tasks.apply_reviews()
    ends = [Image.objects.get(pk=image.pk).status for image in images]
    assert ends == ["accepted", "rejected", "needs_review", "needs_review", "accepted"]
    assert ReviewOutcome.objects.filter(kind="undone").count() == 1


def test_what_a_key_waits_for_is_said_where_it_is_seen(page):
    hold()
    start(page)
    press(page, "r")
    said = page.locator("[data-said]")
    expect(said).to_contain_text("press 1 to 9 for the reason")
    expect(said).to_be_in_viewport(ratio=1)
    press(page, "Escape")
    expect(said).to_have_text("")


def test_while_somebody_types_no_key_does_anything(page, reviewer):
    image = hold()
    start(page)
    page.get_by_label("Note").focus()
    page.keyboard.type("a dark jumper, unusual r 3?")
    expect(page.get_by_label("Note")).to_have_value("a dark jumper, unusual r 3?")
    on(page, image)
    assert not ReviewDecision.objects.exists()
    page.locator("[data-digit='1']").focus()
    press(page, "Enter", "Control+a")  # in a form Enter presses a button: none, rather than Accept
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    press(page, "a")  # the dialog has the keys now
    page.get_by_label("Single keys do something").uncheck()
    press(page, "Escape", "a", "r", "1")
    on(page, image)
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert not ReviewDecision.objects.exists()
    page.get_by_role("button", name=re.compile("^Keys")).click()
    page.get_by_label("Single keys do something").check()
    press(page, "Escape", "a")
    expect(page).to_have_url(re.compile("/queues/held/$"))
    assert ReviewDecision.objects.get().kind == "accept"


def test_the_difference_of_a_mirrored_copy_is_black(page):
    """Laid over its original and flipped, a mirrored copy differs in nothing."""
    image = hold_copy()
    pair = image.resembles.get()
    start(page, "duplicates")
    press(page, "o")
    stage = page.locator("[data-stage]")
    expect(stage).to_be_visible()
    assert darkness(page) > 0.97  # only recompressed
    image.resembles.update(kind="mirrored")
    page.reload()
    press(page, "o")
    assert page.locator("[data-above]").evaluate("e => getComputedStyle(e).transform").startswith("matrix(-1")
    assert darkness(page) < 0.97  # flipped although it is not mirrored: now they differ
    page.get_by_label("How much of the other one").fill("0")
    assert page.locator("[data-above]").evaluate("e => getComputedStyle(e).opacity") == "0"
    press(page, "z")
    expect(page.get_by_role("button", name=re.compile("^Zoom"))).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-below]")).to_have_attribute("src", re.compile(f"/staff/review/{image.pk}/full$"))
    assert pair.original_id != image.pk


def darkness(page: Page) -> float:
    """The share of nearly black pixels of what the stage shows."""
    import io

    from PIL import Image as Pillow

    page.wait_for_function(
        "() => [...document.querySelectorAll('[data-stage] img')].every(i => i.complete && i.naturalWidth)"
    )
    shot = Pillow.open(io.BytesIO(page.locator("[data-below]").screenshot())).convert("L")
    return sum(shot.histogram()[:40]) / (shot.width * shot.height)


def test_a_case_that_went_to_somebody_else_says_so_on_the_page(page, reviewer):
    image = hold()
    page.clock.install()
    start(page)
    claims.leave_case(image_id=image.pk, reviewer=reviewer)
    claims.take_case(image_id=image.pk, reviewer=make_user("", "reviewer"))
    page.mouse.move(200, 200)
    page.clock.run_for(21_000)
    expect(page.get_by_role("alert")).to_contain_text("Another reviewer has this photograph until")
    expect(page.get_by_role("button", name=re.compile("^Accept"))).to_be_disabled()
    assert Image.objects.get().status == ImageStatus.NEEDS_REVIEW
