"""Uploads. (1) From a train: 10 % of connections cut somewhere, 3 % of answers lost; goal: at least 99.5 % of files
arrive and none twice. Peer: the plain form, sent again as often. (2) 100 at once of 2 MB, gunicorn gthread 2×128; goal:
100/s, no failures, other pages p95 under 50 ms, also with slow clients. Peer: the plain form under the same load."""

import contextlib
import hashlib
import http.client
import multiprocessing
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from demo.stack import Stack, wait_until_it_answers
from tests.bench import processors
from tests.bench.installation import SCRATCH, databases, inside, installation
from tests.bench.upload_clients import Person, Train

FILES, FILE_BYTES, AT_ONCE = 1000, 150_000, 16
PEOPLE, LARGE = 100, 2_000_000
SLOW = 200_000  # bytes a second
LOADERS = 2  # processes


def file(number: int, size: int) -> bytes:
    """Bytes that begin as a JPEG does; nobody opens it here."""
    return b"\xff\xd8\xff\xe0" + random.Random(number).randbytes(size - 4)


@contextlib.contextmanager
def served(database: str) -> Iterator[Stack]:
    """An installation with the number of threads that README names."""
    with installation(database, web=False) as stack:
        stack.manage("collectstatic", "--no-input")
        address = stack.web.removeprefix("http://")
        words = f"config.wsgi --bind {address} -k gthread -w 2 --threads 128 --timeout 120 --keep-alive 75"
        stack.held.start("web", [sys.executable, "-m", "gunicorn", *words.split()], stack.env)
        wait_until_it_answers(stack, "web", f"{stack.web}/keys/signing.pem")
        yield stack


# --- From a train --------------------------------------------------------------------------------


def from_a_train(stack: Stack, seeded: dict[str, Any], way: str, first: int) -> str:
    train = Train(stack.web.removeprefix("http://"), first, FILE_BYTES)
    people = [Person(train.address, session, seeded["slug"]) for session in seeded["sessions"]]
    contents = {number: file(number, FILE_BYTES) for number in range(first, first + FILES)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sent = [pool.submit(getattr(people[n % AT_ONCE], way), content, f"f{n}") for n, content in contents.items()]
        known = sum(one.result() for one in sent)
    train.close()
    there = inside(stack, "arrived", module="upload_seeds")
    counts = [there.get(hashlib.sha256(content).hexdigest(), 0) for content in contents.values()]
    once, twice = sum(count > 0 for count in counts), sum(count > 1 for count in counts)
    return f"{way:4} arrived {100 * once / FILES:.1f} %, known to the sender {100 * known / FILES:.1f} %, twice {twice}"


# --- Many at once --------------------------------------------------------------------------------


def load(way: str, people: list[Person], first: int) -> tuple[int, float]:
    """In a process of its own: all of these at the same moment; how many failed, and seconds of its processor time."""
    begun = time.process_time()
    with ThreadPoolExecutor(len(people)) as pool:
        jobs = [pool.submit(getattr(one, way), file(first + n, LARGE), f"l{first + n}") for n, one in enumerate(people)]
        failed = sum(not job.result() for job in jobs)
    return failed, time.process_time() - begun


class Visitor(threading.Thread):
    """Somebody who reads the list of open calls again and again."""

    def __init__(self, server: str) -> None:
        super().__init__(daemon=True)
        self.server, self.seconds, self.on = server, [], True

    def run(self) -> None:
        connection = http.client.HTTPConnection(self.server, timeout=60)
        while self.on:
            begun = time.perf_counter()
            connection.request("GET", "/calls/")
            connection.getresponse().read()
            self.seconds.append(time.perf_counter() - begun)
            time.sleep(0.02)

    def p95(self) -> float:
        self.on = False
        self.join()
        return 1000 * statistics.quantiles(self.seconds, n=20)[-1]


def spent(stack: Stack) -> dict[str, float]:
    """Seconds of processor time so far, by whose they are."""
    web = stack.held.running["web"].pid
    return {"web": processors.of_service(web), "PostgreSQL": processors.of_postgresql(SCRATCH)}


def many_at_once(stack: Stack, seeded: dict[str, Any], pool: Any, way: str, first: int, pace: int = 0) -> str:
    server = stack.web.removeprefix("http://")
    people = [Person(server, session, seeded["slug"], pace) for session in seeded["sessions"]]
    share = PEOPLE // LOADERS
    jobs = [(way, people[n * share : (n + 1) * share], first + n * share) for n in range(LOADERS)]
    visitor = Visitor(server)
    visitor.start()
    begun, before = time.perf_counter(), spent(stack)
    failed, senders = (sum(column) for column in zip(*pool.starmap(load, jobs), strict=True))
    taken = time.perf_counter() - begun
    parts = {**{name: after - before[name] for name, after in spent(stack).items()}, "senders": senders}
    cost = ", ".join(f"{name} {1000 * seconds / PEOPLE:.0f}" for name, seconds in parts.items())
    speed = f"at {pace // 1000} KB/s each" if pace else "as fast as it goes"
    said = f"{way:4} {speed}: {PEOPLE / taken:.0f}/s, failed {failed}, other pages p95 {visitor.p95():.0f} ms"
    return f"{said}; ms of processor for each: {cost}; load {os.getloadavg()[0]:.0f}"


def main() -> None:
    only = os.environ.get("BENCH_DATABASE")
    for database in [only] if only else databases():
        # Forked before there are threads; a spawned process would import, and so run, `tests.bench` again.
        with multiprocessing.get_context("fork").Pool(LOADERS) as pool, served(database) as stack:
            seeded = inside(stack, "senders", PEOPLE, module="upload_seeds")
            for number, way in enumerate(("tus", "form")):
                print(f"{database:10} train: {from_a_train(stack, seeded, way, number * FILES)}")
            many_at_once(stack, seeded, pool, "tus", 100_000)  # everything is warm
            for number, way in enumerate(("tus", "form", "tus", "form")):
                print(f"{database:10} 100 × 2 MB: {many_at_once(stack, seeded, pool, way, 200_000 + number * 1000)}")
            print(f"{database:10} 100 × 2 MB: {many_at_once(stack, seeded, pool, 'tus', 300_000, SLOW)}")
