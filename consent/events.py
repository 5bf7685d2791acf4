"""What the ledger hears of: one typed function per event. `*_facts` say it again from the row, for audits."""

from consent.ledger import Facts, append
from consent.models import Consent, FormText, LedgerEntry, Licence, Receipt, Withdrawal
from consent.signing import sha256_hex


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


def record_receipt(receipt: Receipt) -> LedgerEntry:
    """A receipt was issued; its own rows may be erased with the person, so only hashes go in."""
    return append(
        "receipt.issued",
        at=receipt.issued_at,
        consent=receipt.consent_id,
        envelope_sha256=sha256_hex(receipt.envelope.encode()),
        pdf_sha256=sha256_hex(bytes(receipt.pdf)),
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
    }


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
    }


def licence_facts(licence: Licence) -> Facts:
    """What the ledger says of a licence, whole."""
    return {
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


def _codes(holder: FormText | Consent | Licence) -> list[str]:
    return sorted(purpose.pk for purpose in holder.purposes.all())
