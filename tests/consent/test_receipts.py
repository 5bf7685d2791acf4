import datetime
import json
from pathlib import Path

import jsonschema
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from consent import ledger, receipts, services, tasks
from consent.keys import public_key
from consent.models import Checkpoint, LedgerEntry, Receipt, SignatureEvidence
from consent.signing import BadSignature, create_key, load_key, public_pem, sha256_hex
from tests.consent.factories import make_consent, make_contributor, make_text

pytestmark = pytest.mark.django_db
SCHEMA = json.loads((Path(__file__).parent / "data" / "receipt.schema.json").read_text())


@pytest.fixture
def consent():
    return make_consent(purposes=["research", "training"])


def opened(receipt):
    return receipts.open_receipt(receipt.envelope, public_key())


def test_a_receipt_follows_the_schema(consent):
    document = opened(services.issue_receipt(consent=consent))
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    [record] = document["dpv:hasRecordOfActivity"]
    assert [process["dct:identifier"] for process in record["dpv:hasProcess"]] == ["research", "training"]
    assert record["dpv:hasNotice"]["ev:sha256"] == consent.text.sha256
    assert record["ev:signature"]["ev:signerName"] == "Ada Example"


def test_it_names_the_pdf_and_a_root_under_which_the_consent_is_sealed(consent):
    receipt = services.issue_receipt(consent=consent)
    signature = opened(receipt)["dpv:hasRecordOfActivity"][0]["ev:signature"]
    assert signature["ev:signedPdfSha256"] == sha256_hex(bytes(receipt.pdf))
    head = Checkpoint.objects.get(root_hash=signature["ev:auditHead"])
    entry = LedgerEntry.objects.get(payload__contains="consent.granted")
    assert ledger.inclusion([entry], head)


def test_a_changed_receipt_or_another_key_does_not_verify(consent, tmp_path):
    receipt = services.issue_receipt(consent=consent)
    envelope = json.loads(receipt.envelope)
    envelope["payload"] = envelope["payload"][:-8] + "AAAAAAA="
    with pytest.raises(BadSignature):
        receipts.open_receipt(json.dumps(envelope), public_key())
    create_key(tmp_path / "other.pem")
    with pytest.raises(BadSignature):
        receipts.open_receipt(receipt.envelope, load_key(tmp_path / "other.pem").public_key())


def test_a_receipt_is_issued_once(consent):
    first = services.issue_receipt(consent=consent)
    assert services.issue_receipt(consent=consent).envelope == first.envelope
    assert LedgerEntry.objects.filter(payload__contains="receipt.issued").count() == 1


def test_the_pdf_holds_every_kind_of_markdown_and_any_name():
    body = (
        "# A\n\n**b** *c* `d` [e](https://a.b)\n\n- f\n- g\n\n1. h\n\n> i\n\n---\n\n    j\n\n![k](l.png) #[m] $n$\\\no"
    )
    contributor = make_contributor()
    consent = make_consent(contributor, text=make_text(body=body))
    for name in ("#eval(1) $x$ *y*", "山田花子", "أحمد", "Zoë 😀"):
        SignatureEvidence.objects.update(signer_name=name)
        evidence = SignatureEvidence.objects.get()
        assert receipts.render_pdf(consent, evidence).startswith(b"%PDF-")


def test_the_sweep_issues_and_mails_each_receipt_once(consent):
    tasks.issue_receipts()
    tasks.issue_receipts()
    [message] = mail.outbox
    assert message.to == [consent.evidence.email]
    assert "/me/withdraw/" in message.body
    assert "/me/" in message.body
    (json_name, envelope, _), (pdf_name, pdf, kind) = message.attachments
    assert opened(Receipt.objects.get())["@type"] == "dpv:ConsentReceipt"
    assert receipts.open_receipt(envelope, public_key())
    assert json_name.endswith(".json")
    assert (pdf_name[-4:], pdf[:5], kind) == (".pdf", b"%PDF-", "application/pdf")
    assert Receipt.objects.get().mailed_at


def test_a_mail_that_fails_is_tried_again_later(consent, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    tasks.issue_receipts()
    receipt = Receipt.objects.get()
    assert receipt.mailed_at is None
    assert receipt.mail_due_at > timezone.now()
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    tasks.issue_receipts()
    assert mail.outbox == []
    Receipt.objects.update(mail_due_at=timezone.now() - datetime.timedelta(seconds=1))
    tasks.issue_receipts()
    assert len(mail.outbox) == 1


def test_consents_whose_evidence_was_erased_get_no_receipt(consent):
    SignatureEvidence.objects.all().delete()
    tasks.issue_receipts()
    assert not Receipt.objects.exists()


def test_verify_receipt(consent, tmp_path, capsys):
    receipt = services.issue_receipt(consent=consent)
    (tmp_path / "receipt.json").write_text(receipt.envelope)
    (tmp_path / "signed.pdf").write_bytes(receipt.pdf)
    (tmp_path / "key.pem").write_text(public_pem(public_key()))
    call_command("verify_receipt", tmp_path / "receipt.json", key=tmp_path / "key.pem", pdf=tmp_path / "signed.pdf")
    assert f"good: consent {consent.pk}" in capsys.readouterr().out
    (tmp_path / "signed.pdf").write_bytes(b"%PDF-other")
    with pytest.raises(CommandError, match="not the text"):
        call_command("verify_receipt", tmp_path / "receipt.json", pdf=tmp_path / "signed.pdf")
    (tmp_path / "receipt.json").write_text(receipt.envelope.replace('"sig":"', '"sig":"AAAA'))
    with pytest.raises(CommandError, match="no signature of this key"):
        call_command("verify_receipt", tmp_path / "receipt.json")
    with pytest.raises(CommandError, match="No such file"):
        call_command("verify_receipt", tmp_path / "nothing.json")


def test_seal_ledger_task(consent):
    tasks.seal_ledger()
    assert ledger.latest_checkpoint().tree_size == LedgerEntry.objects.count()
