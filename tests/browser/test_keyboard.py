"""Without a mouse: register, confirm, sign, upload, look, withdraw, see the certificate. Every step by Tab and keys."""

import re

import pytest
from django.core import mail
from playwright.sync_api import Locator, Page, expect

from collection import pipeline
from collection.models import Image
from consent.models import Consent, Withdrawal
from consent.questions import questions_of
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg
from tests.consent.factories import make_text

pytestmark = pytest.mark.django_db(transaction=True)
MOST_TABS = 90


def tab_to(page: Page, wanted: Locator) -> Locator:
    """Press Tab until `wanted` has the focus, which must be visible there."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            ring = wanted.evaluate(
                "element => { const style = getComputedStyle(element); return [style.outlineStyle, style.boxShadow] }"
            )
            assert ring != ["none", "none"], f"nothing shows that {wanted} has the focus"
            return wanted
    raise AssertionError(f"{wanted} cannot be reached with Tab on {page.url}")


def press(page: Page, name: str | re.Pattern[str], role: str = "button") -> None:
    tab_to(page, page.get_by_role(role, name=name).first)
    page.keyboard.press("Enter")


def type_into(page: Page, label: str, text: str) -> None:
    tab_to(page, page.locator("main").get_by_label(label).first)
    page.keyboard.type(text)


def choose(page: Page, name: str, index: int) -> None:
    """A radio button of a group: Tab into the group, arrow keys inside it."""
    tab_to(page, page.locator(f"[name={name}]").first)
    page.keyboard.press("Space")
    for _ in range(index):
        page.keyboard.press("ArrowDown")
    expect(page.locator(f"[name={name}]").nth(index)).to_be_checked()


def test_the_whole_way_by_keyboard(phone: Page, tmp_path):
    text = make_text(["research", "commercial"], slug="portrait")
    make_call(form=text.form, slug="faces")
    photo = tmp_path / "me.jpg"
    photo.write_bytes(jpeg(1, 1, (1200, 1500)))

    register(phone)
    sign(phone, [question.right for question in questions_of(text)])
    consent = Consent.objects.get()
    assert [p.purpose_id for p in consent.granted.all()] == ["research"]
    upload(phone, str(photo))
    pipeline.advance(Image.objects.get().pk)

    phone.goto("/me/photos/")
    expect(phone.locator("main li img").first).to_be_visible()
    press(phone, "Withdraw", role="link")
    press(phone, re.compile("Take back all|Take back everything", re.IGNORECASE))
    expect(phone).to_have_url(re.compile(r"/certificates/[0-9a-f-]{36}/"))
    assert Withdrawal.objects.filter(consent=consent, purpose=None).count() == 1
    expect(phone.get_by_role("heading", level=1)).to_be_visible()


def register(page: Page) -> None:
    page.goto("/accounts/signup/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    type_into(page, "Email", "grace@example.org")  # not another test's: allauth sends one confirmation in three minutes
    type_into(page, "Password", "a long enough password")
    press(page, "Make my account")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    link = re.search(r"https?://[^/]+(/accounts/confirm-email/\S+)", mail.outbox[-1].body)
    assert link is not None
    page.goto(link.group(1))
    press(page, "Yes, it is mine")
    expect(page).not_to_have_url(re.compile("confirm-email"))
    page.goto("/me/about/")
    tab_to(page, page.locator("[name=date_of_birth]"))
    page.keyboard.type("05171990")
    tab_to(page, page.locator("[name=country]"))
    page.keyboard.type("Ireland")
    tab_to(page, page.locator("main form button").first)
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/me/about/"))


def sign(page: Page, right: list[int]) -> None:
    page.goto("/sign/portrait/")
    tab_to(page, page.locator("main summary").first)
    page.keyboard.press("Enter")  # the full text opens
    expect(page.locator("main details").first).to_have_attribute("open", "")
    tab_to(page, page.locator("[name=purpose_research]"))
    page.keyboard.press("Space")
    for number, index in enumerate(right):
        choose(page, f"question_{number}", index)
    tab_to(page, page.locator("[name=signer_name]"))
    page.keyboard.type("Ada Example")
    tab_to(page, page.locator("[name=agree]"))
    page.keyboard.press("Space")
    tab_to(page, page.locator("main").get_by_role("button", name=re.compile("^Sign")))
    page.keyboard.press("Enter")
    expect(page).not_to_have_url(re.compile("/sign/"))


def upload(page: Page, path: str) -> None:
    page.on("filechooser", lambda _: None)  # from here on: a listener that comes with the key may come too late
    page.goto("/calls/faces/upload/")
    choose_them = tab_to(page, page.get_by_role("tab", name="My photographs"))
    with page.expect_file_chooser() as chooser:
        choose_them.press("Enter")  # to this button: Uppy moves the focus by itself a moment after it has drawn
    chooser.value.set_files(path)
    tab_to(page, page.get_by_role("button", name="Send 1 photograph"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-sent] li")).to_contain_text("being checked")
