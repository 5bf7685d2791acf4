"""What becomes of a photograph that a list of known harm matches: frozen at once, and the duty is told.

Until a harm officer has looked nobody else sees it, its owner included; they are not told why.
"""

import hashlib
import logging
import uuid
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from collection import freezes, harm_lists, storage
from collection.erasure import preserved_images
from collection.models import (
    Fingerprint,
    Freeze,
    HarmAlarm,
    HarmHash,
    HarmList,
    HarmMatch,
    HarmReport,
    Image,
    ImageQuerySet,
    ImageStatus,
)
from collection.sealing import Altered
from consent import desk
from consent.clock import trusted_now
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import RightsRequest, User
from consent.refusals import Refused
from consent.roles import HARM_OFFICER, PROTECTION_OFFICER, addresses_of

logger = logging.getLogger(__name__)

COMPARED_AT_ONCE = 500  # images in one turn of the sweep


# --- Holding -----------------------------------------------------------------------------------------


def hold_known_file(*, image: Image, data: bytes) -> bool:
    """Freeze an image whose bytes are on a list, before anybody decodes them. True if it is frozen now."""
    return hold_image(image=image, found=_file_matches(image, data))


def hold_known_picture(*, image: Image) -> bool:
    """Freeze an image (with its fingerprint) that looks like a picture on a list. True if it is frozen now."""
    return hold_image(image=image, found=harm_lists.match_picture(image.fingerprint))


def _file_matches(image: Image, data: bytes) -> dict[int, int]:
    if not HarmHash.objects.exists():
        return {}
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return harm_lists.match_file(sha256=image.sha256, md5=md5)


def hold_image(*, image: Image, found: dict[int, int]) -> bool:
    """Note these matches (hash id: bits that differ) and freeze the image. What was looked at before stays decided."""
    if not found:
        return False
    with transaction.atomic():
        Image.objects.select_for_update(no_key=True).get(pk=image.pk)
        known = set(HarmMatch.objects.filter(image=image, hash__in=found).values_list("hash_id", flat=True))
        new = {pk: distance for pk, distance in found.items() if pk not in known}
        if new:
            request = _request_for(image)
            HarmMatch.objects.bulk_create(
                HarmMatch(image=image, hash_id=pk, distance=distance, request=request) for pk, distance in new.items()
            )
        return bool(freezes.frozen_images([image.pk]))


def _request_for(image: Image) -> RightsRequest:
    """One open request per image. It names nobody: no mail of ours must warn whoever sent the photograph."""
    waiting = RightsRequest.objects.filter(kind=RightsRequest.Kind.HARM, answered_at__isnull=True)
    request = waiting.filter(freezes__image=image).first()
    if request is None:
        return _open_case([image.pk], f"Photograph {image.pk} matches a list of known harmful pictures.")
    freezes.freeze_images(images=[image.pk], request=request)
    return request


def _open_case(image_ids: Collection[uuid.UUID], details: str) -> RightsRequest:
    request = desk.open_request(kind=RightsRequest.Kind.HARM, details=details)
    HarmAlarm.objects.create(request=request)
    freezes.freeze_images(images=image_ids, request=request)
    return request


# --- Lists that come after the images ------------------------------------------------------------------


def compare_due() -> None:
    """Hold some of the images that we have against each list that has not seen them all."""
    for harm_list in HarmList.objects.filter(compared_at__isnull=True):
        compare_some(harm_list=harm_list)


def compare_some(*, harm_list: HarmList) -> bool:
    """The next images, by id; True when the list is through. Killed in between, it goes on where it noted last."""
    there = Image.objects.exclude(status=ImageStatus.PURGED).order_by("pk")
    if harm_list.compared_through:
        there = there.filter(pk__gt=harm_list.compared_through)
    images = list(there.select_related("fingerprint")[:COMPARED_AT_ONCE])
    files = harm_list.hashes.filter(kind=HarmHash.Kind.MD5).exists()
    for image in images:
        found = _stored_matches(image, files)
        hold_image(image=image, found=found)
    through = len(images) < COMPARED_AT_ONCE
    values = {"compared_at": timezone.now()} if through else {"compared_through": images[-1].pk}
    HarmList.objects.filter(pk=harm_list.pk, compared_through=harm_list.compared_through).update(**values)
    return through


def _stored_matches(image: Image, files: bool) -> dict[int, int]:
    """The matches of an image that is here. Its MD5 is kept nowhere, so for that its bytes are read."""
    found = harm_lists.match_file(sha256=image.sha256, md5=_stored_md5(image) if files else "")
    own = Fingerprint.objects.filter(image=image).first()
    return {**found, **(harm_lists.match_picture(own) if own else {})}


def _stored_md5(image: Image) -> str:
    try:
        with storage.open_original(image) as file:
            return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()
    except FileNotFoundError:  # purged meanwhile
        return ""
    except Altered as altered:  # it must not hide what comes after it
        logger.error("image %s cannot be compared: %s", image.pk, altered)
        return ""


# --- Telling -----------------------------------------------------------------------------------------


