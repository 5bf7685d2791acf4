"""A withdrawal of 1,000 photographs in 3 campaigns and 5 releases: seconds to refused and to gone, everywhere.

Doors of every kind are asked again and again by four readers, from before the button is pressed. Refused is the
moment at which the last request arrived that was still let in. The floor is `rm` of the same number of files.
Goals: refused in under 1 s, gone in under 60 s on two cores.
"""

import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from demo.stack import Stack
from tests.bench.installation import databases, inside, installation

PHOTOGRAPHS = int(os.environ.get("BENCH_PHOTOGRAPHS", "1000"))
SAMPLE = 25  # doors of each kind that are watched
READERS = 4
REFUSED = {403, 404, 410}


def main() -> None:
    for database in databases():
        with installation(database, label_studio=True) as stack:
            measure(stack, database)


def measure(stack: Stack, database: str) -> None:
    begun = time.perf_counter()
    seeded = inside(stack, "photographs", PHOTOGRAPHS)
    published = inside(stack, "releases")
    tasks = 3 * seeded["images"]["accepted"]  # screening holds one in a thousand of these drawings
    wait(lambda: inside(stack, "states")["tasks"].get("pushed", 0) == tasks, 600)
    print(
        f"{database:10} set up in {time.perf_counter() - begun:.0f} s: {seeded['images']}, "
        f"{5 * published['rows']} rows in 5 releases, {tasks} label tasks"
    )
    with httpx.Client(base_url=stack.web, timeout=60, cookies={"likeness_session": seeded["session"]}) as person:
        doors = open_doors(stack, person, published["tokens"])
        floor = seconds_to_delete(files_of(stack))
        page = person.get("/me/withdraw/")
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
        consent = re.search(r'name="consent" value="([^"]+)"', page.text)
        assert token is not None, "the page has no form"
        assert consent is not None, "the page has nothing to withdraw"
        body = {"csrfmiddlewaretoken": token[1], "consent": consent[1], "purpose": "", "aftermath": "erase"}
        with Readers(doors) as readers:
            readers.ask_each()
            pressed = time.perf_counter()
            answer = person.post("/me/withdraw/", data=body)
            posted = time.perf_counter() - pressed
            assert answer.status_code == 302, answer.text[:500]
            readers.ask_each()
        asked, refused = readers.since(pressed)
        wait(lambda: not files_of(stack) and label_studio_tasks(stack) == 0, 300)
        gone = time.perf_counter() - pressed
    left = inside(stack, "states")
    print(
        f"{database:10} button answered in {posted:.2f} s; {len(doors)} doors asked {asked} times since by {READERS} "
        f"readers, the last let in asked after {refused:.2f} s; gone after {gone:.1f} s "
        f"(floor: deleting as many files {floor:.2f} s); left: {left}"
    )


class Readers:
    """Threads that ask doors in turn until the block is left, and when each request began and how it was answered."""

    def __init__(self, doors: list[Callable[[], int]]) -> None:
        self.doors = doors
        self.answers: list[tuple[float, int]] = []
        self.turn = cycle(doors)
        self.lock = threading.Lock()
        self.left = threading.Event()
        self.pool = ThreadPoolExecutor(READERS)

    def __enter__(self) -> "Readers":
        self.running = [self.pool.submit(self.read) for _ in range(READERS)]
        return self

    def __exit__(self, *failure: object) -> None:
        self.left.set()
        self.pool.shutdown()

    def read(self) -> None:
        while not self.left.is_set():
            with self.lock:
                door = next(self.turn)
            begun = time.perf_counter()
            self.answers.append((begun, door()))

    def ask_each(self) -> None:
        """Returns once every door was asked and answered since this was called."""
        enough = len(self.answers) + len(self.doors) + READERS
        wait(lambda: len(self.answers) >= enough or any(reader.done() for reader in self.running), 120)

    def since(self, moment: float) -> tuple[int, float]:
        """Requests begun since then, and seconds until the last of them that was let in (0 where none was)."""
        for reader in self.running:
            reader.result()
        later = [(begun - moment, status) for begun, status in self.answers if begun >= moment]
        strange = {status for _, status in later} - REFUSED - {200}
        assert not strange, f"doors answered {strange}"
        return len(later), max((after for after, status in later if status == 200), default=0.0)


def wait(until: Callable[[], bool], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout:.0f} s")
        time.sleep(0.2)


def open_doors(stack: Stack, person: httpx.Client, tokens: dict[str, str]) -> list[Callable[[], int]]:
    """Every kind of read, each of which answers 200 now."""
    places = inside(stack, "doors", SAMPLE)
    stranger = httpx.Client(base_url=stack.web, timeout=60)
    found: list[Callable[[], int]] = [lambda at=at: person.get(at).status_code for at in places["thumbs"]]  # type: ignore[misc]
    annotator = httpx.Client(base_url=stack.labelling, timeout=60, cookies={"likeness_session": places["annotator"]})
    found += [lambda at=at: annotator.get(at).status_code for at in places["views"]]  # type: ignore[misc]
    for slug, token in tokens.items():
        headers = {"Authorization": f"Bearer {token}"}
        for address in files_with_rows(stranger, slug, headers):
            found.append(lambda at=address, who=headers: status_of(stranger, at, who))  # type: ignore[misc]
    assert {door() for door in found} == {200}, "a door is shut before the withdrawal"
    return found


def status_of(client: httpx.Client, address: str, headers: dict[str, str]) -> int:
    """The status alone: a shard has many megabytes."""
    with client.stream("GET", address, headers=headers) as answer:
        return answer.status_code


def files_with_rows(client: httpx.Client, slug: str, headers: dict[str, str]) -> list[str]:
    release: dict[str, Any] = client.get(f"/api/datasets/{slug}/1.0.0/", headers=headers).json()
    names = [file["path"] for file in release["files"]]
    return [f"/api/datasets/{slug}/1.0.0/files/{name}" for name in names if "-0000" in name or "rows" in name]


def files_of(stack: Stack) -> list[Path]:
    """Bytes of photographs: originals, derivatives, and shards of releases."""
    storage = stack.var / "storage"
    found = [path for name in ("originals", "derivatives") for path in (storage / name).rglob("*") if path.is_file()]
    return found + [path for path in (storage / "releases").rglob("*") if path.is_file() and "-0000" in path.name]


def label_studio_tasks(stack: Stack) -> int:
    headers = {"Authorization": f"Token {stack.label_studio_token}"}
    answer = httpx.get(f"{stack.label_studio}/api/projects/", headers=headers, timeout=60).json()
    return sum(project["task_number"] or 0 for project in answer["results"])


def seconds_to_delete(files: list[Path]) -> float:
    """Copies of these files, and the time that deleting the copies takes."""
    copies = [path.with_name(path.name + ".copy") for path in files]
    for path, copy in zip(files, copies, strict=True):
        copy.write_bytes(path.read_bytes())
    begun = time.perf_counter()
    for copy in copies:
        copy.unlink()
    return time.perf_counter() - begun
