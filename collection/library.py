"""Importing a bought or permitted library (a folder, zip or S3 prefix with manifest.csv): its rows, batch by batch.

Columns: path, subject, model_release (yes) and, where the licence wants it, release (path of the signed one); where the
licence covers them, the attributes of consent.demographics. What a run is stands in library_runs.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath

from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction

from collection import keys, licensed, licensed_attributes
from collection.library_manifest import Row
from collection.library_sources import BROKEN, Library
from collection.services import taken_out
from consent.models import Licence
from consent.refusals import Refused

BATCH = 200  # rows
READERS = 4  # files read ahead, each at most UPLOAD_MAX_BYTES
LONGEST_PATH = 300
RELEASE_MAX_BYTES = 20 * 1024 * 1024
YES = {"yes", "true", "1"}


@dataclass(frozen=True)
class Checked:
    """A row that may be taken in, with what its files hold."""

    row: Row
    file: ContentFile
    release: ContentFile | None


@dataclass
class Outcome:
    """What became of one batch of rows, each of which is in one of the three."""

    taken: list[licensed.Parcel] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, Refused]] = field(default_factory=list)


# --- One batch -----------------------------------------------------------------------------------


def import_batch(
    *, licence: Licence, library: Library, rows: list[Row], note: Callable[[Outcome], None], alive: Callable[[], None]
) -> None:
    """Take in what is new among `rows`: the bytes first, then all rows in one transaction, in which `note` is called.

    `alive` is called between images; what it or `note` raises ends the batch, as a licence that ended does (Refused).
    Killed anywhere, importing again takes in only what is missing; bytes without rows are swept.
    """
    outcome = Outcome()
    stored: list[tuple[Row, licensed.Parcel]] = []
    _store(licence, library, rows, stored, outcome, alive)
    try:
        with transaction.atomic():
            outcome.taken = licensed.take_in(licence=licence, parcels=[parcel for _, parcel in stored])
            _sort_out_left(licence, stored, outcome)
            note(outcome)
    finally:  # not what was taken: if the commit's answer was lost, its rows are there
        taken = {parcel.image.pk for parcel in outcome.taken}
        licensed.discard([parcel for _, parcel in stored if parcel.image.pk not in taken])


def _store(
    licence: Licence,
    library: Library,
    rows: list[Row],
    stored: list[tuple[Row, licensed.Parcel]],
    outcome: Outcome,
    alive: Callable[[], None],
) -> None:
    """Write the bytes of the rows that are new, as far as the licence has room."""
    new = _new_rows(licence, rows, outcome)
    room = licensed.room(licence)
    subjects = {licensed.subject_of(licence, row.subject) for row in new if row.subject}
    said, ring = licensed_attributes.said_of(subjects), keys.Ring(subjects)
    while new:
        firsts, later = each_path_once(new)
        for row, checked in read_ahead(licence, library, firsts):
            alive()
            try:
                if room is not None and len(stored) >= room:
                    raise licensed.over_cap(licence)
                if isinstance(checked, Refused):
                    raise checked
                agree(licence, row, said)
                stored.append((row, _store_checked(licence, checked, ring)))
            except Refused as refused:
                outcome.refused.append((row, refused))
        paths = {row.path for row, _ in stored}
        outcome.known += [row for row in later if row.path in paths]
        new = [row for row in later if row.path not in paths]


def _new_rows(licence: Licence, rows: list[Row], outcome: Outcome) -> list[Row]:
    """Those whose paths were not taken in before."""
    known = licensed.known_paths(licence, {row.path for row in rows})
    outcome.known += [row for row in rows if row.path in known]
    return [row for row in rows if row.path not in known]


def _store_checked(licence: Licence, checked: Checked, ring: keys.Ring) -> licensed.Parcel:
    row = checked.row
    return licensed.store_parcel(
        licence=licence,
        external_id=row.path,
        subject=row.subject,
        file=checked.file,
        release=checked.release,
        said=row.said if licence.self_reported_attributes else {},
        ring=ring,
    )


def _sort_out_left(licence: Licence, stored: list[tuple[Row, licensed.Parcel]], outcome: Outcome) -> None:
    """Stored and not taken in: another import of the same library was faster or used up the licence, or the photograph
    was erased before because of somebody in it."""
    taken = {parcel.image.pk for parcel in outcome.taken}
    left = [(row, parcel) for row, parcel in stored if parcel.image.pk not in taken]
    if not left:
        return
    known = licensed.known_paths(licence, {row.path for row, _ in left})
    erased = licensed.erased_before([parcel for _, parcel in left])
    for row, parcel in left:
        if row.path in known:
            outcome.known.append(row)
        else:
            reason = taken_out() if parcel.image.pk in erased else licensed.over_cap(licence)
            outcome.refused.append((row, reason))


# --- Rows ----------------------------------------------------------------------------------------


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def each_path_once(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The first row of each path, and the others, which matter only if that one is refused."""
    firsts = {row.path: row for row in reversed(rows)}
    once = [row for row in rows if firsts[row.path] is row]
    return once, [row for row in rows if firsts[row.path] is not row]


def read_ahead(licence: Licence, library: Library, rows: Iterable[Row]) -> Iterator[tuple[Row, Checked | Refused]]:
    """Check rows in order, with the next files being read by other threads meanwhile; these touch no database."""
    coming: list[tuple[Row, Future[Checked | Refused]]] = []
    waiting = iter(rows)
    with ThreadPoolExecutor(READERS) as readers:
        try:
            while True:
                for row in islice(waiting, READERS - len(coming)):
                    coming.append((row, readers.submit(_check, licence, library, row)))
                if not coming:
                    return
                row, result = coming.pop(0)
                yield row, result.result()
        finally:
            readers.shutdown(cancel_futures=True)


def _check(licence: Licence, library: Library, row: Row) -> Checked | Refused:
    try:
        return check_row(licence, library, row)
    except Refused as refused:
        return refused


def check_row(licence: Licence, library: Library, row: Row) -> Checked:
    """What can be said of one row by itself. Refused says what is wrong."""
    path = _inside(row.path, "path")
    if not row.subject:
        raise Refused("The row does not say who is depicted (column subject).")
    if row.model_release.lower() not in YES:
        raise Refused("There is no model release for the person depicted (column model_release).")
    if licence.self_reported_attributes:
        licensed_attributes.check(row.said)
    release = _read_release(licence, library, row.release)
    return Checked(row, _read(library, path, settings.UPLOAD_MAX_BYTES), release)


def agree(licence: Licence, row: Row, said: dict[str, dict[str, str]]) -> None:
    """Refused if `said` (by Image.subject) has something else of the same person; noted there otherwise."""
    if licence.self_reported_attributes:
        who = licensed.subject_of(licence, row.subject)
        licensed_attributes.check_agrees(row.said, said.setdefault(who, row.said))


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
