"""Runs of importing a library: started, worked on, gone on with after a kill, cancelled, reported.

A run is a row; whoever holds its lease works on it, and each batch moves `rows_done` on in its own transaction, so a
kill costs one batch. Runs with a `key` came by the staff page: their zip waits in the `imports` storage until they end.
"""

import datetime
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from django.core.files.base import File
from django.core.files.storage import Storage, storages
from django.db.models import F, Q
from django.utils import timezone

from collection import library, licensed
from collection.library_manifest import Survey, check_header, read_rows, survey
from collection.library_sources import Library, open_library
from collection.models import LibraryImport, RefusedRow
from consent.models import Licence, User
from consent.refusals import Refused
from consent.retention_table import IMPORT_REPORTS
from consent.sheets import csv_line

logger = logging.getLogger(__name__)
State = LibraryImport.State
OPEN = (State.WAITING, State.RUNNING)
LEASE = datetime.timedelta(seconds=60)
RENEW_SECONDS = 5.0
# After an attempt failed: four more, spread so that storage may be away for an hour or two.
DELAYS = tuple(datetime.timedelta(seconds=seconds) for seconds in (10, 60, 600, 7200))
ABANDONED = datetime.timedelta(days=7)  # a command that was stopped and not run again
ORPHAN_AGE = datetime.timedelta(hours=1)  # a zip's bytes come before its row
HEADER = ("line", "path", "reason")
Tell = Callable[[LibraryImport], None]


class Stopped(Exception):  # no error: somebody cancelled the run, or works on it in our place
    """This process no longer holds the run."""


def uploads() -> Storage:
    """Zips of libraries that wait for their import."""
    return storages["imports"]


# --- Starting ------------------------------------------------------------------------------------


def import_library(
    *,
    library: Library,
    licence: Licence,
    user: User | None = None,
    source: str = "",
    tell: Tell = lambda run: None,
) -> LibraryImport:
    """Import all of `library` under `licence` now; a row that cannot be taken is noted and the rest goes on.

    A run of the same `source` and manifest that was killed is gone on with. Refused for a licence that is not in force
    or an unreadable manifest; Stopped if the run was cancelled meanwhile. `tell` hears of every batch.
    """
    licensed.check_live(licence)
    found = survey(library)
    run = _killed_run(licence, source, found) or LibraryImport.objects.create(
        licence=licence, source=source[:300], started_by=user, **_surveyed(licence, found)
    )
    if not _claim(run):
        raise Stopped  # another process goes on with it, from this moment
    try:
        _work(run, library, None, tell)
    except Refused as refused:
        _end(run, State.FAILED, str(refused))
        raise
    except BaseException:
        _release(run)
        raise
    return run


def store_upload(*, licence: Licence, file: File, user: User | None = None) -> LibraryImport:
    """Keep a zip that was sent, and the run that will import it. Refused if that could not even begin."""
    licensed.check_live(licence)
    with open_library(file) as files:
        check_header(files)
    key = f"{uuid.uuid4().hex}.zip"
    file.seek(0)
    uploads().save(key, file)
    name = PurePath(file.name or "library.zip").name
    return LibraryImport.objects.create(licence=licence, key=key, source=name[:300], started_by=user)


def _killed_run(licence: Licence, source: str, found: Survey) -> LibraryImport | None:
    of_this = LibraryImport.objects.filter(licence=licence, source=source[:300], key="", state=State.RUNNING)
    if not source:
        return None
    return of_this.filter(manifest_sha256=found.sha256, next_attempt_at__lte=timezone.now()).order_by("-pk").first()


def _surveyed(licence: Licence, found: Survey) -> dict[str, object]:
    left_out = "" if licence.self_reported_attributes else ", ".join(found.attributes)
    return {"rows": found.rows, "manifest_sha256": found.sha256, "left_out": left_out}


# --- Working -------------------------------------------------------------------------------------


def work_on(*, run_id: int, seconds: float) -> bool:
    """Work on a run with a stored zip for about `seconds`, unless somebody else does. True if there is more to do."""
    run = LibraryImport.objects.select_related("licence").filter(pk=run_id, state__in=OPEN).exclude(key="").first()
    if run is None or not _claim(run):
        return False
    try:
        with uploads().open(run.key) as file, open_library(file) as files:
            if run.rows is None:
                _update(run, **_surveyed(run.licence, survey(files)))
                run.refresh_from_db()
            done = _work(run, files, time.monotonic() + seconds, lambda run: None)
    except Stopped:
        return False
    except Refused as refused:
        _end(run, State.FAILED, str(refused))
        return False
    except Exception as error:  # storage away, disk full, a bug: the run waits and the sweep tries again
        logger.exception("library import %s failed", run.pk)
        _note_failure(run, error)
        return False
    if not done:
        _release(run)
    return not done


def _work(run: LibraryImport, files: Library, until: float | None, tell: Tell) -> bool:
    """Take in batches until the manifest or the time is over; True if the manifest is."""
    licence = run.licence
    tell(run)
    for rows in library.batches(read_rows(files, after=run.rows_done)):
        library.import_batch(
            licence=licence,
            library=files,
            rows=rows,
            note=lambda outcome: _note(run, outcome),
            alive=_heartbeat(run),
        )
        run.refresh_from_db()
        tell(run)
        if until is not None and time.monotonic() > until:
            return run.rows_done == run.rows and _end(run, State.DONE)
    _end(run, State.DONE)
    return True


