"""What the ledger hears of: one typed function per event. `*_facts` say it again from the row, for audits."""

from consent.ledger import Facts, append
from consent.models import (
    Aftermath,
    Consent,
    FormText,
    LedgerEntry,
    Licence,
    PurposeEnd,
    Receipt,
    RightsRequest,
    Withdrawal,
)
from consent.models.forms import Statements
from consent.signing import canonical_json, sha256_hex

# Kinds that stand for rows which must be there as they are told of (consent.audit).
AUDITED = frozenset({"text.published", "consent.granted", "consent.withdrawn", "licence.added", "purpose.ended"})


def record_text(text: FormText) -> LedgerEntry:
    """A form text was published."""
    return append(**text_facts(text))


def record_consent(consent: Consent) -> LedgerEntry:
    """A contributor signed."""
    return append(**consent_facts(consent))


def record_withdrawal(withdrawal: Withdrawal) -> LedgerEntry:
    """A contributor took back one purpose or all of them."""
    return append(**withdrawal_facts(withdrawal))


def record_licence(licence: Licence) -> LedgerEntry:
    """A licence was recorded."""
    return append(**licence_facts(licence))


def record_purpose_end(end: PurposeEnd) -> LedgerEntry:
    """A purpose is over."""
    return append(**purpose_end_facts(end))


def record_receipt(receipt: Receipt) -> LedgerEntry:
    """A receipt was issued; its own rows may be erased with the person, so only hashes go in."""
    return append(
        "receipt.issued",
        at=receipt.issued_at,
        consent=receipt.consent_id,
        envelope_sha256=sha256_hex(receipt.envelope.encode()),
        pdf_sha256=sha256_hex(bytes(receipt.pdf)),
    )


def record_request_opened(request: RightsRequest) -> LedgerEntry:
    """Somebody asked something about their data. Not who, nor what they wrote."""
    return append(
        "request.opened", at=request.received_at, request=request.pk, about=str(request.kind), due_at=request.due_at
    )


def record_request_extended(request: RightsRequest) -> LedgerEntry:
    """A request is to be answered later."""
    return append("request.extended", at=request.extended_at, request=request.pk, due_at=request.due_at)


def record_request_answered(request: RightsRequest) -> LedgerEntry:
    """A request was answered."""
    return append("request.answered", at=request.answered_at, request=request.pk, outcome=str(request.outcome))


def record_correction(request: RightsRequest, fields: list[str]) -> LedgerEntry:
    """What we know of a contributor was corrected at their request: which fields, not what they say."""
    return append(
        "contributor.corrected", contributor=request.contributor_id, request=request.pk, fields=sorted(fields)
    )


def text_facts(text: FormText) -> Facts:
    """What the ledger says of a published text, whole."""
    return {
        "kind": "text.published",
        "at": text.published_at,
        "form": text.form.slug,
        "version": text.version,
        "language": text.language,
        "text_sha256": text.sha256,
        "purposes": _codes(text),
        "retention_days": text.retention_days,
        **_statements_fact(text),
    }


def _statements_fact(text: FormText) -> Facts:
    """One hash of all that a text says, since its notice says all of it; entries of earlier texts do not have it."""
    if not text.html.startswith("<article"):
        return {}
    said = {field.name: getattr(text, field.name) for field in Statements._meta.get_fields()}
    return {"statements_sha256": sha256_hex(canonical_json({**said, "major": text.major}).encode())}


def consent_facts(consent: Consent) -> Facts:
    """What the ledger says of a consent, whole."""
    return {
        "kind": "consent.granted",
        "at": consent.signed_at,
        "consent": consent.pk,
        "contributor": consent.contributor_id,
        "text_sha256": consent.text.sha256,
        "purposes": _codes(consent),
        "expires_at": consent.expires_at,
        "evidence_sha256": consent.evidence_sha256,
    }


def withdrawal_facts(withdrawal: Withdrawal) -> Facts:
    """What the ledger says of a withdrawal, whole."""
    return {
        "kind": "consent.withdrawn",
        "at": withdrawal.made_at,
        "consent": withdrawal.consent_id,
        "purpose": withdrawal.purpose_id,
        "withdrawal": withdrawal.pk,
        **_told_later(withdrawal),
    }


def _told_later(withdrawal: Withdrawal) -> Facts:
    """What withdrawals say when it is not the usual; earlier entries do not have it."""
    unusual: Facts = {}
    if withdrawal.cause != Withdrawal.Cause.WITHDRAWN:
        unusual["cause"] = str(withdrawal.cause)
    if withdrawal.aftermath != Aftermath.ERASE:
        unusual["aftermath"] = str(withdrawal.aftermath)
    return unusual


def licence_facts(licence: Licence) -> Facts:
    """What the ledger says of a licence, whole."""
    facts: Facts = {
        "kind": "licence.added",
        "at": licence.created_at,
        "licence": licence.pk,
        "terms": licence.terms,
        "territory": licence.territory,
        "purposes": _codes(licence),
        "starts_on": licence.starts_on,
        "ends_on": licence.ends_on,
        "evidence_sha256": licence.evidence_sha256,
    }
    if licence.self_reported_attributes:  # entries from before there was the question do not have it
        facts["self_reported_attributes"] = True
    return {**facts, **_contract_facts(licence)} if licence.evidence_key else facts


def _contract_facts(licence: Licence) -> Facts:
    """What licences say since their contracts are kept here; earlier entries do not have it."""
    return {
        "price": licence.price,
        "price_basis": str(licence.price_basis),
        "currency": licence.currency,
        "volume_cap": licence.volume_cap,
        "model_release": licence.model_release,
    }


def purpose_end_facts(end: PurposeEnd) -> Facts:
    """What the ledger says of the end of a purpose, whole."""
    return {"kind": "purpose.ended", "at": end.ended_at, "purpose": end.purpose_id, "reason": end.reason}


def _codes(holder: FormText | Consent | Licence) -> list[str]:
    return sorted(purpose.pk for purpose in holder.purposes.all())
