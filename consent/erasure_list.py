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
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.utils import timezone

from consent.keys import public_key, signing_key
from consent.ledger import payload_text
from consent.models import ErasureNote
from consent.signing import BadSignature, canonical_json, open_dsse, sign_dsse, utc_text

TYPE = "application/vnd.likeness.erasure+json"
WRITTEN_AT_ONCE = 500
# Notes that commit out of order: the check at the start of a process looks this far back behind the newest known one.
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
    return ErasureNote.objects.create(payload=payload_text({"kind": kind, **facts}))


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

    Lists the days from two days before the newest note that the database knows: all later notes would be missing.
    """
    newest = ErasureNote.objects.order_by("-at").values_list("at", flat=True).first()
    since = (newest - OVERLAP).date() if newest else datetime.date.min
    listed = [note_id for key in _keys(since) if (note_id := _note_id(key))]
    return len(listed) > ErasureNote.objects.filter(pk__in=listed).count()


def read_all() -> Iterator[Listed | str]:
    """Every note of the list, by day; for one that cannot be believed, a sentence that says why."""
    for key in _keys(datetime.date.min):
        try:
            yield _open(key)
        except (BadSignature, ValueError, KeyError) as error:
            yield f"{key}: {error}"


def _open(key: str) -> Listed:
    with _storage().open(key) as file:
        document = json.loads(open_dsse(file.read(), TYPE, public_key()))
    if _note_id(key) != uuid.UUID(document["note"]):
        raise ValueError("the note of another name")
    at = datetime.datetime.fromisoformat(document["at"])
    return Listed(uuid.UUID(document["note"]), at, document["facts"])


def _keys(since: datetime.date) -> Iterator[str]:
    """Keys of the days from `since` on, in order; listing folder by folder skips what is older."""
    for year in _folders(""):
        if int(year) >= since.year:
            for month in _folders(year):
                if (int(year), int(month)) >= (since.year, since.month):
                    yield from _keys_of_month(f"{year}/{month}", since)


def _keys_of_month(folder: str, since: datetime.date) -> Iterator[str]:
    year, month = (int(part) for part in folder.split("/"))
    for day in _folders(folder):
        if datetime.date(year, month, int(day)) >= since:
            for name in sorted(_storage().listdir(f"{folder}/{day}")[1]):
                yield f"{folder}/{day}/{name}"


def _folders(path: str) -> list[str]:
    try:
        return sorted(name for name in _storage().listdir(path)[0] if name.isdecimal())
    except FileNotFoundError:  # nothing was ever erased
        return []


def _note_id(key: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(key.rpartition("/")[2].removesuffix(".json"))
    except ValueError:  # a temporary file of a write that was killed
        return None
