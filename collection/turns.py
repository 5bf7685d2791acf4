"""Photographs that arrive at once are taken in a few at a time, so that pages do not queue behind all of them.

Python runs one thread of a process at a time, and each statement makes a thread queue again: among fifty that take a
photograph in, a page that asks five things waits for fifty threads five times. Nobody waits for bytes in here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from consent.connections import give_back

AT_ONCE = 2  # in one process: while one waits for the disk or the database, the other one works
_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """For what takes a photograph's arrival processor time; whoever waits for their turn keeps no connection."""
    if not _free.acquire(blocking=False):
        give_back()
        _free.acquire()
    try:
        yield
    finally:
        _free.release()
