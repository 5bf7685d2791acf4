"""A person with a phone: registers, confirms, signs, uploads, sees the photograph, withdraws."""

import re

import pytest
from django.core import mail
from playwright.sync_api import Page, expect

from collection import pipeline
from collection.models import Image
from consent.models import Consent, Withdrawal
from consent.questions import questions_of
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg
from tests.consent.factories import make_text

pytestmark = pytest.mark.django_db(transaction=True)


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than the phone."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def test_from_registration_to_withdrawal_on_a_phone(phone: Page, tmp_path):
    text = make_text(["research", "commercial"], slug="portrait")
    make_call(form=text.form, slug="faces")
    photo = tmp_path / "me.jpg"
    photo.write_bytes(jpeg(1, 1, (1200, 1500)))

    phone.goto("/accounts/signup/")
    phone.get_by_label("Email").fill("ada@example.org")
    phone.get_by_label("Password").fill("a long enough password")
    phone.get_by_role("button", name="Make my account").click()
    expect(phone.get_by_role("heading", name="Look into your mail")).to_be_visible()
    link = re.search(r"https?://[^/]+(/accounts/confirm-email/\S+)", mail.outbox[-1].body)
    phone.goto(link.group(1))
    phone.get_by_role("button", name="Yes, it is mine").click()

    phone.goto("/me/about/")
    phone.locator("[name=date_of_birth]").fill("1990-05-17")
    phone.locator("[name=country]").select_option("IE")
    phone.locator("main form button").click()

    phone.goto("/sign/portrait/")
    assert phone.locator("input[type=checkbox]:checked").count() == 0
    phone.locator("[name=purpose_research]").check()
    for index, question in enumerate(questions_of(text)):
        phone.locator(f"[name=question_{index}][value='{question.right}']").check()
    phone.locator("[name=signer_name]").fill("Ada Example")
    phone.locator("[name=agree]").check()
    assert overflow(phone) <= 0
    phone.locator("main form button").click()
    consent = Consent.objects.get()
    assert [p.purpose_id for p in consent.granted.all()] == ["research"]

    phone.goto("/calls/faces/upload/")
    phone.locator("input.uppy-Dashboard-input").first.set_input_files(photo)
    phone.get_by_role("button", name="Send 1 photograph").click()
    expect(phone.locator("[data-sent] li")).to_contain_text("being checked")
    image = Image.objects.get()
    pipeline.advance(image.pk)

    phone.goto("/me/photos/")
    shown = phone.locator("main li img").first
    expect(shown).to_be_visible()
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("i => i.naturalWidth") > 0
    assert overflow(phone) <= 0

    phone.get_by_role("navigation").get_by_role("link", name="Withdraw").click()
    phone.get_by_role("button", name=re.compile("all")).click()
    assert Withdrawal.objects.filter(consent=consent, purpose=None).count() == 1
    assert not Image.objects.usable_for("research").exists()
