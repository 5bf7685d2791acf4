"""Import a library of images under a licence."""

import contextlib
import datetime
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from collection import library_check, library_runs
from collection.library_check import Findings
from collection.library_sources import Library, Unreachable, open_library
from collection.models import LibraryImport
from consent.models import Licence
from consent.refusals import Refused
from consent.sheets import csv_line

STOPPED, BAD_INPUT, SOME_REFUSED = 1, 2, 3
TELL_SECONDS = 2.0
SHOWN = 20  # refused rows, without a report


class Command(BaseCommand):
    help = (
        "Import a folder, a zip file or s3://bucket/prefix with manifest.csv (path, subject, model_release; release; "
        "attributes of people where the licence covers them) under a licence. Safe to repeat: it goes on where it was "
        "stopped. Exit code 0: every row is in; 1: stopped, run it again; 2: bad input; 3: rows were refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="folder, zip file, or s3://bucket/prefix")
        parser.add_argument("--licence", required=True, help="id of the licence")
        parser.add_argument("--dry-run", action="store_true", help="check every row and write nothing")
        parser.add_argument("--report", type=Path, help="write refused rows to this CSV file (line, path, reason)")

    def handle(
        self, *args: Any, source: str | Path, licence: str, dry_run: bool, report: Path | None, **options: Any
    ) -> None:
        found = _find_licence(licence)
        self.told_at = self.begun = time.monotonic()
        try:
            with _opened(report) as out, open_library(str(source)) as files:
                refused = self._check(files, found, out) if dry_run else self._import(files, found, str(source), out)
        except Refused as refusal:
            raise CommandError(str(refusal), returncode=BAD_INPUT) from None
        except library_runs.Stopped:
            raise CommandError(
                "This import was cancelled, or another process went on with it. What came in stays.", returncode=STOPPED
            ) from None
        except (Unreachable, OSError) as error:
            raise CommandError(f"{error}. What came in stays: run this again to go on.", returncode=STOPPED) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. What came in stays: run this again to go on.", returncode=STOPPED) from None
        if refused:
            where = f"see {report}" if report else "use --report FILE for all of them"
            tense = "would be" if dry_run else "were"
            raise CommandError(f"{refused} rows {tense} refused: {where}", returncode=SOME_REFUSED)

    def _import(self, files: Library, licence: Licence, source: str, out: IO[str] | None) -> int:
        run = library_runs.import_library(library=files, licence=licence, source=source, tell=self._tell_run)
        for number, line in enumerate(library_runs.report_lines(run)):
            if out:
                out.write(line)
            elif 0 < number <= SHOWN:
                self.stderr.write(f"refused {line.strip()}")
        self._tell_left_out(run.left_out)
        self.stdout.write(f"{run.imported} imported, {run.already_there} there already, {run.refused_count} refused")
        return run.refused_count

    def _check(self, files: Library, licence: Licence, out: IO[str] | None) -> int:
        shown = iter(range(SHOWN))
        if out:
            out.write(csv_line(*library_runs.HEADER))

        def report(row: Any, refused: Refused) -> None:
            line = csv_line(row.line, row.path, refused)
            if out:
                out.write(line)
            elif next(shown, None) is not None:
                self.stderr.write(f"would refuse {line.strip()}")

        found = library_check.check_library(files=files, licence=licence, report=report, tell=self._tell_findings)
        self._tell_left_out(found.left_out)
        self.stdout.write(
            f"{found.rows} rows: {found.new} would be imported, {found.already_there} are there already or come twice, "
            f"{found.refused} would be refused. Nothing was written."
        )
        self.stdout.write(_cost(licence, found))
        return found.refused

    # --- Progress ---

    def _tell_run(self, run: LibraryImport) -> None:
        left = run.time_left()
        self._tell(run.rows_done, run.rows or 0, run.rows_per_second(), left)

    def _tell_findings(self, found: Findings) -> None:
        pace = found.done / (time.monotonic() - self.begun)
        left = datetime.timedelta(seconds=round((found.rows - found.done) / pace)) if pace else None
        self._tell(found.done, found.rows, pace, left)

    def _tell(self, done: int, rows: int, pace: float | None, left: datetime.timedelta | None) -> None:
        if time.monotonic() - self.told_at < TELL_SECONDS:
            return
        self.told_at = time.monotonic()
        how_fast = f", {pace:.0f} rows/s, about {left} left" if pace and left is not None else ""
        self.stderr.write(f"{done:,} of {rows:,} rows{how_fast}")

    def _tell_left_out(self, columns: str) -> None:
        if columns:
            self.stderr.write(
                f"Not read: {columns}. The licence does not say that it covers what people said about themselves."
            )


def _find_licence(name: str) -> Licence:
    try:
        return Licence.objects.get(pk=name)
    except (Licence.DoesNotExist, ValidationError):
        raise CommandError(
            f"There is no licence {name}. See the staff page of licences.", returncode=BAD_INPUT
        ) from None


@contextlib.contextmanager
def _opened(report: Path | None) -> Iterator[IO[str] | None]:
    """Opened first: a report that cannot be written should not cost an import."""
    if report is None:
        yield None
        return
    try:
        out = report.open("w", newline="")
    except OSError as error:
        raise CommandError(f"The report cannot be written: {error}.", returncode=BAD_INPUT) from None
    with out:
        yield out


def _cost(licence: Licence, found: Findings) -> str:
    room = "no cap" if found.room is None else f"{found.room} more images"
    return (
        f"Price: {found.cost} {licence.currency} ({licence.price} {licence.get_price_basis_display()}). "
        f"What the licence covers beyond this: {room}."
    )
