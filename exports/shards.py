"""Which shard a row of a release is in: it keeps its own (`plans`), new rows open new ones. Pure; docs/decisions/0035.

So a shard in which nothing changed has the same bytes in the next release: it is stored once and pulled once.
"""

from collections.abc import Mapping

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


class Filler:
    """Opens new shards for rows that have none, e.g. "train-00000"; `taken` is the highest number of each split.

    Rows come in the order of subject and row id, so that somebody who withdraws takes few shards along. Both are keyed:
    the order tells nothing. A shard is full at MOST_ROWS or MOST_PIXELS; one photograph always fits.
    """

    def __init__(self, taken: Mapping[str, int]) -> None:
        self._open = {split: (number + 1, 0, 0) for split, number in taken.items()}

    def shard_for(self, split: str, pixels: int) -> str:
        number, held, area = self._open.get(split, (0, 0, 0))
        if held and (held == MOST_ROWS or area + pixels > MOST_PIXELS):
            number, held, area = number + 1, 0, 0
        self._open[split] = number, held + 1, area + pixels
        return f"{split}-{number:05d}"


def split_of(shard: str) -> str:
    return shard.rpartition("-")[0]


def number_of(shard: str) -> int:
    return int(shard.rpartition("-")[2])


def folder_of(form: str) -> str:
    """Where all shards of a form are, e.g. "rows/"."""
    return PATHS[form].partition("{")[0]
