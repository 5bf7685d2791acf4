"""Importing a library: images per second, against `cp` plus sha256 of the same files.

Floor: `cp -r` of the folder, then one sha256 of every file. Ours: `import_library` of the same folder into an empty
storage and a database of its own, every image with its row. BENCH_LIBRARY_IMAGES (default 3,000) of 30 KB each, drawn
in code. Also: the same import again, when everything is there, and a dry run. DATABASE_URL says which database.
"""

import contextlib
import datetime
import hashlib
import io
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import override_settings, setup_databases, teardown_databases
from django.utils import timezone

from collection import library, library_check, library_runs
from collection.library_sources import FolderLibrary
from collection.models import Image
from consent import licensing
from consent.keys import create_master_key
from consent.models import Licence, Purpose
from consent.signing import create_key
from demo import portraits

IMAGES = int(os.environ.get("BENCH_LIBRARY_IMAGES", "3000"))
BYTES = 30 * 1024
PER_FOLDER = 500


def draw_library(folder: Path, images: int) -> None:
    """`images` files of BYTES each in folders: one drawn portrait, each with a comment of its own."""
    buffer = io.BytesIO()
    portraits.draw(1, 1, (480, 640)).save(buffer, "JPEG", quality=60)
    head, dice = buffer.getvalue(), random.Random(1)
    with (folder / "manifest.csv").open("w") as manifest:
        manifest.write("path,subject,model_release\n")
        for number in range(images):
            path = f"{number // PER_FOLDER:04d}/{number:07d}.jpg"
            place = folder / path
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(head[:BYTES] + dice.randbytes(max(0, BYTES - len(head))))
            manifest.write(f"{path},person-{number // 5},yes\n")


def copy_and_hash(folder: Path, to: Path) -> None:
    subprocess.run(["cp", "-r", str(folder), str(to)], check=True)
    for path in to.rglob("*.jpg"):
        hashlib.sha256(path.read_bytes()).hexdigest()


@contextlib.contextmanager
def an_installation(var: Path) -> Iterator[Licence]:
    """An empty database and empty storages, and a licence."""
    buckets = {
        name: {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": var / name, "allow_overwrite": True},
        }
        for name in ("originals", "derivatives", "evidence", "erasures", "imports", "keys", "releases", "uploads")
    }
    if connection.vendor == "sqlite":  # in a file, with the journal of an installation
        connection.settings_dict["TEST"]["NAME"] = str(var / "bench.sqlite3")
    keys = {"SIGNING_KEY_FILE": var / "signing.pem", "MASTER_KEY_FILE": var / "master.key"}
    with override_settings(STORAGES={**storages.backends, **buckets}, **keys):
        create_key(var / "signing.pem")
        create_master_key()
        databases = setup_databases(verbosity=0, interactive=False)
        try:
            yield make_licence()
        finally:
            teardown_databases(databases, verbosity=0)


def make_licence() -> Licence:
    Purpose.objects.get_or_create(code="research", defaults={"name": "Research", "description": "Research."})
    today = timezone.now().date()
    return licensing.add_licence(
        licensor="Bench", title="Bench", terms="LicenseRef-Bench", territory="WORLD", purposes=["research"],
        starts_on=today, ends_on=today + datetime.timedelta(days=30), price=Decimal(1), model_release=True,
        evidence=ContentFile(b"contract", name="contract.txt"),
    )  # fmt: skip


def seconds(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="likeness-bench-") as name:
        var = Path(name)
        folder = var / "library"
        folder.mkdir()
        draw_library(folder, IMAGES)
        copy_and_hash(folder, var / "warm")
        shutil.rmtree(var / "warm")
        with an_installation(var) as licence:
            files = FolderLibrary(folder)

            def ours() -> None:
                library_runs.import_library(library=files, licence=licence)

            def dry() -> None:
                library_check.check_library(files=files, licence=licence, report=lambda row, why: None)

            floor = [seconds(lambda: copy_and_hash(folder, var / "copy"))]
            took = {"dry run": seconds(dry), "import": seconds(ours), "import again": seconds(ours)}
            shutil.rmtree(var / "copy")
            floor.append(seconds(lambda: copy_and_hash(folder, var / "copy")))
            assert Image.objects.count() == IMAGES
        base = sum(floor) / len(floor)
        print(f"{IMAGES:,} images of {BYTES >> 10} KB, {connection.vendor}, batches of {library.BATCH}")
        print(
            f"{'cp plus sha256':16}{IMAGES / base:10,.0f} images/s   (before, after: {floor[0]:.2f}, {floor[1]:.2f} s)"
        )
        for what, took_seconds in took.items():
            print(f"{what:16}{IMAGES / took_seconds:10,.0f} images/s{took_seconds / base:8.2f}× the floor's time")
