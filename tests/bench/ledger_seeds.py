"""What the ledger's benchmark does inside an installation: `python -m tests.bench.ledger_seeds FUNCTION WORDS`."""

import json
import os
import resource
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction
from django.utils import timezone

from consent import audit, ledger
from consent.models import LedgerEntry

ROUND_SECONDS = 1.5
ROUNDS = 4
FACTS = {"consent": uuid.uuid4(), "contributor": uuid.uuid4(), "text_sha256": "0" * 64, "purposes": ["research"]}


def plain_insert() -> None:
    """The floor: the same row by one statement in one transaction."""
    payload = ledger.payload_text({"kind": "bench", "at": timezone.now(), **FACTS})
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO consent_ledgerentry (payload, created_at) VALUES (%s, %s)", [payload, now])


def append() -> None:
    with transaction.atomic():
        ledger.append("bench", **FACTS)


def per_second(work: Callable[[], None], threads: int) -> float:
    """How often `work` is done in a second by so many threads with a connection each."""
    done = [0] * threads
    ready = threading.Barrier(threads)

    def go(number: int) -> None:
        connection.ensure_connection()
        ready.wait()
        until = time.perf_counter() + ROUND_SECONDS
        while time.perf_counter() < until:
            work()
            done[number] += 1
        connection.close()

    running = [threading.Thread(target=go, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return sum(done) / ROUND_SECONDS


def appends(threads: str) -> Any:
    """Appends per second and plain INSERTs per second, in turns: the best round of each."""
    best: dict[str, float] = {"plain": 0.0, "append": 0.0}
    for _ in range(ROUNDS):
        for name, work in (("plain", plain_insert), ("append", append)):
            best[name] = max(best[name], per_second(work, int(threads)))
    return best


def fill(count: str) -> Any:
    """Entries in bulk, then sealing all of them: entries sealed per second."""
    missing = int(count) - LedgerEntry.objects.count()
    for begin in range(0, missing, 20_000):
        now = timezone.now()
        LedgerEntry.objects.bulk_create(
            (
                LedgerEntry(payload=ledger.payload_text({"kind": "bench", "at": now, "number": number, **FACTS}))
                for number in range(begin, min(begin + 20_000, missing))
            ),
            batch_size=5000,
        )
    begun = time.perf_counter()
    while ledger.seal(look_back=None):
        pass
    return {"entries": LedgerEntry.objects.count(), "sealed_per_second": missing / (time.perf_counter() - begun)}


def verify() -> Any:
    """Everything that verify_ledger does: seconds, problems, and the peak memory of this process in MB."""
    begun = time.perf_counter()
    found = list(audit.problems())
    seconds = time.perf_counter() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "memory": memory, "problems": found[:3]}


def proofs() -> Any:
    """Milliseconds to seal a few entries and to prove one, in the ledger as it is."""
    entry = ledger.append("bench", number=-1)
    begun = time.perf_counter()
    head = ledger.sealed_head()
    sealed = time.perf_counter()
    ledger.inclusion([entry], head)
    proved = time.perf_counter()
    ledger.consistency(head.tree_size // 3, head.tree_size)
    return {
        "seal": 1000 * (sealed - begun),
        "inclusion": 1000 * (proved - sealed),
        "consistency": 1000 * (time.perf_counter() - proved),
    }


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
