"""Importing a bought or permitted library: a folder or zip with manifest.csv (columns path, subject, model_release)."""

import csv
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol

from django.conf import settings
from django.core.files.base import ContentFile

from collection.models import LibraryImport
from collection.services import receive_library_image
from consent.models import Licence, User
from consent.refusals import Refused

MANIFEST = "manifest.csv"
COLUMNS = {"path", "subject", "model_release"}
MANIFEST_MAX_BYTES = 50 * 1024 * 1024
YES = {"yes", "true", "1"}
# What reading a damaged, encrypted or hostile zip file raises; NotImplementedError is a RuntimeError.
BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, ValueError, struct.error)


class Library(Protocol):
    """Files by their path inside the library."""

    def read(self, path: str, limit: int) -> bytes:
        """At most `limit` bytes. KeyError if there is no such file."""


class ZipLibrary:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def read(self, path: str, limit: int) -> bytes:
        with self.archive.open(path) as file:
            return file.read(limit)


class FolderLibrary:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def read(self, path: str, limit: int) -> bytes:
        found = (self.folder / path).resolve()
        if not found.is_relative_to(self.folder) or not found.is_file():
            raise KeyError(path)
        with found.open("rb") as file:
            return file.read(limit)


@contextmanager
def open_library(source: Path | io.IOBase) -> Iterator[Library]:
    """A folder, a zip file, or an uploaded zip. Refused if it is neither."""
    if isinstance(source, Path) and source.is_dir():
        yield FolderLibrary(source)
        return
    try:
        archive = zipfile.ZipFile(source)  # type: ignore[arg-type]
    except BROKEN as error:
        raise Refused("This is neither a folder nor a zip file. Please choose the library's zip file.") from error
    with archive:
        yield ZipLibrary(archive)


def import_library(*, library: Library, licence: Licence, user: User | None = None) -> LibraryImport:
    """Import every row of the manifest under `licence`; a row that cannot be taken is noted and the rest goes on.

    Importing again takes in only what is missing. Refused for an expired licence or an unreadable manifest.
    """
    if not Licence.objects.live().filter(pk=licence.pk).exists():
        raise Refused(
            f"The licence “{licence}” runs from {licence.starts_on} to {licence.ends_on}, so nothing can be "
            "imported under it today. Record a licence that is in force."
        )
    rows = read_manifest(library)
    run = LibraryImport.objects.create(licence=licence, started_by=user)
    for row in rows:
        _import_row(run, library, licence, row)
        run.save()
    return run


def read_manifest(library: Library) -> list[dict[str, str]]:
    """The rows of manifest.csv. Refused names what is missing."""
    try:
        text = library.read(MANIFEST, MANIFEST_MAX_BYTES).decode("utf-8-sig")
    except KeyError:
        raise Refused(
            "The library has no manifest.csv. It needs one with the columns path, subject, model_release."
        ) from None
    except UnicodeDecodeError:
        raise Refused("manifest.csv is not UTF-8 text. Please save it as UTF-8.") from None
    except BROKEN:
        raise Refused("manifest.csv cannot be read: the zip file is damaged. Please make it again.") from None
    if "\0" in text:  # PostgreSQL keeps none
        raise Refused("manifest.csv holds NUL characters. Please save it as plain UTF-8 text.")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        if missing := COLUMNS - set(reader.fieldnames or ()):
            raise Refused(f"manifest.csv lacks the column {', '.join(sorted(missing))}.")
        return [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in reader]
    except csv.Error as error:
        raise Refused(f"manifest.csv is not a table in CSV form: {error}.") from None


def _import_row(run: LibraryImport, library: Library, licence: Licence, row: dict[str, str]) -> None:
    try:
        _, new = receive_library_image(
            licence=licence, external_id=row["path"], subject=row["subject"], file=_read_row(library, row)
        )
    except Refused as refused:
        run.refused.append({"path": row["path"], "reason": str(refused)})
        return
    if new:
        run.imported += 1
    else:
        run.already_there += 1


def _read_row(library: Library, row: dict[str, str]) -> ContentFile:
    path = PurePosixPath(row["path"])
    if not row["path"] or path.is_absolute() or ".." in path.parts or len(row["path"]) > 300:
        raise Refused("The path must lie inside the library.")
    if not row["subject"]:
        raise Refused("The row does not say who is depicted (column subject).")
    if row["model_release"].lower() not in YES:
        raise Refused("There is no model release for the person depicted (column model_release).")
    try:
        return ContentFile(library.read(str(path), settings.UPLOAD_MAX_BYTES + 1))
    except (KeyError, *BROKEN):
        raise Refused("The library holds no readable file at this path.") from None
