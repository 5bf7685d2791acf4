"""What a release will hold, row by row, in a scratch database on disk: memory does not grow with the release.

Phases: `add` each row in any order, `place` them in shards, then read them shard by shard.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

from consent import merkle
from consent.signing import canonical_json
from exports import shards

SCHEMA = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000; PRAGMA temp_store = FILE;
CREATE TABLE rows (
    number INTEGER PRIMARY KEY, row_id TEXT, image TEXT, split TEXT, subject TEXT, pixels INTEGER, clean_key TEXT,
    leaf BLOB, labels TEXT
);
-- Apart, under the same numbers: all else is sorted and joined without them.
CREATE TABLE lines (number INTEGER PRIMARY KEY, line BLOB);
CREATE TABLE bases (basis TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;
CREATE TABLE before (row_id TEXT PRIMARY KEY, split TEXT, shard TEXT, labels TEXT) WITHOUT ROWID;
CREATE TABLE placed (shard TEXT, row_id TEXT, number INTEGER, PRIMARY KEY (shard, row_id)) WITHOUT ROWID;
"""
KEPT = """
INSERT INTO placed SELECT shard, rows.row_id, number FROM rows JOIN before USING (row_id, split)
"""
FRESH = """
SELECT rows.row_id, rows.split, pixels, number FROM rows LEFT JOIN before USING (row_id, split)
WHERE before.row_id IS NULL ORDER BY rows.split, subject, rows.row_id
"""
ENTRIES = """
SELECT placed.row_id, image, split, shard, leaf FROM placed JOIN rows USING (number) ORDER BY shard, placed.row_id
"""
ROWS_OF = """
SELECT line, image, clean_key FROM placed JOIN rows USING (number) JOIN lines USING (number)
WHERE shard = ? ORDER BY placed.row_id
"""
IN_BOTH = "SELECT COUNT(*), SUM(before.labels <> rows.labels) FROM rows JOIN before USING (row_id)"
AT_ONCE = 1_000  # rows written


class Before(NamedTuple):
    """One row of the release before. An empty shard: it keeps none."""

    row_id: str
    shard: str
    labels: str


class Entry(NamedTuple):
    """One row in its place, as the database is to know it."""

    row_id: str
    image: str
    split: str
    shard: str
    leaf: bytes


class Plan:
    """Everything that a release will hold. Two plans of one snapshot are equal, row by row."""

    def __init__(self, path: Path, beat: Callable[[], object] = lambda: None) -> None:
        self.path, self.beat = path, beat
        self._held = sqlite3.connect(path)
        self._added: list[tuple[Any, ...]] = []  # rows on their way: a statement for each takes twice as long

    @classmethod
    def begin(cls, path: Path, beat: Callable[[], object] = lambda: None) -> Self:
        """An empty one, in a new file. It is not durable: a build that is killed starts again.

        `beat` is called now and then by whatever goes through its rows.
        """
        plan = cls(path, beat)
        plan._held.executescript(SCHEMA)
        return plan

    def close(self) -> None:
        self._held.commit()
        self._held.close()

    # --- Writing -----------------------------------------------------------------------------------

    def add(self, record: Mapping[str, Any], *, image: str, clean_key: str, labels: str = "") -> None:
        """One row of an image (id in hex, which sorts as in the database) whose bytes lie at `clean_key` (`Facts`).

        `labels` are in one form for the same labels; they are only compared.
        """
        self.beat()
        line, pixels = canonical_json(record).encode(), record["width"] * record["height"]
        facts = (record["row_id"], image, record["split"], record["subject"], pixels, clean_key)
        self._added.append((*facts, merkle.leaf_hash(line), labels, line))
        if len(self._added) == AT_ONCE:
            self._write()

    def _write(self) -> None:
        """What was added and is not in the file yet."""
        added, self._added = self._added, []
        self._held.executemany("INSERT INTO rows VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", (row[:-1] for row in added))
        self._held.executemany("INSERT INTO lines VALUES (NULL, ?)", (row[-1:] for row in added))

    def add_basis(self, basis: str, record: dict[str, Any]) -> None:
        """What the release says of a basis (its id as text); saying it again changes nothing."""
        self._held.execute("INSERT OR IGNORE INTO bases VALUES (?, ?)", (basis, json.dumps(record)))

    def place(self, before: Iterable[Before] = ()) -> None:
        """Give each row its shard: rows of the release before keep theirs, the others fill new ones."""
        self._write()
        for row_id, shard, labels in before:
            self.beat()
            self._held.execute(
                "INSERT INTO before VALUES (?, ?, ?, ?)", (row_id, shards.split_of(shard), shard, labels)
            )
        taken: dict[str, int] = {}
        for (shard,) in self._held.execute("SELECT DISTINCT shard FROM before WHERE shard <> ''"):
            split = shards.split_of(shard)
            taken[split] = max(taken.get(split, -1), shards.number_of(shard))
        self._held.execute(KEPT)
        numbers = self._held.execute(FRESH)
        filler = shards.Filler(taken)
        fresh = ((filler.shard_for(split, pixels), row_id, number) for row_id, split, pixels, number in numbers)
        self._held.executemany("INSERT INTO placed VALUES (?, ?, ?)", fresh)
        self._held.commit()  # other processes read it

    # --- Reading -----------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._number("SELECT COUNT(*) FROM rows")

    @property
    def subjects(self) -> int:
        return self._number("SELECT COUNT(DISTINCT subject) FROM rows")

    def bases_among(self, ids: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
        """Those of these bases that rows of the release rest on, with what it says of them."""
        asked = json.dumps(list(ids))
        found = self._held.execute("SELECT * FROM bases WHERE basis IN (SELECT value FROM json_each(?))", (asked,))
        return [(basis, json.loads(record)) for basis, record in found]

    @property
    def bases(self) -> int:
        return self._number("SELECT COUNT(*) FROM bases")

    @property
    def shards(self) -> list[str]:
        return [shard for (shard,) in self._held.execute("SELECT DISTINCT shard FROM placed ORDER BY shard")]

    def change(self) -> dict[str, int]:
        """How many rows were added, removed, relabelled and kept since the release before."""
        kept, relabelled = self._held.execute(IN_BOTH).fetchone()
        return {
            "added": len(self) - kept,
            "removed": self._number("SELECT COUNT(*) FROM before") - kept,
            "relabelled": relabelled or 0,
            "kept": kept,
        }

    def images(self) -> Iterator[str]:
        """The hex ids of all images, in their order."""
        return (image for (image,) in self._pass("SELECT image FROM rows ORDER BY image"))

    def splits(self) -> Iterator[tuple[str, str]]:
        """Image (hex) and split of each row."""
        return self._pass("SELECT image, split FROM rows ORDER BY number")

    def entries(self) -> Iterator[Entry]:
        """All rows in the order of their leaves: shard by shard, each by keyed id."""
        return map(Entry._make, self._pass(ENTRIES))

    def rows_of(self, shard: str) -> list[tuple[bytes, str, str]]:
        """Of one shard, in their order: each row's line, its image (hex), and where its photograph lies."""
        return self._held.execute(ROWS_OF, (shard,)).fetchall()

    @cached_property
    def root(self) -> str:
        """The Merkle root over all rows (hex), once they are placed."""
        tree = merkle.Frontier()
        for entry in self.entries():
            tree.add(entry.leaf)
        return tree.root().hex()

    def _pass(self, question: str) -> Iterator[Any]:
        for row in self._held.execute(question):
            self.beat()
            yield row

    def _number(self, question: str) -> int:
        (number,) = self._held.execute(question).fetchone()
        return int(number)
