"""What the ledger's benchmark does inside an installation: `python -m tests.bench.ledger_seeds FUNCTION WORDS`."""

import datetime
import json
import os
import resource
import statistics
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
from consent.events import consent_facts
from consent.models import Consent, ConsentPurpose, Contributor, FormText, LedgerEntry, SignatureEvidence
from consent.signing import sha256_hex
from tests.consent.factories import make_contributor, make_text

ROUND_SECONDS = 0.5
ROUNDS = 15
CONSENTS = 0.1  # of all entries: the others have no row that the audit reads
CHUNK = 5000
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
    """Plain INSERTs and appends per second in turns, and their ratio: medians, so that a slow moment hits both."""
    contestants = [("plain", plain_insert), ("append", append)]
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({name: per_second(work, int(threads)) for name, work in contestants})
        contestants.reverse()
    medians = {name: statistics.median(one[name] for one in rounds) for name, _ in contestants}
    return {**medians, "ratio": statistics.median(one["append"] / one["plain"] for one in rounds)}


def fill(count: str) -> Any:
    """Entries in bulk, some with a consent that they tell of; then sealing all of them: entries sealed per second."""
    consents = int(int(count) * CONSENTS)
    fill_consents(consents)
    missing = max(0, int(count) - LedgerEntry.objects.count())
    before = LedgerEntry.objects.filter(leaf__isnull=True).count() + missing
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
    seconds = time.perf_counter() - begun
    return {"entries": LedgerEntry.objects.count(), "consents": consents, "sealed_per_second": before / seconds}


def fill_consents(count: int) -> None:
    """Consents with evidence and entry, past the services, which would take an hour."""
    contributor, text = make_contributor(), make_text(slug="bench")
    for begin in range(0, count, CHUNK):
        made = [signature(contributor, text) for _ in range(min(CHUNK, count - begin))]
        Consent.objects.bulk_create([consent for consent, _ in made], batch_size=500)
        SignatureEvidence.objects.bulk_create([evidence for _, evidence in made], batch_size=500)
        ConsentPurpose.objects.bulk_create(
            (ConsentPurpose(consent=consent, purpose_id="research") for consent, _ in made), batch_size=500
        )
        rows = Consent.objects.filter(pk__in=[consent.pk for consent, _ in made])
        LedgerEntry.objects.bulk_create(
            (
                LedgerEntry(payload=ledger.payload_text(consent_facts(consent)))
                for consent in rows.select_related("text").prefetch_related("purposes")
            ),
            batch_size=500,
        )


def signature(contributor: Contributor, text: FormText) -> tuple[Consent, SignatureEvidence]:
    now = timezone.now()
    consent = Consent(
        contributor=contributor, text=text, signed_at=now, expires_at=now + datetime.timedelta(days=365),
        submission=uuid.uuid4(),
    )  # fmt: skip
    evidence = SignatureEvidence(
        consent_id=consent.pk, signer_name="Ada Example", intent="I agree.", email="ada@example.org", viewed_at=now,
        signed_at=now,
    )  # fmt: skip
    consent.evidence_sha256 = sha256_hex(evidence.as_json().encode())
    return consent, evidence


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
