"""Killing our own code at any call: a forked worker counts its way into the product and ends itself by SIGKILL."""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import connections

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = tuple(str(ROOT / app) + os.sep for app in ("consent", "collection", "annotation", "exports"))


class KilledWorker(AssertionError):
    """The worker failed by itself instead of by our hand."""


def run_until_killed(work: Callable[[], Any], calls: int) -> bool:
    """Run `work` in a forked process that dies at its `calls`-th call or return in our code. True: it was killed."""
    connections.close_all()  # a connection must not be shared with the child
    child = os.fork()
    if child == 0:
        _work_and_die(work, calls)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    if status != 0:
        raise KilledWorker(f"the worker failed (status {status}); its traceback is in the captured output")
    return False


def _work_and_die(work: Callable[[], Any], calls: int) -> None:
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen >= calls:
            os.kill(os.getpid(), signal.SIGKILL)

    # A tracer, not a profiler: nobody asks it about calls into C, so other code runs almost at full speed.
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

    code = 1
    try:
        sys.settrace(on_call)
        work()
        sys.settrace(None)
        connections.close_all()
        code = 0
    except BaseException:
        sys.settrace(None)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def kill_until_done(work: Callable[[int], Any], seed: int, start: int = 40) -> Iterator[int]:
    """Run `work(attempt)` again and again, killed at seeded random calls, until it ends by itself; yields each kill.

    The reach grows with each attempt, so that work which commits nothing before its end is done at last too.
    """
    dice = random.Random(seed)
    attempt = 0
    while True:
        attempt += 1
        calls = dice.randint(1, start * attempt)
        if not run_until_killed(lambda: work(attempt), calls):  # noqa: B023  # the fork runs it at once
            return
        yield calls
