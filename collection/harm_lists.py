"""Lists of known harmful pictures: reading them, and finding which of their hashes a photograph matches.

Hashes of a file match exactly. Perceptual ones match within some bits, found through 16-bit parts: by pigeonhole two
hashes within 7 bits of 64, or 31 bits of 256, have a part within 1 bit, so probing 17 values of each part finds all.
Our perceptual hashes are `imagehash.phash`; a list made by another method (PDQ, PhotoDNA) cannot be compared with them.
"""

import csv
from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import Q

from collection.fingerprints import signed
from collection.models import Fingerprint, HarmBand, HarmHash, HarmList
from consent.refusals import Refused

Kind = HarmHash.Kind
DIGITS = {Kind.MD5: 32, Kind.SHA256: 64, Kind.PHASH64: 16, Kind.PHASH256: 64}
BY_LENGTH = {32: Kind.MD5, 64: Kind.SHA256, 16: Kind.PHASH64}  # 64 digits are taken for a SHA-256 unless told
PART_BITS = 16
# 64 bits say little: different people under one light have come within 4 bits. Such a match is only ever a question.
SAME_BITS = {Kind.PHASH64: 4, Kind.PHASH256: 31}
BATCH = 2000
NAMED = 10  # faulty lines that are named

Hash = tuple[str, str]  # kind, value


def read_hashes(lines: Iterable[str], kind: str | None = None) -> list[Hash]:
    """The hashes of a list: one a line, or CSV whose first column is the hash and whose second may be its kind.

    Refused names the lines that are none; then nothing is taken.
    """
    rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if row and row[0].strip()]
    if rows and rows[0][1][0].strip().lower() in ("hash", "value", *Kind.values):
        rows = rows[1:]
    rows = [(number, row) for number, row in rows if not row[0].lstrip().startswith("#")]
    found = [(number, _hash_of(row, kind)) for number, row in rows]
    if faulty := [str(number) for number, known in found if known is None]:
        more = f" and {len(faulty) - NAMED} more" if len(faulty) > NAMED else ""
        raise Refused(
            f"Nothing was imported: no known hash in line {', '.join(faulty[:NAMED])}{more}. Each line is one hash in "
            "hex digits: SHA-256 (64), MD5 (32), or a perceptual hash of 64 or 256 bits (16 or 64)."
        )
    if not found:
        raise Refused("There is no hash in this file.")
    return [known for _, known in found if known]


def _hash_of(row: list[str], kind: str | None) -> Hash | None:
    value = row[0].strip().lower()
    said = row[1].strip().lower() if len(row) > 1 else ""
    kind = kind or (said if said in Kind.values else BY_LENGTH.get(len(value)))
    right = kind is not None and len(value) == DIGITS[Kind(kind)] and set(value) <= set("0123456789abcdef")
    return (str(kind), value) if kind is not None and right else None


def import_hashes(*, name: str, hashes: Iterable[Hash]) -> int:
    """Add hashes to the list `name`; returns how many are new. Killed in between, run again: nothing is added twice.

    Images that are here already are held against it by a sweep (harm_matches.compare_due).
    """
    found, _ = HarmList.objects.get_or_create(name=name)
    wanted, new = sorted(set(hashes)), 0
    for start in range(0, len(wanted), BATCH):
        new += _add(found, wanted[start : start + BATCH])
    HarmList.objects.filter(pk=found.pk).update(compared_at=None, compared_through=None)
    return new


@transaction.atomic
def _add(harm_list: HarmList, hashes: list[Hash]) -> int:
    theirs = HarmHash.objects.filter(list=harm_list, value__in=[value for _, value in hashes])
    known = set(theirs.values_list("kind", "value"))
    new = [HarmHash(list=harm_list, kind=kind, value=value) for kind, value in hashes if (kind, value) not in known]
    HarmHash.objects.bulk_create(new)
    HarmBand.objects.bulk_create(band for made in new for band in _bands(made))
    return len(new)


def _bands(made: HarmHash) -> Iterator[HarmBand]:
    if made.kind in SAME_BITS:
        for position, value in enumerate(_parts(made.kind, int(made.value, 16))):
            yield HarmBand(hash=made, kind=made.kind, position=position, value=value)


def _parts(kind: str, value: int) -> list[int]:
    count = DIGITS[Kind(kind)] * 4 // PART_BITS
    return [signed((value >> (PART_BITS * i)) & 0xFFFF, PART_BITS) for i in range(count)]


# --- Matching ----------------------------------------------------------------------------------------


def match_file(*, sha256: str, md5: str) -> dict[int, int]:
    """Ids of the hashes that a file has, each with a distance of 0."""
    found = HarmHash.objects.filter(Q(kind=Kind.SHA256, value=sha256) | Q(kind=Kind.MD5, value=md5))
    return dict.fromkeys(found.values_list("pk", flat=True), 0)


def match_picture(own: Fingerprint) -> dict[int, int]:
    """Ids of the perceptual hashes that a picture or its mirror image resembles, with the bits that differ."""
    found: dict[int, int] = {}
    sides = {
        Kind.PHASH64: [own.phash & (2**64 - 1), own.mirror & (2**64 - 1)],
        Kind.PHASH256: [int(own.phash256, 16), int(own.mirror256, 16)],
    }
    for kind in HarmBand.objects.order_by().values_list("kind", flat=True).distinct():
        for value in sides[Kind(kind)]:
            for pk, distance in _near(kind, value):
                found[pk] = min(distance, found.get(pk, distance))
    return found


def _near(kind: str, value: int) -> Iterator[tuple[int, int]]:
    probes = Q()
    for position, part in enumerate(_parts(kind, value)):
        probes |= Q(bands__kind=kind, bands__position=position, bands__value__in=_within_one_bit(part))
    for pk, theirs in HarmHash.objects.filter(probes).distinct().values_list("pk", "value"):
        distance = (value ^ int(theirs, 16)).bit_count()
        if distance <= SAME_BITS[Kind(kind)]:
            yield pk, distance


def _within_one_bit(part: int) -> list[int]:
    plain = part & 0xFFFF
    return [part, *(signed(plain ^ (1 << bit), PART_BITS) for bit in range(PART_BITS))]
