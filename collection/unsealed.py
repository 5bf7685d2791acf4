"""Photographs that were stored before sealing: sealed where they lie, one after the other (ADR 0016).

Nothing is trusted for being there: only bytes whose SHA-256 is the one in their name are sealed.
"""

import hashlib
import io
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.files.base import File
from django.core.files.storage import Storage

from collection import keys, storage
from collection.models import Image, ImageStatus
from collection.sealing import MAGIC, Altered
from consent.signing import file_sha256

logger = logging.getLogger(__name__)
SPARE = ".sealing"  # beside a file: its sealed form, until that has taken its place


@dataclass
class Sealed:
    """What became of the files looked at so far. `last` is the image that was looked at last."""

    images: int = 0
    sealed: int = 0
    faulty: int = 0  # neither sealed nor the bytes that their name says: left as they are
    last: uuid.UUID | None = None


def seal_photographs(*, after: uuid.UUID | None = None) -> Iterator[Sealed]:
    """Seal what lies unsealed, image by image in the order of their ids (those behind `after`); yields the counts.

    Killed anywhere and run again it goes on: what is sealed stays as it is.
    """
    done = Sealed()
    there = Image.objects.exclude(status=ImageStatus.PURGED).order_by("pk")
    for image in (there.filter(pk__gt=after) if after else there).iterator(500):
        _seal_image(image, done)
        done.images, done.last = done.images + 1, image.pk
        yield done


def _seal_image(image: Image, done: Sealed) -> None:
    """What is erased meanwhile leaves nothing behind, neither what was written after it went nor an error."""
    try:
        _seal_files(image, done)
    except FileNotFoundError:  # also keys.KeyGone
        if not _is_purged(image):
            raise
    if _is_purged(image):
        storage.delete_all(image)


def _is_purged(image: Image) -> bool:
    return Image.objects.filter(pk=image.pk, status=ImageStatus.PURGED).exists()


def _seal_files(image: Image, done: Sealed) -> None:
    for bucket in (storage.originals(), storage.derivatives()):
        for name in list(storage.keys_of(bucket, image.pk)):
            if name.endswith(SPARE):
                done.sealed += _finish(bucket, name)
        for name in list(storage.keys_of(bucket, image.pk)):
            if not name.endswith(SPARE) and not _is_sealed(bucket, name):
                _seal(image, bucket, name, done)


def _is_sealed(bucket: Storage, name: str) -> bool:
    try:
        with bucket.open(name, "rb") as file:
            return bytes(file.read(len(MAGIC))) == MAGIC
    except FileNotFoundError:  # erased meanwhile: nothing is left to seal
        return True


def _seal(image: Image, bucket: Storage, name: str, done: Sealed) -> None:
    with bucket.open(name, "rb") as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != storage.sha256_in(name):
        logger.error("image %s: %s does not hold the bytes that its name says; it is left as it is", image.pk, name)
        done.faulty += 1
        return
    _make_key(image)
    try:
        sealed = storage.sealed_bytes(name, content)
    except keys.KeyGone:  # erased in this moment
        return
    bucket.save(f"{name}{SPARE}", File(io.BytesIO(sealed)))
    done.sealed += _finish(bucket, f"{name}{SPARE}")


def _make_key(image: Image) -> None:
    """Never over a key that opens: other files of the image may be sealed under it."""
    try:
        keys.image_key(image.pk)
    except keys.KeyGone:
        keys.make_image_key(image_id=image.pk, subject=image.subject)


def _finish(bucket: Storage, spare: str) -> bool:
    """Put the sealed form in the place of the file. It is whole before that begins, so whenever it is killed one of the
    two is; a spare that is not whole was never begun with, and goes."""
    name = spare.removesuffix(SPARE)
    try:
        with storage.open_sealed(bucket, name, at=spare) as file:
            whole = file_sha256(File(file)) == storage.sha256_in(name)
    except (Altered, keys.KeyGone):
        whole = False
    if whole:
        with bucket.open(spare, "rb") as file:
            bucket.save(name, file)
    bucket.delete(spare)
    return whole
