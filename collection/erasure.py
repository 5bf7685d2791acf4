"""Making images go: bytes, previews, hashes. What stays is the row as a tombstone, with its transitions."""

import datetime
import logging
import uuid

from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from collection import storage
from collection.licensed import purged_path
from collection.models import Distinct, Fingerprint, Image, ImageQuerySet, ImageStatus, Removal, Resemblance
from consent.clock import trusted_now
from consent.models import Aftermath, Consent, Withdrawal
from consent.models.consents import EVER
from consent.retention_table import CONTACT

logger = logging.getLogger(__name__)

ORPHAN_AGE = datetime.timedelta(hours=1)
NOTHING = dict.fromkeys(("sha256", "clean_sha256", "client_name", "original_key", "clean_key", "preview_key"), "")


# --- What is to go -------------------------------------------------------------------------------


def doomed_images(*, clock: datetime.datetime) -> ImageQuerySet:
    """Images whose bytes are to be erased: nobody may use them again, and their owner does not keep them."""
    return _lost(clock).filter(~Q(pk__in=kept_images(clock=clock).values("pk")))


def kept_images(*, clock: datetime.datetime) -> ImageQuerySet:
    """Images that nobody may use, kept for their owner alone: they said so, and the time that they once gave us runs.

    The last withdrawal decides; what says "erase" about the photograph itself decides always. Nobody keeps what is
    theirs without an account, nor for longer than everything else lasts without a word from them.
    """
    last = Withdrawal.objects.filter(consent=OuterRef("consent")).order_by("-made_at", "-pk").values("aftermath")[:1]
    removed = Removal.objects.filter(image=OuterRef("pk"))
    told = _lost(clock).alias(last_word=Coalesce(Subquery(last), Value("")))
    in_force = Consent.objects.live(None, EVER, clock)
    return told.filter(
        Q(last_word=Aftermath.KEEP)
        | Exists(removed.filter(aftermath=Aftermath.KEEP)) & (~Q(last_word=Aftermath.ERASE) | Q(consent__in=in_force)),
        ~Exists(removed.filter(aftermath=Aftermath.ERASE)),
        consent__expires_at__gt=clock,
        consent__contributor__user__isnull=False,
        consent__contributor__last_contact_at__gt=CONTACT.cutoff(clock),
    )


def _lost(clock: datetime.datetime) -> ImageQuerySet:
    return Image.objects.exclude(status=ImageStatus.PURGED).lost(clock=clock)


# --- Making it go --------------------------------------------------------------------------------


def purge_withdrawn(*, most: int = 500, clock: datetime.datetime | None = None) -> int:
    """Purge images whose basis has ended for good or that were removed; returns how many.

    `clock` (default `trusted_now`) says what has expired. At most `most` in random order, so that images whose bytes
    cannot be deleted at present do not hold up the others. Of what their owners keep, only the hashes go.
    """
    clock = clock or trusted_now()
    _forget_kept(clock)
    doomed = doomed_images(clock=clock).select_related("consent", "licence")
    return sum(_try_to_purge(image) for image in doomed.order_by("?")[:most])


def _forget_kept(clock: datetime.datetime) -> None:
    """Take what owners keep for themselves out of the duplicate index."""
    kept = kept_images(clock=clock)
    with_hashes = kept.filter(Exists(Fingerprint.objects.filter(image=OuterRef("pk")))).values_list("pk", flat=True)
    related = kept.filter(Exists(_resemblances(OuterRef("pk")))).values_list("pk", flat=True)
    for image_id in {*with_hashes, *related}:
        _forget(image_id)


@transaction.atomic
def _forget(image_id: uuid.UUID) -> None:
    Fingerprint.objects.filter(image=image_id).delete()  # with the words that edited copies are found by
    Distinct.objects.filter(Q(first=image_id) | Q(second=image_id)).delete()
    _resemblances(image_id).delete()


def _resemblances(image: uuid.UUID | OuterRef) -> QuerySet[Resemblance]:
    return Resemblance.objects.filter(Q(image=image) | Q(original=image))


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
    reason = reason_of(image)
    with transaction.atomic():
        _forget(image.pk)
        path = {"external_id": purged_path(image.licence_id, image.external_id)} if image.licence_id else {}
        purged = Image.objects.move(image.pk, image.status, ImageStatus.PURGED, reason=reason, **NOTHING, **path)
        if not purged:  # it moved on in the meantime; the next sweep sees it as it is then
            transaction.set_rollback(True)
    return purged


def reason_of(image: Image) -> str:
    """Why it goes: a key of collection.reasons, the first that applies of removal, withdrawal, end of the term, end of
    its purposes."""
    removal = Removal.objects.filter(image=image).order_by("made_at").first()
    if removal:
        return removal.cause
    withdrawal = Withdrawal.objects.filter(consent=image.consent_id).order_by("-made_at", "-pk").first()
    if withdrawal:
        return withdrawal.cause
    if image.licence:
        return "ended"
    over = image.consent and not image.consent.granted.filter(purpose__end__isnull=True).exists()
    return "purpose_over" if over else "expired"


# --- What no row names ---------------------------------------------------------------------------


def remove_orphans(*, age: datetime.timedelta = ORPHAN_AGE) -> int:
    """Delete folders of bytes that no image owns (a worker died between writing and noting); returns how many.

    Only of this age: an upload's bytes come before its row.
    """
    return sum(
        _remove_orphans(bucket, age) for bucket in (storage.originals(), storage.derivatives(), storage.evidence())
    )


def _remove_orphans(bucket: Storage, age: datetime.timedelta) -> int:
    found = list(storage.image_ids(bucket))
    owned = set(Image.objects.filter(pk__in=found).exclude(status=ImageStatus.PURGED).values_list("pk", flat=True))
    return sum(_remove_old(bucket, image_id, age) for image_id in found if image_id not in owned)


def _remove_old(bucket: Storage, image_id: uuid.UUID, age: datetime.timedelta) -> bool:
    keys = list(storage.keys_of(bucket, image_id))
    if any(bucket.get_modified_time(key) > timezone.now() - age for key in keys):
        return False  # perhaps an upload whose row is about to be written
    for key in keys:
        bucket.delete(key)
    return bool(keys)
