"""Photographs on their way: announced, arrived, taken in exactly once or refused in words, dropped in time.

Where the bytes lie is the business of collection.parts (our disk) and collection.multipart (a bucket).
"""

import datetime
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone
from django.utils.formats import date_format

from collection import multipart, parts, screening, storage, targets
from collection.models import PIPELINE, Call, Image, ImageStatus, Upload
from collection.models.prepared import Question
from collection.reasons import describe
from collection.services import check_sender, receive_image
from consent.clock import trusted_now
from consent.models import Consent, Contributor
from consent.refusals import Refused
from consent.signing import file_sha256

logger = logging.getLogger(__name__)

LEASE = datetime.timedelta(seconds=30)  # for taking one in; whoever is killed in it is succeeded after that
LOOK_AGAIN = datetime.timedelta(seconds=60)  # at an upload that has not arrived
WEEK = datetime.timedelta(days=6)


class TooLarge(Refused):
    """More bytes than one photograph may have."""


# --- Announced -----------------------------------------------------------------------------------


def begin_upload(
    *,
    contributor: Contributor,
    consent: Consent,
    call: Call,
    byte_length: int,
    client_name: str = "",
    sha256: str = "",
    reference: str = "",
) -> Upload:
    """Announce one photograph. The same `reference` of the same person gives the same upload: an answer may be lost.

    Refused before a byte is sent if it could not be taken in anyway.
    """
    if reference and (known := _known(contributor, reference, byte_length)):
        if known.settled_at is None and parts.on_disk():
            parts.create(known.pk)  # whoever announced it may have been killed before that
        return known
    check_sender(contributor=contributor, consent=consent, call=call)
    _check_length(byte_length)
    if sha256:
        refuse_own_copy(contributor=contributor, sha256=sha256)
    upload = _announce(contributor, consent, call, byte_length, client_name[:255], sha256, reference)
    if parts.on_disk():
        parts.create(upload.pk)
    return upload


def _announce(
    contributor: Contributor, consent: Consent, call: Call, byte_length: int, name: str, sha256: str, reference: str
) -> Upload:
    now = timezone.now()
    try:
        with transaction.atomic():
            targets.lock_person(contributor)  # quotas are counted in turn
            _check_quotas(contributor, call, byte_length)
            return Upload.objects.create(
                contributor=contributor,
                consent=consent,
                call=call,
                reference=reference,
                client_name=name,
                byte_length=byte_length,
                sha256=sha256,
                begun_at=now,
                expires_at=now + datetime.timedelta(days=settings.UPLOAD_DAYS),
                look_at=now + LOOK_AGAIN,
            )
    except IntegrityError:  # the same reference, announced twice at the same moment
        return Upload.objects.get(contributor=contributor, reference=reference)


KNOWN = Question(
    lambda **said: Upload.objects.filter(**said).values_list("pk"),
    contributor=uuid.UUID(int=1),
    reference="which reference?",
)


def _known(contributor: Contributor, reference: str, byte_length: int) -> Upload | None:
    if not KNOWN.ask(contributor=contributor.pk, reference=reference):  # seldom any
        return None
    found = Upload.objects.filter(contributor=contributor, reference=reference).first()
    if found and found.byte_length != byte_length:
        raise Refused("Another photograph was announced under this reference. Please choose the file again.")
    return found


def _check_length(byte_length: int) -> None:
    if byte_length <= 0:
        raise Refused(describe("empty").sentence())
    if byte_length > settings.UPLOAD_MAX_BYTES:
        raise TooLarge(describe("too_large_file").sentence())


def _under_way(contributor: uuid.UUID, call: int) -> QuerySet[Upload, tuple[int, int, int]]:
    """How many uploads of this person are not settled, how many of them are for the call, and all their bytes."""
    theirs = Upload.objects.filter(contributor=contributor, settled_at__isnull=True).values("contributor")
    counted = theirs.annotate(all=Count("pk"), here=Count("pk", filter=Q(call=call)), bytes=Sum("byte_length"))
    return counted.values_list("all", "here", "bytes")


UNDER_WAY = Question(_under_way, contributor=uuid.UUID(int=1), call=987_654_321)


