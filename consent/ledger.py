"""The ledger: what happened to rights and amounts, in an order that nobody can change unseen.

Entries are inserted concurrently, without a lock, in the transaction of the event itself (consent.events has one typed
function per event). `seal` gives the unsealed ones an order, extends the Merkle tree and signs its head (C2SP
tlog-checkpoint). Proofs of inclusion come from that; consent.audit checks all of it.
"""

import base64
import datetime
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent import merkle
from consent.keys import signing_key
from consent.models import Checkpoint, LedgerEntry, LedgerLeaf
from consent.signing import canonical_json, sign_note, utc_text

Facts = dict[str, Any]
SEAL_ATTEMPTS = 20  # lost races against other sealers before `sealed_head` gives up


def append(kind: str, *, at: datetime.datetime | None = None, **facts: Any) -> LedgerEntry:
    """Insert one entry in the caller's transaction. Times, dates, UUIDs and Decimals are written as text."""
    return LedgerEntry.objects.create(payload=payload_text({"kind": kind, "at": at or timezone.now(), **facts}))


def payload_text(facts: Facts) -> str:
    """The canonical text of an event's facts: what an entry holds."""
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
                LedgerLeaf(index=index, entry=entry, leaf_hash=entry_hash(entry.payload).hex())
                for index, entry in enumerate(pending, start=len(hashes))
            ]
            LedgerLeaf.objects.bulk_create(leaves, batch_size=500)
            root = merkle.root_hash([*hashes, *(bytes.fromhex(leaf.leaf_hash) for leaf in leaves)])
            size = len(hashes) + len(leaves)
            note = sign_note(head_text(size, root), settings.LEDGER_ORIGIN, key)
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


def entry_hash(payload: str) -> bytes:
    """The leaf hash of an entry."""
    return merkle.leaf_hash(payload.encode())


def head_text(size: int, root: bytes) -> str:
    """The text of a C2SP tlog-checkpoint."""
    return f"{settings.LEDGER_ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
