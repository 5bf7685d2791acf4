"""Keys of photographs, in the storage `keys`, which no backup contains (ADR 0016).

Every photograph has a key of its own, `<2 hex>/<image id>/key`, wrapped by the key of whom it depicts,
`subjects/<2 hex>/<key id>`, which is wrapped by the installation's master key. Whoever deletes one makes every copy of
the bytes below it unreadable, wherever it lies. The database says only which subject's key is in use.
"""

import datetime
import logging
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import product

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, storages
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from collection.models import Image, ImageStatus, SubjectKey
from collection.sealing import TAG, Altered
from consent.folders import walk
from consent.keys import master_key, master_keys
from consent.models import Consent, Licence

logger = logging.getLogger(__name__)
KEY_BYTES, NONCE, ID = 32, 12, 16
WRAPPED_IMAGE_KEY = ID + NONCE + KEY_BYTES + TAG
UPLOADING = datetime.timedelta(hours=1)  # an upload's key comes before its row
TOUCHED_EVERY = datetime.timedelta(minutes=5)
REMEMBERED = 60.0  # seconds that a subject's key stays in memory
MOST_REMEMBERED = 1000


class KeyGone(FileNotFoundError):
    """The photograph's key is deleted, so its bytes, wherever a copy of them lies, cannot be read again."""


def bucket() -> Storage:
    return storages["keys"]


# --- Of one photograph ---------------------------------------------------------------------------


def make_image_key(*, image_id: uuid.UUID, subject: str, ring: "Ring | None" = None) -> None:
    """Before the first bytes of an image are written: the key that they are sealed with.

    Called again for the same image (an upload whose worker died) it leaves the key that is there. Whoever writes many
    looks the subjects' keys up at once, in a `ring`.
    """
    subject_key_id, wrapping = ring.key_of(subject) if ring else _key_in_use(subject)
    if _is_under(image_id, subject_key_id):
        return
    wrapped = _wrap(wrapping, os.urandom(KEY_BYTES), b"image " + image_id.bytes)
    bucket().save(_image_path(image_id), ContentFile(subject_key_id.bytes + wrapped))


def _is_under(image_id: uuid.UUID, subject_key_id: uuid.UUID) -> bool:
    try:
        return _read_image_key(image_id)[:ID] == subject_key_id.bytes
    except KeyGone:
        return False


def image_key(image_id: uuid.UUID) -> bytes:
    """KeyGone if there is none (any more)."""
    content = _read_image_key(image_id)
    wrapping = _subject_key(uuid.UUID(bytes=content[:ID]))
    return _unwrap(wrapping, content[ID:], b"image " + image_id.bytes, _image_path(image_id))


def _read_image_key(image_id: uuid.UUID) -> bytes:
    """KeyGone also if its writer died in the middle: nothing was sealed with that one yet."""
    content = _read(_image_path(image_id))
    if len(content) < WRAPPED_IMAGE_KEY:
        raise KeyGone(f"the key {_image_path(image_id)} was never written whole")
    return content


def _image_path(image_id: uuid.UUID) -> str:
    return f"{image_id.hex[:2]}/{image_id.hex}/key"


def _read(path: str) -> bytes:
    try:
        with bucket().open(path, "rb") as file:
            return bytes(file.read())
    except FileNotFoundError:
        raise KeyGone(f"there is no key {path}") from None