def _check_quotas(contributor: Contributor, call: Call, byte_length: int) -> None:
    found = UNDER_WAY.ask(contributor=contributor.pk, call=call.pk)
    unfinished, here, bytes_on_their_way = found[0] if found else (0, 0, 0)
    if (
        unfinished >= settings.UPLOADS_UNFINISHED
        or bytes_on_their_way + byte_length > settings.UPLOADS_UNFINISHED_BYTES
    ):
        raise Refused(
            "You have many photographs on their way that did not arrive yet. Let them finish, or remove some, and then "
            "send this one."
        )
    if targets.count_sent(contributor=contributor, call=call) + here >= call.max_per_person:
        raise Refused(
            f"With those on their way you have sent {call.max_per_person} photographs to this call, which is as many "
            "as it takes."
        )


OWN = Question(
    lambda contributor, sha256: Image.objects.filter(consent__contributor=contributor, sha256=sha256).values_list("pk"),
    contributor=uuid.UUID(int=1),
    sha256="which file?",
)


def refuse_own_copy(*, contributor: Contributor, sha256: str) -> None:
    """Refused if this person sent the very same file before, with the day of it."""
    if not OWN.ask(contributor=contributor.pk, sha256=sha256):  # seldom any, and the rights check costs more
        return
    same = Image.objects.with_live_basis().filter(consent__contributor=contributor, sha256=sha256)
    earlier = same.order_by("received_at").first()
    if earlier:
        raise Refused(f"You sent this one {_day(earlier.received_at)}. There is nothing to do; the first one counts.")


def _day(moment: datetime.datetime) -> str:
    today, day = timezone.localdate(), timezone.localtime(moment).date()
    if day == today:
        return "earlier today"
    return f"on {date_format(day, 'l' if today - day <= WEEK else 'j F Y')}"


# --- Where the bytes are -------------------------------------------------------------------------


def _discard(upload_id: uuid.UUID) -> None:
    if parts.on_disk():
        parts.delete(upload_id)
    else:
        multipart.delete(upload_id)


def offset_of(*, upload: Upload) -> int:
    """How many bytes of an upload are there (on S3: all or none)."""
    if upload.settled_at:
        return upload.byte_length
    return (parts.size(upload.pk) if parts.on_disk() else multipart.size(upload.pk)) or 0


# --- Taken in ------------------------------------------------------------------------------------


def finish_upload(*, upload: Upload) -> bool:
    """Take in what has arrived: an image, or a refusal in words. Harmless to do twice, killed anywhere it goes on.

    False: it is settled already, or in other hands. Storage that is away raises; the sweep tries again.
    """
    if not _claim(upload):
        return False
    if Image.objects.filter(pk=upload.pk).exists():
        _note(upload)
    else:
        _take_in(upload)
    _discard(upload.pk)
    return True


def _claim(upload: Upload) -> bool:
    """Have an upload to ourselves for a while; False: it is settled, gone or in other hands."""
    now = timezone.now()
    free = Upload.objects.filter(pk=upload.pk, settled_at__isnull=True, claimed_until__lte=now)
    return bool(free.update(claimed_until=now + LEASE))


def _note(upload: Upload, refusal: str = "") -> bool:
    """Settle an upload; False: it is settled already, or dropped."""
    mine = Upload.objects.filter(pk=upload.pk, settled_at__isnull=True)
    return bool(mine.update(settled_at=timezone.now(), refusal=refusal[:400]))


def _take_in(upload: Upload) -> None:
    """Make the image of an upload and settle it with that, or settle it with what the sender has to know."""
    try:
        with storage.uploads().open(parts.key_of(upload.pk), "rb") as file:
            sha256 = file_sha256(file)
            _check_bytes(upload, file.size, sha256)
            receive_image(
                contributor=upload.contributor,
                consent=upload.consent,
                call=upload.call,
                file=file,
                client_name=upload.client_name,
                image_id=upload.pk,
                sha256=sha256,
                note=lambda: _settle(upload),
            )
    except (IntegrityError, Refused, _Dropped) as failure:
        if Image.objects.filter(pk=upload.pk).exists():  # somebody whose lease was over had made it
            _note(upload)
        elif isinstance(failure, Refused):
            _note(upload, str(failure))
        elif isinstance(failure, _Dropped):
            storage.delete_bytes(upload.pk)
        else:
            raise


