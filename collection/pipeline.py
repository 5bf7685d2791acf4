"""The walk of one image from `received` to a rest state: STEPS maps a status to one step, `advance` loops.

A step may be killed at any instruction and run again: bytes go to keys that name them, rows change in the transaction
of the move. Storage is never called inside a transaction.
"""

import datetime
import logging
import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from collection import (
    best_copies,
    edited,
    face_marks,
    fingerprints,
    freezes,
    harm_matches,
    recognition,
    screening,
    storage,
    taken_back,
)
from collection.imaging import BadImage, open_safely
from collection.models import COMPARED, Fingerprint, Image, ImageStatus, Removal, Resemblance
from collection.removals import remove_images
from consent.signing import sha256_hex

logger = logging.getLogger(__name__)

LEASE = datetime.timedelta(seconds=10)  # for one step, renewed while a file is opened; then somebody else takes over
MOST_BEGUN = 30  # times that one step is begun: a file may kill the worker itself, which then notes no failure
# After a step failed: four more attempts, spread so that storage may be away for an hour or two.
DELAYS = tuple(datetime.timedelta(seconds=seconds) for seconds in (10, 60, 600, 7200))


def sanitize(image: Image) -> bool:
    """received → sanitized: one decode; stripped bytes and preview stored, hashes taken."""
    with storage.open_original(image) as file:
        data = file.read()
    if sha256_hex(data) != image.sha256:
        raise BadImage("broken", "the stored bytes are not those that were received")
    if harm_matches.hold_known_file(image=image, data=data):
        return False
    covers = face_marks.covers_of(image)
    opened = open_safely(data, covers, beat=lambda: _renew(image))
    if covers:
        storage.delete_derivatives(image)  # the copies from before the faces were covered
    clean_sha256 = sha256_hex(opened.clean)
    if removal := recognition.find_removal([image.sha256, clean_sha256, opened.pixels_sha256]):
        return _turn_away(image, removal)
    if taken_back.was_taken_back([clean_sha256, opened.pixels_sha256], subject=image.subject):
        return Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.REJECTED, reason="taken_back")
    clean_key = storage.key_for(image.pk, clean_sha256, opened.extension)
    preview_key = storage.key_for(image.pk, sha256_hex(opened.preview), "preview.jpg")
    storage.write_once(storage.derivatives(), clean_key, opened.clean)
    storage.write_once(storage.derivatives(), preview_key, opened.preview)
    measured = fingerprints.measure(opened.canonical)
    with transaction.atomic():
        Image.objects.select_for_update(no_key=True).get(pk=image.pk)
        if face_marks.covers_of(image) != covers:  # our lease was over, and faces were covered meanwhile
            return False
        moved = _move_on(
            image,
            ImageStatus.SANITIZED,
            width=opened.width,
            height=opened.height,
            clean_key=clean_key,
            clean_sha256=clean_sha256,
            clean_format=opened.extension,
            preview_key=preview_key,
            taken_in=opened.taken_in,
        )
        if moved:
            Fingerprint.objects.create(image=image, pixels_sha256=opened.pixels_sha256, **measured)
    if not moved:
        _forget_bytes_of_purged(image)
    return moved


def _turn_away(image: Image, removal: Removal) -> bool:
    """It was erased before because of somebody in it: it is turned down, and erased like the first one."""
    with transaction.atomic():
        if Image.objects.move(image.pk, ImageStatus.RECEIVED, ImageStatus.REJECTED, reason="taken_out"):
            remove_images(images=[image], cause=removal.cause, request=removal.request)
    return False


def _forget_bytes_of_purged(image: Image) -> None:
    """The image was purged while it was decoded: what was just written must go as well."""
    if Image.objects.filter(pk=image.pk, status=ImageStatus.PURGED).exists():
        storage.delete_all(image)


def screen(image: Image) -> bool:
    """sanitized → screened, or turned down for size or light, or held for a person; frozen if it is known to harm."""
    if harm_matches.hold_known_picture(image=image):
        return False
    with storage.open_preview(image) as file:
        preview = file.read()
    found = screening.look_at(image=image, preview=preview, last_try=image.attempts >= len(DELAYS))
    with transaction.atomic():
        moved = _move_on(image, found.status, reason=found.reason, detail=found.detail[:300])
        if moved:
            screening.store_finding(image=image, finding=found)
    return moved


def deduplicate(image: Image) -> bool:
    """screened → accepted, or `duplicate` of the same person's own, or held when a person must decide.

    Looking and moving happen in one transaction under one lock, so of two copies that arrive together one is accepted.
    Pictures are laid over each other before that; a candidate that came meanwhile sends us back once more.
    """
    look = edited.look_for(image)
    waiting = look.not_compared()
    while True:
        look.compare(waiting)
        with transaction.atomic():
            fingerprints.lock_look_ups()
            waiting = look.not_compared()
            if not waiting:
                return _settle(image, look)


