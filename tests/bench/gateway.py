"""What the gateway costs: the same calls of the labelling page, straight to Label Studio and through the gateway.

Taken in turns, one after the other, as one annotator works. What the worker does with an answer would run into the next
call, which in life comes seconds later, so it is stopped. Goal: added at p95 under 10 ms.

- *added* is told call by call: what the caller waited, less what Label Studio took for that very call (a relay in front
  of it tells: from the first byte of each request to the last byte of its answer). So it has nginx, what nginx asks,
  our own work, the connections between them, and what the caller and the relay themselves need. How much these two are
  says *alone*, the same difference of a call that goes past the gateway.
- p95 of one way less p95 of the other stands beside it. Label Studio's own answers differ by more than the gateway
  adds, so that is mostly chance.
- The processor time of the web processes for a call, which a busy machine changes less; nginx is not in it.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import httpx

from demo.stack import Stack, free_port
from tests.annotation.factories import good_result
from tests.annotation.nginx import ABSENT, NGINX, nginx
from tests.bench.installation import databases, inside, installation
from tests.bench.relay import Relay, relay

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "200"))
FILE = "/static/fonts/Figtree-Regular.ttf"
ANSWER = {"result": good_result(), "lead_time": 3.5}


@dataclass
class Spent:
    """Of each call: what the caller waited, that without Label Studio's part, and the web's processor time, in ms."""

    waited: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)


Ways = dict[str, dict[str, Spent]]  # by name of the call and by way


@dataclass
class Clock:
    """Times the calls of one way."""

    label_studio: Relay
    web: int  # its process group
    found: Ways = field(default_factory=dict)

    def time(self, way: str, name: str, call: Callable[[], httpx.Response]) -> httpx.Response:
        self.label_studio.seconds_taken()
        busy, begun = processor_seconds(self.web), time.perf_counter()
        answer = call()
        waited = time.perf_counter() - begun
        spent = self.found.setdefault(name, {}).setdefault(way, Spent())
        spent.waited.append(waited * 1000)
        spent.ours.append((waited - self.label_studio.seconds_taken()) * 1000)
        spent.busy.append((processor_seconds(self.web) - busy) * 1000)
        assert answer.is_success, (way, name, answer.status_code, answer.text[:300])
        return answer


def main() -> None:
    if NGINX is None:
        print(ABSENT)
        return
    for database in databases():
        measure(database)


def measure(database: str) -> None:
    port = free_port(8400)
    with contextlib.ExitStack() as opened:
        between = opened.enter_context(relay())
        settings = {"LABELLING_URL": f"http://127.0.0.1:{port}", "LABEL_STUDIO_URL": between.url}
        stack = opened.enter_context(installation(database, label_studio=True, settings=settings))
        between.target = stack.label_studio
        seeded = inside(stack, "annotators", ROUNDS + 5, module="gateway_seeds")
        stack.kill_worker()
        (folder := stack.var / "nginx").mkdir()
        hosts = {"likeness": host(stack.web), "label_studio": host(between.url)}
        page = opened.enter_context(nginx(folder, **hosts, port=port))
        direct, through, web = (opened.enter_context(client) for client in clients(stack, between, page, seeded))
        clock = Clock(between, stack.held.running["web"].pid)
        asks = {"X-Original-Method": "GET", "X-Original-URI": FILE, "Host": host(page)}
        ways = [("direct", direct), ("through", through)]
        for _ in range(ROUNDS):
            ways.reverse()  # the second to ask for a task is served from another queue of Label Studio
            for way, client in ways:
                one_round(clock, way, client, seeded["project"])
            clock.time("through", "asked by nginx", lambda: web.get("/gateway/carrier", headers=asks))
        show(database, clock.found)


def clients(stack: Stack, between: Relay, page: str, seeded: dict[str, str]) -> Iterator[httpx.Client]:
    """Past the gateway, through it as the page does, and to the web process alone as nginx does."""
    session = {"likeness_session": seeded["session"]}
    yield httpx.Client(base_url=between.url, timeout=60, headers={"Authorization": f"Token {seeded['token']}"})
    yield httpx.Client(base_url=page, timeout=60, headers={"Origin": page}, cookies=session)
    yield httpx.Client(base_url=stack.web, timeout=60, cookies=session)


def one_round(clock: Clock, way: str, client: httpx.Client, project: int) -> None:
    """The calls that the page makes for one task."""

    def ask_next() -> httpx.Response:
        if way == "direct":
            return client.get(f"/api/projects/{project}/next")
        return client.post("/api/dm/actions", params={"id": "next_task", "project": project}, json={})

    project_of = {"params": {"project": project}}
    clock.time(way, "project's state", lambda: client.get("/api/dm/project", **project_of))
    task = clock.time(way, "next task", ask_next).json()["id"]
    clock.time(way, "one task", lambda: client.get(f"/api/tasks/{task}", **project_of))
    clock.time(way, "a file", lambda: client.get(FILE))
    answers = f"/api/tasks/{task}/annotations"
    clock.time(way, "annotate", lambda: client.post(answers, **project_of, json=ANSWER))


def show(database: str, found: Ways) -> None:
    for name, ways in found.items():
        through, direct = ways["through"], ways.get("direct")
        told = f"{database:10} {name:16} added p50 {p50(through.ours):5.1f} p95 {p95(through.ours):5.1f} ms"
        told += f", processor {fmean(through.busy):4.1f} ms"
        if direct:
            waited = (f"{way} {p50(spent.waited):5.1f} / {p95(spent.waited):5.1f}" for way, spent in ways.items())
            differ = [of(through.waited) - of(direct.waited) for of in (p50, p95)]
            told += f", alone {p50(direct.ours):.1f} / {p95(direct.ours):.1f} ms; whole call {', '.join(waited)} ms"
            told += f", differ by {differ[0]:.1f} / {differ[1]:.1f} ms"
        print(told)


def host(url: str) -> str:
    return url.removeprefix("http://")


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
