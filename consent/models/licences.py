"""Licences: the right to purchased or permitted libraries."""

import datetime
import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from consent.models.consents import EVER
from consent.models.forms import Purpose, PurposeEnd


class LicenceQuerySet(models.QuerySet["Licence"]):
    def live(
        self,
        purpose: str | None = None,
        at: datetime.datetime | None = None,
        clock: datetime.datetime | None = None,
    ) -> Self:
        """Licences in force at `at` (default now), for `purpose` (a Purpose code) when one is given.

        The term's days are days of UTC, judged by `clock` (default `at`) as for consents.
        """
        at = at or timezone.now()
        day = (clock or at).date()
        over = PurposeEnd.objects.filter(purpose=OuterRef("purpose"), ended_at__lte=at)
        granted = LicencePurpose.objects.filter(~Exists(over), licence=OuterRef("pk"))
        if purpose is not None:
            granted = granted.filter(purpose=purpose)
        return self.filter(Exists(granted), starts_on__lte=day, ends_on__gte=day, created_at__lte=at)

    def over(self, purpose: str | None = None, *, clock: datetime.datetime) -> Self:
        """Licences that will never be in force again, as for consents; those that have not started are not over."""
        lasting = Licence.objects.live(purpose, EVER, clock)
        return self.exclude(pk__in=lasting).exclude(starts_on__gt=clock.date())


class PriceBasis(models.TextChoices):
    FLAT = "flat", "for the whole library"
    PER_IMAGE = "per_image", "for each image"


class Licence(models.Model):
    """The right to a purchased or permitted library (append-only)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    licensor = models.CharField(max_length=200)
    title = models.CharField(max_length=200)
    terms = models.CharField(max_length=100, help_text="SPDX identifier or LicenseRef-…")
    territory = models.CharField(max_length=100, help_text="ISO 3166 country codes, or WORLD")
    purposes = models.ManyToManyField(Purpose, through="LicencePurpose", related_name="licences")
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="Last day of the term, until midnight UTC")
    volume_cap = models.PositiveIntegerField(null=True, blank=True, help_text="Most images it covers; empty: no cap")
    price = models.DecimalField(max_digits=12, decimal_places=2)
    price_basis = models.CharField(max_length=10, choices=PriceBasis, default=PriceBasis.FLAT)
    currency = models.CharField(max_length=3, default="EUR")
    model_release = models.BooleanField(help_text="The licensor holds a model release for every person depicted")
    self_reported_attributes = models.BooleanField(
        default=False, help_text="It covers what the people depicted said about themselves, such as their skin tone"
    )
    evidence_name = models.CharField(max_length=200)
    evidence_sha256 = models.CharField(max_length=64)
    evidence_key = models.CharField(max_length=200, blank=True)  # in the `evidence` storage; empty: not kept here
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"licensor": "may be a natural person"}

    objects: ClassVar[LicenceQuerySet] = LicenceQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")),
                name="licence_ends_after_start",
                violation_error_message="The licence ends before it starts. Please check the dates.",
            ),
            models.CheckConstraint(
                condition=Q(price__gte=0),
                name="licence_price_not_negative",
                violation_error_message="The price must not be negative.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.licensor})"


class LicencePurpose(models.Model):
    """One purpose that a licence covers (append-only)."""

    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="granted")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["licence", "purpose"], name="licence_purpose_once")]


class LicenceWarning(models.Model):
    """Data managers were told that a licence ends soon or is used up (once each; a to-do until `mailed_at` is set)."""

    class Kind(models.TextChoices):
        ENDS_SOON = "ends_soon", "ends within 30 days"
        ENDED = "ended", "has ended"
        USED_UP = "used_up", "volume cap reached"

    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="warnings")
    kind = models.CharField(max_length=10, choices=Kind)
    found_at = models.DateTimeField(default=timezone.now, editable=False)
    mailed_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(default=timezone.now)  # whoever moves it on may send the mail

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["licence", "kind"], name="licence_warned_once")]

    def __str__(self) -> str:
        return f"{self.licence}: {self.get_kind_display()}"
