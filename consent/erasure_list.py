"""The erasure list: what was erased, kept outside the database, so that a restored backup forgets it again.

The event's own transaction makes an ErasureNote; a sweep writes it to the `erasures` storage, one signed object per
note, `YYYY/MM/DD/<note id>.json` by the day of the event. A backup must not contain that storage: see exports.replay.
"""

import datetime
import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.utils import timezone

from consent.clock import trusted_now
from consent.folders import walk
from consent.keys import public_key, signing_key
from consent.ledger import payload_text
from consent.models import Clock, ErasureNote
from consent.signing import BadSignature, canonical_json, open_dsse, sign_dsse, utc_text

TYPE = "application/vnd.likeness.erasure+json"
WRITTEN_AT_ONCE = 500
LOOKED_UP_AT_ONCE = 1000
# Notes commit out of order: the check at the start of a process looks this far back behind the time it goes by.
OVERLAP = datetime.timedelta(days=2)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listed:
    """One note as it lies in the storage: its id, the moment of the event, and the event's facts."""

    id: uuid.UUID
    at: datetime.datetime
    facts: dict[str, Any]


def note(kind: str, **facts: Any) -> ErasureNote:
    """Put one event on the list, in the caller's transaction. `facts` are pseudonymous ids, times and plain values."""
    return ErasureNote.objects.create(payload=payload_text({"kind": kind, **facts}), at=_moment())


def _moment() -> datetime.datetime:
    """Now; the time before that, while the clock was set back, lest a note lie on a day that `is_behind` skips."""
    clock = Clock.objects.first()
    known = (clock.seen_at, clock.before_jump) if clock else ()
    return max([timezone.now(), *filter(None, known)])


# --- Writing -------------------------------------------------------------------------------------


def write_notes() -> int:
    """Write what is not in the storage yet; how many. Killed in between, the same bytes are written again."""
    unwritten = ErasureNote.objects.filter(written_at__isnull=True).order_by("at")[:WRITTEN_AT_ONCE]
    return sum(_write(one) for one in unwritten)


def _write(one: ErasureNote) -> bool:
    try:
        _storage().save(_key(one.pk, one.at), ContentFile(_signed(one).encode()))
    except Exception:  # a storage that is away for one note must not keep back the others
        logger.exception("erasure note %s could not be written", one.pk)
        return False
    return bool(ErasureNote.objects.filter(pk=one.pk, written_at__isnull=True).update(written_at=timezone.now()))


def _signed(one: ErasureNote) -> str:
    document = {"note": str(one.pk), "at": utc_text(one.at), "facts": json.loads(one.payload)}
    return sign_dsse(canonical_json(document).encode(), TYPE, signing_key())


def _key(note_id: uuid.UUID, at: datetime.datetime) -> str:
    return f"{at:%Y/%m/%d}/{note_id}.json"


def _storage() -> Storage:
    return storages["erasures"]


# --- Reading -------------------------------------------------------------------------------------


def is_behind() -> bool:
    """True if the list holds something that this database lacks: it was restored from a backup.

    Goes by the time that sweeps note in the database, since a backup brings back the one of then; not by its newest
    note, since one made after the restore would hide the gap before it. Only the days since are listed.
    """
    return any(True for _ in missing_keys(_watched_since()))


def _watched_since() -> datetime.date:
    return (trusted_now() - OVERLAP).date() if Clock.objects.exists() else datetime.date.min


def read_missing() -> Iterator[Listed | str]:
    """Every note that this database lacks, by day; for one that cannot be believed, a sentence that says why."""
    for key in missing_keys():
        try:
            yield _open(key)
        except (BadSignature, ValueError, KeyError, TypeError) as error:
            yield f"{key}: {error}"


def _open(key: str) -> Listed:
    with _storage().open(key) as file:
        document = json.loads(open_dsse(file.read(), TYPE, public_key()))
    if _note_id(key) != uuid.UUID(document["note"]):
        raise ValueError("the note of another name")
    at = datetime.datetime.fromisoformat(document["at"])
    return Listed(uuid.UUID(document["note"]), at, document["facts"])


def missing_keys(since: datetime.date = datetime.date.min) -> Iterator[str]:
    """Keys of the notes from the day `since` on that this database lacks, by day."""
    keys = note_keys(since)
    while batch := list(islice(keys, LOOKED_UP_AT_ONCE)):
        listed = [note_id for key in batch if (note_id := _note_id(key))]
        known = set(ErasureNote.objects.filter(pk__in=listed).values_list("pk", flat=True))
        yield from (key for key in batch if _note_id(key) not in known)


def note_keys(since: datetime.date = datetime.date.min) -> Iterator[str]:
    """Keys of all notes from the day `since` on, in order. Other files in the storage are no notes."""
    first = since.isoformat().replace("-", "/")  # YYYY/MM/DD: what lies before that day is not even listed
    return (key for key in walk(_storage(), enter=lambda path: path >= first[: len(path)]) if _note_id(key))


def _note_id(key: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(key.rpartition("/")[2].removesuffix(".json"))
    except ValueError:
        return None
