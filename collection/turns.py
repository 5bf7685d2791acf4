"""Photographs that arrive at once are taken in a few at a time, so that pages do not queue behind all of them.

Python runs one thread of a process at a time, and each statement makes a thread queue again: among fifty that take a
photograph in, a page that asks five things waits for fifty threads five times. Nobody waits for a sender's bytes in
here; where originals lie in a bucket, a form's are written there.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from consent.connections import give_back

AT_ONCE = 2  # in one process: while one waits for the disk or the database, the other one works
LONGEST_WAIT = 10.0  # seconds: whoever waited so long goes in all the same, for those before them may hang
_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """For what takes a photograph's arrival processor time; whoever waits for their turn keeps no connection."""
    ours = _free.acquire(blocking=False)
    if not ours:
        give_back()
        ours = _free.acquire(timeout=LONGEST_WAIT)
    try:
        yield
    finally:
        if ours:
            _free.release()
