"""Pulling a release of BENCH_PULLED (10,000) photographs of 30 KB from a server on this machine, against curl.

curl fetches the same files one after the other over one connection, and checks nothing; `sha256sum -c` is added to it
once more for a fair measure. Then a version with 1 % more rows (goal: at most 2 % of its bytes move), and one per cent
withdrawn: the next pull takes exactly those rows out of every version on the disk. Goal: at least 0.8 of curl.
`verify` of the copy against `sha256sum -c` of the same files: goal 0.8 of its speed, start-up left out.
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from demo.stack import Stack
from tests.bench.installation import inside, installation

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS = int(os.environ.get("BENCH_PULLED", "10000"))
ROUNDS = 3
MODULE = "release_seeds"


def main() -> None:
    with installation("sqlite") as stack:
        inside(stack, "photographs", ROWS - ROWS // 100, module=MODULE)
        inside(stack, "consented", ROWS // 100, module=MODULE)
        release = _published(stack, "draft")
        place = stack.var / "pulled"
        start = [sys.executable, "exports/pull.py", "--help"]
        for number in range(ROUNDS):  # interleaved
            begun = _timed(lambda start=start: subprocess.run(start, cwd=ROOT, check=True, capture_output=True))
            curl = _timed(lambda number=number: _curl(stack, release, stack.var / f"curl{number}"))
            check = _timed(lambda number=number: _checked(stack.var / f"curl{number}"))
            pull = _timed(lambda number=number: _pull(stack, release, place.with_name(f"pulled{number}")))
            size = sum(path.stat().st_size for path in (stack.var / f"curl{number}").rglob("*") if path.is_file())
            own, both = pull[0] - begun[0], curl[0] + check[0]
            print(
                f"{size / 1e6:,.0f} MB: curl {_words(curl)}, sha256sum {_words(check)}, pull {_words(pull)}, of which "
                f"start-up {begun[0]:.2f} s: {curl[0] / own:.2f} of curl, {both / own:.2f} of curl and sha256sum; with "
                f"start-up {curl[0] / pull[0]:.2f} and {both / pull[0]:.2f}"
            )
        place = place.with_name("pulled0")
        _print_verify(stack, place / release["slug"] / release["version"])
        inside(stack, "photographs", ROWS // 100, module=MODULE)
        later = _published(stack, "draft_next")
        said = _pull(stack, later, place)
        moved, whole = (float(one.replace(",", "")) for one in re.findall(r"([\d,.]+) (?:of|MB)", said)[-2:])
        print(f"1 % more rows: {moved:,.1f} of {whole:,.1f} MB moved, {moved / whole:.2%}")
        gone = set(inside(stack, "withdraw_all", module=MODULE)["rows"])
        before = {copy.name: _rows(copy) for copy in sorted((place / later["slug"]).glob("*.*.*"))}
        newest = _published(stack, "draft_next")
        begun = time.perf_counter()
        said = _pull(stack, newest, place)
        seconds = time.perf_counter() - begun
        for name, rows in before.items():
            left = _rows(place / later["slug"] / name)
            assert left == rows - gone, name
            print(f"{name}: {len(rows) - len(left)} of {len(rows)} rows taken out, exactly those withdrawn")
        print(
            f"that pull, with {newest['version']}: {seconds:.1f} s; {said.strip().splitlines()[-1].partition(': ')[2]}"
        )


def _published(stack: Stack, how: str) -> dict[str, Any]:
    draft = inside(stack, how, module=MODULE)["release"]
    inside(stack, "build", draft, module=MODULE)
    published: dict[str, Any] = inside(stack, "publish", draft, module=MODULE)
    return published


def _pull(stack: Stack, release: dict[str, Any], place: Path) -> str:
    """What the command said. As recipients run it: one file."""
    words = [sys.executable, "exports/pull.py", release["slug"], place, "--server", stack.web, "--token"]
    run = [*map(str, words), release["token"]]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def _curl(stack: Stack, release: dict[str, Any], place: Path) -> None:
    here = f"{stack.web}/api/datasets/{release['slug']}/{release['version']}/"
    bearer = ["-sf", "-H", f"Authorization: Bearer {release['token']}"]
    listed = subprocess.run(["curl", *bearer, here], check=True, capture_output=True).stdout
    names = [file["path"] for file in json.loads(listed)["files"]]
    wanted = "".join(f'url = "{here}files/{name}"\noutput = "{place / name}"\n' for name in names)
    subprocess.run(
        ["curl", *bearer, "--create-dirs", "-K", "-"], check=True, input=wanted.encode(), capture_output=True
    )


def _checked(place: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=place, check=True, capture_output=True)


def _print_verify(stack: Stack, copy: Path) -> None:
    key = stack.var / "signing.pem"
    subprocess.run(["curl", "-sf", "-o", str(key), f"{stack.web}/keys/signing.pem"], check=True)
    verify = [sys.executable, "-m", "exports.verify", str(copy), "--key", str(key)]
    start = [sys.executable, "-c", "import exports.verify"]
    for _ in range(ROUNDS):
        sums = _timed(lambda: _checked(copy))
        begun, all_of_it = (
            _timed(lambda words=words: subprocess.run(words, cwd=ROOT, check=True, capture_output=True))
            for words in (start, verify)
        )
        print(
            f"verify {_words(all_of_it)}, of which start-up {begun[0]:.2f} s; sha256sum -c {_words(sums)}: "
            f"{sums[0] / (all_of_it[0] - begun[0]):.2f} of its speed"
        )


def _rows(copy: Path) -> set[str]:
    return {
        row for path in copy.glob("data/*") for row in pq.read_table(path, columns=["row_id"])["row_id"].to_pylist()
    }


def _timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the wall, and of the processor in the processes that it started."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, worked


def _words(found: tuple[float, float]) -> str:
    return f"{found[0]:.2f} s ({found[1]:.2f} s of processor time)"
