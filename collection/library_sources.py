"""Where a library may lie: a folder, a zip file, a prefix on S3. Each gives files by their path inside the library."""

import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files import File

from consent.refusals import Refused

# What reading a damaged, encrypted or hostile file raises; NotImplementedError is a RuntimeError.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError, struct.error)
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
S3 = "s3://"
ABSENT = {"NoSuchKey", "404"}


class Unreachable(Exception):
    """The whole library cannot be read at present: no reason to refuse a row. The message is for people."""


class Library(Protocol):
    """Files by their path inside the library. May be read by several threads."""

    def open(self, path: str) -> IO[bytes]:
        """KeyError if there is no such file; one of BROKEN if it cannot be read; Unreachable if nothing can."""

    def read(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes; raises as `open` does."""


class ZipLibrary:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def open(self, path: str) -> IO[bytes]:
        """Refused if it is packed in a way in which a few bytes become any number at once."""
        if self.archive.getinfo(path).compress_type not in PACKED:
            raise Refused(f"{path} is packed in an unusual way. Please make the zip file with the usual one (deflate).")
        return self.archive.open(path)

    def read(self, path: str, limit: int) -> bytes:
        with self.open(path) as file:
            return file.read(limit)


class FolderLibrary:
    """Nothing outside the folder is opened, wherever links lead, and nothing but plain files."""

    def __init__(self, folder: Path) -> None:
        self.folder = os.path.realpath(folder)

    def open(self, path: str) -> IO[bytes]:
        place = os.path.join(self.folder, path)
        if os.path.islink(place):
            place = os.path.realpath(place)
        if not _is_inside(os.path.dirname(place), self.folder):
            raise KeyError(path)
        try:
            handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise KeyError(path) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise KeyError(path)
        return os.fdopen(handle, "rb", buffering=0)

    def read(self, path: str, limit: int) -> bytes:
        with self.open(path) as file:
            return file.read(limit)


@lru_cache(maxsize=4096)
def _is_inside(folder: str, root: str) -> bool:
    """Resolving links for every file of a folder would cost more than reading it."""
    return os.path.commonpath([os.path.realpath(folder), root]) == root


class S3Library:
    """A prefix of a bucket, with the endpoint and the credentials of our own storage."""

    def __init__(self, address: str) -> None:
        self.bucket, _, prefix = address.removeprefix(S3).partition("/")
        self.prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=settings.S3_ENDPOINT_URL or None,
            aws_access_key_id=settings.S3_ACCESS_KEY or None,
            aws_secret_access_key=settings.S3_SECRET_KEY or None,
            region_name=settings.S3_REGION,
        )

    def open(self, path: str) -> IO[bytes]:
        try:
            body: IO[bytes] = self.client.get_object(Bucket=self.bucket, Key=f"{self.prefix}{path}")["Body"]
            return body
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                raise KeyError(path) from None
            raise self._unreachable(error) from error
        except BotoCoreError as error:
            raise self._unreachable(error) from error

    def read(self, path: str, limit: int) -> bytes:
        body = self.open(path)
        try:
            return body.read(limit)
        except BotoCoreError as error:
            raise self._unreachable(error) from error
        finally:
            body.close()

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{S3}{self.bucket}/{self.prefix} cannot be read: {error}")


@contextmanager
def open_library(source: Path | str | IO[bytes] | io.IOBase | File) -> Iterator[Library]:
    """A folder, a zip file (by path or open), or s3://bucket/prefix. Refused if it is none of these."""
    if isinstance(source, str) and source.startswith(S3):
        yield S3Library(source)
        return
    source = Path(source) if isinstance(source, str) else source
    if isinstance(source, Path) and source.is_dir():
        yield FolderLibrary(source)
        return
    try:
        archive = zipfile.ZipFile(source)  # type: ignore[arg-type]
    except BROKEN as error:
        raise Refused("This is neither a folder nor a zip file. Please choose the library's zip file.") from error
    with archive:
        yield ZipLibrary(archive)
