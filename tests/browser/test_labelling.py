"""An annotator labels in Label Studio's real page, through the gateway, with nothing but our session."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings
from playwright.sync_api import Locator, Page, Response, expect

from annotation.handout_models import Handout, ImageView
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelProject, LabelTask
from annotation.pull import sweep_updated
from annotation.push import push_pending
from tests.annotation.factories import make_annotator, make_campaign
from tests.collection.factories import make_image as make_checked_image
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent
from tests.label_studio import label_studio

__all__ = ("label_studio",)
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]


@pytest.fixture
def studio(label_studio, live_server, settings):
    """Label Studio behind the gateway, which the live server shows under its other name."""
    settings.BASE_URL = live_server.url
    settings.LABELLING_URL = f"http://127.0.0.1:{urlsplit(live_server.url).port}"
    settings.LABEL_STUDIO_URL = label_studio.url
    settings.LABEL_STUDIO_TOKEN = label_studio.token
    settings.LABEL_STUDIO_WEBHOOK_SECRET = "known to both"
    return label_studio


class Desk:
    """An annotator's browser, signed in to us and to nothing else, and what it was told on the way."""

    def __init__(self, page: Page, annotator: Annotator) -> None:
        self.page, self.annotator = page, annotator
        self.refused: list[tuple[int, str, str]] = []
        self.strangers: list[str] = []
        page.on("response", self._note)

    def _note(self, answer: Response) -> None:
        address = urlsplit(answer.url)
        if address.scheme == "http" and address.hostname not in ("localhost", "127.0.0.1"):
            self.strangers.append(answer.url)
        elif answer.status >= 400:
            self.refused.append((answer.status, answer.request.method, address.path))

    @property
    def submit(self) -> Locator:
        return self.page.get_by_test_id("bottombar-submit-button")

    def begin(self, campaign: Campaign) -> None:
        self.page.goto(f"{settings.BASE_URL}/work/")
        with self.page.expect_response("**/images/*/"):
            self.page.get_by_role("link", name=campaign.name).click()
        expect(self.submit).to_be_visible()

    def draw_face(self) -> None:
        """The label by its key, then a box by the mouse."""
        self.page.keyboard.press("7")
        self.page.mouse.move(250, 300)
        self.page.mouse.down()
        self.page.mouse.move(350, 420, steps=5)
        self.page.mouse.up()
        expect(self.page.get_by_text("Labeled regions will appear here")).to_be_hidden()

    def rate(self, stars: int) -> None:
        self.page.locator(".ant-rate li").nth(stars - 1).click()

    def sends(self, method: str, address: str, action: Callable[[], None]) -> int:
        """The status that the page gets when `action` makes it send this."""

        def is_it(answer: Response) -> bool:
            return answer.request.method == method and re.search(address, answer.url) is not None

        with self.page.expect_response(is_it) as sent:
            action()
        return sent.value.status


@pytest.fixture
def desk(browser, client, studio):
    annotator = make_annotator()
    client.force_login(annotator.user)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    session = client.cookies["likeness_session"].value
    # Two host names, so that both are the live server; where only ports differ, one cookie is for both.
    for url in (settings.BASE_URL, settings.LABELLING_URL):
        context.add_cookies([{"name": "likeness_session", "value": session, "url": url}])
    yield Desk(context.new_page(), annotator)
    context.close()


@pytest.fixture
def campaign(studio):
    """Three portraits to label."""
    consent = make_consent()
    for number in range(3):
        make_checked_image(consent, picture=encoded(portrait(number, 1)))
    campaign = make_campaign()
    assert push_pending(campaign=campaign) == 3
    return campaign


