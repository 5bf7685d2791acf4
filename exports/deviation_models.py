"""Deviation reports, what is to be done about them, and exceptions from the gate before publishing."""

import json
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class DeviationReport(models.Model):
    """How the groups of one release, or of all of them at the end of a quarter, compare (append-only).

    The document is about whole groups: small ones are withheld before it is written.
    """

    release = models.OneToOneField(
        "exports.Release", null=True, on_delete=models.PROTECT, related_name="deviation_report"
    )
    quarter = models.CharField(max_length=7, blank=True)  # "2026-Q4"; empty for a release's
    document = models.TextField()  # canonical JSON
    sha256 = models.CharField(max_length=64)  # of the document
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(release__isnull=False, quarter="") | (Q(release__isnull=True) & ~Q(quarter="")),
                name="report_of_release_or_quarter",
            ),
            models.UniqueConstraint(fields=["quarter"], condition=~Q(quarter=""), name="report_once_per_quarter"),
        ]

    def __str__(self) -> str:
        return f"deviation report of {self.release or self.quarter}"

    @property
    def content(self) -> dict[str, Any]:
        """The document, read."""
        content: dict[str, Any] = json.loads(self.document)
        return content


class GateException(models.Model):
    """Why a release may be published although its groups lie too far apart. A trigger refuses changes once signed.

    It holds for every draft of the same snapshot: the one it was written about is replaced by one that carries it.
    """

    release = models.OneToOneField("exports.Release", on_delete=models.PROTECT, related_name="gate_exception")
    reason = models.TextField()
    owner = models.CharField(max_length=100)  # a role or team: it goes into the release, for good
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="written_gate_exceptions"
    )
    written_at = models.DateTimeField(default=timezone.now, editable=False)
    signed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="signed_gate_exceptions"
    )
    signed_at = models.DateTimeField(null=True)
    envelope = models.TextField(blank=True)  # DSSE

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"written_by": "staff user", "signed_by": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(signed_by__isnull=True, signed_at__isnull=True, envelope="")
                | (Q(signed_by__isnull=False, signed_at__isnull=False) & ~Q(envelope="")),
                name="gate_exception_signed_whole",
            ),
            models.CheckConstraint(
                condition=Q(signed_by__isnull=True) | ~Q(signed_by=F("written_by")), name="gate_exception_four_eyes"
            ),
        ]

    def __str__(self) -> str:
        return f"exception for {self.release}"


class DeviationAction(models.Model):
    """What is to be done about a deviation, by whom and when (append-only)."""

    report = models.ForeignKey(DeviationReport, on_delete=models.PROTECT, related_name="actions")
    what = models.CharField(max_length=300)
    owner = models.CharField(max_length=100)  # a role or team
    due_on = models.DateField()
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deviation_actions")
    entered_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"entered_by": "staff user"}

    def __str__(self) -> str:
        return self.what


class DeviationActionDone(models.Model):
    """An action was carried out (append-only)."""

    action = models.OneToOneField(DeviationAction, primary_key=True, on_delete=models.PROTECT, related_name="done")
    outcome = models.CharField(max_length=300)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deviation_actions_done"
    )
    done_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"done_by": "staff user"}

    def __str__(self) -> str:
        return f"{self.action}, done"