def _settle(image: Image, look: edited.Look) -> bool:
    """Freeze, accept, hold or turn down by what it resembles, and make it findable; False if it did not move."""
    resembled = fingerprints.resembled(image)
    for image_id, verdict in look.copied().items():
        resembled.setdefault(image_id, (Resemblance.Kind.EDITED, round(256 * (1 - verdict.score))))
    if resembled and freezes.hold_copy(image=image, originals=resembled):
        return False  # a frozen one that resembles nothing does not move either
    if resembled and taken_back.being_taken_back(resembled, subject=image.subject):
        return Image.objects.move(image.pk, ImageStatus.SCREENED, ImageStatus.REJECTED, reason="taken_back")
    found = fingerprints.matches(resembled)
    status, reason = _verdict(image, found, look)
    detail = f"{found[0].kind} {found[0].distance}/256" if found else ""
    moved = Image.objects.move(image.pk, ImageStatus.SCREENED, status, reason=reason, detail=detail)
    if moved:
        Resemblance.objects.bulk_create(
            (Resemblance(image=image, original=m.image, kind=m.kind, distance=m.distance) for m in found),
            ignore_conflicts=True,
        )
    if moved and status in COMPARED:
        look.make_findable()
    return moved


def _verdict(image: Image, found: list[fingerprints.Match], look: edited.Look) -> tuple[ImageStatus, str]:
    if not found:
        return ImageStatus.ACCEPTED, ""
    own = [match for match in found if match.image.subject == image.subject]
    if len(own) < len(found):
        return ImageStatus.NEEDS_REVIEW, "resembles_other_person"
    mirrored = {image_id for image_id, verdict in look.copied().items() if verdict.mirrored}
    if all(match.kind == Resemblance.Kind.MIRRORED or match.image.pk in mirrored for match in own):
        return ImageStatus.NEEDS_REVIEW, "mirrored"
    # Whichever is better, the first one stays: releases may hold it.
    better = best_copies.best_of([image, *(match.image for match in own)]) == image
    return ImageStatus.DUPLICATE, "better_copy" if better else "duplicate"


STEPS: dict[str, Callable[[Image], bool]] = {
    ImageStatus.RECEIVED: sanitize,
    ImageStatus.SANITIZED: screen,
    ImageStatus.SCREENED: deduplicate,
}


def advance(image_id: uuid.UUID) -> None:
    """Take an image as far as it gets now. Without a live basis, at rest, not due, or in other hands it stays put."""
    image = _claim(image_id)
    while image and _step(image):
        image = Image.objects.filter(pk=image_id, status__in=STEPS).first()


def _move_on(image: Image, new: str, **fields: Any) -> bool:
    """Move an image that is in our hands. If there is a further step it stays there: `move` has checked the rights."""
    if new in STEPS:
        fields |= {"begun": 1, "next_attempt_at": timezone.now() + LEASE}
    return Image.objects.move(image.pk, image.status, new, **fields)


def _claim(image_id: uuid.UUID) -> Image | None:
    """The image, if a step is due and nobody else is at it: else a sweep would decode again what a task decodes.

    That it was begun is counted, so that a file which kills its worker each time comes to an end as well.
    """
    due = Image.objects.live_now().due().filter(pk=image_id)
    taken = due.update(next_attempt_at=timezone.now() + LEASE, begun=F("begun") + 1)
    return Image.objects.get(pk=image_id) if taken else None


def _renew(image: Image) -> None:
    Image.objects.filter(pk=image.pk, status=image.status).update(next_attempt_at=timezone.now() + LEASE)


def _step(image: Image) -> bool:
    """One step of one image; False when it did not move."""
    if image.begun > MOST_BEGUN:
        return _give_up(image, "the worker was killed each time")
    try:
        return STEPS[image.status](image)
    except BadImage as bad:
        return Image.objects.move(
            image.pk, image.status, ImageStatus.REJECTED, reason=bad.reason, detail=str(bad)[:300]
        )
    except Exception as error:
        # Whatever it is (storage away, disk full, a bug), the image waits and the sweep tries again.
        logger.exception("image %s: step after %s failed", image.pk, image.status)
        _note_failure(image, error)
        return False


def _note_failure(image: Image, error: Exception) -> None:
    if image.attempts >= len(DELAYS):
        _give_up(image, type(error).__name__)
        return
    Image.objects.filter(pk=image.pk, status=image.status).update(
        attempts=image.attempts + 1,
        last_error=f"{type(error).__name__}: {error}"[:2000],
        next_attempt_at=timezone.now() + DELAYS[image.attempts],
    )


def _give_up(image: Image, why: str) -> bool:
    """What was opened once is fine as a picture: a person decides. What never was can only be asked for again."""
    rest = ImageStatus.REJECTED if image.status == ImageStatus.RECEIVED else ImageStatus.NEEDS_REVIEW
    return Image.objects.move(image.pk, image.status, rest, reason="could_not_open", detail=why)
