"""Bytes of images: written once under content-addressed keys, one folder per image, in STORAGES.

Photographs (originals and derivatives) are sealed here on the way in and opened on the way out: what lies in those two
storages means nothing without the keys in the storage `keys` (collection.keys, ADR 0016).
"""

import io
import tempfile
import uuid
from collections.abc import Iterator
from typing import IO

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages

from collection import keys
from collection.models import Image
from collection.sealing import Unsealed, seal, unseal
from consent.folders import list_folder

IN_MEMORY = 8 << 20  # bytes of sealed content; more waits on disk


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


def everything() -> tuple[Storage, ...]:
    """Every storage with a folder per image. Keys first: once they are gone, the bytes are as good as gone."""
    return keys.bucket(), originals(), derivatives(), evidence()


def key_for(image_id: uuid.UUID, sha256: str, extension: str) -> str:
    """`<2 hex>/<image id>/<sha256>.<extension>`: nothing in it says who or what is depicted."""
    return f"{image_id.hex[:2]}/{image_id.hex}/{sha256}.{extension}"


# --- Sealed --------------------------------------------------------------------------------------


def write_once(storage: Storage, key: str, content: bytes | File) -> None:
    """Store `content` under `key`. Writing again is harmless and mends a half-written file: the key names the bytes.

    In `originals` and `derivatives` it is sealed with the image's key (FileNotFoundError if that is gone).
    """
    file = ContentFile(content) if isinstance(content, bytes) else content
    if storage not in (originals(), derivatives()):
        storage.save(key, file)
        return
    image_id, sha256 = _named_in(key)
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=settings.FILE_UPLOAD_TEMP_DIR) as sealed:
        file.seek(0)
        sealed.writelines(seal(keys.image_key(image_id), key, sha256, file))
        sealed.seek(0)
        storage.save(key, File(sealed, name=key))


def _named_in(key: str) -> tuple[uuid.UUID, str]:
    """The image and the SHA-256 (hex) that a key of `key_for` names."""
    folder, _, name = key.rpartition("/")
    return uuid.UUID(hex=folder.rpartition("/")[2]), name.partition(".")[0]


def sha256_in(key: str) -> str:
    """The SHA-256 (hex) that a key of `key_for` names."""
    return _named_in(key)[1]


def sealed_bytes(key: str, content: bytes) -> bytes:
    """What `write_once` stores under a key of `originals` or `derivatives`."""
    image_id, sha256 = _named_in(key)
    return b"".join(seal(keys.image_key(image_id), key, sha256, io.BytesIO(content)))


def open_sealed(storage: Storage, key: str, *, at: str = "") -> IO[bytes]:
    """FileNotFoundError if the bytes or their key are gone; sealing.Altered, at the latest when read, if changed.

    `at` says where else the bytes lie that were sealed for `key`.
    """
    sealed = storage.open(at or key, "rb")
    try:
        image_id, _ = _named_in(key)
        return io.BufferedReader(Unsealed(keys.image_key(image_id), key, sealed, sealed.size))
    except BaseException:
        sealed.close()
        raise


def read_sealed(storage: Storage, key: str) -> bytes:
    """All of it at once, with the errors of `open_sealed`: for small photographs in two thirds of the time."""
    with storage.open(key, "rb") as file:
        sealed: bytes = file.read()
    return unseal(keys.image_key(_named_in(key)[0]), key, sealed)


def open_original(image: Image) -> IO[bytes]:
    return open_sealed(originals(), image.original_key)


def open_clean(image: Image) -> IO[bytes]:
    """The stripped full-size copy. Callers have asked the rights check first."""
    return open_sealed(derivatives(), image.clean_key)


def open_preview(image: Image) -> IO[bytes]:
    """A JPEG of at most 800 pixels. Callers have asked the rights check first."""
    return open_sealed(derivatives(), image.preview_key)


# --- Folders -------------------------------------------------------------------------------------


def delete_all(image: Image) -> None:
    """Delete every byte of an image, also bytes that a killed worker wrote without noting them."""
    delete_bytes(image.pk, *everything(), uploads())


def delete_bytes(image_id: uuid.UUID, *where: Storage) -> None:
    """Delete the folder of an image in these storages; in all but `uploads` if none is named."""
    for storage in where or everything():
        for key in list(keys_of(storage, image_id)):
            storage.delete(key)


def delete_derivatives(image: Image) -> None:
    """Delete every copy that was made of an image; the original stays."""
    delete_bytes(image.pk, derivatives())


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
