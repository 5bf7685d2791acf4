"""Workers killed and requests cut off at seeded random points of pushing, pulling and taking back, 200 times in all.

After each round: tasks in Label Studio twice or missing, labels lost or doubled, earnings, and the budget. Goal: none
lost, none doubled, the budget never exceeded.
"""

import os

from demo.progress import Progress
from demo.stack import prepare_label_studio, start_label_studio, wait_until_it_answers
from tests.bench.installation import databases, inside, installation

WANTED = int(os.environ.get("BENCH_KILLS", "200"))


def main() -> None:
    for database in databases():
        with installation(database, web=False) as stack:
            prepare_label_studio(stack, Progress())
            start_label_studio(stack)
            wait_until_it_answers(stack, "label-studio", f"{stack.label_studio}/health")
            told = inside(stack, "storm", WANTED, module="label_kills_seeds")
            print(
                f"{database:10} {told['kills']} kills, {told['cut_off']} requests or answers lost, in {told['rounds']} "
                f"rounds and {told['seconds']:.0f} s: {told['tasks']} tasks pushed, {told['labels']} labels, "
                f"{told['taken_back']} photographs withdrawn; wrong: {told['wrong'] or 'nothing'}"
            )
