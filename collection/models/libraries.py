"""Bought and permitted libraries: each import, the model releases that came with it, what people said of themselves."""

import datetime
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.images import Image
from consent.models import Licence


class ModelRelease(models.Model):
    """The evidence that the person in one licensed image agreed: a file of the library (append-only)."""

    image = models.OneToOneField(Image, primary_key=True, on_delete=models.PROTECT, related_name="model_release")
    name = models.CharField(max_length=300)  # what to save it as; not its path in the library, which may name people
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=200)  # in the `evidence` storage

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"key": "a signed document of a person; its bytes go with the image's"}

    def __str__(self) -> str:
        return f"model release of {self.image_id}"


class LibraryImport(models.Model):
    """One run of importing a library under a licence: how far it is, and what it brought.

    Whoever moves `next_attempt_at` on holds the run until then, under a `holder` of their own; a crash releases it by
    running out. `rows_done` counts rows of the manifest that `manifest_sha256` names: a run goes on behind them.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "waiting"
        RUNNING = "running", "running"
        DONE = "done", "done"
        FAILED = "failed", "stopped"
        CANCELLED = "cancelled", "cancelled"

    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="imports")
    source = models.CharField(max_length=300, blank=True)  # the folder, zip or prefix, or the name of the file sent
    key = models.CharField(max_length=100, blank=True)  # of the zip in the `imports` storage, until the run ends
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)
    manifest_sha256 = models.CharField(max_length=64, blank=True)
    rows = models.PositiveIntegerField(null=True)  # of the manifest; unknown before it was read
    rows_done = models.PositiveIntegerField(default=0)
    imported = models.PositiveIntegerField(default=0)
    already_there = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    left_out = models.CharField(max_length=200, blank=True)  # columns of the manifest that the licence does not carry
    # Pace of the attempt that is at work: since when, and from which row on.
    attempt_at = models.DateTimeField(null=True)
    attempt_from = models.PositiveIntegerField(default=0)
    holder = models.UUIDField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # that failed, since the last batch that came in
    last_error = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "started_by": "staff user",
        "source": "what the library's file was called",
        "key": "random key of a zip with photographs of persons; deleted when the run ends",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running", "done", "failed", "cancelled"]), name="import_state_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "running"]) | Q(finished_at__isnull=False), name="import_ends_in_time"
            ),
            models.CheckConstraint(
                condition=Q(rows_done=F("imported") + F("already_there") + F("refused_count")),
                name="import_counts_every_row_once",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "next_attempt_at"], name="import_due")]

    def __str__(self) -> str:
        return f"import {self.pk}"

    @property
    def ended(self) -> bool:
        return self.finished_at is not None

    def rows_per_second(self) -> float | None:
        """Of the attempt that is at work; None while nobody can say."""
        done = self.rows_done - self.attempt_from
        seconds = (timezone.now() - self.attempt_at).total_seconds() if self.attempt_at else 0
        return done / seconds if done and seconds > 0 and not self.ended else None

    def time_left(self) -> datetime.timedelta | None:
        """At the present pace; None while nobody can say."""
        pace = self.rows_per_second()
        return datetime.timedelta(seconds=round((self.rows - self.rows_done) / pace)) if pace and self.rows else None


class RefusedRow(models.Model):
    """One row of a manifest that was not taken in, and why. Deleted with its report, and with the image at its path."""

    run = models.ForeignKey(LibraryImport, on_delete=models.CASCADE, related_name="refused")
    line = models.PositiveIntegerField()  # of manifest.csv, the header being line 1
    path = models.CharField(max_length=300, db_index=True)  # as the manifest says it, cut off if it is longer
    reason = models.CharField(max_length=500)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "path": "path in the library, which may name the person; deleted after IMPORT_REPORT_DAYS",
        "reason": "may repeat the path",
    }

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "line"], name="row_refused_once_per_run")]

    def __str__(self) -> str:
        return f"line {self.line} of {self.run_id}"


class LicensedAttributes(models.Model):
    """What one person in licensed photographs said about themselves, for fairness checks only; never inferred by us.

    Kept apart from the images, as consent.models.Demographics: known by the image's `subject` alone, written and read
    through `collection.licensed_attributes`, and deleted on `delete_on` or with the last image of that person.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=100, unique=True)  # as Image.subject
    skin_tone = models.CharField(max_length=20, blank=True)
    age_band = models.CharField(max_length=20, blank=True)
    gender = models.CharField(max_length=20, blank=True)
    ancestry = models.CharField(max_length=40, blank=True)
    country = models.CharField(max_length=20, blank=True)
    taken_in_at = models.DateTimeField(default=timezone.now, editable=False)
    delete_on = models.DateField(db_index=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "subject": "pseudonym",
        **dict.fromkeys(
            ("skin_tone", "age_band", "gender", "ancestry", "country"), "self-reported, for fairness checks only"
        ),
    }

    def __str__(self) -> str:
        return f"attributes of {self.subject}"
