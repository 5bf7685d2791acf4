"""Opening a file that a stranger sent: decoded in a process of its own, which it may hang or kill (ADR 0015)."""

import datetime
from collections.abc import Callable, Sequence

from django.conf import settings
from PIL import Image

from collection import decoder
from collection.boxes import Box
from collection.decoding import CANONICAL_SIDE, BadImage, Opened, sniff

__all__ = ("BadImage", "Opened", "open_safely", "sniff")

HEAD = 64  # bytes that `sniff` wants to see


def open_safely(
    data: bytes, covers: Sequence[Box] = (), beat: Callable[[], object] = lambda: None, side: int = 0
) -> Opened:
    """Decode `data` once, and once more with `covers` painted over for good if there are any.

    The preview has at most `side` pixels on its longer side (0: decoding.PREVIEW_SIDE).

    `beat` is called every decoder.BEAT seconds that it takes.
    BadImage unless it is one whole still picture that `decoding.decode` takes.

    A file under which the decoder dies or hangs gets one more try, with a fresh one; then it is `too_demanding`.
    """
    if sniff(data[:HEAD]) is None:  # most of what is no picture needs no process
        raise BadImage("not_an_image")
    limits = decoder.Limits(seconds=settings.DECODER_SECONDS, megabytes=settings.DECODER_MEMORY_MB)
    try:
        answer, blobs = decoder.ask(data, limits, covers, beat, side)
    except decoder.Lost:
        try:
            answer, blobs = decoder.ask(data, limits, covers, beat, side)
        except decoder.Lost as lost:
            raise BadImage("too_demanding", str(lost)) from lost
    if "reason" in answer:
        raise BadImage(answer["reason"], answer["detail"])
    taken_in = answer.pop("taken_in")
    clean, preview, canonical = blobs
    return Opened(
        clean=clean,
        preview=preview,
        canonical=Image.frombytes("L", (CANONICAL_SIDE, CANONICAL_SIDE), canonical),
        taken_in=datetime.date.fromisoformat(taken_in) if taken_in else None,
        **answer,
    )
