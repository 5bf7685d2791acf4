"""Looking a photograph up among many fingerprints, in the database that DATABASE_URL names (default: SQLite).

One look-up is `fingerprints.similar`: what a photograph and its mirror image resemble, by both hashes. Beside it FAISS
IndexBinaryFlat searches the same two 64-bit hashes within the same 10 bits, from memory, without the second hash.
Recall is against brute force over every fingerprint: half of the queries are hashes in the index with up to 10 of 64
and 31 of 256 bits flipped, half are of photographs that nobody has. The fingerprints are random: real ones crowd more.
Goals: recall 1, no false match, p50 at most twice FAISS, one insert at most 2 ms; beside the insert stands what a
transaction takes that writes one number. LOOKUP_MOST (default 1,000,000) is the largest index; 2000000 adds a row and
some minutes.
"""

import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import faiss
import numpy as np
from django.db import connection, transaction

from collection import fingerprints
from collection.models import Fingerprint
from tests.bench.take_in import installation

MOST = int(os.environ.get("LOOKUP_MOST", "1000000"))
SIZES = (10_000, 100_000, 1_000_000, 2_000_000)
QUERIES = 60
INSERTS = 200
CHUNK = 20_000
COLUMNS = [field.column for field in Fingerprint._meta.concrete_fields]
TABLE = Fingerprint._meta.db_table


class Index:
    """Random fingerprints: in the database, in FAISS, and as arrays for brute force."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(5)
        self.ids: list[uuid.UUID] = []
        self.small = np.zeros((0, 8), np.uint8)  # 64-bit hashes
        self.large = np.zeros((0, 32), np.uint8)  # 256-bit hashes
        self.faiss = faiss.IndexBinaryFlat(64)

    def grow(self, size: int) -> None:
        while len(self.ids) < size:
            count = min(CHUNK, size - len(self.ids))
            small, large = (self.random.integers(0, 256, (count, width), np.uint8) for width in (8, 32))
            ids = [uuid.UUID(bytes=self.random.bytes(16), version=4) for _ in range(count)]
            store_rows(row(*each) for each in zip(ids, small, large, strict=True))
            self.ids += ids
            self.small, self.large = np.concatenate([self.small, small]), np.concatenate([self.large, large])
            self.faiss.add(small)
        with connection.cursor() as cursor:
            # As autovacuum does after many rows: PostgreSQL then reads the index alone.
            cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

    def queries(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Both hashes of photographs to look up: known ones that were changed, and unknown ones in turn."""
        for number in range(QUERIES):
            at = int(self.random.integers(len(self.ids)))
            if number % 2:
                yield tuple(self.random.integers(0, 256, width, np.uint8) for width in (8, 32))  # type: ignore[misc]
            else:
                yield self._flipped(self.small[at], number % 11), self._flipped(self.large[at], number % 32)

    def _flipped(self, value: np.ndarray, count: int) -> np.ndarray:
        bits = np.unpackbits(value)
        bits[self.random.choice(len(bits), count, replace=False)] ^= 1
        return np.packbits(bits)

    def by_force(self, small: np.ndarray, large: np.ndarray) -> set[uuid.UUID]:
        near = np.bitwise_count(self.small ^ small).sum(axis=1) <= fingerprints.CANDIDATE_BITS
        near &= np.bitwise_count(self.large ^ large).sum(axis=1) <= fingerprints.SAME_BITS
        return {self.ids[at] for at in np.flatnonzero(near)}


def row(image_id: uuid.UUID, small: np.ndarray, large: np.ndarray) -> list[Any]:
    """A row of the table, in the order of its columns; mirrored hashes resemble nothing."""
    values = vars(measured(small, large)) | {"image_id": image_id.hex if connection.vendor == "sqlite" else image_id}
    return [values[column] for column in COLUMNS]


def measured(small: np.ndarray, large: np.ndarray) -> Fingerprint:
    value = int.from_bytes(small.tobytes(), "big")
    return Fingerprint(
        pixels_sha256=large.tobytes().hex(),
        phash=fingerprints.signed(value, 64),
        mirror=fingerprints.signed(value ^ 0x5555_5555_5555_5555, 64),
        **{f"band{i}": band for i, band in enumerate(fingerprints.bands(value))},
        phash256=large.tobytes().hex(),
        mirror256=(large ^ 0x55).tobytes().hex(),
        mean_luma=100.0,
        sharpness=100.0,
    )


