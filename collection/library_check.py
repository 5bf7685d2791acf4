"""A dry run: every row of a library is checked as an import would, and nothing is written.

But not whether a photograph was erased before (ADR 0022): what is not taken in is not read whole.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

from collection import library, licensed, licensed_attributes
from collection.library_manifest import Row, read_rows, survey
from collection.library_sources import Library
from collection.services import check_original
from consent.models import Licence, PriceBasis
from consent.refusals import Refused


@dataclass
class Findings:
    """What an import would do. `room`: what the licence covers beyond it; None: no cap."""

    rows: int
    left_out: str
    done: int = 0
    new: int = 0
    refused: int = 0
    cost: Decimal = Decimal(0)
    room: int | None = None

    @property
    def already_there(self) -> int:
        """Taken in before, or the same path further up would be."""
        return self.done - self.new - self.refused


class SeenPaths:
    """Paths of earlier rows that would come in, in a temporary database on disk: a manifest may have millions."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("")
        self.database.execute("CREATE TABLE seen (path TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, path: str) -> None:
        self.database.execute("INSERT INTO seen VALUES (?)", [path])

    def __contains__(self, path: str) -> bool:
        return bool(self.database.execute("SELECT 1 FROM seen WHERE path = ?", [path]).fetchone())

    def close(self) -> None:
        self.database.close()


def check_library(
    *,
    files: Library,
    licence: Licence,
    report: Callable[[Row, Refused], None],
    tell: Callable[[Findings], None] = lambda findings: None,
) -> Findings:
    """Check every row; `report` hears of each that would be refused, `tell` of every batch. Refused as an import is."""
    licensed.check_live(licence)
    found = survey(files)
    findings = Findings(found.rows, "" if licence.self_reported_attributes else ", ".join(found.attributes))
    room = licensed.room(licence)
    with closing(SeenPaths()) as seen:
        for rows in library.batches(read_rows(files)):
            new = _new_rows(licence, rows, seen)
            refused = _check_batch(licence, files, new, seen, findings, room)
            for row, refusal in refused:
                report(row, refusal)
            findings.refused += len(refused)
            findings.done += len(rows)
            tell(findings)
    findings.cost = licence.price if licence.price_basis == PriceBasis.FLAT else licence.price * findings.new
    findings.room = None if room is None else room - findings.new
    return findings


def _check_batch(
    licence: Licence, files: Library, new: list[Row], seen: SeenPaths, findings: Findings, room: int | None
) -> list[tuple[Row, Refused]]:
    """Count what would come in; the rows that would be refused, by line."""
    # Of one batch: what people said further up is compared by the import itself.
    said = licensed_attributes.said_of({licensed.subject_of(licence, row.subject) for row in new})
    refused = list[tuple[Row, Refused]]()
    while new:
        firsts, later = library.each_path_once(new)
        for row, checked in library.read_ahead(licence, files, firsts):
            try:
                if room is not None and findings.new >= room:
                    raise licensed.over_cap(licence)
                _check(licence, row, checked, said)
                findings.new += 1
                seen.add(row.path)
            except Refused as refusal:
                refused.append((row, refusal))
        new = [row for row in later if row.path not in seen]
    return sorted(refused, key=lambda one: one[0].line)


def _new_rows(licence: Licence, rows: list[Row], seen: SeenPaths) -> list[Row]:
    known = licensed.known_paths(licence, {row.path for row in rows})
    return [row for row in rows if row.path not in known and row.path not in seen]


def _check(licence: Licence, row: Row, checked: library.Checked | Refused, said: dict[str, dict[str, str]]) -> None:
    if isinstance(checked, Refused):
        raise checked
    library.agree(licence, row, said)
    check_original(checked.file)