def _wrap(wrapping: bytes, key: bytes, what: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(wrapping).encrypt(nonce, key, what)


def _unwrap(wrapping: bytes, wrapped: bytes, what: bytes, path: str) -> bytes:
    try:
        return AESGCM(wrapping).decrypt(wrapped[:NONCE], wrapped[NONCE:], what)
    except (InvalidTag, ValueError):
        raise Altered(path) from None


# --- Of one subject ------------------------------------------------------------------------------

_remembered: dict[uuid.UUID, tuple[float, bytes]] = {}


def _key_in_use(subject: str) -> tuple[uuid.UUID, bytes]:
    """The key that new photographs of a subject are sealed under, made if there is none."""
    while True:
        row = SubjectKey.objects.filter(subject=subject, closed_at__isnull=True).first() or _make(subject)
        if row is None or not _touch(row):
            continue  # another process made one, or closed this one: look again
        try:
            return row.pk, _subject_key(row.pk)
        except KeyGone:  # the row came back with a backup
            SubjectKey.objects.filter(pk=row.pk, closed_at__isnull=True).update(closed_at=timezone.now())


@dataclass
class Ring:
    """The keys in use of many subjects, looked up and made together, and again every TOUCHED_EVERY: so that none is
    taken for unused while a batch of images is being written."""

    subjects: Collection[str]
    _held: dict[str, uuid.UUID] = field(default_factory=dict)
    _until: float = 0.0

    def key_of(self, subject: str) -> tuple[uuid.UUID, bytes]:
        if self._until < time.monotonic():
            self._held = _keys_in_use(self.subjects)
            self._until = time.monotonic() + TOUCHED_EVERY.total_seconds()
        try:
            return self._held[subject], _subject_key(self._held[subject])
        except (KeyError, KeyGone):  # closed in this moment, or its row came back with a backup
            return _key_in_use(subject)


def _keys_in_use(subjects: Collection[str]) -> dict[str, uuid.UUID]:
    """By subject: the key that new photographs are sealed under. In as many queries for 200 subjects as for one."""
    missing = set(subjects) - set(_open_keys(subjects).values_list("subject", flat=True))
    made = [SubjectKey(subject=subject) for subject in sorted(missing)]
    for row in made:
        _store_subject_key(row)
    SubjectKey.objects.bulk_create(made, ignore_conflicts=True)  # another process may be faster with some
    now = timezone.now()
    _open_keys(subjects).filter(used_at__lte=now - TOUCHED_EVERY).update(used_at=now)
    found = {row.subject: row.pk for row in _open_keys(subjects)}
    for row in made:
        if found.get(row.subject) != row.pk:
            _delete_subject_key(row.pk)
    return found


def _open_keys(subjects: Collection[str]) -> QuerySet[SubjectKey]:
    return SubjectKey.objects.filter(subject__in=subjects, closed_at__isnull=True)


def _make(subject: str) -> SubjectKey | None:
    """Its object first: a row without one would promise what is not there. None if somebody else was faster."""
    row = SubjectKey(subject=subject)
    _store_subject_key(row)
    try:
        row.save(force_insert=True)
    except IntegrityError:
        _delete_subject_key(row.pk)
        return None
    return row


def _store_subject_key(row: SubjectKey) -> None:
    """Wrapped by the master key. If that was replaced meanwhile, once more: the old one is about to be retired. Whoever
    dies before has no row yet, so nothing is sealed under it."""
    key, wrapping = os.urandom(KEY_BYTES), None
    while wrapping != (current := master_key()):
        wrapping = current
        bucket().save(_subject_path(row.pk), ContentFile(_wrap(wrapping, key, _words(row.pk))))


def _touch(row: SubjectKey) -> bool:
    """Say that it is in use, so that `destroy_unused` leaves it for a while; False if it is closed."""
    now = timezone.now()
    if row.used_at > now - TOUCHED_EVERY:
        return True
    return bool(SubjectKey.objects.filter(pk=row.pk, closed_at__isnull=True).update(used_at=now))


def _subject_key(key_id: uuid.UUID) -> bytes:
    until, key = _remembered.get(key_id, (0.0, b""))
    if until < time.monotonic():
        if len(_remembered) >= MOST_REMEMBERED:
            _remembered.clear()
        key = _open_subject_key(key_id)
        _remembered[key_id] = time.monotonic() + REMEMBERED, key
    return key


def _open_subject_key(key_id: uuid.UUID) -> bytes:
    """By any of the master keys, from either place: while they are replaced, one of the two may be half written."""
    for _ in range(3):  # both places and both keys may change hands between two looks
        wrapped, spare = _read(_subject_path(key_id)), _read_or_none(_spare_path(key_id))
        for content, master in product(filter(None, (wrapped, spare)), master_keys()):
            try:
                return _unwrap(master, content, _words(key_id), _subject_path(key_id))
            except Altered:
                continue
    raise Altered(_subject_path(key_id))


def _read_or_none(path: str) -> bytes | None:
    try:
        return _read(path)
    except KeyGone:
        return None


def _subject_path(key_id: uuid.UUID) -> str:
    return f"subjects/{key_id.hex[:2]}/{key_id.hex}"


def _spare_path(key_id: uuid.UUID) -> str:
    """Where a key lies a second time while its object is written anew (`rewrap_all`)."""
    return f"rewrapped/{key_id.hex[:2]}/{key_id.hex}"


def _words(key_id: uuid.UUID) -> bytes:
    return b"subject " + key_id.bytes


# --- Destroying ----------------------------------------------------------------------------------


def destroy_unused(*, subjects: Collection[str] | None = None) -> int:
    """Destroy the keys of subjects (these, or all) of whom there is no photograph left; how many."""
    held = Image.objects.filter(subject=OuterRef("subject")).exclude(status=ImageStatus.PURGED)
    unused = SubjectKey.objects.filter(~Exists(held), destroyed_at__isnull=True)
    if subjects is not None:
        unused = unused.filter(subject__in=subjects)
    return sum(_destroy(row) for row in unused)


def _destroy(row: SubjectKey) -> bool:
    if row.closed_at is None and not _close(row):
        return False
    _delete_subject_key(row.pk)
    _remembered.pop(row.pk, None)
    return bool(SubjectKey.objects.filter(pk=row.pk, destroyed_at__isnull=True).update(destroyed_at=timezone.now()))


def _delete_subject_key(key_id: uuid.UUID) -> None:
    for path in (_subject_path(key_id), _spare_path(key_id)):
        bucket().delete(path)


def _close(row: SubjectKey) -> bool:
    """False if an upload may be under way whose row is still to come, or has begun since `row` was read."""
    now = timezone.now()
    if row.used_at > now - UPLOADING and _may_send(row.subject):
        return False
    open_still = SubjectKey.objects.filter(pk=row.pk, used_at=row.used_at, closed_at__isnull=True)
    return bool(open_still.update(closed_at=now))


def _may_send(subject: str) -> bool:
    """Whether more photographs of a subject may arrive: by a contributor, or under a licence."""
    basis, _, of_library = subject.partition(":")
    try:
        basis_id = uuid.UUID(basis)
    except ValueError:
        return True
    if of_library:
        return Licence.objects.live().filter(pk=basis_id).exists()
    return Consent.objects.live().filter(contributor=basis_id).exists()


def remove_strays(*, age: datetime.timedelta) -> int:
    """Delete subjects' keys that came back after they were destroyed, and those of this age that no row names."""
    found = dict(_stored_ids("rewrapped")) | dict(_stored_ids("subjects"))
    rows = dict(SubjectKey.objects.filter(pk__in=found).values_list("pk", "destroyed_at"))
    strays = [
        key_id
        for key_id, path in found.items()
        if (rows[key_id] if key_id in rows else bucket().get_modified_time(path) <= timezone.now() - age)
    ]
    for key_id in strays:
        _delete_subject_key(key_id)
    return len(strays)


def _stored_ids(folder: str) -> Iterator[tuple[uuid.UUID, str]]:
    for path in walk(bucket(), folder):
        yield uuid.UUID(hex=path.rpartition("/")[2]), path


# --- A new master key ----------------------------------------------------------------------------


def rewrap_all(*, tell: Callable[[int], None] = lambda seen: None) -> int:
    """Wrap every subject's key by `master_key`; returns how many that was. `tell` hears how many were looked at.

    Killed anywhere, it goes on where it was: what is wrapped by that key already stays as it is. What no key opens is
    left, and logged.
    """
    rewrapped = 0
    for seen, (key_id, _) in enumerate(_stored_ids("subjects"), 1):
        try:
            rewrapped += _rewrap(key_id)
        except Altered as error:
            logger.error("a subject's key cannot be wrapped anew: %s", error)
        tell(seen)
    return rewrapped


def _rewrap(key_id: uuid.UUID) -> bool:
    """Into the spare place first, then over the object, for no storage promises to write at one stroke: whenever it is
    killed, one of the two is whole."""
    path, spare, wanted = _subject_path(key_id), _spare_path(key_id), master_key()
    try:
        rewrapped = not _opens(wanted, key_id, path)
        if rewrapped:
            _read(path)  # a spare alone is a destroyed key's, and stays shut
            if not _opens(wanted, key_id, spare):  # never over a whole one: the object may be half written
                content = _wrap(wanted, _open_subject_key(key_id), _words(key_id))
                bucket().save(spare, ContentFile(content))
            bucket().save(path, ContentFile(_read(spare)))
            if not _opens(wanted, key_id, path):
                raise Altered(path)
    except KeyGone:  # destroyed meanwhile
        rewrapped = False
    bucket().delete(spare)
    if SubjectKey.objects.filter(pk=key_id, destroyed_at__isnull=False).exists():
        bucket().delete(path)
    return rewrapped


def _opens(master: bytes, key_id: uuid.UUID, path: str) -> bool:
    """Whether what lies there is whole and wrapped by this master key."""
    try:
        _unwrap(master, _read(path), _words(key_id), path)
    except (KeyGone, Altered):
        return False
    return True


def wrapped_otherwise() -> list[uuid.UUID]:
    """Subjects' keys (that a row names) which `master_key` does not open: while there is one, no other may go."""
    wanted = master_key()
    others = [key_id for key_id, path in _stored_ids("subjects") if not _opens(wanted, key_id, path)]
    rows = SubjectKey.objects.filter(pk__in=others, destroyed_at__isnull=True)
    return [key_id for key_id in rows.values_list("pk", flat=True) if bucket().exists(_subject_path(key_id))]
