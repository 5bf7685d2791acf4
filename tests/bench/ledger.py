"""The ledger: appends against a plain INSERT of the same row, and verify_ledger over 1,000,000 entries.

Goals: appends at 0.8 of the plain INSERT; verify in under 60 s and under 300 MB.
"""

import os

from tests.bench.installation import databases, inside, installation

ENTRIES = int(os.environ.get("BENCH_ENTRIES", "1000000"))


def main() -> None:
    for database in databases():
        with installation(database, web=False) as stack:
            for threads in (1, 8):
                rates = inside(stack, "appends", threads, module="ledger_seeds")
                print(
                    f"{database:10} {threads} connection(s): {rates['append']:6.0f} appends/s, "
                    f"{rates['plain']:6.0f} plain INSERTs/s, ratio {rates['ratio']:.2f}"
                )
            filled = inside(stack, "fill", ENTRIES, module="ledger_seeds")
            checked = inside(stack, "verify", module="ledger_seeds")
            took = inside(stack, "proofs", module="ledger_seeds")
            print(
                f"{database:10} {filled['entries']} entries, {filled['consents']} of them of consents: "
                f"sealed at {filled['sealed_per_second']:.0f}/s, verified in {checked['seconds']:.1f} s "
                f"with {checked['memory']:.0f} MB, problems {checked['problems']}"
            )
            print(
                f"{database:10} in that ledger: seal one {took['seal']:.0f} ms, inclusion proof "
                f"{took['inclusion']:.0f} ms, consistency proof {took['consistency']:.0f} ms"
            )
