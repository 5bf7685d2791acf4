"""What an image resembles. 64-bit pHashes name candidates through four 16-bit bands; 256-bit pHashes decide.

By pigeonhole two 64-bit hashes within 11 bits have a band within 2 bits, so probing the 137 neighbours of each band
finds every candidate. See docs/decisions/0005.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import imagehash
import numpy as np
from django.db import connection
from django.db.models import Q, QuerySet
from PIL import Image as Pillow
from PIL import ImageOps

from collection.distinct import distinct_from
from collection.imaging import open_safely
from collection.models import COMPARED, Fingerprint, Image, ImageStatus, Resemblance
from consent.signing import sha256_hex

CANDIDATE_BITS = 10  # of 64
SAME_BITS = 31  # of 256
LOOK_UP_LOCK = 0x4C494B45  # one number for the whole collection: PostgreSQL's advisory lock


@dataclass(frozen=True)
class Match:
    """An image that shows the same; `distance` in 256ths: of the bits, or of what was laid over it (EDITED)."""

    image: Image
    kind: str
    distance: int


def measure(canonical: Pillow.Image) -> dict[str, Any]:
    """Every field of a Fingerprint but `image` and `pixels_sha256`, from the canonical grey picture."""
    mirror = ImageOps.mirror(canonical)
    small = _hash_int(canonical, 8)
    grey = np.asarray(canonical, dtype=np.float32)
    return {
        "phash": signed(small, 64),
        "mirror": signed(_hash_int(mirror, 8), 64),
        **{f"band{i}": band for i, band in enumerate(bands(small))},
        "phash256": f"{_hash_int(canonical, 16):064x}",
        "mirror256": f"{_hash_int(mirror, 16):064x}",
        "mean_luma": float(grey.mean()),
        "sharpness": _laplacian_variance(grey),
    }


def _hash_int(picture: Pillow.Image, side: int) -> int:
    return int(str(imagehash.phash(picture, hash_size=side)), 16)


def _laplacian_variance(grey: np.ndarray) -> float:
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * inner).var())


def signed(value: int, bits: int) -> int:
    """The two's complement reading of an unsigned integer, which is how databases store it."""
    return value - (1 << bits) if value >> (bits - 1) else value


def unsigned(value: int, bits: int) -> int:
    return value & ((1 << bits) - 1)


def bands(value: int) -> list[int]:
    """The four 16-bit bands of a 64-bit hash, signed."""
    return [signed((value >> (16 * i)) & 0xFFFF, 16) for i in range(4)]


@lru_cache(maxsize=1)
def _flips() -> tuple[int, ...]:
    """Every 16-bit mask of at most 2 bits: 1 + 16 + 120."""
    ones = [1 << i for i in range(16)]
    return (0, *ones, *(a | b for a, b in combinations(ones, 2)))


def neighbours(band: int) -> list[int]:
    """The 137 signed 16-bit values within 2 bits of a band."""
    plain = unsigned(band, 16)
    return [signed(plain ^ flip, 16) for flip in _flips()]


def candidates(phash: int) -> QuerySet[Fingerprint, Any]:
    """Fingerprints with a band within 2 bits of one of `phash`'s: a superset of all within 11 bits."""
    parts = [
        Fingerprint.objects.filter(**{f"band{i}__in": neighbours(band)}).values_list("image_id", "phash", "phash256")
        for i, band in enumerate(bands(unsigned(phash, 64)))
    ]
    return parts[0].union(*parts[1:])


def similar(own: Fingerprint) -> dict[uuid.UUID, tuple[str, int]]:
    """By image id: how (Resemblance.Kind) and how far (bits of 256) it resembles what these hashes were measured of."""
    found: dict[uuid.UUID, tuple[str, int]] = {}
    for image_id, phash, phash256 in candidates(own.phash):
        _note(found, image_id, (own.phash, phash), (own.phash256, phash256), Resemblance.Kind.NEAR)
    for image_id, phash, phash256 in candidates(own.mirror):
        _note(found, image_id, (own.mirror, phash), (own.mirror256, phash256), Resemblance.Kind.MIRRORED)
    return found


