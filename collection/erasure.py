"""Making images go: bytes, previews, hashes. What stays is the row as a tombstone, with its transitions."""

import datetime
import logging
import uuid

from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from collection import storage
from collection.models import Fingerprint, Image, ImageStatus, Resemblance
from consent.models import Consent, Licence

logger = logging.getLogger(__name__)

ORPHAN_AGE = datetime.timedelta(hours=1)
NOTHING = dict.fromkeys(("sha256", "clean_sha256", "client_name", "original_key", "clean_key", "preview_key"), "")


def purge_withdrawn(*, most: int = 500) -> int:
    """Purge images whose consent was withdrawn for every purpose or whose licence has ended; returns how many.

    At most `most` in random order, so that images whose bytes cannot be deleted at present do not hold up the others.
    """
    withdrawn = Consent.objects.filter(withdrawals__isnull=False).exclude(pk__in=Consent.objects.live())
    ended = Licence.objects.filter(ends_on__lt=timezone.now().date())
    doomed = Image.objects.exclude(status=ImageStatus.PURGED).filter(Q(consent__in=withdrawn) | Q(licence__in=ended))
    return sum(_try_to_purge(image) for image in doomed.order_by("?")[:most])


def _try_to_purge(image: Image) -> bool:
    try:
        return purge(image)
    except Exception:
        # Storage that is away for one image must not keep the others' bytes alive; the next sweep tries again.
        logger.exception("image %s: purging failed", image.pk)
        return False


def purge(image: Image) -> bool:
    """Erase one image whose basis has ended. Bytes go first: killed in between, the row still names the work."""
    storage.delete_all(image)
    with transaction.atomic():
        Fingerprint.objects.filter(image=image).delete()
        Resemblance.objects.filter(Q(image=image) | Q(original=image)).delete()
        reason = "withdrawn" if image.consent_id else "ended"
        path = {"external_id": f"purged:{image.pk}"} if image.external_id else {}
        purged = Image.objects.move(image.pk, image.status, ImageStatus.PURGED, reason=reason, **NOTHING, **path)
        if not purged:  # it moved on in the meantime; the next sweep sees it as it is then
            transaction.set_rollback(True)
    return purged


def remove_orphans() -> int:
    """Delete folders of bytes that no image owns (a worker died between writing and noting); returns how many."""
    return sum(_remove_orphans(bucket) for bucket in (storage.originals(), storage.derivatives()))


def _remove_orphans(bucket: Storage) -> int:
    found = list(storage.image_ids(bucket))
    owned = set(Image.objects.filter(pk__in=found).exclude(status=ImageStatus.PURGED).values_list("pk", flat=True))
    return sum(_remove_old(bucket, image_id) for image_id in found if image_id not in owned)


def _remove_old(bucket: Storage, image_id: uuid.UUID) -> bool:
    keys = list(storage.keys_of(bucket, image_id))
    if any(bucket.get_modified_time(key) > timezone.now() - ORPHAN_AGE for key in keys):
        return False  # perhaps an upload whose row is about to be written
    for key in keys:
        bucket.delete(key)
    return bool(keys)
