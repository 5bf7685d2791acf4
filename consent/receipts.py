"""Receipts: what was agreed, as signed JSON (a DPV consent receipt after ISO/IEC TS 27560) and as the PDF of the text.

The JSON travels in a DSSE envelope. It carries the SHA-256 of the PDF, the SHA-256 of the HTML that was shown, and the
ledger's root at the time, under which the consent is sealed.
"""

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from consent import events, ledger
from consent.keys import signing_key
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import Consent, FormText, Purpose, Receipt, SignatureEvidence
from consent.renewal import is_renewal
from consent.signed_pdf import render_pdf
from consent.signing import canonical_json, open_dsse, sha256_hex, sign_dsse, utc_text

logger = logging.getLogger(__name__)

PAYLOAD_TYPE = "application/vnd.likeness.consent-receipt+json"
PROFILE = "https://w3id.org/dpv/schema/dpv-27560#{}-eu-gdpr"
# How it was indicated: without and with a drawn signature.
METHODS = (
    "Typed name, and a separate ticked box for each purpose",
    "Typed and drawn name, and a separate ticked box for each purpose",
)
TIMES = ("dct:created", "dpv:isIndicatedAtTime")
IDENTIFIERS = (
    "dct:conformsTo", "dpv:hasPurpose", "dpv:hasPersonalData", "dpv:hasLegalBasis", "dpv:hasJurisdiction",
    "dpv:hasApplicableLaw", "dpv:hasDataController", "dpv:hasLocation", "dpv:isIndicatedBy", "dpv:isExercisedAt",
    "dpv:hasNecessity", "dpv:hasDataSource", "dpv:hasProcessing",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "dpv": "https://w3id.org/dpv#",
    "pd": "https://w3id.org/dpv/pd#",
    "loc": "https://w3id.org/dpv/loc#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "legal-eu": "https://w3id.org/dpv/legal/eu#",
    "dct": "http://purl.org/dc/terms/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "ev": "https://example.org/ns/evidence#",  # the namespace of the published schema and shapes
    **{name: {"@type": "xsd:dateTime"} for name in TIMES},
    **{name: {"@type": "@id"} for name in IDENTIFIERS},
}


# --- Issuing -------------------------------------------------------------------------------------


def issue_receipt(*, consent: Consent) -> Receipt:
    """The receipt of a consent, made if there is none yet. SignatureEvidence.DoesNotExist once its person is erased."""
    if receipt := Receipt.objects.filter(consent=consent).first():
        return receipt
    pdf = render_pdf(consent, consent.evidence)
    document = receipt_document(consent, consent.evidence, sha256_hex(pdf), ledger.sealed_head().root_hash)
    envelope = sign_dsse(canonical_json(document).encode(), PAYLOAD_TYPE, signing_key())
    try:
        with transaction.atomic():
            # Its person may have been erased while it was made.
            SignatureEvidence.objects.select_for_update().only("pk").get(consent=consent)
            receipt = Receipt.objects.create(consent=consent, envelope=envelope, pdf=pdf)
            events.record_receipt(receipt)
            return receipt
    except IntegrityError:  # another worker issued it meanwhile
        return Receipt.objects.get(consent=consent)


def open_receipt(envelope: str | bytes, key: Ed25519PublicKey) -> dict[str, Any]:
    """The receipt inside a signed envelope; BadSignature if it was not signed with this key or was changed since."""
    document: dict[str, Any] = json.loads(open_dsse(envelope, PAYLOAD_TYPE, key))
    return document


def mail_receipt(*, receipt: Receipt) -> bool:
    """Mail the receipt to its signer, once. False as mailing.send_claimed says."""
    owed = Receipt.objects.filter(pk=receipt.pk, mailed_at__isnull=True)
    if not send_claimed(owed, lambda: _message(receipt).send(), what=f"receipt {receipt.pk}"):
        return False
    Receipt.objects.filter(pk=receipt.pk).update(mailed_at=timezone.now())
    return True


def issue_due() -> None:
    """Issue every receipt that is missing and mail every one that is due. What fails is logged and tried again."""
    missing = Consent.objects.filter(receipt__isnull=True, evidence__isnull=False).order_by("signed_at")
    for consent in missing:
        _try(issue_receipt, consent=consent)
    unsent = Receipt.objects.filter(mailed_at__isnull=True, mail_due_at__lte=timezone.now())
    for receipt in unsent.filter(consent__evidence__isnull=False).defer("pdf", "envelope"):
        _try(mail_receipt, receipt=receipt)


def issue_one(*, consent: Consent) -> None:
    """issue_due for one consent."""
    if SignatureEvidence.objects.filter(consent=consent).exists():
        mail_receipt(receipt=issue_receipt(consent=consent))


def _try(step: Callable[..., object], **arguments: Any) -> None:
    try:
        step(**arguments)
    except Exception:  # one bad receipt must not keep back the others
        logger.exception("%s failed for %s", step.__name__, arguments)


def _message(receipt: Receipt) -> EmailMessage:
    consent = receipt.consent
    body = render_to_string(
        "consent/mail/receipt.txt", {"consent": consent, "me": absolute("me"), "withdraw": absolute("withdraw")}
    )
    message = write_mail(f"Your receipt: {consent.text.title}", body, [consent.evidence.email])
    message.attach(f"receipt-{consent.pk}.json", receipt.envelope, "application/json")
    message.attach(f"signed-text-{consent.pk}.pdf", bytes(receipt.pdf), "application/pdf")
    return message


# --- The document --------------------------------------------------------------------------------


