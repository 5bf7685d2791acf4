"""Which shard each row of a release is in: a row keeps its shard, new rows open new ones. Pure; docs/decisions/0035.

So a shard in which nothing changed has the same bytes in the next release: it is stored once and pulled once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MOST_ROWS = 1_000
MOST_PIXELS = 250_000_000  # of all photographs: some 25 to 100 MB of JPEG
IDS_PER_SHARD = 1_000_000  # in COCO files, so that the files of a split can be joined
PARQUET, ROWS = "parquet", "rows"
# Where a shard is in each form; what is not among `Format` is in every release.
PATHS = {
    PARQUET: "data/{}.parquet",
    ROWS: "rows/{}.jsonl",
    "webdataset": "webdataset/{}.tar",
    "folder": "folder/{}.zip",
    "coco": "coco/{}.json",
    "label-studio": "label-studio/{}.json",
}


class Place(NamedTuple):
    """What of a row decides on its shard; pixels are width times height."""

    row_id: str
    split: str
    subject: str
    pixels: int


def assign(rows: Iterable[Place], before: Mapping[str, str]) -> dict[str, str]:
    """Row id to shard, e.g. "train-00000". `before`: the same of the release before; rows that left it do no harm.

    New rows are taken in the order of subject and row id, so that somebody who withdraws takes few shards along. Both
    are keyed: the order tells nothing. A shard is full at MOST_ROWS or MOST_PIXELS; one photograph always fits.
    """
    found: dict[str, str] = {}
    fresh: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for row, split, subject, pixels in rows:
        if split_of(before.get(row, "")) == split:
            found[row] = before[row]
        else:
            fresh[split].append((subject, row, pixels))
    for split, new in fresh.items():
        taken = [number_of(shard) for shard in before.values() if split_of(shard) == split]
        found |= _fill(split, sorted(new), first=max(taken, default=-1) + 1)
    return found


def _fill(split: str, rows: Iterable[tuple[str, str, int]], first: int) -> dict[str, str]:
    found, number, held, area = {}, first, 0, 0
    for _, row, pixels in rows:
        if held and (held == MOST_ROWS or area + pixels > MOST_PIXELS):
            number, held, area = number + 1, 0, 0
        held, area = held + 1, area + pixels
        found[row] = f"{split}-{number:05d}"
    return found


def split_of(shard: str) -> str:
    return shard.rpartition("-")[0]


def number_of(shard: str) -> int:
    return int(shard.rpartition("-")[2])


def folder_of(form: str) -> str:
    """Where all shards of a form are, e.g. "rows/"."""
    return PATHS[form].partition("{")[0]
