"""Candidates among many files: by words that they share, and by hashes that are near."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

MOST_POSTINGS = 300  # a word of more files than that says nothing
LEAST_VOTES = 4
MOST_CANDIDATES = 30
FAILURES = 4  # a picture that was compared in vain so often is no copy
NEAR_VOTES = 10_000  # before all that words say


class Findable(Protocol):
    """What a file is found by: see collection.copies.folder.File."""

    @property
    def hashes(self) -> np.ndarray | None: ...
    @property
    def indexed(self) -> np.ndarray | None: ...
    @property
    def asked(self) -> np.ndarray | None: ...


def candidates(files: Sequence[Findable], *, same_bits: int) -> list[list[int]]:
    """For each file earlier ones that it may copy, best first."""
    shared: list[dict[int, int]] = [{} for _ in files]
    index = _index(files)
    hashes = _hashes(files)
    for number, file in enumerate(files):
        if file.hashes is None or file.asked is None:
            continue
        votes = _votes(file.asked, index, len(files))
        apart = np.bitwise_count(hashes[:, None] ^ file.hashes).sum(axis=2).min(axis=1)
        votes[apart <= same_bits] += NEAR_VOTES
        for other in np.flatnonzero(votes >= LEAST_VOTES).tolist():
            low, high = sorted((number, other))
            if low != high and files[other].hashes is not None:
                shared[high][low] = max(int(votes[other]), shared[high].get(low, 0))
    return [_ranked(votes) for votes in shared]


def _hashes(files: Sequence[Findable]) -> np.ndarray:
    """uint8 (n, 32): the hashes of the files as they are."""
    found = [np.zeros(32, np.uint8) if file.hashes is None else file.hashes[0] for file in files]
    return np.stack(found) if found else np.zeros((0, 32), np.uint8)


def _ranked(votes: dict[int, int]) -> list[int]:
    return sorted(votes, key=lambda number: (-votes[number], number))[:MOST_CANDIDATES]


Index = tuple[np.ndarray, np.ndarray]  # words in order, and whose each is


def _index(files: Iterable[Findable]) -> Index:
    lists = [(file.indexed, number) for number, file in enumerate(files) if file.indexed is not None]
    if not lists:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    words = np.concatenate([each for each, _ in lists])
    whose = np.concatenate([np.full(len(each), number, np.int32) for each, number in lists])
    order = np.argsort(words, kind="stable")
    return words[order], whose[order]


def _votes(asked: np.ndarray, index: Index, size: int) -> np.ndarray:
    """int64 (size): how many of these words each file is indexed under."""
    words, whose = index
    first, last = np.searchsorted(words, asked, "left"), np.searchsorted(words, asked, "right")
    length = np.where(last - first > MOST_POSTINGS, 0, last - first)
    at = np.repeat(first - np.concatenate([[0], np.cumsum(length)[:-1]]), length) + np.arange(length.sum())
    return np.bincount(whose[at], minlength=size)
