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
    new: int = 0
    already_there: int = 0
    refused: int = 0
    cost: Decimal = Decimal(0)
    room: int | None = None

    @property
    def done(self) -> int:
        return self.new + self.already_there + self.refused


class SeenPaths:
    """Paths of earlier rows, in a temporary database on disk: a manifest may have millions."""

    def __init__(self) -> None:
        self.database = sqlite3.connect("")
        self.database.execute("CREATE TABLE seen (path TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, path: str) -> bool:
        """False if it was there."""
        return bool(self.database.execute("INSERT OR IGNORE INTO seen VALUES (?)", [path]).rowcount)

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
            findings.already_there += len(rows) - len(new)
            # Of one batch: what people said further up is compared by the import itself.
            said = licensed_attributes.said_of({licensed.subject_of(licence, row.subject) for row in new})
            for row, checked in library.read_ahead(licence, files, new):
                try:
                    if room is not None and findings.new >= room:
                        raise licensed.over_cap(licence)
                    _check(licence, row, checked, said)
                    findings.new += 1
                except Refused as refused:
                    findings.refused += 1
                    report(row, refused)
            tell(findings)
    findings.cost = licence.price if licence.price_basis == PriceBasis.FLAT else licence.price * findings.new
    findings.room = None if room is None else room - findings.new
    return findings


def _new_rows(licence: Licence, rows: list[Row], seen: SeenPaths) -> list[Row]:
    known = licensed.known_paths(licence, {row.path for row in rows})
    return [row for row in rows if row.path not in known and seen.add(row.path)]


def _check(licence: Licence, row: Row, checked: library.Checked | Refused, said: dict[str, dict[str, str]]) -> None:
    if isinstance(checked, Refused):
        raise checked
    library.agree(licence, row, said)
    check_original(checked.file)
