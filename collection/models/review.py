"""The review desk's rows: who has which case now, what was decided, and what became of each decision."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.images import Image


class ReviewDecision(models.Model):
    """What one reviewer decided about one held image (append-only). It takes effect later: see ReviewOutcome.

    A decision on somebody's identity needs two people: the second one's row names the first.
    """

    class Kind(models.TextChoices):
        ACCEPT = "accept", "accepted"
        COPY = "duplicate", "a copy"
        DISTINCT = "distinct", "not a copy"
        REJECT = "reject", "turned down"
        MINOR = "minor", "may be a minor"

    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="review_decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="review_decisions")
    kind = models.CharField(max_length=10, choices=Kind)
    reason = models.CharField(max_length=60, blank=True)  # why it is turned down: a key of collection.reasons.REASONS
    queue = models.CharField(max_length=20)  # a key of collection.queues.QUEUES
    claimed_at = models.DateTimeField()
    decided_at = models.DateTimeField(default=timezone.now, editable=False)
    takes_effect_at = models.DateTimeField()  # until then it can be undone
    seconds = models.PositiveIntegerField()  # that the reviewer was at it
    first = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="seconds_of")
    first_reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"reviewer": "staff user", "first_reviewer": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(first__isnull=True, first_reviewer__isnull=True)
                | Q(first__isnull=False, first_reviewer__isnull=False) & ~Q(first_reviewer=F("reviewer")),
                name="review_four_eyes",
            ),
            models.CheckConstraint(
                condition=Q(kind="reject") & ~Q(reason="") | ~Q(kind="reject") & Q(reason=""),
                name="review_reason_if_rejected",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=("accept", "duplicate", "distinct", "reject", "minor")), name="review_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(takes_effect_at__gte=F("decided_at")), name="review_takes_effect_after_decision"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["decided_at"], name="review_decided_at")]

    def __str__(self) -> str:
        return f"decision {self.pk} on {self.image_id}"

    def seconds_left(self) -> int:
        """Until it takes effect."""
        return max(0, round((self.takes_effect_at - timezone.now()).total_seconds()))


class ReviewOutcome(models.Model):
    """What became of one decision (append-only). One row per decision: undo and effect race for it, and one wins."""

    class Kind(models.TextChoices):
        APPLIED = "applied", "took effect"
        UNDONE = "undone", "undone"
        CONFIRMED = "confirmed", "confirmed by a second person"
        OVERRULED = "overruled", "overruled by a second person"
        VOID = "void", "overtaken: the permission ended, or the photograph was settled otherwise"

    decision = models.OneToOneField(ReviewDecision, primary_key=True, on_delete=models.PROTECT, related_name="outcome")
    kind = models.CharField(max_length=10, choices=Kind)
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=("applied", "undone", "confirmed", "overruled", "void")),
                name="review_outcome_known",
            )
        ]


class ReviewNote(models.Model):
    """A reviewer's free words. Apart from the decision, which stays: they go when the photograph is erased."""

    decision = models.OneToOneField(ReviewDecision, primary_key=True, on_delete=models.PROTECT, related_name="note")
    text = models.CharField(max_length=300)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"text": "may describe the person; deleted on purge"}


class ReviewCase(models.Model):
    """Where a held image stands at the desk: who has it until when, and which decision waits to take effect.

    One row per image and conditional UPDATEs: two reviewers never hold one case. Deleted once the image is settled.
    """

    image = models.OneToOneField(Image, primary_key=True, on_delete=models.CASCADE, related_name="review_case")
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    claimed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # the holder's last sign of life
    held_until = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)  # that the holder was at it so far
    pending = models.OneToOneField(ReviewDecision, null=True, on_delete=models.PROTECT, related_name="+")
    first = models.OneToOneField(ReviewDecision, null=True, on_delete=models.PROTECT, related_name="+")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"holder": "staff user"}

    class Meta:
        constraints: ClassVar = [
            # A holder whose account is deleted leaves the times behind; nobody else may lack them.
            models.CheckConstraint(
                condition=Q(holder__isnull=True)
                | Q(claimed_at__isnull=False, seen_at__isnull=False, held_until__isnull=False),
                name="review_case_held_until",
            ),
            models.CheckConstraint(
                condition=Q(pending__isnull=True) | Q(first__isnull=True) | ~Q(pending=F("first")),
                name="review_case_second_is_another",
            ),
        ]

    def __str__(self) -> str:
        return f"case {self.image_id}"
