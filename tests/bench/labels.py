"""Labels on their way to Label Studio and back, against the real one.

Push: tasks per second, beside a bare SDK import of the same batches into the same Label Studio (goal: at least 0.9 of
its rate). Intake: annotations per second that one sweep fetches, checks, records and pays (goal: 500 on PostgreSQL).
"""

import os

from demo.progress import Progress
from demo.stack import Stack, prepare_label_studio, start_label_studio, wait_until_it_answers
from tests.bench.installation import databases, inside, installation

PUSHED = int(os.environ.get("BENCH_TASKS", "20000"))
LABELLED = int(os.environ.get("BENCH_LABELLED", "20000"))  # tasks with three annotations each


def main() -> None:
    for database in databases():
        with installation(database, web=False) as stack:
            prepare_label_studio(stack, Progress())
            start_label_studio(stack)
            wait_until_it_answers(stack, "label-studio", f"{stack.label_studio}/health")
            measure(stack, database)


def measure(stack: Stack, database: str) -> None:
    pushed, taken = inside(stack, "both", PUSHED, LABELLED, module="labels_seeds")
    print(
        f"{database:10} push of {PUSHED:,} tasks: {PUSHED / pushed['ours']:,.0f}/s, "
        f"bare SDK {PUSHED / pushed['bare']:,.0f}/s, ratio {pushed['bare'] / pushed['ours']:.2f}; "
        f"memory grew by {pushed['grown']:.0f} MB to {pushed['peak']:.0f} MB"
    )
    print(
        f"{database:10} intake of {taken['annotations']:,} annotations: "
        f"{taken['annotations'] / taken['seconds']:,.0f}/s, {taken['paid']:,} paid; "
        f"nothing new the second time, in {taken['again']:.1f} s"
    )
