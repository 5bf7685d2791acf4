"""A day of labelling: 50 annotators at 20 times their pace, through the gateway, three annotations a photograph.

Every annotator asks for a task, looks at its photograph, thinks as long as 24 s at that pace last, and submits. Told:
calls that failed, labels lost or doubled, seconds from Submit until the label is here and paid (goal: 2 s at p95, by
webhook), and how many annotations a second came, beside the 42 a second that 20,000 photographs in an eight-hour day
at 20 times its pace would be. What Label Studio alone can take from as many at once is measured first: the floor.
"""

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import httpx

from demo.stack import Stack
from tests.annotation.factories import good_result
from tests.bench.installation import databases, inside, installation

ANNOTATORS = int(os.environ.get("BENCH_ANNOTATORS", "50"))
PHOTOGRAPHS = int(os.environ.get("BENCH_PHOTOGRAPHS", "500"))
PACE = float(os.environ.get("BENCH_PACE", "20"))
OVERLAP = 3
SECONDS_EACH = 24.0  # of a person, for one photograph: 20,000 of them thrice, in eight hours, by fifty
FULL_DAY = PACE * 20_000 * OVERLAP / (8 * 3600)  # annotations a second
ANSWER = {"result": good_result(), "lead_time": SECONDS_EACH}
DONE = "There are no tasks"
PATIENCE = 300  # seconds without a label, after which something is stuck


@dataclass
class Seen:
    """What the annotators saw, all of them together."""

    submitted: list[float] = field(default_factory=list)  # moments
    failed: Counter[str] = field(default_factory=Counter)
    retold: int = 0  # "try again in a minute"
    calls: dict[str, list[float]] = field(default_factory=dict)  # seconds of each kind of call
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, name: str, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        begun = time.perf_counter()
        try:
            answer = ask()
        except httpx.HTTPError as error:
            with self.lock:
                self.failed[f"{name}: {type(error).__name__}"] += 1
            return None
        with self.lock:
            self.calls.setdefault(name, []).append(time.perf_counter() - begun)
        return answer


def main() -> None:
    for database in databases():
        with installation(database, label_studio=True) as stack:
            measure(stack, database)


def measure(stack: Stack, database: str) -> None:
    seeded = inside(stack, "day", PHOTOGRAPHS, ANNOTATORS, OVERLAP, module="labelling_day_seeds")
    floor = Seen()
    begun = time.perf_counter()
    with ThreadPoolExecutor(ANNOTATORS) as pool:
        list(pool.map(lambda token: label_past_us(stack, token, seeded["bare"], floor), seeded["tokens"]))
    bare = len(floor.submitted) / (time.perf_counter() - begun)
    seen = Seen()
    begun = time.perf_counter()
    with ThreadPoolExecutor(ANNOTATORS) as pool:
        list(pool.map(lambda session: label(stack, session, seeded["project"], seen), seeded["sessions"]))
    took = max(seen.submitted) - begun
    counts = wait_for_labels(stack, len(seen.submitted))
    rate = len(seen.submitted) / took
    delays = counts["delays"]
    print(
        f"{database:10} {ANNOTATORS} annotators, {PHOTOGRAPHS} photographs × {OVERLAP}: {rate:.1f} annotations/s, "
        f"{rate / FULL_DAY * PACE:.1f} times the pace of a day of 20,000 ({FULL_DAY:.0f}/s would be {PACE:.0f} times); "
        f"Label Studio alone {bare:.1f}/s, ratio {rate / bare:.2f}"
    )
    print(
        f"{database:10} failed calls: {dict(seen.failed) or 'none'}; asked to try again {seen.retold} times; "
        f"submitted {len(seen.submitted)}, here {counts['annotations']}, paid {counts['paid']}, "
        f"twice {counts['twice']}, refused {counts['refused']}"
    )
    print(
        f"{database:10} from Submit to here and paid: p50 {p(delays, 50):.2f} s, p95 {p(delays, 95):.2f} s (goal 2 s)"
    )
    for name, seconds in seen.calls.items():
        print(f"{database:10} {name:12} p50 {p(seconds, 50) * 1000:6.0f} ms, p95 {p(seconds, 95) * 1000:6.0f} ms")


def label(stack: Stack, session: str, project: int, seen: Seen) -> None:
    """One annotator until there is nothing left for them."""
    cookies = {"likeness_session": session}
    with httpx.Client(
        base_url=stack.labelling, timeout=60, headers={"Origin": stack.labelling}, cookies=cookies
    ) as page:
        query = {"id": "next_task", "project": project}
        while True:
            given = seen.call("next task", partial(page.post, "/api/dm/actions", params=query, json={}))
            if given is not None and given.status_code == 404:
                if DONE in given.text:
                    return
                seen.retold += 1
                time.sleep(1)
                continue
            if given is None or not _good(seen, "next task", given):
                time.sleep(1)
                continue
            task = given.json()
            shown = seen.call("photograph", partial(page.get, task["data"]["image"]))
            if shown is not None:
                _good(seen, "photograph", shown)
            time.sleep(SECONDS_EACH / PACE)
            path = f"/api/tasks/{task['id']}/annotations"
            said = seen.call("submit", partial(page.post, path, params={"project": project}, json=ANSWER))
            if said is not None and _good(seen, "submit", said):
                seen.submitted.append(time.perf_counter())


def label_past_us(stack: Stack, token: str, project: int, seen: Seen) -> None:
    """The same straight to Label Studio, without photographs and without thinking: the most that it takes."""
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(base_url=stack.label_studio, timeout=60, headers=headers) as page:
        while True:
            given = seen.call("next task", partial(page.get, f"/api/projects/{project}/next"))
            if given is None or given.status_code == 404:
                return
            said = seen.call("submit", partial(page.post, f"/api/tasks/{given.json()['id']}/annotations", json=ANSWER))
            if said is not None and said.is_success:
                seen.submitted.append(time.perf_counter())


def _good(seen: Seen, name: str, answer: httpx.Response) -> bool:
    if not answer.is_success:
        with seen.lock:
            seen.failed[f"{name}: {answer.status_code} {answer.text[:80]}"] += 1
    return answer.is_success


def wait_for_labels(stack: Stack, submitted: int) -> dict:
    """Until all that was submitted is here, or nothing has come for long."""
    deadline, here = time.monotonic() + PATIENCE, 0
    while True:
        counts: dict = inside(stack, "counts", module="labelling_day_seeds")
        if (told := counts["annotations"] + counts["refused"]) > here:
            deadline, here = time.monotonic() + PATIENCE, told
        if here >= submitted or time.monotonic() > deadline:
            return counts
        time.sleep(1)


def p(seconds: list[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100)[percent - 1] if len(seconds) > 1 else 0.0
