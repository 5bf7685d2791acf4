"""What is wrong with the ledger, if anything: the tree against its entries, and the rows that are proof against both.

Everything is streamed: memory grows by some hundred bytes per entry that a row must match, and no more. A time that is
off by more than TOLERANCE is found: the one in the payload, and `created_at` of entries and checkpoints, which the tree
does not cover.
"""

import datetime
import re
from collections.abc import Collection, Iterator
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django.utils.module_loading import import_string

from consent import merkle
from consent.events import AUDITED, consent_facts, licence_facts, purpose_end_facts, text_facts, withdrawal_facts
from consent.keys import public_key
from consent.ledger import TILE, Facts, entry_hash, frontier_of, head_text, payload_text
from consent.models import (
    Checkpoint,
    Consent,
    FormText,
    LedgerEntry,
    LedgerLeaf,
    LedgerTile,
    Licence,
    PurposeEnd,
    SignatureEvidence,
    Withdrawal,
)
from consent.models.consents import EVER
from consent.signing import BadSignature, open_note, sha256_hex, utc_text

CHUNK = 5000
# An entry is written in the transaction of its event; this much later it can only have been back-dated.
TOLERANCE = datetime.timedelta(hours=2)
LONG_AGO = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
KIND = re.compile(r'"kind":"([^"]+)"')
MOMENT = re.compile(r'"at":"([^"]+)"')
REPLAYED = re.compile(r'"entry_sha256":"([0-9a-f]{64})"')


def problems(since: Checkpoint | None = None) -> Iterator[str]:
    """What is wrong, one sentence each; nothing if all is well.

    Recomputes leaves, tiles and checkpoints from the payloads (from `since` on, when that is given), and compares the
    rows that are proof (those written since then) with what the ledger says of them, in both directions.
    """
    reading = Reading(since)
    yield from reading.tree_problems()
    yield from _row_problems(reading)


def checkpoint_of(note: str) -> Checkpoint:
    """Our checkpoint of a signed note that somebody kept. ValueError says why the note and the ledger do not agree."""
    text = open_note(note, settings.LEDGER_ORIGIN, public_key())
    size = int(text.splitlines()[1])
    head = Checkpoint.objects.filter(tree_size=size).first()
    if head is None:
        raise ValueError(f"the ledger has no checkpoint of {size} entries: it was cut short or replaced")
    if text != head_text(size, frontier_of(head).root()):
        raise ValueError(f"the ledger's first {size} entries are not those that the checkpoint was signed over")
    return head


class Reading:
    """One pass over the sealed entries, and what it has seen."""

    def __init__(self, since: Checkpoint | None) -> None:
        self.since = since
        self.frontier = frontier_of(since) if since else merkle.Frontier()
        self.sound = self.frontier.size  # size of the last checkpoint that held
        self.kinds = AUDITED | settings.LEDGER_PROOF.keys()
        self.said: set[bytes] = set()  # digests of the entries that rows must match
        self.late: dict[bytes, str] = {}  # entries whose time lies before their place, by digest
        self.replayed: set[bytes] = set()

    def tree_problems(self) -> Iterator[str]:
        """Leaves, tiles, checkpoints and times."""
        heads = self._heads()
        head = next(heads, None)
        times = Times(self.since.created_at if self.since else None, head)
        tiles = Tiles(self.frontier.size)
        for index, leaf_hash, entry, payload, created_at in self._leaves():
            if index != self.frontier.size:
                yield f"leaf {self.frontier.size} is missing, or its entry"
                return
            computed = entry_hash(payload)
            if computed.hex() != leaf_hash:
                yield f"entry {entry} (leaf {index}) is not what was sealed there: it was changed or moved"
            self.frontier.add(computed)
            self._note(entry, payload, times)
            if not times.hold(created_at):
                told = f"entry {entry}: its created_at ({utc_text(created_at)}) does not fit its place"
                yield f"{told}: it was changed, or the clock was wrong"
            yield from tiles.problems(index, computed)
            if head and head.tree_size == self.frontier.size:
                yield from self._checkpoint_problems(head)
                if not times.hold(head.created_at):
                    yield f"checkpoint {head.tree_size}: its created_at lies before that of the one that it follows"
                before, head = head.created_at, next(heads, None)
                times = Times(before, head)
        while head:
            yield f"checkpoint {head.tree_size} covers leaves that are missing"
            head = next(heads, None)
        yield from (words for digest, words in self.late.items() if digest not in self.replayed)

    def _heads(self) -> Iterator[Checkpoint]:
        return Checkpoint.objects.filter(tree_size__gt=self.frontier.size).order_by("tree_size").iterator(CHUNK)

    def _leaves(self) -> Iterator[tuple[int, str, int, str, datetime.datetime]]:
        leaves = LedgerLeaf.objects.filter(index__gte=self.frontier.size).order_by("index")
        fields = ("index", "leaf_hash", "entry_id", "entry__payload", "entry__created_at")
        return leaves.values_list(*fields).iterator(CHUNK)

    def _note(self, entry: int, payload: str, times: "Times") -> None:
        kind, moment = KIND.search(payload), MOMENT.search(payload)
        if kind and kind[1] in self.kinds:
            self.said.add(digest_of(payload))
        if kind and kind[1] == "erasure.replayed" and (of := REPLAYED.search(payload)):
            self.replayed.add(bytes.fromhex(of[1])[:16])
        if not moment:
            return
        place = f"entry {entry} says {moment[1]}, but"
        if moment[1] < times.first_text:
            self.late[digest_of(payload)] = f"{place} was written after {times.first_text}: back-dated"
        if moment[1] > times.last_text:
            self.late[digest_of(payload)] = f"{place} was sealed before {times.last_text}: post-dated"

    def _checkpoint_problems(self, head: Checkpoint) -> Iterator[str]:
        root = self.frontier.root()
        found = list(_head_problems(head, root))
        if head.peaks and head.peaks.split(",") != [peak.hex() for peak in self.frontier.peaks]:
            found.append("its peaks are not those of the entries")
        where = f"checkpoint {head.tree_size}"
        if not found:
            self.sound = head.tree_size
        for words in found:
            yield f"{where}: {words} (entries {self.sound} to {head.tree_size - 1})"


