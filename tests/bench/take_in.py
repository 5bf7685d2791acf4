"""The pixel part of taking in one JPEG.

Floor: sha256 and one DCT-scaled grey decode. Naive: Pillow and imagehash, each from the full picture.
"""

import hashlib
import io

import imagehash
from PIL import Image

from collection import fingerprints
from collection.imaging import open_safely
from demo import portraits
from tests.bench.timing import medians

SIZES = {"2 MP": (1224, 1632), "5 MP": (1944, 2592), "12 MP": (3024, 4032)}


def floor(data: bytes) -> None:
    hashlib.sha256(data).hexdigest()
    picture = Image.open(io.BytesIO(data))
    picture.draft("L", (picture.width // 8, picture.height // 8))
    picture.load()


def ours(data: bytes) -> None:
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


def main() -> None:
    print(f"{'':8}{'floor':>10}{'ours':>10}{'naive':>10}{'ours / floor':>15}{'naive / ours':>15}")
    for name, size in SIZES.items():
        buffer = io.BytesIO()
        portraits.draw(1, 1, size).save(buffer, "JPEG", quality=90)
        data = buffer.getvalue()
        found = medians({"floor": lambda: floor(data), "ours": lambda: ours(data), "naive": lambda: naive(data)})  # noqa: B023
        row = "".join(f"{found[who] * 1000:8.1f}ms" for who in ("floor", "ours", "naive"))
        print(f"{name:8}{row}{found['ours'] / found['floor']:14.2f}×{found['naive'] / found['ours']:14.2f}×")
