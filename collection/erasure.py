"""Making images go: bytes, previews, hashes. What stays is the row as a tombstone, with its transitions."""

import datetime
import logging
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from collection import fingerprints, keys, licensed_attributes, storage, taken_back, workplaces
from collection.licensed import purged_path
from collection.models import (
    Distinct,
    FaceMark,
    Fingerprint,
    Freeze,
    Image,
    ImageQuerySet,
    ImageStatus,
    RefusedRow,
    Removal,
    Resemblance,
    ReviewNote,
    Screening,
    Upload,
    VendorCall,
)
from consent.clock import trusted_now
from consent.licensing import remove_unowned_contracts
from consent.models import Aftermath, Consent, Withdrawal
from consent.models.consents import EVER
from consent.retention_table import CONTACT

logger = logging.getLogger(__name__)

ORPHAN_AGE = datetime.timedelta(hours=1)
TEMPORARY_AGE = datetime.timedelta(days=1)  # longer than any upload lasts
NOTHING = dict.fromkeys(("sha256", "clean_sha256", "client_name", "original_key", "clean_key", "preview_key"), "")
NO_MONTH: dict[str, Any] = {"taken_in": None}


# --- What is to go -------------------------------------------------------------------------------


def doomed_images(*, clock: datetime.datetime) -> ImageQuerySet:
    """Images whose bytes are to be erased: nobody may use them again, neither their owner nor the law keeps them."""
    kept, preserved = kept_images(clock=clock).values("pk"), Freeze.objects.preserving().values("image")
    return _lost(clock).filter(~Q(pk__in=kept), ~Q(pk__in=preserved))


