"""What keeps single photographs from use, whatever their basis covers: taken out for good, or held by the desk."""

import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from consent.models import Aftermath, RightsRequest


class Removal(models.Model):
    """One photograph taken out for good (append-only), whatever its basis still covers.

    What its owner kept may be erased later: then there is a second row, which says so.
    """

    class Cause(models.TextChoices):
        WITHDRAWN = "withdrawn", "taken back by the contributor"
        OBJECTED = "objected", "removed after an objection"
        DEPICTED = "depicted", "somebody in it did not agree"
        MINOR = "minor", "the person may be a minor"
        HARM = "harm", "a list of known harmful pictures has it"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey("collection.Image", on_delete=models.PROTECT, related_name="removals")
    cause = models.CharField(max_length=20, choices=Cause)
    aftermath = models.CharField(max_length=10, choices=Aftermath, default=Aftermath.ERASE)
    act = models.UUIDField(default=uuid.uuid4, editable=False, db_index=True)  # as in consent.models.Withdrawal
    request = models.ForeignKey(RightsRequest, null=True, on_delete=models.PROTECT, related_name="removals")
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image", "aftermath"], name="removed_once_per_aftermath"),
            models.CheckConstraint(condition=Q(aftermath__in=Aftermath.values), name="removal_aftermath_known"),
        ]

    def __str__(self) -> str:
        return f"removal of {self.image_id}"


class FreezeQuerySet(models.QuerySet["Freeze"]):
    def preserving(self) -> Self:
        """Freezes of open cases of known harm: their bytes are not erased, whatever else ends (ADR 0017)."""
        case = Q(request__kind=RightsRequest.Kind.HARM, request__answered_at__isnull=True)
        return self.filter(case, lifted_at__isnull=True)


class Freeze(models.Model):
    """A photograph that the rights desk holds: nobody sees or uses it until `lifted_at`. Nothing is erased by it."""

    image = models.ForeignKey("collection.Image", on_delete=models.PROTECT, related_name="freezes")
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="freezes")
    frozen_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    objects: ClassVar[FreezeQuerySet] = FreezeQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            # Lifted by mistake, it can be frozen again; the row of then stays as history.
            models.UniqueConstraint(
                fields=["image", "request"], condition=Q(lifted_at__isnull=True), name="frozen_once_at_a_time"
            ),
            models.CheckConstraint(
                condition=Q(lifted_at__isnull=True) | Q(lifted_at__gte=F("frozen_at")), name="freeze_lifted_after"
            ),
        ]

    def __str__(self) -> str:
        return f"freeze of {self.image_id}"
