"""Making images go: bytes, previews, hashes. What stays is the row as a tombstone, with its transitions."""

import datetime
import uuid

from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from collection import storage
from collection.models import Fingerprint, Image, ImageStatus, Resemblance

ORPHAN_AGE = datetime.timedelta(hours=1)
NOTHING = dict.fromkeys(("sha256", "clean_sha256", "client_name", "original_key", "clean_key", "preview_key"), "")


def purge_withdrawn(*, most: int = 500) -> int:
    """Purge images whose basis no longer covers any purpose: at most `most`; returns how many."""
    without_basis = Image.objects.exclude(status=ImageStatus.PURGED).exclude(
        pk__in=Image.objects.with_live_basis().values("pk")
    )
    return sum(purge(image) for image in without_basis[:most])


def purge(image: Image) -> bool:
    """Erase one image whose basis has ended. Bytes go first: killed in between, the row still names the work."""
    storage.delete_all(image)
    with transaction.atomic():
        Fingerprint.objects.filter(image=image).delete()
        Resemblance.objects.filter(Q(image=image) | Q(original=image)).delete()
        reason = "withdrawn" if image.consent_id else "ended"
        purged = Image.objects.move(image.pk, image.status, ImageStatus.PURGED, reason=reason, **NOTHING)
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