def preserved_images(*, clock: datetime.datetime) -> ImageQuerySet:
    """Images that nobody may use, kept because the law asks us to: what a list of known harm matches, until its case is
    closed. Frozen, so that only harm officers see them; the next sweep then erases them (ADR 0017)."""
    kept, preserved = kept_images(clock=clock).values("pk"), Freeze.objects.preserving().values("image")
    return _lost(clock).filter(~Q(pk__in=kept), pk__in=preserved)


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
    cannot be deleted at present do not hold up the others. Of what owners or the law keep, only the hashes go.
    """
    clock = clock or trusted_now()
    _forget_stored(clock)
    doomed = doomed_images(clock=clock).select_related("consent", "licence")
    return sum(_try_to_purge(image) for image in doomed.order_by("?")[:most])


def _forget_stored(clock: datetime.datetime) -> None:
    """Take what owners keep for themselves, or the law asks us to keep, out of the duplicate index."""
    lasting = kept_images(clock=clock).values("pk"), preserved_images(clock=clock).values("pk")
    kept = Image.objects.filter(Q(pk__in=lasting[0]) | Q(pk__in=lasting[1]))
    with_hashes = kept.filter(Exists(Fingerprint.objects.filter(image=OuterRef("pk")))).values_list("pk", flat=True)
    related = kept.filter(Exists(_resemblances(OuterRef("pk")))).values_list("pk", flat=True)
    measured = kept.filter(Exists(Screening.objects.filter(image=OuterRef("pk")))).values_list("pk", flat=True)
    for image in Image.objects.filter(pk__in={*with_hashes, *related, *measured}):
        with transaction.atomic():
            _settle_copies(image)
            _forget(image.pk)


def _settle_copies(image: Image) -> None:
    """What its owner took back comes in through nobody else, and is accepted of nobody who waits with it."""
    if taken_back.cause_of(image) in taken_back.CAUSES:
        taken_back.remember(image)
        taken_back.turn_down_copies(image)


def _forget(image_id: uuid.UUID) -> None:
    fingerprints.forget(image_id)  # with the words that edited copies are found by
    Distinct.objects.filter(Q(first=image_id) | Q(second=image_id)).delete()
    Screening.objects.filter(image=image_id).delete()
    FaceMark.objects.filter(image=image_id).delete()
    VendorCall.objects.filter(image=image_id).update(image=None)  # what was paid stays, for whom does not


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
    if Freeze.objects.preserving().filter(image=image).exists():  # since the sweep chose it
        return False
    storage.delete_all(image)
    reason = reason_of(image)
    with transaction.atomic():
        _settle_copies(image)
        _forget(image.pk)
        Upload.objects.filter(pk=image.pk).delete()
        path = {"external_id": purged_path(image.licence_id, image.external_id)} if image.licence_id else {}
        emptied = NOTHING | NO_MONTH | path
        purged = Image.objects.move(image.pk, image.status, ImageStatus.PURGED, reason=reason, **emptied)
        ReviewNote.objects.filter(decision__image=image).delete()
        if purged and image.licence_id:
            _forget_library_row(image)
        if not purged:  # it moved on in the meantime; the next sweep sees it as it is then
            transaction.set_rollback(True)
    if purged:
        keys.destroy_unused(subjects=[image.subject])
    return purged


def _forget_library_row(image: Image) -> None:
    """What libraries said of it elsewhere: of its person, and in reports of rows that were refused before it came."""
    licensed_attributes.forget(image.subject)
    RefusedRow.objects.filter(run__licence=image.licence_id, path=image.external_id).delete()


def reason_of(image: Image) -> str:
    """Why it goes: a key of collection.reasons, the first that applies of removal, withdrawal, end of the term, end of
    its purposes."""
    if said := taken_back.cause_of(image):
        return said
    if image.licence:
        return "ended"
    over = image.consent and not image.consent.granted.filter(purpose__end__isnull=True).exists()
    return "purpose_over" if over else "expired"


# --- What no row names ---------------------------------------------------------------------------


def remove_orphans(*, age: datetime.timedelta = ORPHAN_AGE) -> int:
    """Delete bytes that no row owns (a worker died between writing and noting), and keys that nobody needs; returns the
    number of owners missed.

    Only of this age: an upload's bytes come before its row. Contracts have an age of their own.
    """
    found = sum(_remove_orphans(bucket, age) for bucket in storage.everything()) + _remove_left_parts(age)
    return found + keys.remove_strays(age=age) + keys.destroy_unused() + remove_unowned_contracts()


def _remove_left_parts(age: datetime.timedelta) -> int:
    """Bytes of uploads that were dropped or taken in by somebody who died before deleting them."""
    bucket = storage.uploads()
    found = list(storage.image_ids(bucket))
    waiting = set(Upload.objects.filter(pk__in=found, settled_at__isnull=True).values_list("pk", flat=True))
    return sum(_remove_old(bucket, upload_id, age) for upload_id in found if upload_id not in waiting)


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


# --- Temporary files -----------------------------------------------------------------------------


def remove_temporary(*, age: datetime.timedelta = TEMPORARY_AGE) -> int:
    """Delete what killed processes left in our own temporary folder: uploads on their way, releases half built.

    What has no lock that would say whether somebody is at work on it: at this age, and never in the system's folder,
    where others' files lie too.
    """
    removed, folder = workplaces.remove_left(), settings.FILE_UPLOAD_TEMP_DIR
    if not folder or not Path(folder).is_dir() or Path(folder).resolve() == Path(tempfile.gettempdir()).resolve():
        return removed
    before = (timezone.now() - age).timestamp()
    old = [path for path in Path(folder).iterdir() if not workplaces.is_held(path)]
    return removed + sum(_remove_temporary(path, before) for path in old)


def _remove_temporary(path: Path, before: float) -> bool:
    """A folder is as old as the newest of what is in it."""
    try:
        if any(one.lstat().st_mtime > before for one in (path, *path.rglob("*"))):
            return False
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:  # its owner was faster, or it is nobody's that we may delete
        logger.warning("temporary file %s stays: %s", path, error)
        return False
    return True
