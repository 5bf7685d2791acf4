"""The ledger: what happened to rights and amounts, in an order that nobody can change unseen.

Entries are inserted concurrently, without a lock, in the transaction of the event itself (consent.events has one typed
function per event). `seal` gives the unsealed ones an order, extends the Merkle tree and signs its head (C2SP
tlog-checkpoint). Proofs of inclusion and consistency come from that; consent.audit checks all of it.
"""

import base64
import datetime
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from consent import merkle
from consent.keys import signing_key
from consent.models import Checkpoint, LedgerEntry, LedgerLeaf, LedgerTile
from consent.signing import canonical_json, sign_note, utc_text

Facts = dict[str, Any]
APPEND = "INSERT INTO consent_ledgerentry (payload, created_at) VALUES (%s, %s) RETURNING id"
BATCH = 5000  # entries under one checkpoint
LOOK_BACK = 20_000  # entry numbers that transactions still running may hold
TILE = 256  # leaves whose common root is kept
SEAL_ATTEMPTS = 1000  # lost races against other sealers before `sealed_head` gives up


def append(kind: str, *, at: datetime.datetime | None = None, **facts: Any) -> LedgerEntry:
    """Insert one entry in the caller's transaction. Times, dates, UUIDs and Decimals are written as text."""
    made = entry(kind, at=at, **facts)
    # By hand: every event of the product passes here, and the ORM's way takes half as long again.
    with connection.cursor() as cursor:
        cursor.execute(APPEND, [made.payload, connection.ops.adapt_datetimefield_value(made.created_at)])
        (made.pk,) = cursor.fetchone()
    made._state.adding = False
    return made


def entry(kind: str, *, at: datetime.datetime | None = None, **facts: Any) -> LedgerEntry:
    """An entry that is still to be inserted, with others by `append_all`."""
    now = timezone.now()
    return LedgerEntry(payload=payload_text({"kind": kind, "at": at or now, **facts}), created_at=now)


def append_all(entries: Sequence[LedgerEntry]) -> None:
    """Insert many entries in the caller's transaction, in few statements."""
    LedgerEntry.objects.bulk_create(entries, batch_size=500)


def payload_text(facts: Facts) -> str:
    """The canonical text of an event's facts: what an entry holds."""
    return canonical_json({name: plain(value) for name, value in facts.items()})


def plain(value: Any) -> Any:
    """Times, dates, UUIDs and Decimals as text; anything else as it is."""
    if isinstance(value, datetime.datetime):
        return utc_text(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID | Decimal) else value


# --- Sealing -------------------------------------------------------------------------------------


def seal(*, look_back: int | None = LOOK_BACK) -> Checkpoint | None:
    """Order and sign up to BATCH unsealed entries. None: nothing to do, or another process is just sealing.

    Entries become visible when their transactions end, so not in the order of their numbers: they are looked for from
    `look_back` numbers before the newest sealed one on; None looks everywhere. Two sealers claim the same indexes; the
    unique constraints let one of them through.
    """
    key = signing_key()
    try:
        with transaction.atomic():
            pending = list(_unsealed(look_back).order_by("pk")[:BATCH])
            if not pending:
                return None
            return _seal(pending, latest_frontier(), key)
    except IntegrityError:
        return None


def _unsealed(look_back: int | None) -> QuerySet[LedgerEntry]:
    unsealed = LedgerEntry.objects.filter(leaf__isnull=True)
    newest = LedgerLeaf.objects.order_by("-index").values_list("entry_id", flat=True).first()
    if look_back is None or newest is None:
        return unsealed
    return unsealed.filter(pk__gt=newest - look_back)


