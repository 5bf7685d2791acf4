"""Bytes of images: written once under content-addressed keys, one folder per image, in STORAGES."""

import uuid
from collections.abc import Iterator
from typing import IO

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from collection.models import Image
from consent.folders import list_folder


def originals() -> Storage:
    return storages["originals"]


def derivatives() -> Storage:
    return storages["derivatives"]


def evidence() -> Storage:
    """Signed model releases, in one folder per image too, and contracts."""
    return storages["evidence"]


def uploads() -> Storage:
    """Photographs on their way, one folder per upload: plaintext that leaves for `originals` or is deleted."""
    return storages["uploads"]


def key_for(image_id: uuid.UUID, sha256: str, extension: str) -> str:
    """`<2 hex>/<image id>/<sha256>.<extension>`: nothing in it says who or what is depicted."""
    return f"{image_id.hex[:2]}/{image_id.hex}/{sha256}.{extension}"


def write_once(storage: Storage, key: str, content: bytes | File) -> None:
    """Store `content` under `key`. Writing again is harmless and mends a half-written file: the key names the bytes."""
    storage.save(key, ContentFile(content) if isinstance(content, bytes) else content)


def open_original(image: Image) -> IO[bytes]:
    return originals().open(image.original_key, "rb")


def open_clean(image: Image) -> IO[bytes]:
    """The stripped full-size copy. Callers have asked the rights check first."""
    return derivatives().open(image.clean_key, "rb")


def open_preview(image: Image) -> IO[bytes]:
    """A JPEG of at most 800 pixels. Callers have asked the rights check first."""
    return derivatives().open(image.preview_key, "rb")


def delete_all(image: Image) -> None:
    """Delete every byte of an image, also bytes that a killed worker wrote without noting them."""
    for storage in (originals(), derivatives(), evidence(), uploads()):
        for key in list(keys_of(storage, image.pk)):
            storage.delete(key)


def delete_derivatives(image: Image) -> None:
    """Delete every copy that was made of an image; the original stays."""
    for key in list(keys_of(derivatives(), image.pk)):
        derivatives().delete(key)


def keys_of(storage: Storage, image_id: uuid.UUID) -> Iterator[str]:
    """Every key in an image's folder."""
    folder = f"{image_id.hex[:2]}/{image_id.hex}"
    yield from (f"{folder}/{name}" for name in list_folder(storage, folder)[1])


def image_ids(storage: Storage) -> Iterator[uuid.UUID]:
    """The id of every image that has a folder in `storage`."""
    for shelf in list_folder(storage, "")[0]:
        for name in list_folder(storage, shelf)[0]:
            try:
                yield uuid.UUID(hex=name)
            except ValueError:
                continue
