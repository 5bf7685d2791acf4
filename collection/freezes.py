"""Photographs that the rights desk holds. A freeze refuses every read from the next one on, and erases nothing.

Lifted, everything goes on: the pipeline's sweep finds the image again, label tasks and release files are served again.
"""

import datetime
import uuid
from collections.abc import Collection, Iterable

from django.db import transaction
from django.db.models import DateTimeField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from collection.models import Freeze, Image, ImageQuerySet, ImageStatus, Removal, Resemblance
from collection.removals import remove_images
from consent import desk, ledger
from consent.models import Aftermath, Contributor, LedgerEntry, RightsRequest, User
from consent.refusals import Refused

Kind, Cause = RightsRequest.Kind, Removal.Cause
# Why a photograph is erased, by what was asked; anything else is the contributor taking it back.
CAUSES = {
    Kind.DEPICTED: Cause.DEPICTED,
    Kind.MINOR: Cause.MINOR,
    Kind.OBJECTION: Cause.OBJECTED,
    Kind.HARM: Cause.HARM,
}


def held_images(request: RightsRequest) -> ImageQuerySet:
    """What is frozen for this request and waits for a decision."""
    freezes = Freeze.objects.filter(request=request, lifted_at__isnull=True, image=OuterRef("pk"))
    erased = Removal.objects.filter(aftermath=Aftermath.ERASE, image=OuterRef("pk"))
    there = Image.objects.exclude(status=ImageStatus.PURGED)
    return there.filter(Exists(freezes), ~Exists(erased))


