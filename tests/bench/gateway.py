"""What the gateway costs: the same calls of the labelling page, straight to Label Studio and through the gateway.

Taken in turns, one after the other, as one annotator works. Goal: added at p95 under 10 ms.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable

import httpx

from demo.stack import Stack
from tests.annotation.factories import good_result
from tests.bench.installation import databases, inside, installation

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "200"))
ANSWER = {"result": good_result(), "lead_time": 3.5}
Times = dict[str, list[float]]


def main() -> None:
    for database in databases():
        with installation(database, label_studio=True) as stack, contextlib.ExitStack() as opened:
            seeded = inside(stack, "annotators", ROUNDS + 5, module="gateway_seeds")
            direct, through = (opened.enter_context(client) for client in clients(stack, seeded))
            measure(database, seeded["project"], direct, through)


def clients(stack: Stack, seeded: dict[str, str]) -> tuple[httpx.Client, httpx.Client]:
    direct = httpx.Client(
        base_url=stack.label_studio, timeout=60, headers={"Authorization": f"Token {seeded['token']}"}
    )
    through = httpx.Client(
        base_url=stack.labelling, timeout=60, headers={"Origin": stack.labelling},
        cookies={"likeness_session": seeded["session"]},
    )  # fmt: skip
    return direct, through


def measure(database: str, project: int, direct: httpx.Client, through: httpx.Client) -> None:
    found: dict[str, Times] = {}
    ways = [("direct", direct), ("through", through)]
    for _ in range(ROUNDS):
        ways.reverse()  # the second to ask for a task is served from another queue of Label Studio
        for way, client in ways:
            for name, seconds in one_round(way, client, project).items():
                found.setdefault(name, {}).setdefault(way, []).append(seconds * 1000)
    for name, times in found.items():
        parts = (f"{way} p50 {p50(ms):5.1f} p95 {p95(ms):5.1f}" for way, ms in times.items())
        added = (of(times["through"]) - of(times["direct"]) for of in (p50, p95))
        print(f"{database:10} {name:22} {', '.join(parts)}, added {next(added):4.1f} / {next(added):4.1f} ms")


def one_round(way: str, client: httpx.Client, project: int) -> dict[str, float]:
    """Seconds of each call that the page makes for one task."""
    seconds: dict[str, float] = {}

    def timed(name: str, call: Callable[[], httpx.Response]) -> httpx.Response:
        begun = time.perf_counter()
        answer = call()
        seconds[name] = time.perf_counter() - begun
        assert answer.is_success, (way, name, answer.status_code, answer.text[:300])
        return answer

    def ask_next() -> httpx.Response:
        if way == "direct":
            return client.get(f"/api/projects/{project}/next")
        return client.post("/api/dm/actions", params={"id": "next_task", "project": project}, json={})

    timed("project's state", lambda: client.get("/api/dm/project", params={"project": project}))
    task = timed("next task", ask_next).json()["id"]
    timed("one task", lambda: client.get(f"/api/tasks/{task}", params={"project": project}))
    timed("a file", lambda: client.get("/static/fonts/Figtree-Regular.ttf"))
    timed("annotate", lambda: client.post(f"/api/tasks/{task}/annotations", params={"project": project}, json=ANSWER))
    return seconds


def p50(times: list[float]) -> float:
    return statistics.median(times)


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