def _note(run: LibraryImport, outcome: library.Outcome) -> None:
    """What became of a batch, in its transaction. Stopped, so that all of it is undone, if the run is not ours now."""
    taken, known, refused = len(outcome.taken), len(outcome.known), len(outcome.refused)
    _update(
        run,
        imported=F("imported") + taken,
        already_there=F("already_there") + known,
        refused_count=F("refused_count") + refused,
        rows_done=F("rows_done") + taken + known + refused,
        attempts=0,
        last_error="",
        next_attempt_at=timezone.now() + LEASE,
    )
    RefusedRow.objects.bulk_create(
        RefusedRow(run=run, line=row.line, path=row.path[:300], reason=str(reason)[:500])
        for row, reason in outcome.refused
    )


def _heartbeat(run: LibraryImport) -> Callable[[], None]:
    renewed = time.monotonic()

    def beat() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            _update(run, next_attempt_at=timezone.now() + LEASE)

    return beat


# --- The lease -----------------------------------------------------------------------------------


def due() -> Iterator[int]:
    """Runs (pk) with a stored zip that nobody works on."""
    waiting = LibraryImport.objects.filter(state__in=OPEN, next_attempt_at__lte=timezone.now()).exclude(key="")
    yield from waiting.order_by("next_attempt_at").values_list("pk", flat=True)


def _claim(run: LibraryImport) -> bool:
    """Hold the run, if nobody does."""
    now = timezone.now()
    mine = LibraryImport.objects.filter(pk=run.pk, state__in=OPEN, next_attempt_at__lte=now).update(
        state=State.RUNNING,
        holder=uuid.uuid4(),
        next_attempt_at=now + LEASE,
        attempt_at=now,
        attempt_from=F("rows_done"),
    )
    if mine:
        run.refresh_from_db()
    return bool(mine)


def _mine(run: LibraryImport) -> Q:
    return Q(pk=run.pk, holder=run.holder, state=State.RUNNING)


def _update(run: LibraryImport, **values: object) -> None:
    if not LibraryImport.objects.filter(_mine(run)).update(**values):
        raise Stopped


def _release(run: LibraryImport) -> None:
    """Whoever comes next may go on at once."""
    LibraryImport.objects.filter(_mine(run)).update(next_attempt_at=timezone.now())


def _note_failure(run: LibraryImport, error: Exception) -> None:
    said = f"{type(error).__name__}: {error}"[:1000]
    if run.attempts >= len(DELAYS):
        _end(run, State.FAILED, f"Given up after {run.attempts + 1} attempts. Send the zip again to go on. ({said})")
        return
    LibraryImport.objects.filter(_mine(run)).update(
        attempts=F("attempts") + 1, last_error=said, next_attempt_at=timezone.now() + DELAYS[run.attempts]
    )


# --- Ending --------------------------------------------------------------------------------------


def cancel_run(*, run: LibraryImport) -> bool:
    """Stop a run; what came in stays. False if it had ended. Whoever works on it notices between two images."""
    now = timezone.now()
    cancelled = LibraryImport.objects.filter(pk=run.pk, state__in=OPEN).update(state=State.CANCELLED, finished_at=now)
    _delete_zips(LibraryImport.objects.filter(pk=run.pk, finished_at__isnull=False))
    return bool(cancelled)


def _end(run: LibraryImport, state: str, error: str = "") -> bool:
    LibraryImport.objects.filter(_mine(run)).update(state=state, finished_at=timezone.now(), last_error=error)
    _delete_zips(LibraryImport.objects.filter(pk=run.pk, finished_at__isnull=False))
    run.refresh_from_db()
    return True


def _delete_zips(runs: Iterable[LibraryImport]) -> int:
    """The bytes first: killed in between, the row still names them."""
    deleted = 0
    for run in runs:
        if run.key:
            uploads().delete(run.key)
            deleted += LibraryImport.objects.filter(pk=run.pk).update(key="")
    return deleted


def remove_leftovers(*, age: datetime.timedelta = ORPHAN_AGE) -> int:
    """What runs leave behind: zips of those that ended or whose row was never written, old reports. Returns zips."""
    deleted = _delete_zips(LibraryImport.objects.filter(finished_at__isnull=False).exclude(key=""))
    abandoned = LibraryImport.objects.filter(state=State.RUNNING, key="")
    abandoned.filter(next_attempt_at__lte=timezone.now() - ABANDONED).update(
        state=State.FAILED, finished_at=timezone.now(), last_error="The command was stopped and not run again."
    )
    RefusedRow.objects.filter(run__finished_at__lte=IMPORT_REPORTS.cutoff()).delete()
    return deleted + sum(_delete_orphan(key, age) for key in stored_zips())


def stored_zips() -> list[str]:
    """Keys of everything in the `imports` storage."""
    try:
        return [name for name in uploads().listdir("")[1] if name]
    except FileNotFoundError:  # nothing was ever sent
        return []


def _delete_orphan(key: str, age: datetime.timedelta) -> bool:
    if LibraryImport.objects.filter(key=key).exists():
        return False
    if uploads().get_modified_time(key) > timezone.now() - age:
        return False  # perhaps one whose row is about to be written
    uploads().delete(key)
    return True


# --- The report ----------------------------------------------------------------------------------


def report_lines(run: LibraryImport) -> Iterator[str]:
    """The report as CSV, line by line: a header, then one line per refused row."""
    yield csv_line(*HEADER)
    for row in run.refused.order_by("line").iterator(2000):
        yield csv_line(row.line, row.path, row.reason)
