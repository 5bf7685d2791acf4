"""Importing a bought or permitted library: a folder or zip with manifest.csv.

Its columns: path, subject, model_release (yes) and, where the licence wants it, release (path of the signed one).
"""

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
from django.db import transaction

from collection import licensed
from collection.models import LibraryImport
from consent.models import Licence, User
from consent.refusals import Refused

MANIFEST = "manifest.csv"
COLUMNS = {"path", "subject", "model_release"}
OPTIONAL = {"release"}  # path of the signed release of the person depicted
BATCH = 100  # rows
LONGEST_PATH = 300
RELEASE_MAX_BYTES = 20 * 1024 * 1024
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

    Rows come in by BATCH: their bytes first, then in one transaction the images, their model releases and the report.
    Killed anywhere, importing again takes in only what is missing. Refused for a licence that is not in force, or an
    unreadable manifest.
    """
    licensed.check_live(licence)
    rows = read_manifest(library)
    run = LibraryImport.objects.create(licence=licence, started_by=user)
    for start in range(0, len(rows), BATCH):
        _import_batch(run, library, rows[start : start + BATCH])
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
        return [{name: (row.get(name) or "").strip() for name in COLUMNS | OPTIONAL} for row in reader]
    except csv.Error as error:
        raise Refused(f"manifest.csv is not a table in CSV form: {error}.") from None


# --- One batch -----------------------------------------------------------------------------------


def _import_batch(run: LibraryImport, library: Library, rows: list[dict[str, str]]) -> None:
    parcels = _store_batch(run, library, rows)
    left = parcels
    try:
        with transaction.atomic():
            taken = licensed.take_in(licence=run.licence, parcels=parcels)
            left = [parcel for parcel in parcels if parcel not in taken]
            _report(run, taken, left)
    finally:
        licensed.discard(left)


def _store_batch(run: LibraryImport, library: Library, rows: list[dict[str, str]]) -> list[licensed.Parcel]:
    """Write the bytes of the rows that are new, as far as the licence has room; note the others in the report."""
    known = licensed.known_paths(run.licence, {row["path"] for row in rows})
    room = licensed.room(run.licence)
    parcels: list[licensed.Parcel] = []
    for row in rows:
        if row["path"] in known:
            run.already_there += 1
            continue
        try:
            if room is not None and len(parcels) >= room:
                raise licensed.over_cap(run.licence)
            parcels.append(_store_row(run.licence, library, row))
            known.add(row["path"])
        except Refused as refused:
            _refuse(run, row["path"], refused)
    return parcels


def _report(run: LibraryImport, taken: list[licensed.Parcel], left: list[licensed.Parcel]) -> None:
    run.imported += len(taken)
    known = licensed.known_paths(run.licence, {parcel.image.external_id for parcel in left})
    run.already_there += len(known)  # another import of the same library was faster
    for parcel in left:
        if parcel.image.external_id not in known:
            _refuse(run, parcel.image.external_id, licensed.over_cap(run.licence))
    run.save()


def _refuse(run: LibraryImport, path: str, refused: Refused) -> None:
    run.refused.append({"path": path, "reason": str(refused)})


# --- One row -------------------------------------------------------------------------------------


def _store_row(licence: Licence, library: Library, row: dict[str, str]) -> licensed.Parcel:
    path = _inside(row["path"], "path")
    if not row["subject"]:
        raise Refused("The row does not say who is depicted (column subject).")
    if row["model_release"].lower() not in YES:
        raise Refused("There is no model release for the person depicted (column model_release).")
    release = _read_release(licence, library, row["release"])
    file = _read(library, path, settings.UPLOAD_MAX_BYTES)
    return licensed.store_parcel(
        licence=licence, external_id=row["path"], subject=row["subject"], file=file, release=release
    )


def _read_release(licence: Licence, library: Library, path: str) -> ContentFile | None:
    """The signed release that a row names; None if it names none and the licensor's own releases cover everybody."""
    if not path:
        if licence.model_release:
            return None
        raise Refused(
            "The licensor holds no model release of everybody, so each row has to name the signed one (column release)."
        )
    file = _read(library, _inside(path, "release"), RELEASE_MAX_BYTES)
    if not 0 < file.size <= RELEASE_MAX_BYTES:
        raise Refused(f"The model release is empty or larger than {RELEASE_MAX_BYTES >> 20} MB (column release).")
    file.name = path
    return file


def _inside(path: str, column: str) -> str:
    inside = PurePosixPath(path)
    if not path or inside.is_absolute() or ".." in inside.parts or len(path) > LONGEST_PATH:
        raise Refused(f"The path must lie inside the library (column {column}).")
    return str(inside)


def _read(library: Library, path: str, limit: int) -> ContentFile:
    """At most one byte more than `limit`, so that whoever checks sees what is too large."""
    try:
        return ContentFile(library.read(path, limit + 1))
    except (KeyError, *BROKEN):
        raise Refused(f"The library holds no readable file at the path {path}.") from None
