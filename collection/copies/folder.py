"""Which files of a folder show the same photograph, found without a database.

Each file is opened once; what is kept of it in memory are its hashes and words (some 20 KB), its canonical picture and
features wait in a temporary folder. Work is spread over processes. The same folder always gives the same answer.
"""

import hashlib
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import imagehash
import numpy as np
from PIL import ImageOps

from collection.copies import verify, words
from collection.copies.canonical import decode
from collection.copies.groups import Groups, Link
from collection.copies.votes import FAILURES, candidates
from collection.imaging import BadImage, open_safely
from collection.reasons import explain

SAME_BITS = 31  # of 256, as in collection.fingerprints
KEPT_QUALITY = 97  # of the canonical picture that waits for its comparisons, as a JPEG
Progress = Callable[[str, int, int], None]  # what is being done, how much of it, of how much


@dataclass(frozen=True)
class File:
    """What one opened file is found by. `hashes` uint8 (2, 32): 256-bit pHash as it is and mirrored."""

    path: str  # relative to the folder, with slashes
    error: str = ""
    sha256: str = ""
    pixels_sha256: str = ""
    hashes: np.ndarray | None = None
    indexed: np.ndarray | None = None  # words under which it is found
    asked: np.ndarray | None = None  # words that it asks with, as it is and mirrored


def files_in(folder: Path) -> list[str]:
    """Every file below `folder`, hidden ones left out, as sorted relative paths."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts))


def group_folder(
    folder: Path, *, temporary: Path, processes: int, progress: Progress
) -> tuple[list[File], list[Link | None]]:
    """The files of a folder in order, and for each what it copies; None for the first of a group, and for loners.

    `temporary` is a folder that somebody sweeps: a run that is killed leaves small grey pictures of the files there.
    """
    paths = files_in(folder)
    with tempfile.TemporaryDirectory(prefix="copies-", dir=temporary) as previews, _pool(processes) as pool:
        files = list(open_files(pool, folder, paths, Path(previews), progress))
        groups = Groups(len(files))
        _join_exact(files, groups)
        _join_alike(pool, Path(previews), files, groups, progress)
    return files, groups.links()


@contextmanager
def _pool(processes: int) -> Iterator[Executor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield pool


def open_files(pool: Executor, folder: Path, paths: list[str], previews: Path, progress: Progress) -> Iterator[File]:
    """Open each file; its preview goes to `previews` under its number."""
    work = pool.map(partial(open_file, folder, previews), range(len(paths)), paths, chunksize=4)
    for done, file in enumerate(work, 1):
        progress("opening", done, len(paths))
        yield file


def open_file(folder: Path, previews: Path, number: int, path: str) -> File:
    """What one file is found by, or why it cannot be opened."""
    try:
        data = (folder / path).read_bytes()
        opened = open_safely(data)
        seen = verify.describe(opened.preview)
    except BadImage as bad:
        return File(path, error=explain(bad.reason, str(bad)))
    except (OSError, ValueError) as error:
        return File(path, error=f"cannot be read: {error}")
    _keep(previews / str(number), seen)
    mirror = ImageOps.mirror(opened.canonical)
    return File(
        path,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=opened.pixels_sha256,
        hashes=np.stack([np.packbits(imagehash.phash(one, hash_size=16).hash) for one in (opened.canonical, mirror)]),
        indexed=np.array(words.indexed(seen.features), np.int32),
        asked=seen.asked(),
    )


def _join_exact(files: list[File], groups: Groups) -> None:
    first: dict[str, int] = {}
    for number, file in enumerate(files):
        for digest in (file.sha256, file.pixels_sha256):
            if digest and first.setdefault(digest, number) != number:
                groups.join(first[digest], number, "exact", 1.0)


def _join_alike(pool: Executor, previews: Path, files: list[File], groups: Groups, progress: Progress) -> None:
    """In each round every file is compared with its best candidate outside its group, until it has failed too often."""
    waiting = candidates(files, same_bits=SAME_BITS)
    failures = [0] * len(files)
    number = 0
    while pairs := _next_pairs(waiting, groups):
        number += 1
        compared = pool.map(partial(_compare, previews), pairs, chunksize=4)
        for done, ((one, other), score) in enumerate(zip(pairs, compared, strict=True), 1):
            progress(f"comparing, round {number}", done, len(pairs))
            if score is not None:
                groups.join(one, other, _kind(files[one], files[other]), score)
                continue
            failures[other] += 1
            if failures[other] >= FAILURES:
                waiting[other].clear()


def _next_pairs(waiting: list[list[int]], groups: Groups) -> list[tuple[int, int]]:
    """For each file its best candidate that is not in its group yet, taken off its list."""
    pairs = []
    for number, others in enumerate(waiting):
        while others:
            other = others.pop(0)
            if not groups.joined(number, other):
                pairs.append((other, number))
                break
    return pairs


def _compare(previews: Path, pair: tuple[int, int]) -> float | None:
    """The score of two files that show the same photograph, else None."""
    one, other = (_described(previews / str(number)) for number in pair)
    if verify.featureless(one) or verify.featureless(other):
        return None
    verdict = verify.compare(one, other)
    return verdict.score if verdict and verdict.strict else None


def _keep(path: Path, seen: verify.Described) -> None:
    with path.open("wb") as out:
        for features in (seen.features, seen.mirrored):
            np.save(out, features.points)
            np.save(out, features.descriptors)
        out.write(cv2.imencode(".jpg", seen.picture, (cv2.IMWRITE_JPEG_QUALITY, KEPT_QUALITY))[1].tobytes())


@lru_cache(maxsize=64)
def _described(path: Path) -> verify.Described:
    with path.open("rb") as kept:
        features = [words.Features(np.load(kept), np.load(kept)) for _ in range(2)]
        return verify.Described(decode(kept.read()), *features)


def _kind(one: File, other: File) -> str:
    if one.hashes is None or other.hashes is None:
        return "edited"
    apart = int(np.bitwise_count(one.hashes[0] ^ other.hashes[0]).sum())
    return "near" if apart <= SAME_BITS else "edited"