def frozen_images(images: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these are frozen now, for whatever request."""
    held = Freeze.objects.filter(image__in=images, lifted_at__isnull=True)
    return set(held.values_list("image_id", flat=True))


# --- Freezing and lifting ------------------------------------------------------------------------


def freeze_images(*, images: Iterable[uuid.UUID], request: RightsRequest) -> list[Freeze]:
    """Freeze these images (ids) for an open request; returns the new freezes. What it holds already stays as it is."""
    with transaction.atomic():
        _refuse_answered(request)
        # Sent twice at the same moment, the second sees what the first did.
        held = Image.objects.select_for_update(no_key=True).filter(pk__in=list(images)).order_by("pk")
        there = held.exclude(status=ImageStatus.PURGED).values_list("pk", flat=True)
        known = set(_open_freezes(request).values_list("image_id", flat=True))
        made = [Freeze(image_id=image_id, request=request) for image_id in there if image_id not in known]
        Freeze.objects.bulk_create(made, batch_size=500)
        for freeze in made:
            record_freeze(freeze)
    return made


def lift_freezes(*, request: RightsRequest, images: Collection[uuid.UUID]) -> int:
    """Let these images (ids) go; returns how many were frozen for this request. Other requests may still hold them."""
    with transaction.atomic():
        _refuse_answered(request)
        lifted = list(_open_freezes(request).filter(image__in=images))
        # A clock that was set back must not make an end before the start.
        now = Greatest("frozen_at", Value(timezone.now(), output_field=DateTimeField()))
        Freeze.objects.filter(pk__in=[freeze.pk for freeze in lifted]).update(lifted_at=now)
        for freeze in lifted:
            record_lift(freeze)
    return len(lifted)


def erase_frozen(*, request: RightsRequest, images: Collection[uuid.UUID]) -> list[Removal]:
    """Take out for good these images (ids), as far as this request holds them."""
    with transaction.atomic():
        _refuse_answered(request)
        cause = CAUSES.get(Kind(request.kind), Cause.WITHDRAWN)
        return remove_images(images=held_images(request).filter(pk__in=images), cause=cause, request=request)


def close_request(*, request: RightsRequest, outcome: str, answer: str, user: User) -> RightsRequest:
    """Answer a request whose photographs are all decided on."""
    with transaction.atomic():
        RightsRequest.objects.select_for_update(no_key=True).get(pk=request.pk)
        if left := held_images(request).count():
            raise Refused(f"Please decide on the frozen photographs first: {left} wait. Lift the freeze or erase them.")
        return desk.answer_request(request=request, outcome=outcome, answer=answer, user=user)


def _refuse_answered(request: RightsRequest) -> None:
    """Whoever holds the row's lock sees the answer of whoever had it before."""
    current = RightsRequest.objects.select_for_update(no_key=True).get(pk=request.pk)
    if current.answered_at is not None:
        raise Refused("This request was answered before. Its photographs cannot be changed any more.")


def _open_freezes(request: RightsRequest) -> QuerySet[Freeze]:
    return Freeze.objects.filter(request=request, lifted_at__isnull=True)


def record_freeze(freeze: Freeze) -> LedgerEntry:
    """Nobody may look at an image until the desk has decided."""
    return ledger.append("image.frozen", at=freeze.frozen_at, image=freeze.image_id, request=freeze.request_id)


def record_lift(freeze: Freeze) -> LedgerEntry:
    """The desk let an image go."""
    return ledger.append("image.freeze_lifted", image=freeze.image_id, request=freeze.request_id)


# --- Whom and what it concerns -------------------------------------------------------------------


def with_lookalikes(images: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """These images (ids) and every copy of them that we know of, by way of other copies too."""
    found: set[uuid.UUID] = set()
    new = set(images)
    while new:
        found |= new
        further = Resemblance.objects.filter(image__in=new).values_list("original_id", flat=True)
        backwards = Resemblance.objects.filter(original__in=new).values_list("image_id", flat=True)
        new = {*further, *backwards} - found
    return found


def hold_copy(*, image: Image, originals: Collection[uuid.UUID]) -> bool:
    """Freeze what shows the same as photographs (ids) that the desk holds: sending one again does not free it.

    True if a request holds `image` now. What the desk let go stays free.
    """
    holding = Freeze.objects.filter(image__in=originals, lifted_at__isnull=True).values("request")
    waiting = RightsRequest.objects.filter(pk__in=holding, answered_at__isnull=True).exclude(freezes__image=image)
    for request in waiting:
        if held_images(request).filter(pk__in=originals).exists():
            freeze_images(images=[image.pk], request=request)
    return bool(frozen_images([image.pk]))


def report_minor(*, image: Image) -> RightsRequest:
    """The person in an image may be a minor: everything of theirs is frozen, then the desk decides."""
    details = f"A reviewer thinks that the person in photograph {image.pk} may be a minor."
    contributor = image.consent.contributor if image.consent else None
    return _hold_person(contributor, image.subject, details)


def correct_person(*, request: RightsRequest, date_of_birth: datetime.date, country: str) -> RightsRequest | None:
    """Correct a contributor's date of birth and country. If that makes them a minor: the request that is opened."""
    with transaction.atomic():
        if desk.correct_contributor(request=request, date_of_birth=date_of_birth, country=country):
            return None
        person = request.contributor
        assert person is not None  # noqa: S101  # correct_contributor has seen to it
        return _hold_person(person, str(person.pk), "By the corrected date of birth this person is a minor.")


def _hold_person(contributor: Contributor | None, subject: str, details: str) -> RightsRequest:
    """One open request per person, however often somebody asks."""
    with transaction.atomic():
        theirs = Image.objects.filter(subject=subject)
        about = RightsRequest.objects.filter(kind=Kind.MINOR, answered_at__isnull=True)
        if contributor:
            Contributor.objects.select_for_update(no_key=True).get(pk=contributor.pk)
            theirs = Image.objects.filter(consent__contributor=contributor)
            request = about.filter(contributor=contributor).first()
        else:
            request = about.filter(freezes__image__in=theirs).first()
        request = request or desk.open_request(kind=Kind.MINOR, contributor=contributor, details=details)
        freeze_images(images=theirs.values_list("pk", flat=True), request=request)
    return request
