"""What can happen to images besides the pipeline: they are received, and a reviewer settles what was held."""

import datetime
import uuid
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from collection import face_marks, keys, recognition, storage, taken_back, targets
from collection.imaging import HEAD, sniff
from collection.models import Call, Image, ImageStatus, Removal
from collection.models.prepared import STAND_IN, Question
from collection.reasons import describe
from consent.contact import touch
from consent.models import Consent, Contributor, FormText, RightsRequest, User
from consent.refusals import Refused
from consent.signing import file_sha256

__all__ = (
    "Refused", "check_original", "check_sender", "receive_image", "refuse_unready", "settle_review", "signed_consent",
    "store_original", "taken_out", "write_original",
)  # fmt: skip

# Where each decision leads, and the reason that the contributor reads.
DECISIONS = {
    "accept": (ImageStatus.ACCEPTED, "reviewer"),
    "duplicate": (ImageStatus.DUPLICATE, "copy"),
    "reject": (ImageStatus.REJECTED, "unsuitable"),
}


def _usual(contributor: uuid.UUID, call: int, at: datetime.datetime) -> QuerySet[Consent, tuple[uuid.UUID]]:
    """Consents under which this person may send to the call as nearly everybody does: in force under the text of today,
    of nobody who may be a minor, to an open call without targets that takes more of them. The newest first."""
    calls = targets.with_room(contributor).open(at).filter(pk=call)
    live = Consent.objects.live(at=at).exclude(text__in=FormText.objects.outdated(at))
    theirs = live.filter(~Exists(_possible_minors().filter(pk=contributor)), contributor=contributor)
    return theirs.filter(text__form__in=calls.values("form")).order_by("-signed_at").values_list("pk")


USUAL = Question(_usual, contributor=uuid.UUID(int=1), call=987_654_321, at=STAND_IN)


def _usual_consents(contributor: Contributor, call: Call) -> list[uuid.UUID]:
    found = USUAL.ask(contributor=contributor.pk, call=call.pk, at=timezone.now())
    return [uuid.UUID(str(consent)) for (consent,) in found]  # SQLite tells it as text


def signed_consent(*, contributor: Contributor, call: Call) -> Consent | None:
    """The newest consent in force that this contributor gave under the call's form, as it stands now."""
    if usual := _usual_consents(contributor, call):
        return Consent.objects.get(pk=usual[0])
    live = Consent.objects.live().filter(contributor=contributor, text__form=call.form_id).select_related("text")
    return next((consent for consent in live.order_by("-signed_at") if consent.has_current_terms()), None)


def check_sender(*, contributor: Contributor, consent: Consent, call: Call) -> None:
    """Refused unless this person may send photographs to this call under this consent, now."""
    if consent.pk in _usual_consents(contributor, call):
        return
    if consent.contributor_id != contributor.pk:
        raise Refused("This consent is somebody else's.")
    if not Consent.objects.live().filter(pk=consent.pk).exists():
        raise Refused("Your permission is no longer in force. Please sign again before you send photographs.")
    if _possible_minors().filter(pk=contributor.pk).exists():
        raise Refused(
            "At the moment we take no photographs from this account, because its owner may not be an adult yet. Please "
            "write to us if that is wrong."
        )
    if not consent.has_current_terms():
        raise Refused(
            "The text that you signed has changed since. Please sign the new one before you send photographs."
        )
    if consent.text.form_id != call.form_id:
        raise Refused("This call has another form. Please sign that one before you send photographs.")
    if not call.is_open():
        raise Refused("This call is closed. Thank you for wanting to help.")
    if refusal := targets.standing(contributor=contributor, call=call).refusal:
        raise Refused(refusal)


def receive_image(
    *,
    contributor: Contributor,
    consent: Consent,
    call: Call,
    file: File,
    client_name: str = "",
    image_id: uuid.UUID | None = None,
    sha256: str = "",
    note: Callable[[], None] = lambda: None,
) -> Image:
    """Take in one upload: bytes first, then the row in status `received`. Refused says what is wrong with it.

    Whoever may be killed on the way and tries again names the `image_id`, which exists once. Who knows the file's
    `sha256` says it. `note` is called in the transaction that makes the image.
    """
    check_sender(contributor=contributor, consent=consent, call=call)
    stored = store_original(file, subject=str(contributor.pk), image_id=image_id, sha256=sha256)
    try:
        with transaction.atomic():
            targets.hold_place(contributor=contributor, call=call)
            image = Image.objects.create(**stored, consent=consent, call=call, client_name=client_name[:255])
            touch(contributor=contributor)
            note()
    except Refused:  # somebody was faster while the bytes were written
        if not Image.objects.filter(pk=stored["id"]).exists():
            storage.delete_bytes(stored["id"])
        raise
    return image


