"""Taking in one JPEG, per core: the pixel part, and all of it from bytes to `accepted` with everything stored.

Floor: sha256 and one DCT-scaled grey decode. Naive: Pillow and imagehash, each from the full picture.
Goals: the pixel part (sha256, decode, clean copy, preview, hashes) at most 1.3 floors at 12 MP and 2 at 2 MP; all of it
(in a decoder process, sealed, in storage and database, screened, compared with what is there) at most 1.6 and 3; at
least 5 times as fast as naive; a worker and its decoder under 300 MB.

The goals for all of it are not reached, and the second table says what it is made of. What the floor has not, and what
costs the same whatever the size of a photograph: looking for faces (three cascades), describing it for edited copies
(ORB as it is and mirrored), some 50 SQL statements, whose text takes Django longer to write than the database to run,
and four transactions, each of which waits for the disk. Processor time says what one core can take in; the clock counts
waiting for the disk, and for whoever else uses the machine, as well.
"""

import hashlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from django.conf import settings
from django.db import connection
from django.test.utils import override_settings
from PIL import Image

from collection import decoder, faces, fingerprints, models, pipeline, quality, storage
from collection.copies import verify
from collection.decoding import decode
from collection.imaging import open_safely
from config.celery import app
from consent import keys
from consent.signing import create_key
from demo import portraits
from tests.bench.timing import ROUNDS
from tests.collection.factories import make_call, receive
from tests.consent.factories import make_consent

SIZES = {"2 MP": (1224, 1632), "5 MP": (1944, 2592), "12 MP": (3024, 4032)}