def resembled(image: Image) -> dict[uuid.UUID, tuple[str, int]]:
    """By image id, in whatever state those are: how and how far `image` (with its fingerprint) resembles them.

    Without those that somebody told apart from it.
    """
    found = similar(image.fingerprint)
    for image_id in _identical(image):
        found[image_id] = (Resemblance.Kind.EXACT, 0)
    for known in (image.pk, *distinct_from(image.pk)):
        found.pop(known, None)
    return found


def matches(found: Mapping[uuid.UUID, tuple[str, int]]) -> list[Match]:
    """Of what was found by `resembled` (and elsewhere) the images that are accepted or held, nearest first."""
    others = Image.objects.with_live_basis().filter(pk__in=found, status__in=COMPARED)
    return sorted((Match(other, *found[other.pk]) for other in others), key=lambda m: (m.distance, str(m.image.pk)))


@dataclass(frozen=True)
class Shown:
    """What a file that somebody sent shows. Nothing of it is kept."""

    sha256: str
    measured: Fingerprint  # not saved
    preview: bytes  # JPEG

    @classmethod
    def of(cls, data: bytes) -> "Shown":
        """Raises imaging.BadImage if it is not a picture that we can open."""
        opened = open_safely(data)
        measured = Fingerprint(pixels_sha256=opened.pixels_sha256, **measure(opened.canonical))
        return cls(sha256_hex(data), measured, opened.preview)


def nearest_known(shown: Shown) -> Match | None:
    """The accepted or held image that shows the same by its bytes, pixels or hashes, if there is one."""
    found = similar(shown.measured)
    for image_id in (*_same_pixels(shown.measured.pixels_sha256), *find_digests({shown.sha256})):
        found[image_id] = (Resemblance.Kind.EXACT, 0)
    return next(iter(matches(found)), None)


def find_copies(shown: Shown) -> set[uuid.UUID]:
    """Images (ids) that show the same: bytes, pixels, or look."""
    seen = {*similar(shown.measured), *_same_pixels(shown.measured.pixels_sha256)}
    return seen | find_digests({shown.sha256})


def lock_look_ups() -> None:
    """Until the end of this transaction no other one settles what resembles what; waits for one that does.

    SQLite's IMMEDIATE transactions exclude each other as it is.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOOK_UP_LOCK])


def find_digests(digests: Collection[str]) -> set[uuid.UUID]:
    """Images (ids) whose original or clean bytes have one of these SHA-256 (hex)."""
    known = Image.objects.filter(Q(sha256__in=digests) | Q(clean_sha256__in=digests))
    return set(known.exclude(status=ImageStatus.PURGED).values_list("pk", flat=True))


def _note(
    found: dict[uuid.UUID, tuple[str, int]],
    image_id: uuid.UUID,
    small: tuple[int, int],
    large: tuple[str, str],
    kind: str,
) -> None:
    if unsigned(small[0] ^ small[1], 64).bit_count() > CANDIDATE_BITS:
        return
    distance = (int(large[0], 16) ^ int(large[1], 16)).bit_count()
    if distance <= SAME_BITS and (image_id not in found or distance < found[image_id][1]):
        found[image_id] = (kind, distance)


def _identical(image: Image) -> set[uuid.UUID]:
    same_bytes = Image.objects.filter(sha256=image.sha256).values_list("pk", flat=True)
    return {*same_bytes, *_same_pixels(image.fingerprint.pixels_sha256)}


def _same_pixels(pixels_sha256: str) -> Iterable[uuid.UUID]:
    return Fingerprint.objects.filter(pixels_sha256=pixels_sha256).values_list("image_id", flat=True)


def forget(image_id: uuid.UUID) -> None:
    """Delete everything by which copies of an image are found: it is erased, or measured anew because it is covered."""
    Fingerprint.objects.filter(image=image_id).delete()
    Resemblance.objects.filter(Q(image=image_id) | Q(original=image_id)).delete()