def receipt_document(
    consent: Consent, evidence: SignatureEvidence, pdf_sha256: str, ledger_root: str
) -> dict[str, Any]:
    """The receipt as JSON-LD data."""
    identifier = str(uuid.uuid4())
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{identifier}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": PROFILE.format("receipt"),
        "dpv:hasIdentifier": identifier,
        "dct:created": utc_text(timezone.now()),
        "dpv:hasRecordOfActivity": [
            {**_record(consent), "ev:signature": _signature(evidence, pdf_sha256, ledger_root)},
        ],
    }


def _record(consent: Consent) -> dict[str, Any]:
    text = consent.text
    subject = f"urn:uuid:{consent.contributor_id}"
    return {
        "@id": f"urn:uuid:{consent.pk}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": PROFILE.format("record"),
        "dct:identifier": str(consent.pk),
        "dpv:hasDataSubject": {
            "@id": subject,
            "@type": "dpv:DataSubject",
            "dct:identifier": str(consent.contributor_id),
        },
        "dpv:hasDataController": _controller(text),
        "dpv:hasJurisdiction": f"loc:{text.jurisdiction}",
        "dpv:hasApplicableLaw": "legal-eu:law-GDPR",
        "dpv:hasLegalBasis": "eu-gdpr:A9-2-a",
        "dpv:hasNotice": _notice(text),
        "dpv:hasProcess": [_process(text, purpose) for purpose in consent.purposes.order_by("code")],
        "dpv:hasConsentControl": {"@type": "dpv:WithdrawConsent", "dpv:isExercisedAt": absolute("withdraw")},
        "dpv:hasRight": [
            {"@type": ["dpv:DataSubjectRight", f"eu-gdpr:{article}"], "dpv:isExercisedAt": absolute("withdraw")}
            for article in ("A7-3", "A17")
        ],
        "dpv:hasConsentStatus": [_status(consent, subject)],
    }


def _controller(text: FormText) -> dict[str, str]:
    identifier = f"{settings.BASE_URL}/#controller"
    return {
        "@id": identifier,
        "@type": "dpv:DataController",
        "dpv:hasIdentifier": identifier,
        "dpv:hasName": text.controller_name,
        "dpv:hasAddress": text.controller_address,
        "dpv:hasContact": text.contact,
    }


def _notice(text: FormText) -> dict[str, str]:
    return {
        "@id": f"{absolute('sign', text.form.slug)}#{text.version}-{text.language}",
        "@type": "dpv:ConsentNotice",
        "dct:identifier": text.form.slug,
        "dct:hasVersion": text.version,
        "dct:language": text.language,
        "dct:date": f"{text.published_at:%Y-%m-%d}",
        "ev:sha256": text.sha256,
        "ev:mediaType": "text/html",
    }


def _process(text: FormText, purpose: Purpose) -> dict[str, Any]:
    return {
        "@type": "dpv:Process",
        "dct:identifier": purpose.code,
        "dct:title": purpose.name,
        "dct:description": purpose.description,
        "dpv:hasPurpose": f"{settings.BASE_URL}/#purpose-{purpose.code}",
        "dpv:hasPersonalData": text.data_categories,
        "dpv:hasNecessity": "dpv:Optional",
        "dpv:hasDataSource": "dpv:DataSubjectDataSource",
        "dpv:hasProcessing": ["dpv:Collect", "dpv:Store", "dpv:Share"],
        "dpv:hasRecipient": text.recipients,
        "dpv:hasStorageCondition": [
            {"@type": "dpv:StorageLocation", "dpv:hasLocation": [f"loc:{code}" for code in text.storage_locations]},
            {"@type": "dpv:StorageDuration", "dpv:hasDuration": f"P{text.retention_days}D"},
        ],
    }


def _status(consent: Consent, subject: str) -> dict[str, Any]:
    return {
        "@type": [
            "dpv:RenewedConsentGiven" if is_renewal(consent) else "dpv:ConsentGiven",
            "dpv:ExplicitlyExpressedConsent",
        ],
        "dpv:isIndicatedBy": subject,
        "dpv:hasIndicationMethod": METHODS[bool(consent.evidence.drawing)],
        "dpv:isIndicatedAtTime": utc_text(consent.signed_at),
        "dpv:hasDuration": {"@type": "dpv:TemporalDuration", "rdf:value": f"P{consent.text.retention_days}D"},
    }


def _signature(evidence: SignatureEvidence, pdf_sha256: str, ledger_root: str) -> dict[str, Any]:
    verified = evidence.email_verified_at
    return {
        "ev:method": "typed-name+drawn-signature+checkbox" if evidence.drawing else "typed-name+checkbox",
        "ev:signerName": evidence.signer_name,
        "ev:intentStatement": evidence.intent,
        **({"ev:emailVerifiedAt": utc_text(verified)} if verified else {}),
        "ev:ip": evidence.ip or "",
        "ev:userAgent": evidence.user_agent,
        "ev:timezone": evidence.time_zone,
        "ev:viewedAt": utc_text(evidence.viewed_at),
        "ev:signedAt": utc_text(evidence.signed_at),
        "ev:signedPdfSha256": pdf_sha256,
        **({"ev:answers": _answers(evidence)} if evidence.answers else {}),
        "ev:adultDeclaration": True,  # nobody signs without being an adult: services.grant
        "ev:auditHead": ledger_root,
    }


def _answers(evidence: SignatureEvidence) -> list[dict[str, str]]:
    return [{"ev:question": said["question"], "ev:answer": said["answer"]} for said in evidence.answers]
