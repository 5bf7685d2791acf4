"""Calls and targets: one call with 100,000 photographs of 5,000 people and nine targets, some of them joint.

Goals: all its progress in at most 5× the floor, a place for one more photograph in a tenth of it. Floor: counting the
same rows by person, which asks neither for rights nor for answers.
"""

import os

from tests.bench.installation import databases, inside, installation

IMAGES = int(os.environ.get("BENCH_IMAGES", "100000"))


def main() -> None:
    print(f"{'':12}{'floor':>10}{'progress':>10}{'a place':>10}{'progress / floor':>18}{'a place / floor':>18}")
    for database in databases():
        with installation(database, web=False) as stack:
            inside(stack, "fill", IMAGES, module="targets_seeds")
            found = inside(stack, "measure", module="targets_seeds")
            row = "".join(f"{found[who] * 1000:8.1f}ms" for who in ("floor", "progress", "place"))
            print(
                f"{database:12}{row}{found['progress'] / found['floor']:17.2f}×{found['place'] / found['floor']:17.2f}×"
            )
