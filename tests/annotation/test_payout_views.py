"""The pages about pay: who may do what, and who sees what."""

import re
from decimal import Decimal

import pypdfium2
import pytest
from django.urls import reverse
from lxml import etree

from annotation.balances import balances
from annotation.payout_models import Adjustment, Payee, Payment, PayoutRun
from annotation.payouts import forget_bank_details, record_outcome
from tests.annotation.factories import make_annotator, make_user
from tests.annotation.payout_factories import (
    IBAN,
    OTHER_IBAN,
    PAYER,
    details,
    earn,
    give,
    make_earner,
    make_manager,
    make_run,
    payee_of,
    prepare,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _payer(settings):
    settings.PAYER = PAYER


@pytest.fixture
def manager(client):
    user = make_manager()
    client.force_login(user)
    return user


def read(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return " ".join(re.sub(r"\s+", " ", page.get_textpage().get_text_bounded()) for page in document)


# --- Runs ----------------------------------------------------------------------------------------


def test_a_run_from_prepare_to_settled_by_two_people(client, manager):
    paid, left = make_earner("30.1234"), make_earner("12")
    assert "42.1234 to 2 annotators" in client.get(reverse("payout_runs")).content.decode()
    answer = client.post(reverse("payout_runs"), {"currency": "EUR", "minimum": "20"})
    run = PayoutRun.objects.get()
    page = reverse("payout_run", args=[run.pk])
    assert answer.url == page
    shown = client.get(page).content.decode()
    for said in (
        paid.user.email,
        "IE29 AIBK 9311 5212 3456 78",
        "30.12",
        "0.0034",
        left.user.email,
        "Is owed less than the minimum",
    ):
        assert said in shown
    assert "You prepared this run" in shown
    assert "second person" in client.post(page, {"action": "approve"}, follow=True).content.decode()
    assert client.get(reverse("payout_file", args=[run.pk, "pain001"])).status_code == 409

    client.force_login(make_manager())
    assert "is approved" in client.post(page, {"action": "approve"}, follow=True).content.decode()
    assert "approved already" in client.post(page, {"action": "approve"}, follow=True).content.decode()
    xml = client.get(reverse("payout_file", args=[run.pk, "pain001"]))
    assert "no-store" in xml["Cache-Control"]
    assert "attachment" in xml["Content-Disposition"]
    assert etree.fromstring(xml.content).xpath("string(//*[local-name()='CtrlSum'])") == "30.12"
    assert IBAN in client.get(reverse("payout_file", args=[run.pk, "csv"])).content.decode()
    assert client.get(reverse("payout_file", args=[run.pk, "exe"])).status_code == 404

    assert "1 payment is settled" in client.post(page, {"action": "settle"}, follow=True).content.decode()
    assert Payment.objects.with_state().get().state == "settled"


def test_preparing_twice_pays_once(client, manager):
    make_earner()
    for _ in range(2):
        answer = client.post(reverse("payout_runs"), {"currency": "EUR", "minimum": "20"})
    assert "Nobody can be paid in EUR now" in answer.content.decode()
    assert PayoutRun.objects.count() == 1


@pytest.mark.parametrize("given", [{"minimum": "0"}, {"minimum": "1.234"}, {"currency": "euro"}, {"minimum": "x"}])
def test_what_makes_no_sense_is_told_and_makes_no_run(client, manager, given):
    make_earner()
    answer = client.post(reverse("payout_runs"), {"currency": "EUR", "minimum": "20", **given})
    assert 'role="alert"' in answer.content.decode()
    assert not PayoutRun.objects.exists()


def test_discarding_wants_a_reason(client, manager):
    make_earner()
    run = prepare()
    page = reverse("payout_run", args=[run.pk])
    assert "required" in client.post(page, {"action": "discard", "reason": ""}).content.decode()
    client.post(page, {"action": "discard", "reason": "Wrong month"})
    assert Payment.objects.with_state().get().state == "failed"
    assert "it was discarded" in client.get(page).content.decode()
    assert "discarded" in client.get(reverse("payout_runs")).content.decode()


def test_the_banks_answer_is_written_down(client, manager):
    make_earner()
    payment = make_run().payments.get()
    page = reverse("payment", args=[payment.pk])
    assert "Reversed" not in client.get(page).content.decode()
    assert "Say why" in client.post(page, {"new": "failed"}).content.decode()
    client.post(page, {"new": "settled"})
    shown = client.get(page).content.decode()
    assert "Settled" in shown
    assert manager.email in shown
    assert client.post(page, {"new": "settled"}).status_code == 200
    assert Payment.objects.with_state().get().state == "settled"


def test_a_file_of_a_run_whose_accounts_are_forgotten_is_refused(client, manager, settings):
    make_earner()
    run = make_run()
    settings.PAYMENT_DETAILS_DAYS = 0
    forget_bank_details()
    answer = client.get(reverse("payout_file", args=[run.pk, "pain001"]))
    assert (answer.status_code, "deleted after their time" in answer.content.decode()) == (409, True)
    assert "forgotten after its time" in client.get(reverse("payout_run", args=[run.pk])).content.decode()


# --- Corrections ---------------------------------------------------------------------------------


def test_a_correction_is_in_the_balance_and_the_annotator_reads_why(client, manager):
    annotator = make_earner()
    page = reverse("annotator_pay", args=[annotator.pk])
    client.post(page, {"amount": "-2.5", "currency": "EUR", "reason": "Paid twice"})
    assert Adjustment.objects.get().made_by == manager
    assert "27.50 EUR" in client.get(page).content.decode()
    client.force_login(annotator.user)
    shown = client.get(reverse("work")).content.decode()
    for said in ("Balance: <strong>27.50 EUR", "-2.50 EUR", "Paid twice"):
        assert said in shown
    assert manager.email not in shown


# --- Annotators ----------------------------------------------------------------------------------


def test_an_annotator_gives_changes_and_deletes_bank_details(client):
    annotator = make_annotator(7)
    client.force_login(annotator.user)
    assert "Give your bank details" in client.get(reverse("work")).content.decode()
    answer = client.post(reverse("payee"), details(iban="IE29 AIBK 9311 5212 3456 79"))
    assert "no IBAN" in answer.content.decode()
    assert not Payee.objects.exists()
    client.post(reverse("payee"), details(iban="ie29 aibk 9311 5212 3456 78"))
    assert payee_of(annotator).iban == IBAN
    assert "ends in 5678" in client.get(reverse("work")).content.decode()
    client.post(reverse("payee"), details(iban=OTHER_IBAN))
    assert payee_of(annotator).iban == OTHER_IBAN
    assert "no-store" in client.get(reverse("payee"))["Cache-Control"]
    client.post(reverse("payee"), {"action": "remove"})
    assert not Payee.objects.exists()


def test_the_page_shows_each_payment_and_the_statement_says_how_it_came_about(client):
    annotator = make_earner("30.1234")
    give(annotator, "1.5")
    payment = make_run().payments.get()
    record_outcome(
        payment=payment, new="failed", reason="Account closed", user=make_manager(), agreed_by=make_manager()
    )
    client.force_login(annotator.user)
    shown = client.get(reverse("work")).content.decode()
    for said in ("Balance: <strong>31.6234 EUR", "31.62 EUR", "Failed", "Account closed"):
        assert said in shown
    answer = client.get(reverse("statement", args=[payment.pk]))
    assert answer["Content-Type"] == "application/pdf"
    assert "no-store" in answer["Cache-Control"]
    assert b"pdfuaid" in answer.content
    said = read(answer.content)
    for words in ("Statement of payment 1", "31.62 EUR", "30.1234", "1.50", "-31.62", "0.0034", "ending in 5678",
                  payment.pk.hex, "Example Foundation", "Failed. Account closed"):  # fmt: skip
        assert words in said, said
    assert IBAN not in said


def test_hours_are_told_and_an_edit_is_not_counted_twice(client):
    annotator = make_earner()  # 12.5 seconds by the factory
    client.force_login(annotator.user)
    assert "counted in your browser" not in client.get(reverse("work")).content.decode()
    for _ in range(4):
        earn(annotator)
    assert "counted in your browser: 1 min" in client.get(reverse("work")).content.decode()


# --- Who sees what -------------------------------------------------------------------------------


def test_annotators_never_see_what_is_others(client):
    make_earner()
    stranger, run = make_earner("2"), make_run()
    payment = run.payments.get()
    staff = [
        reverse("payout_runs"), reverse("payout_run", args=[run.pk]), reverse("payment", args=[payment.pk]),
        reverse("payout_file", args=[run.pk, "pain001"]), reverse("payout_file", args=[run.pk, "csv"]),
        reverse("annotator_pay", args=[payment.annotator_id]),
    ]  # fmt: skip
    client.force_login(stranger.user)
    assert [client.get(page).status_code for page in staff] == [403] * 6
    assert [client.post(page).status_code for page in staff[:3]] == [403] * 3
    assert client.get(reverse("statement", args=[payment.pk])).status_code == 404
    shown = client.get(reverse("work")).content.decode()
    assert payment.annotator.user.email not in shown
    assert str(payment.pk) not in shown


@pytest.mark.parametrize("role", ["reviewer", "data-protection officer", "fairness analyst", "harm officer"])
def test_other_staff_see_no_pay(client, role):
    make_earner()
    run = make_run()
    client.force_login(make_user("", role))
    for name, args in (("payout_runs", []), ("payout_run", [run.pk]), ("payout_file", [run.pk, "csv"])):
        assert client.get(reverse(name, args=args)).status_code == 403
    assert client.get(reverse("payee")).status_code == 403


def test_strangers_are_led_to_sign_in(client):
    make_earner()
    run = make_run()
    for name, args in (("payout_file", [run.pk, "csv"]), ("statement", [run.payments.get().pk]), ("payee", [])):
        assert reverse("account_login") in client.get(reverse(name, args=args)).url


def test_a_link_does_nothing_by_being_opened(client, manager):
    annotator = make_earner()
    run = prepare()
    client.get(reverse("payout_run", args=[run.pk]), {"action": "approve"})
    client.get(reverse("annotator_pay", args=[annotator.pk]), {"amount": "1", "currency": "EUR", "reason": "x"})
    assert Payment.objects.with_state().get().state == "prepared"
    assert balances(annotators=[annotator])[annotator.pk, "EUR"].total == Decimal(0)