class _Dropped(Exception):
    """Our lease was over, and its sender dropped it meanwhile, or somebody else settled it: there is no image."""


def _settle(upload: Upload) -> None:
    if not _note(upload):
        raise _Dropped


def _check_bytes(upload: Upload, byte_size: int, sha256: str) -> None:
    if byte_size != upload.byte_length or (upload.sha256 and sha256 != upload.sha256):
        raise Refused("This photograph was damaged on its way. Please send it again.")
    refuse_own_copy(contributor=upload.contributor, sha256=sha256)


# --- Gone ----------------------------------------------------------------------------------------


def drop_upload(upload: Upload) -> bool:
    """Forget an upload and its bytes; False: it is being taken in at this moment, or was.

    Bytes go first: killed in between, the row still names the work.
    """
    if upload.settled_at is None:
        if not _claim(upload):
            return False
        if Image.objects.filter(pk=upload.pk).exists():  # whoever took it in was killed before they noted it
            _note(upload)
            _discard(upload.pk)
            return False
    _discard(upload.pk)
    # As we saw it: whoever took it in all the same, with a lease that was over, has settled it, and it stays.
    return bool(Upload.objects.filter(pk=upload.pk, settled_at=upload.settled_at).delete()[0])


def settle_uploads(*, clock: datetime.datetime | None = None, most: int = 500) -> list[uuid.UUID]:
    """Take in what arrived and was left lying, and drop what expired or lost its consent; the ids of new images."""
    for upload in _over(clock or trusted_now())[:most]:
        _try(drop_upload, upload)
    now = timezone.now()
    waiting = Upload.objects.filter(settled_at__isnull=True, look_at__lte=now).order_by("look_at")
    taken = [
        upload.pk for upload in waiting.select_related("contributor", "consent", "call")[:most] if _try(_look, upload)
    ]
    return list(Image.objects.filter(pk__in=taken).values_list("pk", flat=True))


def _look(upload: Upload) -> bool:
    """Take in one upload that may have arrived; else it is looked at again after a while."""
    Upload.objects.filter(pk=upload.pk).update(look_at=timezone.now() + LOOK_AGAIN)
    made = Image.objects.filter(pk=upload.pk).exists()  # killed before it was noted
    return (made or offset_of(upload=upload) >= upload.byte_length) and finish_upload(upload=upload)


def _try(work: Callable[[Upload], bool], upload: Upload) -> bool:
    """One upload whose storage is away does not hold up the others."""
    try:
        return work(upload)
    except Exception:
        logger.exception("upload %s: %s failed", upload.pk, work.__name__)
        return False


def _over(clock: datetime.datetime) -> QuerySet[Upload]:
    """Expired, or without a consent; an image that was taken in is erased by its own rules and takes its row along."""
    taken = Image.objects.filter(pk=OuterRef("pk")).exclude(status=ImageStatus.PURGED)
    ended = Q(consent__in=Consent.objects.over(clock=clock)) & ~Exists(taken)
    return Upload.objects.filter(Q(expires_at__lte=clock) | ended)


# --- What the sender hears -----------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What became of an upload so far: `state` is arriving, checking, taken or refused."""

    state: str
    message: str
    image: Image | None = None


def outcome(*, upload: Upload) -> Outcome:
    """What its sender is told now."""
    if upload.refusal:
        return Outcome("refused", upload.refusal)
    image = Image.objects.with_live_basis().filter(pk=upload.pk).prefetch_related("transitions").first()
    if image is None:
        return Outcome("checking" if upload.settled_at else "arriving", "")
    hint = describe("no_face_seen").sentence("It") if screening.without_face([image.pk]) else ""
    if image.status in PIPELINE:
        return Outcome("checking", hint, image)
    said = "" if image.status == ImageStatus.ACCEPTED else image.latest_reason().sentence("It")
    return Outcome("taken", f"{said} {hint}".strip(), image)
