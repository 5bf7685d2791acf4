"""Killing our own code at any call.

A server process, fresh and single-threaded, sets Django up once and forks a worker per request; the worker counts its
way into our code and ends itself by SIGKILL. (Forking pytest's own process would not do: libraries with threads, such
as the PDF renderer, hang in the child when the parent has used them.)
"""

import datetime
import importlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote

import django
from django.db import connection, connections
from django.utils import timezone

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = tuple(str(ROOT / app) + os.sep for app in ("consent", "collection", "annotation", "exports"))
KILLED, DONE = "killed", "done"


class KillableWorker:
    """Runs tasks (dotted names) in processes that die at a given call."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.crash"],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, tasks: Sequence[str], calls: int, ahead: datetime.timedelta) -> bool:
        """Run `tasks` with a clock that is `ahead`, to die at the `calls`-th call or return. True: killed."""
        assert self.server.stdin
        assert self.server.stdout
        print(calls, ahead.total_seconds(), *tasks, file=self.server.stdin, flush=True)
        answer = self.server.stdout.readline().strip()
        assert answer in (KILLED, DONE), f"the worker failed by itself: {answer or 'see its traceback above'}"
        return answer == KILLED

    def kill_until_done(
        self, tasks: Sequence[str], seed: int, reach: int, ahead: Iterator[datetime.timedelta]
    ) -> Iterator[int]:
        """Run `tasks` again and again, killed at seeded random calls, until they end by themselves; yields each kill.

        The reach grows with each attempt, so that work which commits nothing before its end is done at last too.
        """
        dice = random.Random(seed)
        attempt = 0
        while True:
            attempt += 1
            calls = dice.randint(1, reach * attempt)
            if not self.run(tasks, calls, next(ahead)):
                return
            yield calls

    def close(self) -> None:
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.close()
        self.server.wait(timeout=30)
        self.server.stdout.close()


def database_url() -> str:
    """The address of the database that this test runs on."""
    told = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{told['NAME']}"
    password = f":{quote(told['PASSWORD'], safe='')}" if told["PASSWORD"] else ""
    return f"postgres://{told['USER']}{password}@{quote(told['HOST'], safe='')}:{told['PORT'] or 5432}/{told['NAME']}"


# --- The server ------------------------------------------------------------------------------------


def serve() -> None:
    django.setup()
    for line in sys.stdin:
        calls, ahead, *names = line.split()
        tasks = [
            getattr(importlib.import_module(module), task) for module, _, task in (n.rpartition(".") for n in names)
        ]
        child = os.fork()
        if child == 0:
            _work_and_die(tasks, int(calls), datetime.timedelta(seconds=float(ahead)))
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(KILLED if killed else DONE if status == 0 else f"status {status}", flush=True)


def _work_and_die(tasks: Sequence[Any], calls: int, ahead: datetime.timedelta) -> None:
    code, real = 1, timezone.now
    timezone.now = lambda: real() + ahead
    try:
        sys.settrace(_killer(calls))
        for task in tasks:
            task()
        sys.settrace(None)
        connections.close_all()
        code = 0
    except BaseException:
        sys.settrace(None)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _killer(calls: int) -> Any:
    """A tracer, not a profiler: nobody asks it about calls into C, so other code runs almost at full speed."""
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen >= calls:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_call(frame: FrameType, _event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PRODUCT):
            return None
        frame.f_trace_lines = False
        count()
        return on_return

    def on_return(_frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "return":
            count()
        return on_return

    return on_call


if __name__ == "__main__":
    serve()