def floor(data: bytes) -> None:
    hashlib.sha256(data).hexdigest()
    picture = Image.open(io.BytesIO(data))
    picture.draft("L", (picture.width // 8, picture.height // 8))
    picture.load()


def pixels(data: bytes) -> None:
    hashlib.sha256(data).hexdigest()
    fingerprints.measure(decode(data).canonical)


def apart(data: bytes) -> None:
    """The same, in a decoder process."""
    hashlib.sha256(data).hexdigest()
    fingerprints.measure(open_safely(data).canonical)


def naive(data: bytes) -> None:
    hashlib.sha256(data).hexdigest()
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    for hash_size in (8, 16):
        imagehash.phash(picture, hash_size=hash_size)
    thumbnail = picture.copy()
    thumbnail.thumbnail((1024, 1024))
    thumbnail.save(io.BytesIO(), "JPEG")


class Whole:
    """Bytes to `accepted`, everything stored; each time as if the picture had never been seen."""

    def __init__(self) -> None:
        self.consent = make_consent()
        self.call = make_call(form=self.consent.text.form, max_per_person=100_000)

    def __call__(self, data: bytes) -> None:
        image = receive(self.consent, data, call=self.call)
        pipeline.advance(image.pk)

    def forget(self) -> None:
        image = models.Image.objects.latest("received_at")
        assert image.status == "accepted", image.latest_reason()
        models.Fingerprint.objects.all().delete()
        models.Image.objects.update(sha256="")


@contextmanager
def installation() -> Iterator[None]:
    """A database and storages of our own in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        names = settings.STORAGE_BUCKETS
        backend = "django.core.files.storage.FileSystemStorage"
        places = {
            name: {"BACKEND": backend, "OPTIONS": {"location": f"{folder}/{name}", "allow_overwrite": True}}
            for name in names
        }
        connection.settings_dict["TEST"]["NAME"] = f"{folder}/bench.sqlite3" if connection.vendor == "sqlite" else None
        files = {"MASTER_KEY_FILE": Path(folder) / "master.key", "SIGNING_KEY_FILE": Path(folder) / "signing.pem"}
        with override_settings(STORAGES=settings.STORAGES | places, **files):
            keys.create_master_key()
            create_key(files["SIGNING_KEY_FILE"])
            connection.creation.create_test_db(verbosity=0)
            try:
                yield
            finally:
                connection.creation.destroy_test_db(f"{folder}/unused", verbosity=0)


def seconds() -> np.ndarray:
    """What the clock shows, and the processor time of this process and its decoders."""
    clocks = [(~one.pid << 3) | 2 for one in decoder._idle.waiting]  # Linux: the processor time of another process
    return np.array([time.perf_counter(), time.process_time() + sum(map(time.clock_gettime, clocks))])


def rounds(
    contestants: dict[str, Callable[[bytes], None]], data: bytes, after: Callable[[], None]
) -> dict[str, np.ndarray]:
    """Median `seconds` of each, interleaved, after one round to warm up."""
    times: dict[str, list[np.ndarray]] = {name: [] for name in contestants}
    for number in range(ROUNDS + 1):
        for name, work in contestants.items():
            begun = seconds()
            work(data)
            if number:
                times[name].append(seconds() - begun)
        after()
    return {name: np.median(values, axis=0) for name, values in times.items()}


def steps(whole: Whole, data: bytes) -> dict[str, float]:
    """Median processor seconds of each step of all of it, and of what costs most inside them."""
    times: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        begun = seconds()[1]
        done = work()
        times.setdefault(name, []).append(seconds()[1] - begun)
        return done

    for _ in range(ROUNDS):
        image = timed("receive", lambda: receive(whole.consent, data, call=whole.call))
        image = pipeline._claim(image.pk)
        while image and image.status in pipeline.STEPS:
            step = pipeline.STEPS[image.status]
            timed(step.__name__, lambda: step(image))  # noqa: B023  # called at once
            image.refresh_from_db()
        with storage.open_preview(image) as file:
            preview = file.read()
        timed("  faces, in screen", lambda: faces.find_faces(quality.decode_grey(preview)))  # noqa: B023
        timed("  features, in deduplicate", lambda: verify.describe(preview))  # noqa: B023
        timed("  one rights check of four", lambda: models.Image.objects.live_now().filter(pk=image.pk).get())  # noqa: B023
        whole.forget()
    return {name: statistics.median(took) for name, took in times.items()}


def most_megabytes(whole: Whole, pictures: Iterable[bytes]) -> int:
    """What a worker holds at most while it takes in these pictures, with all that Celery's workers load."""
    app.loader.import_default_modules()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    for data in pictures:
        whole(data)
        whole.forget()
    return megabytes("self")


def megabytes(pid: str) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) >> 10


def drawn(size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    portraits.draw(1, 1, size).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def main() -> None:
    with installation():
        whole = Whole()
        pictures = {name: drawn(size) for name, size in SIZES.items()}
        held = most_megabytes(whole, pictures.values())
        contestants = {"floor": floor, "pixels": pixels, "apart": apart, "whole": whole, "naive": naive}
        heads = (*contestants, "pixels / floor", "whole / floor", "naive / whole")
        print(" " * 16 + "".join(f"{head:>16}" for head in heads))
        floors: dict[str, tuple[float, dict[str, float]]] = {}
        for name, data in pictures.items():
            found = rounds(contestants, data, whole.forget)
            for at, clock in enumerate(("clock", "processor")):
                took = {who: float(times[at]) for who, times in found.items()}
                row = "".join(f"{each * 1000:14.1f}ms" for each in took.values())
                ratios = (("pixels", "floor"), ("whole", "floor"), ("naive", "whole"))
                print(f"{name:6}{clock:10}{row}" + "".join(f"{took[a] / took[b]:15.2f}×" for a, b in ratios))
            floors[name] = (float(found["floor"][1]), steps(whole, data))
        print("\n" + " " * 32 + "".join(f"{name:>10}" for name in floors) + "   (floors, processor time)")
        for step in floors["2 MP"][1]:
            print(f"{step:32}" + "".join(f"{took[step] / floor_took:10.2f}" for floor_took, took in floors.values()))
        print(f"most memory: worker {held} MB", end="")
        print(f", decoder {max(megabytes(str(one.pid)) for one in decoder._idle.waiting)} MB")
