"""Which of several copies of one photograph is the best. It is named and never swapped in: see docs/decisions/0018."""

import datetime
import uuid
from collections.abc import Iterable

from collection import freezes
from collection.models import Image

MOST = 200  # copies of one photograph that are looked at


def best_of(images: Iterable[Image]) -> Image:
    """Of images that were opened the one with the most pixels; of equals the least compressed, then the earliest."""
    return min(images, key=_rank)


def _rank(image: Image) -> tuple[int, int, datetime.datetime, uuid.UUID]:
    """Of the same number of pixels the one with more bytes was compressed less."""
    pixels = (image.width or 0) * (image.height or 0)
    return -pixels, -image.byte_size, image.received_at, image.pk


def group_of(image: Image) -> list[Image]:
    """The image and every copy of it that we know of and may look at, the best first."""
    known = Image.objects.with_live_basis().filter(pk__in=freezes.with_lookalikes({image.pk}))
    return sorted(known.order_by("received_at")[:MOST], key=_rank)
