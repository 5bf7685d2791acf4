"""Bytes of photographs on their way, on disk: one file per upload, whose size is how far it is.

Nobody holds a lock while waiting for the network. Each piece is appended under a lock of its own, and only if the file
still ends where its sender thinks: of two senders one is told to look again, and a connection that hangs bars nobody.
"""

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from django.core.files.storage import FileSystemStorage

from collection import storage

NAME = "part"


class Moved(Exception):
    """The file ends elsewhere than its sender thought: somebody else sends the same, or an answer was lost."""


def on_disk() -> bool:
    """Whether uploads wait on a disk of ours (tus), not in a bucket that browsers send to (multipart)."""
    return isinstance(storage.uploads(), FileSystemStorage)


def key_of(upload_id: uuid.UUID) -> str:
    return f"{upload_id.hex[:2]}/{upload_id.hex}/{NAME}"


def upload_id_of(key: str) -> uuid.UUID | None:
    """The upload that a key of `key_of` belongs to; None: it is none."""
    try:
        upload_id = uuid.UUID(hex=key.split("/")[1])
    except (IndexError, ValueError):
        return None
    return upload_id if key_of(upload_id) == key else None


def _path(upload_id: uuid.UUID) -> Path:
    return Path(storage.uploads().path(key_of(upload_id)))


def create(upload_id: uuid.UUID) -> None:
    """An empty file; one that is there already stays as it is."""
    path = _path(upload_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)


def size(upload_id: uuid.UUID) -> int | None:
    """How many bytes are there; None: no file."""
    try:
        return _path(upload_id).stat().st_size
    except FileNotFoundError:
        return None


def append(upload_id: uuid.UUID, offset: int, pieces: Iterable[bytes]) -> int:
    """Write `pieces` from byte `offset` on, each as it comes; the offset after them, which is safe on the disk then.

    Moved if the file does not end where the next piece begins; FileNotFoundError if the upload is gone.
    """
    path = _path(upload_id)
    try:
        for piece in pieces:
            _append_one(path, offset, piece)
            offset += len(piece)
    finally:
        _flush(path)
    return offset


def _append_one(path: Path, offset: int, piece: bytes) -> None:
    # Opened anew for each: what was deleted meanwhile must not be written to, nor come back.
    with _locked(path) as file:
        if os.fstat(file.fileno()).st_size != offset:
            raise Moved
        file.write(piece)


def _locked(path: Path) -> IO[bytes]:
    file = path.open("r+b")
    fcntl.flock(file, fcntl.LOCK_EX)
    file.seek(0, os.SEEK_END)
    return file


def _flush(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        os.fdatasync(file.fileno())


def delete(upload_id: uuid.UUID) -> None:
    """Delete the file and its folder; harmless if they are gone."""
    path = _path(upload_id)
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # gone, or somebody put something there
        path.parent.rmdir()
