"""Words of photographs that were taken in before edited copies were looked for (collection.edited, ADR 0018)."""

import logging
import uuid
from collections.abc import Iterator

from django.db import transaction
from django.db.models import Exists, OuterRef

from collection import edited
from collection.models import COMPARED, Fingerprint, Image, ImageQuerySet, Word
from collection.sealing import Altered

logger = logging.getLogger(__name__)


def without_words() -> ImageQuerySet:
    """What may be looked at and is compared with later ones, but is found by no word: old ones, and the featureless."""
    words = Word.objects.filter(fingerprint=OuterRef("pk"))
    return Image.objects.entitled().filter(~Exists(words), status__in=COMPARED)


def index_missing() -> Iterator[uuid.UUID]:
    """Make every photograph `without_words` findable, one after the other; yields the id of each.

    Killed, it begins again where it was, since what has words is passed over. Plain pictures are looked at each time.
    """
    for image in without_words().order_by("pk").iterator(chunk_size=500):
        try:
            _index(image)
        except FileNotFoundError:  # purged meanwhile
            continue
        except Altered as altered:  # it must not hold up the others
            logger.error("image %s cannot be indexed: %s", image.pk, altered)
            continue
        yield image.pk


def _index(image: Image) -> None:
    look = edited.look_for(image)
    look.describe()  # which takes long, and so comes before the transaction
    with transaction.atomic():
        held = Fingerprint.objects.select_for_update(no_key=True).filter(image=image.pk, image__status__in=COMPARED)
        if held.exists():  # else it was purged, or sent back to be covered
            look.make_findable()
