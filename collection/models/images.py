"""The images and their state machine, and the rights checks that every use of one goes through."""

import datetime
import uuid
from typing import Any, ClassVar, Self

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from collection.models.calls import Call
from collection.models.holds import Freeze, Removal
from collection.models.prepared import Prepared
from collection.reasons import Reason, describe
from consent.models import Consent, Licence


class ImageStatus(models.TextChoices):
    RECEIVED = "received"
    SANITIZED = "sanitized"
    SCREENED = "screened"
    ACCEPTED = "accepted"
    NEEDS_REVIEW = "needs_review"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    PURGED = "purged"


S = ImageStatus
# The state machine: from which status an image may go where. Anything may be purged.
MOVES: dict[str, set[str]] = {
    S.RECEIVED: {S.SANITIZED, S.REJECTED, S.PURGED},
    S.SANITIZED: {S.SCREENED, S.NEEDS_REVIEW, S.REJECTED, S.PURGED},
    S.SCREENED: {S.ACCEPTED, S.NEEDS_REVIEW, S.DUPLICATE, S.REJECTED, S.PURGED},
    # Back to the start when faces are to be covered: the copies are made anew (collection.face_marks).
    S.NEEDS_REVIEW: {S.RECEIVED, S.SCREENED, S.ACCEPTED, S.DUPLICATE, S.REJECTED, S.PURGED},
    S.ACCEPTED: {S.PURGED},
    S.DUPLICATE: {S.PURGED},
    S.REJECTED: {S.PURGED},
    S.PURGED: set(),
}
PIPELINE = (S.RECEIVED, S.SANITIZED, S.SCREENED)  # statuses in which the pipeline still has work
COMPARED = (S.ACCEPTED, S.NEEDS_REVIEW)  # statuses in which an image has copies


class ImageQuerySet(models.QuerySet["Image"]):
    """The rights checks, from the lasting one to the narrowest: entitled, with_live_basis, usable_for, open_for."""

    def entitled(self, purpose: str | None = None, at: datetime.datetime | None = None) -> Self:
        """Images whose basis is in force at `at` (default now), for `purpose` when one is given, and not removed.

        What sweeps destroy goes by `lost`, which is narrower than "not entitled".
        """
        at = at or timezone.now()
        removed = Removal.objects.filter(image=OuterRef("pk"), made_at__lte=at)
        return self.filter(
            ~Exists(removed),
            Q(consent__in=Consent.objects.live(purpose, at)) | Q(licence__in=Licence.objects.live(purpose, at)),
        )

    def lost(self, purpose: str | None = None, *, clock: datetime.datetime) -> Self:
        """Images that nobody may ever use again for `purpose` (or at all): what sweeps destroy goes by this.

        `clock` is `consent.clock.trusted_now()`. Unlike what is not `entitled`, images whose licence has not started
        are not lost, nor is anything because the clock was set back.
        """
        over = Q(consent__in=Consent.objects.over(purpose, clock=clock))
        over |= Q(licence__in=Licence.objects.over(purpose, clock=clock))
        return self.filter(over | Exists(Removal.objects.filter(image=OuterRef("pk"))))

    def with_live_basis(self, purpose: str | None = None, at: datetime.datetime | None = None) -> Self:
        """Images that are entitled and not frozen by the rights desk: what may be looked at and worked on."""
        at = at or timezone.now()
        frozen = Freeze.objects.filter(image=OuterRef("pk"), frozen_at__lte=at)
        frozen = frozen.filter(Q(lifted_at__isnull=True) | Q(lifted_at__gt=at))
        return self.entitled(purpose, at).filter(~Exists(frozen))

    def usable_for(self, purpose: str, at: datetime.datetime | None = None) -> Self:
        """The rights check, which every use goes through: accepted, and the basis covers `purpose` at `at` (now)."""
        return self.with_live_basis(purpose, at).filter(status=S.ACCEPTED)

    def open_for(self, purpose: str, at: datetime.datetime | None = None) -> Self:
        """Usable, and open to *new* uses (a further label task, a further release): the basis is a licence, or a
        consent to the form's newest major version, or confirmed by one (Consent.objects.under_current_terms)."""
        current = Consent.objects.under_current_terms(purpose, at)
        return self.usable_for(purpose, at).filter(Q(licence__isnull=False) | Q(consent__in=current))

    def live_now(self) -> Self:
        """`with_live_basis` for statements that the pipeline runs on each photograph; not for subqueries."""
        return self.filter(LIVE.at(timezone.now()))

    def due(self) -> Self:
        """Images for which the pipeline has a step to do now."""
        return self.filter(status__in=PIPELINE, next_attempt_at__lte=timezone.now())

    def move(
        self, pk: uuid.UUID, old: str, new: str, *, reason: str = "", detail: str = "", actor: str = "", **fields: Any
    ) -> bool:
        """Take one image from `old` to `new`, setting `fields`, with its Transition, in one transaction.

        False: someone else was first, or the basis is no longer live (only a purge needs none).
        """
        if new not in MOVES[old]:
            raise ValueError(f"{old} -> {new} is not a move of the state machine")
        # No savepoint: two statements less for each move. What fails here is our fault, and undoes the caller's too.
        with transaction.atomic(savepoint=False):
            rows = self.filter(pk=pk, status=old)
            if new != S.PURGED:
                rows = rows.live_now()
            now = timezone.now()
            fresh = {"attempts": 0, "begun": 0, "last_error": "", "next_attempt_at": now}
            moved = rows.update(status=new, **(fresh | fields))
            if moved:
                Transition.objects.create(
                    image_id=pk, old=old, new=new, reason=reason, detail=detail, actor=actor, at=now
                )
        return bool(moved)