def _seal(pending: list[LedgerEntry], frontier: merkle.Frontier, key: Ed25519PrivateKey) -> Checkpoint:
    leaves = []
    for entry in pending:
        leaf = entry_hash(entry.payload)
        leaves.append(LedgerLeaf(index=frontier.size, entry=entry, leaf_hash=leaf.hex()))
        frontier.add(leaf)
    LedgerLeaf.objects.bulk_create(leaves, batch_size=500)
    full = range(LedgerTile.objects.count(), frontier.size // TILE)
    LedgerTile.objects.bulk_create(
        (LedgerTile(index=tile, root_hash=merkle.root_hash(_leaves_of(tile)).hex()) for tile in full), batch_size=500
    )
    root = frontier.root()
    return Checkpoint.objects.create(
        tree_size=frontier.size,
        root_hash=root.hex(),
        peaks=",".join(peak.hex() for peak in frontier.peaks),
        note=sign_note(head_text(frontier.size, root), settings.LEDGER_ORIGIN, key),
        created_at=timezone.now(),
    )


def latest_frontier() -> merkle.Frontier:
    """The tree as it was sealed last, ready to grow."""
    head = latest_checkpoint()
    return frontier_of(head) if head else merkle.Frontier()


def frontier_of(head: Checkpoint) -> merkle.Frontier:
    """The tree of a checkpoint. Checkpoints of earlier versions kept no peaks: theirs come from the leaves."""
    if head.peaks:
        return merkle.Frontier(head.tree_size, [bytes.fromhex(peak) for peak in head.peaks.split(",")])
    frontier = merkle.Frontier()
    for leaf in _leaves_between(0, head.tree_size):
        frontier.add(leaf)
    return frontier


def sealed_head() -> Checkpoint:
    """A signed head over every entry that is committed now. RuntimeError if other sealers win all the time."""
    newest = LedgerEntry.objects.order_by("-pk").first()
    for _ in range(SEAL_ATTEMPTS):
        head = seal() or latest_checkpoint()
        if head and not _unsealed(LOOK_BACK).filter(pk__lte=newest.pk if newest else 0).exists():
            return head
    raise RuntimeError("the ledger could not be sealed")


def latest_checkpoint() -> Checkpoint | None:
    """The newest signed head, or None before the first seal."""
    return Checkpoint.objects.order_by("-tree_size").first()


# --- Proofs --------------------------------------------------------------------------------------


def inclusion(entries: Sequence[LedgerEntry], checkpoint: Checkpoint) -> list[dict[str, Any]]:
    """Per entry, in order: {"index": int, "leaf": payload text, "proof": [hex, nearest sibling first]}.

    ValueError if an entry is not under the checkpoint yet: seal first.
    """
    indexes = dict(LedgerLeaf.objects.filter(entry__in=entries).values_list("entry_id", "index"))
    wanted = [indexes.get(entry.pk, checkpoint.tree_size) for entry in entries]
    if any(index >= checkpoint.tree_size for index in wanted):
        raise ValueError(f"an entry is not sealed in the checkpoint of size {checkpoint.tree_size}")
    proofs = _paths(wanted, checkpoint.tree_size)
    return [
        {"index": index, "leaf": entry.payload, "proof": [step.hex() for step in proofs[index]]}
        for entry, index in zip(entries, wanted, strict=True)
    ]


def _paths(indexes: Sequence[int], size: int) -> dict[int, list[bytes]]:
    """Audit paths in the tree of `size` leaves: first inside the leaf's tile, then among the roots of the tiles."""
    by_tile: dict[int, list[int]] = {}
    for index in sorted(set(indexes)):
        by_tile.setdefault(index // TILE, []).append(index)
    above = dict(zip(by_tile, merkle.inclusion_proofs(_tile_roots(size), list(by_tile)), strict=True))
    found: dict[int, list[bytes]] = {}
    for tile, inside in by_tile.items():
        below = merkle.inclusion_proofs(_leaves_of(tile, size), [index % TILE for index in inside])
        found |= {index: path + above[tile] for index, path in zip(inside, below, strict=True)}
    return found


def consistency(first: int, second: int) -> list[str]:
    """Hex steps that show that the tree of `first` leaves is the beginning of that of `second` (RFC 6962 2.1.2).

    ValueError unless 0 < first <= second <= the number of sealed entries.
    """
    head = latest_checkpoint()
    if second > (head.tree_size if head else 0):
        raise ValueError(f"the ledger has {head.tree_size if head else 0} sealed entries, not {second}")
    return [step.hex() for step in merkle.consistency_proof(first, second, root_between)]


def root_between(begin: int, end: int) -> bytes:
    """The Merkle tree hash of the leaves begin..end-1, where begin is a multiple of a power of two >= end - begin."""
    if begin % TILE or end - begin < TILE:
        return merkle.root_hash(list(_leaves_between(begin, end)))
    return merkle.root_hash(_tile_roots(end)[begin // TILE :])


def _tile_roots(size: int) -> list[bytes]:
    """The roots of all tiles in a tree of `size` leaves; the last may be of fewer leaves."""
    whole, rest = divmod(size, TILE)
    stored = LedgerTile.objects.filter(index__lt=whole).order_by("index").values_list("root_hash", flat=True)
    roots = [bytes.fromhex(value) for value in stored]
    if len(roots) < whole:  # sealed before tiles were kept
        roots = [merkle.root_hash(_leaves_of(tile)) for tile in range(whole)]
    return [*roots, merkle.root_hash(_leaves_of(whole, size))] if rest else roots


def _leaves_of(tile: int, size: int | None = None) -> list[bytes]:
    """The leaf hashes of a tile, in a tree of `size` leaves if that ends inside it."""
    end = (tile + 1) * TILE if size is None else min((tile + 1) * TILE, size)
    return list(_leaves_between(tile * TILE, end))


def _leaves_between(begin: int, end: int) -> Iterator[bytes]:
    """The leaf hashes begin..end-1, in order."""
    hashes = LedgerLeaf.objects.filter(index__gte=begin, index__lt=end).order_by("index")
    return map(bytes.fromhex, hashes.values_list("leaf_hash", flat=True).iterator())


def entry_hash(payload: str) -> bytes:
    """The leaf hash of an entry."""
    return merkle.leaf_hash(payload.encode())


def head_text(size: int, root: bytes) -> str:
    """The text of a C2SP tlog-checkpoint."""
    return f"{settings.LEDGER_ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
