"""Checking a receipt that somebody holds: the signature, the paper, and where the permission stands now."""

from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent.events import consent_facts
from consent.keys import public_key
from consent.ledger import entry_hash, payload_text
from consent.models import Checkpoint, Consent, LedgerLeaf
from consent.receipts import open_receipt
from consent.refusals import Refused
from consent.signing import BadSignature, sha256_hex


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a receipt whose signature holds says, and what we know of its consent.

    `paper_fits` is None without a PDF. `known` is False if no such consent is here; `in_force` are the purposes that
    may still be used, `over` those that were taken back or ran out. `sealed`: the ledger holds the consent under
    `ledger_root`, which the receipt names.
    """

    consent: str
    signed_at: str
    purposes: tuple[str, ...]
    paper_fits: bool | None
    ledger_root: str
    known: bool = False
    in_force: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    sealed: bool = False


def read_receipt(*, envelope: bytes, key: Ed25519PublicKey, pdf: bytes | None = None) -> Finding:
    """What the receipt itself says. Refused if it was not signed with `key`, was changed, or is not a receipt."""
    try:
        return _said(open_receipt(envelope, key)["dpv:hasRecordOfActivity"][0], pdf)
    except BadSignature as error:
        raise Refused(
            f"The signature does not hold: {error}. This is not a receipt of ours, or it was changed."
        ) from None
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise Refused(
            "This is not a receipt: we expect the JSON file that you were sent or that you downloaded."
        ) from None


def _said(record: dict[str, Any], pdf: bytes | None) -> Finding:
    signature = record["ev:signature"]
    return Finding(
        consent=record["dct:identifier"],
        signed_at=signature["ev:signedAt"],
        purposes=tuple(process["dct:identifier"] for process in record["dpv:hasProcess"]),
        paper_fits=None if pdf is None else sha256_hex(pdf) == signature["ev:signedPdfSha256"],
        ledger_root=signature["ev:auditHead"],
    )


def check_receipt(*, envelope: bytes, pdf: bytes | None = None) -> Finding:
    """read_receipt with our own key, and where the consent stands now."""
    said = read_receipt(envelope=envelope, key=public_key(), pdf=pdf)
    consent = Consent.objects.filter(pk=said.consent).select_related("text").first()
    if consent is None:
        return said
    live = tuple(code for code in said.purposes if Consent.objects.live(code).filter(pk=consent.pk).exists())
    return replace(
        said,
        known=True,
        in_force=live,
        over=tuple(code for code in said.purposes if code not in live),
        sealed=_is_sealed(consent, said.ledger_root),
    )


def _is_sealed(consent: Consent, root: str) -> bool:
    """True if the ledger's entry for this consent, as its rows stand now, lies under a head of ours with this root."""
    leaf = entry_hash(payload_text(consent_facts(consent))).hex()
    head = Checkpoint.objects.filter(root_hash=root).first()
    return head is not None and LedgerLeaf.objects.filter(leaf_hash=leaf, index__lt=head.tree_size).exists()
