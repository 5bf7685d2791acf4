"""Signing: p95 with 100 people who sign at the same moment, against reading the page that they sign."""

import http.client
import re
import statistics
import threading
import time
import urllib.parse
from typing import Any

from tests.bench.installation import databases, inside, installation

PEOPLE = 100
ADDRESS = "/sign/bench/"


class Visitor:
    """One signed-in person with one connection."""

    def __init__(self, web: str, session: str) -> None:
        self.connection = http.client.HTTPConnection(web.removeprefix("http://"), timeout=120)
        self.cookies = {"likeness_session": session}

    def ask(self, method: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        self.connection.request(method, ADDRESS, urllib.parse.urlencode(body or {}), headers)
        answer = self.connection.getresponse()
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return answer.status, answer.read().decode()


def filled_in(page: str, answers: list[int]) -> dict[str, Any]:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    chosen = {f"question_{number}": right for number, right in enumerate(answers)}
    return {**hidden, **chosen, "purpose_research": "on", "signer_name": "Bench Person", "agree": "on"}


def at_once(visitors: list[Visitor], method: str, bodies: list[dict[str, Any] | None]) -> tuple[list[float], list[Any]]:
    """Seconds of each request when all of them begin together, and the answers."""
    seconds, answers = [0.0] * len(visitors), [None] * len(visitors)
    ready = threading.Barrier(len(visitors))

    def go(number: int) -> None:
        ready.wait()
        begun = time.perf_counter()
        answers[number] = visitors[number].ask(method, bodies[number])
        seconds[number] = time.perf_counter() - begun

    threads = [threading.Thread(target=go, args=(number,)) for number in range(len(visitors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds, answers


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def main() -> None:
    for database in databases():
        with installation(database) as stack:
            seeded = inside(stack, "signers", PEOPLE)
            visitors = [Visitor(stack.web, session) for session in seeded["sessions"]]
            at_once(visitors, "GET", [None] * PEOPLE)  # connections and templates are warm
            read, pages = at_once(visitors, "GET", [None] * PEOPLE)
            bodies: list[dict[str, Any] | None] = [filled_in(page, seeded["answers"]) for _, page in pages]
            signed, answers = at_once(visitors, "POST", bodies)
            refused = [page for status, page in answers if status != 302]
            print(
                f"{database:10} {PEOPLE} at once: reading p95 {p95(read):.2f} s, signing p95 {p95(signed):.2f} s "
                f"({PEOPLE / max(signed):.0f}/s), ratio {p95(signed) / p95(read):.2f}, refused {len(refused)}"
            )
