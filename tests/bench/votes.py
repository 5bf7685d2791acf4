"""Asking for candidates among many photographs by words (collection.edited), and whether the original is among them.

BENCH_VOTES (default "1000 5000") says among how many: a few drawn originals, and invented others whose words are
those of drawn pictures with a tenth of their bits changed, so that some words are common as they are in a collection.
Asked is with edited copies of the originals (cut by a fifth, written on, JPEG 30). Beside it the vote that reads every
posting, as it was before it was bounded. Goal: no original lost by the bound, and a cost that stops growing.
"""

import os
import statistics
import time
import uuid
from collections.abc import Iterator

import numpy as np
from django.db import connection, transaction

from collection import edited
from collection.copies import verify, words
from collection.copies.votes import LEAST_VOTES, MOST_POSTINGS
from collection.models import Word
from tests.bench.copies import EDITS, jpeg, scene
from tests.bench.take_in import installation

SIZES = [int(size) for size in os.environ.get("BENCH_VOTES", "1000 5000").split()]
ORIGINALS = 24
CHANGED = 0.1  # of the bits of a word
CHUNK = 500
TABLE = Word._meta.db_table
ALL = """
    SELECT fingerprint_id FROM (
        SELECT fingerprint_id, count(*) OVER (PARTITION BY word) AS postings
        FROM collection_word JOIN ({numbers}) AS asked USING (word)
    ) AS found
    WHERE postings <= %s GROUP BY fingerprint_id HAVING count(*) >= %s
    ORDER BY count(*) DESC, fingerprint_id LIMIT %s"""


def read_all(asked: list[int]) -> list[uuid.UUID]:
    """The vote without a bound."""
    with connection.cursor() as cursor:
        limits = [MOST_POSTINGS, LEAST_VOTES, edited.VOTED]
        cursor.execute(ALL.format(numbers=edited.NUMBERS[connection.vendor]), [edited._list(asked), *limits])
        return [found if isinstance(found, uuid.UUID) else uuid.UUID(found) for (found,) in cursor]


def store(rows: Iterator[tuple[int, uuid.UUID]]) -> None:
    """There are no fingerprints behind them."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {TABLE} (word, fingerprint_id) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            one = f"INSERT OR IGNORE INTO {TABLE} (word, fingerprint_id) VALUES (%s, %s)"
            cursor.executemany(one, [(word, key.hex) for word, key in rows])


def let_go_of_fingerprints() -> None:
    if not connection.disable_constraint_checking():
        with connection.cursor() as cursor:
            for name, found in connection.introspection.get_constraints(cursor, TABLE).items():
                if found["foreign_key"]:
                    cursor.execute(f'ALTER TABLE {TABLE} DROP CONSTRAINT "{name}"')


def invented(random: np.random.Generator, seen: list[np.ndarray], count: int) -> Iterator[tuple[int, uuid.UUID]]:
    for _ in range(count):
        own = seen[int(random.integers(len(seen)))]
        flips = (random.random((len(own), words.BITS)) < CHANGED) @ (1 << np.arange(words.BITS))
        key = uuid.UUID(bytes=random.bytes(16), version=4)
        yield from ((int(word), key) for word in np.unique(own ^ flips))


def look(asked: dict[uuid.UUID, list[int]]) -> dict[str, tuple[float, float, int]]:
    """Of each way: milliseconds (median, longest) and how many originals are among the candidates; interleaved."""
    times: dict[str, list[float]] = {"bounded": [], "all": []}
    found = dict.fromkeys(times, 0)
    for original, those in asked.items():
        for name, vote in (("bounded", edited._voted_for), ("all", read_all)):
            begun = time.perf_counter()
            found[name] += original in vote(those)
            times[name].append((time.perf_counter() - begun) * 1000)
    return {name: (statistics.median(took), max(took), found[name]) for name, took in times.items()}


def main() -> None:
    random = np.random.default_rng(18)
    pictures = [scene(person, person, person) for person in range(ORIGINALS)]
    described = [verify.describe(jpeg(picture, 92)) for picture in pictures]
    seen = [np.array(words.indexed(one.features), np.int64) for one in described]
    edit = EDITS["cut 20 %, written on, JPEG 30"]
    keys = [uuid.UUID(bytes=random.bytes(16), version=4) for _ in pictures]
    copies = [verify.describe(jpeg(edit(picture), 30)).asked().tolist() for picture in pictures]
    with installation():
        let_go_of_fingerprints()
        store((int(word), key) for key, those in zip(keys, seen, strict=True) for word in those)
        there = len(keys)
        print(
            f"{connection.vendor}, {ORIGINALS} edited copies, {statistics.mean(map(len, copies)):.0f} words asked each"
        )
        print(
            f"{'images':>9}{'postings':>13}"
            + "".join(f"{f'{way} ms':>12}{'longest':>9}{'found':>7}" for way in ("bounded", "all"))
        )
        for size in SIZES:
            while there < size:
                count = min(CHUNK, size - there)
                store(invented(random, seen, count))
                there += count
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
                cursor.execute(f"SELECT count(*) FROM {TABLE}")
                postings = cursor.fetchone()[0]
            row = "".join(
                f"{p50:12.1f}{longest:9.1f}{hits:7}"
                for p50, longest, hits in look(dict(zip(keys, copies, strict=True))).values()
            )
            print(f"{size:9,}{postings:13,}{row}", flush=True)
