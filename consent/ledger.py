"""The ledger: what happened to rights and amounts, in an order that nobody can change unseen.

Entries are inserted concurrently, without a lock, in the transaction of the event itself. `seal` gives the unsealed
ones an order, extends the Merkle tree and signs its head (C2SP tlog-checkpoint). Proofs of inclusion come from that.
"""

import base64
import datetime
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent import merkle
from consent.keys import public_key, signing_key
from consent.models import (
    Checkpoint,
    Consent,
    FormText,
    LedgerEntry,
    LedgerLeaf,
    Licence,
    Receipt,
    SignatureEvidence,
    Withdrawal,
)
from consent.signing import BadSignature, canonical_json, open_note, sha256_hex, sign_note, utc_text

Facts = dict[str, Any]
SEAL_ATTEMPTS = 20  # lost races against other sealers before `sealed_head` gives up


# --- Events: one typed function each -------------------------------------------------------------


def append(kind: str, *, at: datetime.datetime | None = None, **facts: Any) -> LedgerEntry:
    """Insert one entry in the caller's transaction. Times, dates, UUIDs and Decimals are written as text."""
    return LedgerEntry.objects.create(payload=_payload({"kind": kind, "at": at or timezone.now(), **facts}))


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


def _payload(facts: Facts) -> str:
    return canonical_json({name: _plain(value) for name, value in facts.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return utc_text(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID | Decimal) else value


# --- Sealing and proofs --------------------------------------------------------------------------


def seal() -> Checkpoint | None:
    """Order and sign what is unsealed. None: nothing to do, or another process is just sealing it.

    Two sealers claim the same indexes; the unique constraints let one of them through.
    """
    key = signing_key()
    try:
        with transaction.atomic():
            pending = list(LedgerEntry.objects.filter(leaf__isnull=True).order_by("pk"))
            if not pending:
                return None
            hashes = _leaf_hashes()
            leaves = [
                LedgerLeaf(index=index, entry=entry, leaf_hash=_hash(entry.payload).hex())
                for index, entry in enumerate(pending, start=len(hashes))
            ]
            LedgerLeaf.objects.bulk_create(leaves, batch_size=500)
            root = merkle.root_hash([*hashes, *(bytes.fromhex(leaf.leaf_hash) for leaf in leaves)])
            size = len(hashes) + len(leaves)
            note = sign_note(_head(size, root), settings.LEDGER_ORIGIN, key)
            return Checkpoint.objects.create(tree_size=size, root_hash=root.hex(), note=note)
    except IntegrityError:
        return None


def sealed_head() -> Checkpoint:
    """A signed head over every entry that is committed now. RuntimeError if other sealers win all the time."""
    newest = LedgerEntry.objects.order_by("-pk").first()
    for _ in range(SEAL_ATTEMPTS):
        head = seal() or latest_checkpoint()
        unsealed = LedgerEntry.objects.filter(leaf__isnull=True, pk__lte=newest.pk if newest else 0)
        if head and not unsealed.exists():
            return head
    raise RuntimeError("the ledger could not be sealed")


def latest_checkpoint() -> Checkpoint | None:
    """The newest signed head, or None before the first seal."""
    return Checkpoint.objects.order_by("-tree_size").first()


def inclusion(entries: Sequence[LedgerEntry], checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Per entry, in order: {"index": int, "leaf": payload text, "proof": [hex, nearest sibling first]}.

    ValueError if an entry is not under the checkpoint yet: seal first.
    """
    indexes = dict(LedgerLeaf.objects.filter(entry__in=entries).values_list("entry_id", "index"))
    wanted = [indexes.get(entry.pk, checkpoint.tree_size) for entry in entries]
    if any(index >= checkpoint.tree_size for index in wanted):
        raise ValueError(f"an entry is not sealed in the checkpoint of size {checkpoint.tree_size}")
    proofs = merkle.inclusion_proofs(_leaf_hashes(checkpoint.tree_size), wanted)
    return [
        {"index": index, "leaf": entry.payload, "proof": [step.hex() for step in proof]}
        for entry, index, proof in zip(entries, wanted, proofs, strict=True)
    ]


def _leaf_hashes(size: int | None = None) -> list[bytes]:
    """The leaf hashes of the tree, or of its first `size` leaves."""
    hashes = LedgerLeaf.objects.order_by("index").values_list("leaf_hash", flat=True)
    return [bytes.fromhex(value) for value in hashes[:size]]


def _hash(payload: str) -> bytes:
    return merkle.leaf_hash(payload.encode())


def _head(size: int, root: bytes) -> str:
    """The text of a C2SP tlog-checkpoint."""
    return f"{settings.LEDGER_ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"


# --- Verification --------------------------------------------------------------------------------


def problems() -> Iterator[str]:
    """What is wrong with the ledger, one sentence each; nothing if all is well.

    Recomputes every leaf and every checkpoint from the payloads, and compares the rows that are proof with what the
    ledger says of them.
    """
    yield from _tree_problems()
    yield from _row_problems()


def _tree_problems() -> Iterator[str]:
    checkpoints = {checkpoint.tree_size: checkpoint for checkpoint in Checkpoint.objects.all()}
    frontier = merkle.Frontier()
    for position, leaf in enumerate(LedgerLeaf.objects.select_related("entry").order_by("index").iterator(2000)):
        if leaf.index != position:
            yield f"leaf {position} is missing"
            return
        computed = _hash(leaf.entry.payload)
        if computed.hex() != leaf.leaf_hash:
            yield f"entry {leaf.entry_id} (leaf {leaf.index}) was changed after it was sealed"
        frontier.add(computed)
        if checkpoint := checkpoints.pop(frontier.size, None):
            yield from _checkpoint_problems(checkpoint, frontier.root())
    yield from (f"checkpoint {size} covers leaves that are missing" for size in sorted(checkpoints))


def _checkpoint_problems(checkpoint: Checkpoint, root: bytes) -> Iterator[str]:
    name = f"checkpoint {checkpoint.tree_size}"
    if checkpoint.root_hash != root.hex():
        yield f"{name}: its root is not the root of the entries"
    try:
        text = open_note(checkpoint.note, settings.LEDGER_ORIGIN, public_key())
    except BadSignature as error:
        yield f"{name}: {error}"
        return
    if text != _head(checkpoint.tree_size, root):
        yield f"{name}: what was signed is not the root of the entries"


def _row_problems() -> Iterator[str]:
    said = set(LedgerEntry.objects.values_list("payload", flat=True))
    for row, facts in _proof_rows():
        if _payload(facts) not in said:
            yield f"{row} is not as the ledger says: it was changed, or added past the services"
    for text in FormText.objects.select_related("form"):
        if sha256_hex(text.html.encode()) != text.sha256:
            yield f"{text}: its words are not those that were published"
    for evidence in SignatureEvidence.objects.select_related("consent"):
        if sha256_hex(evidence.as_json().encode()) != evidence.consent.evidence_sha256:
            yield f"{evidence.consent}: the evidence of its signature was changed"


def _proof_rows() -> Iterator[tuple[object, Facts]]:
    for text in FormText.objects.select_related("form").prefetch_related("purposes"):
        yield text, text_facts(text)
    for consent in Consent.objects.select_related("text").prefetch_related("purposes"):
        yield consent, consent_facts(consent)
    for withdrawal in Withdrawal.objects.all():
        yield withdrawal, withdrawal_facts(withdrawal)
    for licence in Licence.objects.prefetch_related("purposes"):
        yield licence, licence_facts(licence)