def test_an_annotator_labels_skips_goes_back_and_changes_their_mind(desk, campaign, studio):
    page = desk.page
    desk.begin(campaign)
    header = page.locator("[class*=menu-header]").first
    expect(header.get_by_text(campaign.name)).to_be_visible()
    expect(header.get_by_role("link", name="Settings")).to_have_count(0)
    for way in header.locator("a:visible").all():  # whatever leads on leads home
        assert page.request.get(f"{settings.LABELLING_URL}{way.get_attribute('href')}", max_redirects=0).status == 302
    expect(page.locator(".main-menu-trigger, [class*=menu-header__user]").locator("visible=true")).to_have_count(0)
    desk.draw_face()
    page.keyboard.press("2")  # glasses
    desk.rate(4)
    with page.expect_response("**/images/*/"):
        assert desk.sends("POST", r"/api/tasks/\d+/annotations", lambda: page.keyboard.press("Control+Enter")) == 201
    with page.expect_response("**/images/*/"):
        assert desk.sends("POST", r"/api/tasks/\d+/annotations", page.get_by_role("button", name="Skip").click) == 201
    back = page.get_by_test_id("prev-task")
    desk.sends("GET", r"/api/tasks/\d+", back.click)
    desk.sends("GET", r"/api/tasks/\d+", back.click)
    desk.rate(2)
    sweep_updated(project=LabelProject.objects.get())
    assert desk.sends("PATCH", r"/api/annotations/\d+", page.get_by_test_id("bottombar-update-button").click) == 200
    sweep_updated(project=LabelProject.objects.get())

    first, changed = Annotation.objects.filter(verdict="accepted").order_by("version")
    assert [one.annotator for one in (first, changed)] == [desk.annotator] * 2
    assert [
        rating["value"]["rating"] for one in (first, changed) for rating in one.result if rating["type"] == "rating"
    ] == [4, 2]
    assert first.result[1]["value"] == {"choices": ["glasses"]}
    assert Annotation.objects.get(verdict="refused").refusal == "Skipped."
    assert Earning.objects.count() == 1
    assert set(ImageView.objects.values_list("annotator", "served")) == {(desk.annotator.pk, True)}
    assert Handout.objects.count() == 3
    assert desk.refused == []
    assert desk.strangers == []


def test_what_lacks_something_is_told_in_words_and_stays_on_the_page(desk, campaign, studio):
    """At Submit, and when somebody takes away from what they had sent."""
    page = desk.page
    desk.begin(campaign)
    desk.rate(4)
    assert desk.sends("POST", r"/api/tasks/\d+/annotations", lambda: page.keyboard.press("Control+Enter")) == 403
    words = "“face” is required and was left empty. Nothing was sent"
    expect(page.get_by_text(words).first).to_be_visible()
    expect(page.locator(".ant-rate-star-full")).to_have_count(4)
    with studio.api() as owner:
        assert not any(told["total_annotations"] for told in all_tasks(owner))
    desk.draw_face()
    expect(desk.submit).to_be_enabled()  # the page takes no second one for half a second
    assert desk.sends("POST", r"/api/tasks/\d+/annotations", lambda: page.keyboard.press("Control+Enter")) == 201
    desk.sends("GET", r"/api/tasks/\d+", page.get_by_test_id("prev-task").click)
    expect(page.locator(".ant-rate-star-full")).to_have_count(4)
    page.locator(".lsf-outliner-item").first.click()
    page.keyboard.press("Backspace")
    expect(page.get_by_text("Labeled regions will appear here")).to_be_visible()
    update = page.get_by_test_id("bottombar-update-button")
    assert desk.sends("PATCH", r"/api/annotations/\d+", update.click) == 403
    expect(page.get_by_text(words).first).to_be_visible()
    desk.draw_face()
    assert desk.sends("PATCH", r"/api/annotations/\d+", update.click) == 200
    sweep_updated(project=LabelProject.objects.get())
    assert Annotation.objects.get().verdict == "accepted"


def all_tasks(owner: httpx.Client) -> list[dict[str, Any]]:
    ids = LabelTask.objects.values_list("external_id", flat=True)
    return [owner.get(f"/api/tasks/{external_id}/").json() for external_id in ids]


def test_on_a_phone_all_that_is_asked_and_submit_are_within_the_screen(desk, campaign):
    page = desk.page
    page.set_viewport_size({"width": 390, "height": 844})
    desk.begin(campaign)
    for way in (desk.submit, page.get_by_role("button", name="Skip")):
        place = way.bounding_box()
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 390
        assert place["y"] + place["height"] <= 844
    last = page.locator(".lsf-labels")  # what is asked last is not below the bar
    last.evaluate("one => one.scrollIntoView({block: 'end'})")
    page.locator(".lsf-main-content").evaluate("one => one.scrollTo(0, one.scrollHeight)")
    labels, bar = last.bounding_box(), page.locator(".lsf-bottombar").bounding_box()
    assert labels["y"] + labels["height"] <= bar["y"]