def store_rows(rows: Iterator[list[Any]]) -> None:
    """As fast as the database takes them; there are no images behind them."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {TABLE} ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for values in rows:
                    copy.write_row(values)
        else:
            cursor.executemany(f"INSERT INTO {TABLE} VALUES ({', '.join(['%s'] * len(COLUMNS))})", list(rows))


def let_go_of_images() -> None:
    """A fingerprint without an image is refused otherwise."""
    if not connection.disable_constraint_checking():  # PostgreSQL has no such switch
        with connection.cursor() as cursor:
            for name, found in connection.introspection.get_constraints(cursor, TABLE).items():
                if found["foreign_key"]:
                    cursor.execute(f'ALTER TABLE {TABLE} DROP CONSTRAINT "{name}"')


def megabytes() -> float:
    """The table with its indexes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s)", [TABLE])
        else:  # all of the file: an empty installation is small beside it
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        return float(cursor.fetchone()[0]) / 1e6


def insert_ms(index: Index) -> tuple[float, float]:
    """Medians of single inserts, each in a transaction of its own, deleted again; and of one number in a bare table."""
    times, floors, ids = [], [], []
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bare (number integer)")
        for number in range(INSERTS):
            made = measured(*(index.random.integers(0, 256, width, np.uint8) for width in (8, 32)))
            made.image_id = uuid.uuid4()
            begun = time.perf_counter()
            made.save(force_insert=True)
            between = time.perf_counter()
            cursor.execute("INSERT INTO bare VALUES (%s)", [number])
            times.append(between - begun)
            floors.append(time.perf_counter() - between)
            ids.append(made.pk)
        marks = ", ".join(["%s"] * len(ids))
        keys = [pk.hex if connection.vendor == "sqlite" else pk for pk in ids]
        cursor.execute(f"DELETE FROM {TABLE} WHERE image_id IN ({marks})", keys)
    return statistics.median(times) * 1000, statistics.median(floors) * 1000


def least_ms(work: Callable[[], Any]) -> tuple[float, Any]:
    """The least of three times, and what came out: what waits for a processor that others hold is not ours."""
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        done = work()
        times.append((time.perf_counter() - begun) * 1000)
    return min(times), done


def look_up(index: Index) -> dict[str, float]:
    """Recall, false matches, and milliseconds of both, interleaved: the least of three for each look-up."""
    ours, theirs, expected, hits, wrong = [], [], 0, 0, 0
    for small, large in index.queries():
        own = measured(small, large)
        both = np.stack([small, small ^ 0x55])
        took, found = least_ms(lambda: set(fingerprints.similar(own)))  # noqa: B023  # called at once
        ours.append(took)
        took, _ = least_ms(lambda: index.faiss.range_search(both, fingerprints.CANDIDATE_BITS + 1))  # noqa: B023
        theirs.append(took)
        there = index.by_force(small, large) | index.by_force(small ^ 0x55, large ^ 0x55)
        expected, hits, wrong = expected + len(there), hits + len(there & found), wrong + len(found - there)
    p50, p95 = statistics.median(ours), sorted(ours)[int(len(ours) * 0.95)]
    faiss_p50 = statistics.median(theirs)
    return {"recall": hits / expected, "wrong": wrong, "p50": p50, "p95": p95, "faiss": faiss_p50}


def main() -> None:
    faiss.omp_set_num_threads(1)
    with installation():
        let_go_of_images()
        index = Index()
        print(f"{connection.vendor}, {QUERIES} look-ups")
        heads = ("recall", "false", "p50 ms", "p95 ms", "FAISS ms", "ratio", "insert ms", "bare ms", "MB", "filled s")
        print(f"{'rows':>10}" + "".join(f"{head:>11}" for head in heads))
        for size in (size for size in SIZES if size <= MOST):
            begun = time.perf_counter()
            index.grow(size)
            filled = time.perf_counter() - begun
            found = look_up(index)
            insert, bare = insert_ms(index)
            print(
                f"{size:10,}{found['recall']:11.4f}{found['wrong']:11}{found['p50']:11.2f}{found['p95']:11.2f}"
                f"{found['faiss']:11.2f}{found['p50'] / found['faiss']:11.2f}{insert:11.2f}"
                f"{bare:11.2f}"
                f"{megabytes():11.0f}{filled:11.0f}",
                flush=True,
            )
