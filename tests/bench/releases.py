"""Building a release of BENCH_ROWS (50,000) photographs of 30 KB, against `cp -r` of the files that it writes.

Also of a tenth of them, to see whether memory stays flat. Each build runs in a process of its own, on SQLite; it reads
sealed photographs and writes Parquet and tar. Goals: at least 0.6 of the speed of copying, under 400 MB.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.bench.installation import inside, installation

ROWS = int(os.environ.get("BENCH_ROWS", "50000"))
MODULE = "release_seeds"


def main() -> None:
    with installation("sqlite", web=False) as stack:
        for rows in (ROWS // 10, ROWS - ROWS // 10):
            there = inside(stack, "photographs", rows, module=MODULE)["photographs"]
            release = inside(stack, "draft", module=MODULE)["release"]
            made = inside(stack, "build", release, module=MODULE)
            folder = Path(made["folder"])
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            copied = seconds_to_copy(folder)
            print(
                f"{there:>7,} photographs, {size / 1e6:,.0f} MB: built in {made['seconds']:.1f} s "
                f"({made['worked']:.1f} s of processor time), at most {made['megabytes']:.0f} MB in both processes; "
                f"cp {copied:.1f} s; {copied / made['seconds']:.2f} of its speed"
            )
            shutil.rmtree(folder)


def seconds_to_copy(folder: Path) -> float:
    """As long as `cp -r` takes until the bytes are on disk."""
    copy = folder.with_name("copy")
    begun = time.perf_counter()
    subprocess.run(["cp", "-r", str(folder), str(copy)], check=True)
    subprocess.run(["sync", "-f", str(copy)], check=True)
    seconds = time.perf_counter() - begun
    shutil.rmtree(copy)
    return seconds
