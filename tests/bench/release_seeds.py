"""What the benchmark of builds puts into an installation, and the build itself, each in a process of its own."""

import json
import os
import random
import re
import resource
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings
from django.db import connection
from django.utils import timezone

from collection.models import Image, ImageStatus
from consent.models import Consent, Licence, Purpose
from consent.signing import sha256_hex
from consent.withdrawals import withdraw
from exports.definitions import current_definition
from exports.models import Dataset, Release, Revocation
from exports.notices import revoke_items
from exports.preview import look_ahead
from exports.services import build_release, draft_release, publish_release
from exports.tokens import issue_recipient_token
from tests.collection.factories import store_clean
from tests.consent.factories import make_consent, make_licence, make_user

BYTES = 30 * 1024
PER_PERSON = 5


def photographs(count: str, size: int = BYTES) -> Any:
    """So many accepted photographs of `size` bytes each under one licence. Their bytes are noise: no build looks."""
    licence = Licence.objects.first() or make_licence(purposes=["research"])
    dice = random.Random(Image.objects.count())
    rows = []
    for number in range(int(count)):
        content, image_id = dice.randbytes(size), uuid.UUID(int=dice.getrandbits(128), version=4)
        subject = f"{licence.pk}:{number // PER_PERSON}:{count}"
        rows.append(
            Image(
                id=image_id, licence=licence, subject=subject, external_id=f"{count}/{number}.jpg",
                status=ImageStatus.ACCEPTED, sha256=sha256_hex(b"original" + content), byte_size=size,
                clean_key=store_clean(image_id, subject, content, "jpg"), clean_sha256=sha256_hex(content),
                clean_format="jpg", width=640, height=480,
            )
        )  # fmt: skip
    Image.objects.bulk_create(rows, batch_size=500)
    return {"photographs": Image.objects.count()}


def rows(count: str) -> Any:
    """So many accepted photographs, by one statement. All have the bytes of one: a release of them is metadata."""
    photographs("1", size=100)
    own = {
        "id": "lower(hex(randomblob(16)))",
        "sha256": "lower(hex(randomblob(32)))",
        "external_id": "'rows/' || number",
        "subject": f"licence_id || ':rows:' || (number / {PER_PERSON})",
    }
    columns = [field.column for field in Image._meta.concrete_fields]
    values = ", ".join(own.get(column, column) for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < %s) "
            f"INSERT INTO collection_image ({', '.join(columns)}) "
            f"SELECT {values} FROM numbers, (SELECT * FROM collection_image LIMIT 1)",
            [int(count) - 1],
        )
    return {"photographs": Image.objects.count()}


def draft() -> Any:
    """A dataset with a draft of everything there is."""
    return {"release": draft_release(dataset=_dataset(), user=_manager()).pk}


def next_page() -> Any:
    """Seconds and the most memory that it took to foresee the newest dataset's next release, as its page does."""
    begun = time.perf_counter()
    draft, _ = look_ahead(current_definition(Dataset.objects.latest("pk")), timezone.now())
    return {"seconds": time.perf_counter() - begun, "megabytes": _megabytes(), "rows": draft.rows}


def _dataset() -> Dataset:
    return Dataset.objects.create(
        slug=f"bench-{Dataset.objects.count()}", title="Bench", description="For the benchmark.",
        purpose=Purpose.objects.get(pk="research"), terms="LicenseRef-Bench",
    )  # fmt: skip


def consented(count: str) -> Any:
    """So many more photographs, PER_PERSON of each person, who agreed by a consent and may take it back."""
    people = [make_consent(purposes=["research"]) for _ in range(int(count) // PER_PERSON)]
    dice, rows = random.Random(f"consented {Image.objects.count()}"), []
    for number in range(len(people) * PER_PERSON):
        consent = people[number // PER_PERSON]
        content, image_id = dice.randbytes(BYTES), uuid.UUID(int=dice.getrandbits(128), version=4)
        subject = str(consent.contributor_id)
        rows.append(
            Image(
                id=image_id, consent=consent, subject=subject, status=ImageStatus.ACCEPTED,
                sha256=sha256_hex(b"original" + content), byte_size=BYTES,
                clean_key=store_clean(image_id, subject, content, "jpg"), clean_sha256=sha256_hex(content),
                clean_format="jpg", width=640, height=480,
            )
        )  # fmt: skip
    Image.objects.bulk_create(rows, batch_size=500)
    return {"photographs": len(rows)}


def draft_next() -> Any:
    """A draft of the newest dataset as it is now."""
    return {"release": draft_release(dataset=Dataset.objects.latest("pk"), user=_manager()).pk}


def publish(pk: str) -> Any:
    """Publish a built release, and a token for its dataset."""
    release = publish_release(release=Release.objects.get(pk=pk), user=_manager())
    token = issue_recipient_token(name="ML team", email="ml@example.org", dataset=release.dataset)
    return {"slug": release.dataset.slug, "version": release.version, "token": token}


def withdraw_all() -> Any:
    """Everybody who signed a consent takes it back; their row ids by now, once notices are signed."""
    for consent in Consent.objects.all():
        withdraw(consent=consent)
    revoke_items()
    return {"rows": sorted(set(Revocation.objects.values_list("item__row_id", flat=True)))}


def _manager() -> Any:
    return make_user(f"{uuid.uuid4().hex}@example.org", "data manager")


def build(pk: str) -> Any:
    """Seconds and the most memory that one build took, and where the files are."""
    begun, worked = time.perf_counter(), _worked()
    with _watched() as most:
        build_release(release_id=int(pk))
    seconds, worked = time.perf_counter() - begun, _worked() - worked
    release = Release.objects.get(pk=pk)
    assert release.state == Release.State.BUILT, release.last_error
    place = settings.STORAGES["releases"]["OPTIONS"]["location"]
    return {
        "seconds": seconds,
        "worked": worked,
        "megabytes": _megabytes() + max(most.values(), default=0),
        "rows": release.items.count(),
        "folder": f"{place}/{release.dataset.slug}/{release.pk}",
    }


def _worked() -> float:
    """Seconds of processor time, of the processes that were started as well."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _megabytes() -> float:
    """The most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """The most megabytes that each process had which this one started, by number.

    Looked up while they run: what the system adds up afterwards counts for each what we had when we started it.
    """
    most: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for child in Path("/proc/self/task", str(os.getpid()), "children").read_text().split():
                with suppress(OSError):  # it has ended
                    if found := re.search(r"VmHWM:\s*(\d+)", Path("/proc", child, "status").read_text()):
                        most[child] = int(found[1]) / 1024

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        done.set()
        watcher.join()


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words), default=str))