def mail_due() -> int:
    """Mail the officers of each match that they have not been told of; returns of how many."""
    to = sorted({*addresses_of(PROTECTION_OFFICER), *addresses_of(HARM_OFFICER)})
    waiting = HarmAlarm.objects.filter(told_at__isnull=True, due_at__lte=timezone.now())
    if waiting and not to:
        logger.error("a list of known harm matches, and there is no %s or %s to tell", HARM_OFFICER, PROTECTION_OFFICER)
        return 0
    return sum(_mail(alarm, to) for alarm in waiting)


def _mail(alarm: HarmAlarm, to: list[str]) -> bool:
    body = render_to_string("collection/mail/harm_match.txt", {"page": absolute("harm_case", alarm.pk)})
    message = write_mail("Likeness: a photograph matches a list of known harm", body, to)
    owed = HarmAlarm.objects.filter(pk=alarm.pk, told_at__isnull=True)
    if not send_claimed(owed, message.send, what=f"the alarm of request {alarm.pk}", due="due_at"):
        return False
    owed.update(told_at=timezone.now())
    return True


# --- Deciding ----------------------------------------------------------------------------------------


def facts_of(request: RightsRequest) -> list[dict[str, Any]]:
    """What a report has to say, per photograph: which, since when, whose, and what on which list it matches.

    A copy of such a photograph is frozen with it and reported too, though it may match nothing itself.
    """
    matched = Q(harm_matches__request=request) | Q(pk__in=held_for(request).values("pk"))
    images = Image.objects.filter(matched).distinct().order_by("received_at", "pk")
    return [
        {
            "image": str(image.pk),
            "sha256": image.sha256,
            "bytes": image.byte_size,
            "received_at": image.received_at.isoformat(timespec="seconds"),
            "sent_by": image.subject,
            "matches": [
                {
                    "list": match.hash.list.name,
                    "kind": match.hash.kind,
                    "hash": match.hash.value,
                    "bits_that_differ": match.distance,
                    "matched_at": match.matched_at.isoformat(timespec="seconds"),
                }
                for match in image.harm_matches.filter(request=request).select_related("hash__list").order_by("pk")
            ],
        }
        for image in images
    ]


def report_case(*, request: RightsRequest, authority: str, reference: str, user: User) -> HarmReport:
    """Note what was reported to whom. Sent twice with the same words, it is one report."""
    if not authority.strip() or not reference.strip():
        raise Refused("Please say to whom you reported it and under which reference.")
    with transaction.atomic():
        _refuse_answered(request)
        said = {"authority": authority.strip(), "reference": reference.strip()}
        made = HarmReport.objects.filter(request=request).first()
        if made is None:
            facts = {"photographs": facts_of(request)}
            return HarmReport.objects.create(request=request, facts=facts, actor=f"user:{user.pk}", **said)
    if (made.authority, made.reference) != (said["authority"], said["reference"]):
        raise Refused("This was reported before. What was reported cannot be changed.")
    return made


def held_for(request: RightsRequest) -> ImageQuerySet:
    """What is frozen for a case and still there, also what was taken back meanwhile: kept until the case is closed."""
    frozen = Freeze.objects.filter(request=request, lifted_at__isnull=True)
    return Image.objects.exclude(status=ImageStatus.PURGED).filter(pk__in=frozen.values("image"))


def erase_case(*, request: RightsRequest, user: User) -> int:
    """Erase what was reported, and close the case; returns how many photographs.

    What was taken back meanwhile is let go to the sweep without a removal of its own: that would have a certificate of
    its own, which says why. Copies that came after the report are reported and erased in a case of their own.
    """
    report = HarmReport.objects.filter(request=request).first()
    if report is None:
        raise Refused("Please report it first: what is erased can be shown to no authority.")
    reported = {uuid.UUID(photograph["image"]) for photograph in report.facts["photographs"]}
    with transaction.atomic():
        held = set(held_for(request).values_list("pk", flat=True))
        if later := held - reported:
            _open_case(later, f"Copies of a photograph of case {request.pk} that came after it was reported.")
            freezes.lift_freezes(request=request, images=later)
            held -= later
        preserved = set(preserved_images(clock=trusted_now()).filter(pk__in=held).values_list("pk", flat=True))
        freezes.lift_freezes(request=request, images=preserved)
        freezes.erase_frozen(request=request, images=held - preserved)
        freezes.close_request(request=request, outcome="done", answer="Reported and erased.", user=user)
    return len(held)


def dismiss_case(*, request: RightsRequest, user: User) -> int:
    """It is another picture: let it go and close the case; returns how many. These matches stay decided.

    What was taken back meanwhile is erased by the next sweep.
    """
    with transaction.atomic():
        _refuse_answered(request)  # and no report is noted until we are through
        if HarmReport.objects.filter(request=request).exists():
            raise Refused("This was reported. Until the authority has answered it stays frozen; then erase it.")
        held = list(held_for(request).values_list("pk", flat=True))
        freezes.lift_freezes(request=request, images=held)
        freezes.close_request(request=request, outcome="refused", answer="Looked at: another picture.", user=user)
    return len(held)


def _refuse_answered(request: RightsRequest) -> None:
    current = RightsRequest.objects.select_for_update(no_key=True).get(pk=request.pk)
    if current.answered_at is not None:
        raise Refused("This case is closed.")