LIVE = Prepared(lambda at: ImageQuerySet(Image).with_live_basis(at=at))


class Image(models.Model):
    """One photograph. Its status changes only through `Image.objects.move`; purged, it stays as an empty tombstone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, null=True, on_delete=models.PROTECT, related_name="images")
    licence = models.ForeignKey(Licence, null=True, on_delete=models.PROTECT, related_name="images")
    call = models.ForeignKey(Call, null=True, on_delete=models.PROTECT, related_name="images")
    subject = models.CharField(max_length=100)  # contributor pseudonym, or "licence id:subject key" of the library
    external_id = models.CharField(max_length=300, blank=True)  # path inside the library; empty for uploads
    client_name = models.CharField(max_length=255, blank=True)  # what the contributor's file was called
    status = models.CharField(max_length=20, choices=ImageStatus, default=S.RECEIVED)
    sha256 = models.CharField(max_length=64, blank=True)  # of the original bytes; empty once purged
    byte_size = models.PositiveBigIntegerField()
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    original_key = models.CharField(max_length=200, blank=True)
    # Set by `sanitize`: upright pixel size and the stripped full-size copy plus its preview.
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    clean_key = models.CharField(max_length=200, blank=True)
    clean_sha256 = models.CharField(max_length=64, blank=True)
    clean_format = models.CharField(max_length=10, blank=True)  # file extension without the dot: jpg, png, webp
    preview_key = models.CharField(max_length=200, blank=True)
    taken_in = models.DateField(null=True)  # the month, as the camera says it: its first day
    # A crash is not a state.
    attempts = models.PositiveIntegerField(default=0)  # that failed, since the last move
    begun = models.PositiveIntegerField(default=0)  # since the last move, also those that were killed
    last_error = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "subject": "pseudonym",
        "external_id": "path in the library, which may name the person; replaced on purge",
        "client_name": "the contributor's own file name; cleared on purge",
        "original_key": "random key of the bytes of a photograph of a person",
        "clean_key": "random key of the bytes of a photograph of a person",
        "preview_key": "random key of the bytes of a photograph of a person",
        "sha256": "identifies the photograph; cleared on purge",
        "clean_sha256": "identifies the photograph; cleared on purge",
        "taken_in": "when the person was photographed, to the month; cleared on purge",
    }

    objects: ClassVar[ImageQuerySet] = ImageQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(consent__isnull=False, licence__isnull=True)
                | Q(consent__isnull=True, licence__isnull=False),
                name="image_has_exactly_one_basis",
            ),
            models.CheckConstraint(condition=Q(status__in=ImageStatus.values), name="image_status_known"),
            models.CheckConstraint(
                condition=~Q(status__in=[S.SANITIZED, S.SCREENED, S.ACCEPTED, S.NEEDS_REVIEW])
                | (~Q(clean_key="") & ~Q(clean_sha256="") & Q(width__gt=0, height__gt=0)),
                name="image_past_received_is_clean",
            ),
            models.CheckConstraint(
                condition=~Q(status=S.PURGED)
                | Q(sha256="", clean_sha256="", client_name="", original_key="", clean_key="", preview_key=""),
                name="purged_image_holds_nothing",
            ),
            models.CheckConstraint(
                condition=Q(taken_in__isnull=True) | ~Q(status=S.PURGED), name="purged_image_says_no_month"
            ),
            models.UniqueConstraint(
                fields=["licence", "external_id"],
                condition=Q(licence__isnull=False),
                name="library_image_imported_once",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["status", "next_attempt_at"], name="image_due"),
            models.Index(fields=["sha256"], name="image_sha256"),
            models.Index(fields=["clean_sha256"], name="image_clean_sha256"),  # what released copies are named by
            models.Index(fields=["consent", "status"], name="image_by_consent"),
            models.Index(fields=["subject", "status"], name="image_by_subject"),
            models.Index(fields=["call", "consent", "status"], name="image_by_call"),
        ]

    def __str__(self) -> str:
        return f"image {self.pk}"

    def latest_reason(self) -> Reason:
        """Why it stands where it stands (from `transitions`, which may be prefetched)."""
        latest = max(self.transitions.all(), key=lambda transition: transition.pk, default=None)
        return describe(latest.reason if latest else "")


class Transition(models.Model):
    """One status change of one image (append-only)."""

    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="transitions")
    old = models.CharField(max_length=20, choices=ImageStatus)
    new = models.CharField(max_length=20, choices=ImageStatus)
    reason = models.CharField(max_length=60, blank=True)  # a key of collection.reasons.REASONS
    detail = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=60, blank=True)  # "" for the pipeline, else "user:<pk>"
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"actor": "staff user id"}

    class Meta:
        indexes: ClassVar = [
            # Why an image is held: the reason of its latest row here (collection.queues).
            models.Index(fields=["image", "-id"], condition=Q(new=S.NEEDS_REVIEW), name="transition_held"),
        ]
