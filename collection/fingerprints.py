"""What an image resembles. 64-bit pHashes name candidates through four 16-bit bands; 256-bit pHashes decide.

By pigeonhole two 64-bit hashes within 10 bits have one of three bands within 2 bits or the fourth within 1: else they
would differ in 3 + 3 + 3 + 2. So probing these neighbours of each band finds every candidate. See docs/decisions/0005.
"""

import json
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import imagehash
import numpy as np
from django.db import connection
from django.db.models import Q
from PIL import Image as Pillow
from PIL import ImageOps

from collection.distinct import distinct_from
from collection.imaging import open_safely
from collection.models import COMPARED, Fingerprint, Image, ImageStatus, Resemblance
from consent.signing import sha256_hex

CANDIDATE_BITS = 10  # of 64
WITHIN = (2, 2, 2, 1)  # bits of each band, of which one at least must hold; migration 0017 says the same
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


@lru_cache(maxsize=2)
def _flips(within: int) -> tuple[int, ...]:
    """Every 16-bit mask of at most `within` bits (1 or 2): 17 or 137."""
    ones = [1 << i for i in range(16)]
    return (0, *ones, *(a | b for a, b in combinations(ones, 2) if within > 1))


def neighbours(band: int, within: int) -> list[int]:
    """The signed 16-bit values within 1 or 2 bits of a band."""
    plain = unsigned(band, 16)
    return [signed(plain ^ flip, 16) for flip in _flips(within)]


# All eight look-ups in one statement, each from its index alone.
PROBE = "SELECT %s, image_id, phash FROM collection_fingerprint WHERE band{band} IN (SELECT value FROM json_each(%s))"
Near = tuple[bool, uuid.UUID, str]  # seen in the mirror, image id, 256-bit hash


def candidates(own: Fingerprint) -> Iterable[Near]:
    """Whose 64-bit hash is within CANDIDATE_BITS of `own`, as it is or mirrored."""
    return _near_in_postgresql(own) if connection.vendor == "postgresql" else _near_in_sqlite(own)


def _near_in_postgresql(own: Fingerprint) -> list[Near]:
    """By a function of the database's, made in migration 0017: its plan is kept, and no list of numbers is sent."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT in_mirror, image, large FROM collection_near(%s, %s)", [own.phash, own.mirror])
        return list(cursor.fetchall())


def _near_in_sqlite(own: Fingerprint) -> Iterator[Near]:
    """SQLite cannot count bits: that is done here, for all rows at once."""
    hashes = (own.phash, own.mirror)
    probes = [(seen, number, band) for seen in (0, 1) for number, band in enumerate(bands(unsigned(hashes[seen], 64)))]
    values = [value for seen, number, band in probes for value in (seen, json.dumps(neighbours(band, WITHIN[number])))]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(PROBE.format(band=number) for _, number, _ in probes), values)
        rows = cursor.fetchall()
    seen, ids, phashes = zip(*rows, strict=True) if rows else ((), (), ())
    differing = np.array(phashes, np.int64) ^ np.array(hashes, np.int64)[np.array(seen, int)]
    apart = np.bitwise_count(differing.view(np.uint64))  # of signed numbers it would count the absolute value's
    near = {(bool(seen[at]), uuid.UUID(ids[at])) for at in np.flatnonzero(apart <= CANDIDATE_BITS)}
    large = dict(Fingerprint.objects.filter(pk__in={pk for _, pk in near}).values_list("pk", "phash256"))
    return ((mirrored, pk, large[pk]) for mirrored, pk in near if pk in large)


def similar(own: Fingerprint) -> dict[uuid.UUID, tuple[str, int]]:
    """By image id: how (Resemblance.Kind) and how far (bits of 256) it resembles what these hashes were measured of."""
    found: dict[uuid.UUID, tuple[str, int]] = {}
    for mirrored, image_id, large in sorted(candidates(own)):  # as it is first: of equal distances that one counts
        distance = (int(own.mirror256 if mirrored else own.phash256, 16) ^ int(large, 16)).bit_count()
        if distance <= SAME_BITS and (image_id not in found or distance < found[image_id][1]):
            found[image_id] = (Resemblance.Kind.MIRRORED if mirrored else Resemblance.Kind.NEAR, distance)
    return found


def resembled(image: Image) -> dict[uuid.UUID, tuple[str, int]]:
    """By image id, in whatever state those are: how and how far `image` (with its fingerprint) resembles them.

    Without those that somebody told apart from it.
    """
    found = similar(image.fingerprint)
    for image_id in _identical(image):
        found[image_id] = (Resemblance.Kind.EXACT, 0)
    found.pop(image.pk, None)
    for apart in distinct_from(image.pk) if found else ():
        found.pop(apart, None)
    return found


def matches(found: Mapping[uuid.UUID, tuple[str, int]]) -> list[Match]:
    """Of what was found by `resembled` (and elsewhere) the images that are accepted or held, nearest first.

    At one distance the kinds come in their order: a mirrored copy may be as near as the very same bytes.
    """
    if not found:  # building the rights check takes longer than all else
        return []
    others = Image.objects.with_live_basis().filter(pk__in=found, status__in=COMPARED)
    found_ones = (Match(other, *found[other.pk]) for other in others)
    kinds = Resemblance.Kind.values
    return sorted(found_ones, key=lambda m: (m.distance, kinds.index(m.kind), str(m.image.pk)))


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


def _identical(image: Image) -> set[uuid.UUID]:
    same_bytes = Image.objects.filter(sha256=image.sha256).values_list("pk", flat=True)
    return {*same_bytes, *_same_pixels(image.fingerprint.pixels_sha256)}


def _same_pixels(pixels_sha256: str) -> Iterable[uuid.UUID]:
    return Fingerprint.objects.filter(pixels_sha256=pixels_sha256).values_list("image_id", flat=True)


def forget(image_id: uuid.UUID) -> None:
    """Delete everything by which copies of an image are found: it is erased, or measured anew because it is covered."""
    Fingerprint.objects.filter(image=image_id).delete()
    Resemblance.objects.filter(Q(image=image_id) | Q(original=image_id)).delete()
