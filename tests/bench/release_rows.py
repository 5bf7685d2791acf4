"""The metadata of a release of BENCH_METADATA (200,000) rows: a build whose photographs have one small file's bytes.

Then what the page of the release after it takes.

Also of a tenth of them, to see what grows with the rows. Goals for 2,000,000: under 10 minutes on two cores, 600 MB.
"""

import os

from tests.bench.installation import inside, installation

ROWS = int(os.environ.get("BENCH_METADATA", "200000"))
MODULE = "release_seeds"


def main() -> None:
    for rows in (ROWS // 10, ROWS):
        with installation("sqlite", web=False) as stack:
            there = inside(stack, "rows", rows, module=MODULE)["photographs"]
            release = inside(stack, "draft", module=MODULE)["release"]
            made = inside(stack, "build", release, module=MODULE)
            inside(stack, "publish", release, module=MODULE)
            page = inside(stack, "next_page", module=MODULE)
            print(
                f"{there:>9,} rows: built in {made['seconds']:.1f} s ({made['worked']:.1f} s of processor time, "
                f"{made['worked'] / there * 1e6:.0f} µs for each), at most {made['megabytes']:.0f} MB in both processes"
                f"; the next release foreseen in {page['seconds']:.1f} s, at most {page['megabytes']:.0f} MB"
            )
