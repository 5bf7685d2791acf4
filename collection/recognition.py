"""Knowing photographs again that were erased because of somebody in them: see docs/decisions/0022.

Only what shows the very same bytes or pixels is known again. What was recompressed or resized is not: that would take
a perceptual hash, which says what the erased photograph looked like.
"""

import datetime
import hashlib
import hmac
import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from collection.models import Fingerprint, Image, Removal, RemovedDigest, TakenBack
from collection.models.prepared import Question
from consent.keys import derived_key
from consent.models import Aftermath
from consent.retention_table import REMOVED_DIGESTS

CAUSES = (Removal.Cause.DEPICTED, Removal.Cause.MINOR)


def remember_removed(*, removal: Removal) -> list[RemovedDigest]:
    """Keep digests of what a removal erases, in the caller's transaction; none for what its owner takes back."""
    if removal.cause not in CAUSES or removal.aftermath != Aftermath.ERASE:
        return []
    digests = digests_of(_hashes(removal.image_id))
    made = [RemovedDigest(removal=removal, digest=digest) for digest in sorted(digests)]
    return RemovedDigest.objects.bulk_create(made)


def _hashes(image_id: uuid.UUID) -> set[str]:
    """What is known of an image, which depends on how far it had come."""
    of_bytes = Image.objects.filter(pk=image_id).values_list("sha256", "clean_sha256")
    of_pixels = Fingerprint.objects.filter(image=image_id).values_list("pixels_sha256", flat=True)
    return {*(value for row in of_bytes for value in row if value), *of_pixels}


def _remembered(digest: str) -> QuerySet[RemovedDigest, tuple[str]]:
    taken_back = TakenBack.objects.filter(digest=digest).values_list("digest")
    return RemovedDigest.objects.filter(digest=digest).values_list("digest").union(taken_back)


REMEMBERED = Question(_remembered, digest="which digest?")


def is_remembered(sha256: str) -> bool:
    """Whether a file with this SHA-256 (hex) was erased because of somebody in it or taken back by anybody: one
    statement, which settles nearly every case."""
    return bool(REMEMBERED.ask(digest=_digest(sha256)))


def find_removal(hashes: Iterable[str]) -> Removal | None:
    """Why a photograph with one of these hashes (SHA-256 of bytes or pixels, hex) was erased, if it was."""
    known = RemovedDigest.objects.filter(digest__in=digests_of(hashes)).order_by("-made_at", "-pk")
    removal = known.values_list("removal", flat=True).first()
    return Removal.objects.select_related("request").get(pk=removal) if removal else None


def taken_out_among(hashes: Iterable[str]) -> set[str]:
    """Those of many hashes (SHA-256, hex) of which a photograph was erased: one query."""
    by_digest = {_digest(value): value for value in hashes}
    known = RemovedDigest.objects.filter(digest__in=by_digest).values_list("digest", flat=True)
    return {by_digest[digest] for digest in known}


def digests_of(hashes: Iterable[str]) -> set[str]:
    return {_digest(value) for value in hashes}


def _digest(value: str) -> str:
    return hmac.new(derived_key("removed photographs"), value.encode(), hashlib.sha256).hexdigest()


def forget_digests(*, clock: datetime.datetime | None = None) -> int:
    """Delete digests whose time is over by `clock` (default: the trusted time); returns how many."""
    before = REMOVED_DIGESTS.cutoff(clock)
    return sum(kind.objects.filter(made_at__lt=before).delete()[0] for kind in (RemovedDigest, TakenBack))