def _possible_minors() -> QuerySet[Contributor]:
    """People of whom the desk has to decide, or has decided, that they may not take part."""
    asked = RightsRequest.objects.filter(
        kind=RightsRequest.Kind.MINOR, contributor=OuterRef("pk"), answered_at__isnull=True
    )
    found = Removal.objects.filter(cause=Removal.Cause.MINOR, image__consent__contributor=OuterRef("pk"))
    return Contributor.objects.filter(Exists(asked) | Exists(found))


def store_original(file: File, *, subject: str, image_id: uuid.UUID | None = None, sha256: str = "") -> dict[str, Any]:
    """Check a file, write its bytes under a key of `subject`, and give the fields of Image that say so.

    Refused says what is wrong with it.
    """
    extension, digest = check_original(file), sha256 or file_sha256(file)
    if recognition.is_remembered(digest):
        _refuse_known(digest, subject)
    return write_original(file, digest, extension, subject=subject, image_id=image_id)


def _refuse_known(sha256: str, subject: str) -> None:
    if recognition.find_removal([sha256]):
        raise taken_out()
    if taken_back.was_taken_back([sha256], subject=subject):
        raise _refusal("taken_back")


def write_original(
    file: File,
    sha256: str,
    extension: str,
    *,
    subject: str,
    image_id: uuid.UUID | None = None,
    ring: keys.Ring | None = None,
) -> dict[str, Any]:
    """Write the bytes of a file that was checked, and give the fields of Image that say so."""
    image_id = image_id or uuid.uuid4()
    key = storage.key_for(image_id, sha256, extension)
    keys.make_image_key(image_id=image_id, subject=subject, ring=ring)
    storage.write_once(storage.originals(), key, file)
    return {"id": image_id, "subject": subject, "sha256": sha256, "byte_size": file.size, "original_key": key}


def check_original(file: File) -> str:
    """The extension of an image's file, by what it begins with. Refused says what is wrong with it."""
    extension = sniff(file.read(HEAD))
    if file.size == 0:
        raise _refusal("empty")
    if extension is None:
        raise _refusal("not_an_image")
    if file.size > settings.UPLOAD_MAX_BYTES:
        raise _refusal("too_large_file")
    return extension


def taken_out() -> Refused:
    """The very same photograph was erased because of somebody in it."""
    return _refusal("taken_out")


def _refusal(code: str) -> Refused:
    return Refused(describe(code).sentence())


def settle_review(*, image: Image, decision: str, reviewer: User, code: str = "") -> None:
    """A reviewer's word on a held image: "accept", "duplicate" or "reject". Refused if somebody was faster.

    `code` is the reason that the contributor reads, a key of collection.reasons, if not the usual one. (The desk,
    collection.review, lets a word take effect once it cannot be undone any more.)

    An image that was held before duplicates were looked for goes on to that step when it is accepted.
    """
    refuse_unready(image=image, decision=decision)
    status, usual = DECISIONS[decision]
    if status == ImageStatus.ACCEPTED and _held_by_screening(image):
        status = ImageStatus.SCREENED  # nobody has looked for copies of it yet: the pipeline goes on
    settled = Image.objects.move(
        image.pk,
        ImageStatus.NEEDS_REVIEW,
        status,
        reason=code or usual,
        actor=f"user:{reviewer.pk}",
    )
    if not settled:
        raise Refused("Somebody settled this image before you, or the permission for it ended.")


def refuse_unready(*, image: Image, decision: str) -> None:
    """Refused says what has to be done before this word can be given on this image. Asked when a reviewer decides, and
    again when the decision takes effect."""
    if decision not in DECISIONS:
        raise Refused("Choose accept, duplicate or reject.")
    if decision == "accept":
        face_marks.refuse_open_faces(image)
        taken_back.refuse_copy(image)


def _held_by_screening(image: Image) -> bool:
    held = image.transitions.filter(new=ImageStatus.NEEDS_REVIEW).order_by("pk").last()
    return held is not None and (held.old == ImageStatus.SANITIZED or held.reason == "could_not_open")
