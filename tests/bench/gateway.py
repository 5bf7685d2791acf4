"""What the gateway costs: the same calls of the labelling page, straight to Label Studio and through the gateway.

Taken in turns, one after the other, as one annotator works. Goal: added at p95 under 10 ms. Beside it the processor
time that a call takes of the web processes, which a busy machine changes less, and what nginx asks about each call.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

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
            measure(stack, database, seeded["project"], direct, through)


def clients(stack: Stack, seeded: dict[str, str]) -> tuple[httpx.Client, httpx.Client]:
    direct = httpx.Client(
        base_url=stack.label_studio, timeout=60, headers={"Authorization": f"Token {seeded['token']}"}
    )
    through = httpx.Client(
        base_url=stack.labelling, timeout=60, headers={"Origin": stack.labelling},
        cookies={"likeness_session": seeded["session"]},
    )  # fmt: skip
    return direct, through


def measure(stack: Stack, database: str, project: int, direct: httpx.Client, through: httpx.Client) -> None:
    found: dict[str, Times] = {}
    web = stack.held.running["web"].pid
    ways = [("direct", direct), ("through", through)]
    for _ in range(ROUNDS):
        ways.reverse()  # the second to ask for a task is served from another queue of Label Studio
        for way, client in ways:
            for name, (seconds, busy) in one_round(way, client, project, web).items():
                found.setdefault(name, {}).setdefault(way, []).append(seconds * 1000)
                found[name].setdefault(f"{way}, processor", []).append(busy * 1000)
    asked = found.pop("asked by nginx")
    print(
        f"{database:10} {'asked by nginx':22} p50 {p50(asked['through']):.1f} p95 {p95(asked['through']):.1f} ms, "
        f"processor {fmean(asked['through, processor']):.1f} ms"
    )
    for name, times in found.items():
        processor = fmean(times.pop("through, processor"))
        times.pop("direct, processor")
        parts = (f"{way} p50 {p50(ms):5.1f} p95 {p95(ms):5.1f}" for way, ms in times.items())
        at_half, nearly_always = (of(times["through"]) - of(times["direct"]) for of in (p50, p95))
        print(
            f"{database:10} {name:22} {', '.join(parts)}, added {at_half:4.1f} / {nearly_always:4.1f} ms, "
            f"processor {processor:.1f} ms"
        )


def one_round(way: str, client: httpx.Client, project: int, web: int) -> dict[str, tuple[float, float]]:
    """Seconds of each call that the page makes for one task: on the clock, and of the web processes' processors."""
    seconds: dict[str, tuple[float, float]] = {}

    def timed(name: str, call: Callable[[], httpx.Response]) -> httpx.Response:
        busy, begun = processor_seconds(web), time.perf_counter()
        answer = call()
        seconds[name] = time.perf_counter() - begun, processor_seconds(web) - busy
        assert answer.is_success, (way, name, answer.status_code, answer.text[:300])
        return answer

    def ask_next() -> httpx.Response:
        if way == "direct":
            return client.get(f"/api/projects/{project}/next")
        return client.post("/api/dm/actions", params={"id": "next_task", "project": project}, json={})

    if way == "through":
        asks = {"X-Original-Method": "GET", "X-Original-URI": "/static/fonts/Figtree-Regular.ttf"}
        timed("asked by nginx", lambda: client.get("/gateway/carrier", headers=asks))
    timed("project's state", lambda: client.get("/api/dm/project", params={"project": project}))
    task = timed("next task", ask_next).json()["id"]
    timed("one task", lambda: client.get(f"/api/tasks/{task}", params={"project": project}))
    timed("a file", lambda: client.get("/static/fonts/Figtree-Regular.ttf"))
    timed("annotate", lambda: client.post(f"/api/tasks/{task}/annotations", params={"project": project}, json=ANSWER))
    return seconds


def processor_seconds(group: int) -> float:
    """What the processes of a group have used so far. In steps of 10 ms: only sums over many calls tell something."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended
            fields = path.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12]) if int(fields[2]) == group else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def p50(times: list[float]) -> float:
    return statistics.median(times)


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]
