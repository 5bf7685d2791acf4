"""The public page that checks a receipt: what it says, and what it answers to rubbish."""

import base64
import datetime
import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from consent import append_only, receipts, services
from consent.keys import public_key
from consent.models import Consent, Receipt
from consent.signing import canonical_json, create_key, load_key, sign_dsse
from consent.verify_views import LARGEST_PDF, LARGEST_RECEIPT
from consent.withdrawals import withdraw
from tests.consent.factories import make_consent

pytestmark = pytest.mark.django_db


@pytest.fixture
def receipt():
    return services.issue_receipt(consent=make_consent(purposes=["research", "training"]))


def ask(client, **sent):
    response = client.post("/verify/", sent)
    assert response.status_code == 200
    return response.content.decode()


def uploaded(content, name="receipt.json"):
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())


def test_r08_anybody_can_check_a_receipt_as_a_file_or_pasted(client, receipt):
    assert "Check a receipt" in client.get("/").content.decode()
    for sent in ({"receipt": uploaded(receipt.envelope)}, {"text": f"\n {receipt.envelope} \n"}):
        shown = ask(client, **sent)
        assert "We signed this receipt" in shown
        assert "in force" in shown
        assert "research, training" in shown
        assert ">sealed<" in shown
        assert "PDF</dt>" not in shown


def test_it_does_not_say_who_signed(client, receipt):
    shown = ask(client, text=receipt.envelope)
    evidence = receipt.consent.evidence
    for secret in (evidence.signer_name, evidence.email, evidence.ip, str(receipt.consent.contributor_id)):
        assert secret not in shown


def test_the_pdf_is_compared(client, receipt):
    pdf = bytes(receipt.pdf)
    assert ">fits<" in ask(client, text=receipt.envelope, pdf=uploaded(pdf, "signed.pdf"))
    assert ">does not fit<" in ask(client, text=receipt.envelope, pdf=uploaded(pdf + b"\n", "signed.pdf"))
    assert ">does not fit<" in ask(client, text=receipt.envelope, pdf=uploaded(b"", "signed.pdf"))


def test_a_withdrawn_permission_is_said_to_be_over(client, receipt):
    withdraw(consent=receipt.consent, purpose="training")
    shown = ask(client, text=receipt.envelope)
    assert "For: research." in shown
    assert "No longer for: training." in shown
    withdraw(consent=receipt.consent)
    shown = ask(client, text=receipt.envelope)
    assert "in force" not in shown
    assert "taken back or has run out" in shown


def test_a_consent_that_was_altered_past_the_services_is_not_as_sealed(client, receipt):
    with connection.cursor() as cursor:
        for statement in append_only.drop_sql(connection.vendor, "consent_consent"):
            cursor.execute(statement)
    Consent.objects.update(expires_at=timezone.now() + datetime.timedelta(days=99_999))
    assert ">not sealed<" in ask(client, text=receipt.envelope)


def test_a_permission_that_is_not_known_here(client, receipt):
    document = receipts.open_receipt(receipt.envelope, public_key())
    document["dpv:hasRecordOfActivity"][0]["dct:identifier"] = "6f6f0a52-4a7d-4c39-9d53-0d1f2f3a4b5c"
    signed = sign_dsse(canonical_json(document).encode(), receipts.PAYLOAD_TYPE, receipts.signing_key())
    assert "do not know this permission" in ask(client, text=signed)


def test_a_changed_receipt_says_nothing_about_the_permission(client, receipt, tmp_path):
    envelope = json.loads(receipt.envelope)
    payload = base64.b64decode(envelope["payload"])
    create_key(tmp_path / "other.pem")
    forged = {
        "changed": json.dumps({**envelope, "payload": base64.b64encode(payload.replace(b"Ada", b"Eve")).decode()}),
        "other key": sign_dsse(payload, receipts.PAYLOAD_TYPE, load_key(tmp_path / "other.pem")),
        "other kind": sign_dsse(payload, "text/plain", receipts.signing_key()),
    }
    for envelope in forged.values():
        shown = ask(client, text=envelope)
        assert "The signature does not hold" in shown
        assert "in force" not in shown


@pytest.mark.parametrize(
    "rubbish",
    [
        "{}",
        "[]",
        "null",
        "1",
        '"x"',
        "{",
        "[" * 50_000,
        '{"payload": 1}',
        "\x00",
        "🙂",
        '{"payload":"","signatures":5}',
    ],
)
def test_rubbish_is_answered_clearly(client, rubbish):
    for sent in ({"text": rubbish}, {"receipt": uploaded(rubbish)}):
        shown = ask(client, **sent)
        assert 'class="errorlist' in shown
        assert "We signed this receipt" not in shown


@pytest.mark.parametrize("inside", [b"{}", b"[]", b"not json", b'{"dpv:hasRecordOfActivity": [{}]}', b"\xff"])
def test_what_we_signed_but_is_no_receipt_is_answered_clearly(client, inside):
    envelope = sign_dsse(inside, receipts.PAYLOAD_TYPE, receipts.signing_key())
    assert "This is not a receipt" in ask(client, text=envelope)


def test_nothing_and_too_much_are_answered_clearly(client, receipt):
    assert "Choose the receipt" in ask(client)
    assert "too large for a receipt" in ask(client, receipt=uploaded(b" " * (LARGEST_RECEIPT + 1)))
    assert "too long for a receipt" in ask(client, text=" a" * LARGEST_RECEIPT)
    big = uploaded(b" " * (LARGEST_PDF + 1), "signed.pdf")
    assert "too large for a signed text" in ask(client, text=receipt.envelope, pdf=big)


def test_checking_keeps_nothing(client, receipt):
    before = (Receipt.objects.count(), Consent.objects.count())
    ask(client, text=receipt.envelope)
    assert (Receipt.objects.count(), Consent.objects.count()) == before
    assert client.get("/verify/")["Cache-Control"].count("no-store")
