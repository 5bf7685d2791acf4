"""My data as a zip: made while it is sent, so nothing of it is kept anywhere.

README.txt, data.json, photographs/ (originals as they were sent), receipts/ (JSON and PDF).
"""

import io
import json
import logging
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import PurePath

from django.template.loader import render_to_string
from django.utils import timezone

from collection import storage
from collection.models import Image
from collection.removals import seen_by
from consent.connections import give_back
from consent.models import Contributor, Receipt
from exports.disclosure import disclose

log = logging.getLogger(__name__)
CHUNK = 1 << 20  # bytes read at a time


class _Pipe(io.RawIOBase):
    """A file that cannot seek: zipfile writes into it, and what was written is taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self.waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self.waiting)
        self.waiting.clear()
        return taken


def archive(contributor: Contributor) -> Iterator[bytes]:
    """The zip, piece by piece. Each photograph is asked for again just before it is sent."""
    for piece in _packed(contributor):
        give_back()  # until the next question: a slow line takes long for this piece
        yield piece


def _packed(contributor: Contributor) -> Iterator[bytes]:
    pipe = _Pipe()
    now = timezone.now()
    own = seen_by(contributor).exclude(original_key="").order_by("received_at", "pk")
    names = {image.pk: _name(image) for image in own}
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as packed:
        facts = {"now": now, "photographs": len(names)}
        packed.writestr("README.txt", render_to_string("exports/readme.txt", facts))
        data = disclose(contributor, names)
        packed.writestr("data.json", json.dumps(data, indent=2, ensure_ascii=False))
        yield pipe.take()
        for name, content in _receipts(contributor):
            packed.writestr(f"receipts/{name}", content)
            yield pipe.take()
        for image_id, name in names.items():
            yield from _photograph(packed, pipe, contributor, image_id, name)
    yield pipe.take()


def _name(image: Image) -> str:
    return f"photographs/{image.pk}{PurePath(image.original_key).suffix}"


def _receipts(contributor: Contributor) -> Iterator[tuple[str, bytes]]:
    own = Receipt.objects.filter(consent__contributor=contributor).order_by("issued_at")
    for pk in list(own.values_list("pk", flat=True)):  # no question stays open while they are sent
        receipt = own.get(pk=pk)
        yield f"receipt-{receipt.pk}.json", receipt.envelope.encode()
        yield f"signed-text-{receipt.pk}.pdf", bytes(receipt.pdf)


def _photograph(
    packed: zipfile.ZipFile, pipe: _Pipe, contributor: Contributor, image_id: uuid.UUID, name: str
) -> Iterator[bytes]:
    """Nothing if it was taken back, frozen or erased since the archive was begun."""
    image = seen_by(contributor).filter(pk=image_id).first()
    if image is None:
        return
    try:
        content = storage.open_original(image)
    except FileNotFoundError:
        return
    entry = zipfile.ZipInfo(name, image.received_at.timetuple()[:6])
    with content, packed.open(entry, "w", force_zip64=True) as target:
        while piece := content.read(CHUNK):
            target.write(piece)
            yield pipe.take()
