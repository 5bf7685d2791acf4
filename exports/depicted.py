"""Somebody says that they are in a photograph they did not agree to: what they mean is found and frozen on receipt."""

import re
import uuid
from collections.abc import Collection

from django.db import transaction

from annotation.models import LabelTask
from collection import fingerprints, freezes
from collection.imaging import BadImage
from collection.models import Image
from collection.reasons import describe
from consent import desk
from consent.models import RightsRequest
from consent.refusals import Refused
from consent.signing import sha256_hex
from exports.models import Item

MOST = 20  # names looked up in one request
# UUIDs, hashes and row ids in hex, and the random part of the addresses at which annotators see photographs.
NAMES = re.compile(r"[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.IGNORECASE)
VIEW_KEYS = re.compile(r"/images/([A-Za-z0-9_-]{43})")


def report_depicted(
    *, name: str, email: str, words: str = "", clues: str = "", photo: bytes | None = None, reference: uuid.UUID
) -> RightsRequest:
    """Take in the request and freeze whatever it is about, at once. `photo` is looked at and not kept.

    What is returned is the same whether anything was found or not.
    """
    shown = _shown(photo)
    with transaction.atomic():
        # A copy that was settled between looking and freezing would slip through; one settled later is held with these.
        fingerprints.lock_look_ups()
        request = desk.open_request(
            kind=RightsRequest.Kind.DEPICTED,
            name=name,
            email=email,
            details=_details(words, clues, photo),
            reference=reference,
        )
        if request.answered_at is None:  # the form was not sent long ago and once more now
            found = find_named(clues) | (fingerprints.find_copies(shown) if shown else set())
            freezes.freeze_images(images=freezes.with_lookalikes(found), request=request)
    return request


def _shown(photo: bytes | None) -> fingerprints.Shown | None:
    try:
        return fingerprints.Shown.of(photo) if photo else None
    except BadImage as bad:
        raise Refused(describe(bad.reason).sentence("The file")) from bad


def find_named(clues: str) -> set[uuid.UUID]:
    """Images (ids) that are named in a text: by image id, SHA-256, row id of a dataset, or a link with one in it."""
    names = [name.lower() for name in NAMES.findall(clues)[:MOST]]
    keys = VIEW_KEYS.findall(clues)[:MOST]
    ids = [uuid.UUID(name) for name in names if len(name) < len(sha256_hex(b""))]
    plain = Image.objects.filter(pk__in=ids).values_list("pk", flat=True)
    rows = Item.objects.filter(row_id__in=[found.hex for found in ids]).values_list("image_id", flat=True)
    tasks = LabelTask.objects.filter(view_key__in=keys).values_list("image_id", flat=True)
    return {*plain, *rows, *tasks} | _by_digest(names)


def _by_digest(names: Collection[str]) -> set[uuid.UUID]:
    digests = {name for name in names if len(name) == len(sha256_hex(b""))}
    return fingerprints.find_digests(digests) if digests else set()


def _details(words: str, clues: str, photo: bytes | None) -> str:
    sent = (
        f"A copy of the photograph came with it and is not kept; its SHA-256 is {sha256_hex(photo)}." if photo else ""
    )
    where = f"Where it is: {clues.strip()}" if clues.strip() else ""
    return "\n\n".join(part for part in (words.strip(), where, sent) if part)