class Times:
    """Between which times the entries under `head` were written: since the checkpoint before it, with TOLERANCE."""

    def __init__(self, before: datetime.datetime | None, head: Checkpoint | None) -> None:
        self.first = before - TOLERANCE if before else LONG_AGO
        self.last = head.created_at + TOLERANCE if head else EVER
        self.first_text, self.last_text = utc_text(self.first), utc_text(self.last)

    def hold(self, moment: datetime.datetime) -> bool:
        return self.first <= moment <= self.last


class Tiles:
    """The kept roots of 256 leaves each, compared with the leaves as they come by."""

    def __init__(self, size: int) -> None:
        kept = LedgerTile.objects.filter(index__gte=size // TILE)
        self.kept = dict(kept.values_list("index", "root_hash"))
        self.leaves: list[bytes] = []

    def problems(self, index: int, leaf: bytes) -> Iterator[str]:
        if index % TILE == 0:
            self.leaves.clear()
        self.leaves.append(leaf)
        if len(self.leaves) < TILE or (index + 1) % TILE:  # a reading that begins inside a tile skips that one
            return
        tile, root = index // TILE, merkle.root_hash(self.leaves).hex()
        if self.kept.get(tile, root) != root:
            yield f"tile {tile}: its root is not that of its leaves"


def digest_of(payload: str) -> bytes:
    """16 bytes that stand for an entry."""
    return bytes.fromhex(sha256_hex(payload.encode()))[:16]


def _head_problems(head: Checkpoint, root: bytes) -> Iterator[str]:
    if head.root_hash != root.hex():
        yield "its root is not the root of the entries"
    try:
        text = open_note(head.note, settings.LEDGER_ORIGIN, public_key())
    except BadSignature as error:
        yield str(error)
        return
    if text != head_text(head.tree_size, root):
        yield "what was signed is not the root of the entries"


# --- Rows ----------------------------------------------------------------------------------------


def _row_problems(reading: Reading) -> Iterator[str]:
    missing = reading.said  # until its row is met
    for payload in LedgerEntry.objects.filter(leaf__isnull=True).values_list("payload", flat=True).iterator(CHUNK):
        missing.add(digest_of(payload))
    since = reading.since.created_at - TOLERANCE if reading.since else None
    for row, facts in _proof_rows(since):
        digest = digest_of(payload_text(facts))
        if digest in missing:
            missing.remove(digest)
        elif not (since and _was_said_before(facts)):
            yield f"{row} is not as the ledger says: it was changed, or added past the services"
    if missing:
        yield from _missing_rows(missing, reading.kinds)
    for text in FormText.objects.select_related("form").iterator(CHUNK):
        if sha256_hex(text.html.encode()) != text.sha256:
            yield f"{text}: its words are not those that were published"
    signed = SignatureEvidence.objects.annotate(told=F("consent__evidence_sha256"))
    for evidence in _since(signed, "signed_at", since).iterator(CHUNK):
        if sha256_hex(evidence.as_json().encode()) != evidence.told:
            yield f"consent {evidence.consent_id}: the evidence of its signature was changed"


def _was_said_before(facts: Facts) -> bool:
    """A row from about the time of the checkpoint may have its entry on the other side of it."""
    return LedgerEntry.objects.filter(payload=payload_text(facts)).exists()


def _missing_rows(missing: set[bytes], kinds: Collection[str]) -> Iterator[str]:
    """Name the entries of which no row tells any more. A second pass, only when something is wrong."""
    entries = LedgerEntry.objects.order_by("pk").values_list("pk", "payload")
    for entry, payload in entries.iterator(CHUNK):
        kind = KIND.search(payload)
        if kind and kind[1] in kinds and digest_of(payload) in missing:
            yield f"entry {entry} ({kind[1]}): the row that it tells of is gone, or was changed"


def _proof_rows(since: datetime.datetime | None) -> Iterator[tuple[object, Facts]]:
    texts = _since(FormText.objects.select_related("form").prefetch_related("purposes"), "published_at", since)
    for text in texts.iterator(CHUNK):
        yield text, text_facts(text)
    consents = _since(Consent.objects.prefetch_related("text", "purposes"), "signed_at", since)
    for consent in consents.iterator(CHUNK):
        yield consent, consent_facts(consent)
    for withdrawal in _since(Withdrawal.objects.all(), "made_at", since).iterator(CHUNK):
        yield withdrawal, withdrawal_facts(withdrawal)
    for licence in _since(Licence.objects.prefetch_related("purposes"), "created_at", since).iterator(CHUNK):
        yield licence, licence_facts(licence)
    for end in _since(PurposeEnd.objects.all(), "ended_at", since).iterator(CHUNK):
        yield end, purpose_end_facts(end)
    for path in settings.LEDGER_PROOF.values():
        yield from import_string(path)(since)


def _since(rows: QuerySet[Any], field: str, since: datetime.datetime | None) -> QuerySet[Any]:
    return rows.filter(**{f"{field}__gte": since}) if since else rows
