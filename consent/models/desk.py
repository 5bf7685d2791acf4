"""The rights desk: what people ask for, and by when they must have an answer."""

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from consent.models.people import Contributor


class RightsRequest(models.Model):
    """One request of a person about their data. Due one month after receipt, or three once it was extended."""

    class Kind(models.TextChoices):
        ACCESS = "access", "access to my data (Art. 15)"
        PORTABILITY = "portability", "a copy to take along (Art. 20)"
        RECTIFICATION = "rectification", "correction (Art. 16)"
        OBJECTION = "objection", "objection (Art. 21)"
        ERASURE = "erasure", "erasure (Art. 17)"
        DEPICTED = "depicted", "I am in a photo I did not agree to"
        MINOR = "minor", "the person may be a minor"
        HARM = "harm", "a list of known harmful pictures matches"

    class Outcome(models.TextChoices):
        DONE = "done", "done"
        PARTLY = "partly", "partly done"
        REFUSED = "refused", "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    contributor = models.ForeignKey(Contributor, null=True, on_delete=models.PROTECT, related_name="requests")
    name = models.CharField(max_length=200, blank=True)
    email = models.EmailField(blank=True)
    details = models.TextField(blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField()
    extended_at = models.DateTimeField(null=True)
    extension_reason = models.TextField(blank=True)
    answered_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    answer = models.TextField(blank=True)
    handled_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    alarmed_at = models.DateTimeField(null=True)  # when the desk was last told that it is overdue
    alarm_due_at = models.DateTimeField(default=timezone.now)  # whoever moves it on may tell the desk
    # When the person was told, by mail or on the page itself. Whoever moves `mail_due_at` on may send.
    extension_told_at = models.DateTimeField(null=True)
    answer_told_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "contributor": "pseudonym",
        "name": "who asks; cleared with the account",
        "email": "where the answer goes; cleared with the account",
        "details": "what they ask for; cleared with the account",
        "answer": "what we said; cleared with the account",
        "handled_by": "staff user",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(due_at__gt=F("received_at")), name="request_due_after_receipt"),
            models.CheckConstraint(
                condition=Q(extended_at__isnull=True) | ~Q(extension_reason=""), name="extension_has_reason"
            ),
            models.CheckConstraint(
                condition=Q(answered_at__isnull=True, outcome="") | (Q(answered_at__isnull=False) & ~Q(outcome="")),
                name="answered_request_has_outcome",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(answered_at__isnull=True), name="request_open")
        ]

    def __str__(self) -> str:
        return f"request {self.pk}"

    @property
    def reply_to(self) -> str:
        """Where answers go: the account's address, or the one that was given; empty once both are gone."""
        user = self.contributor.user if self.contributor else None
        return user.email if user else self.email

    def is_overdue(self) -> bool:
        return self.answered_at is None and self.due_at < timezone.now()

    def days_left(self) -> int:
        """Whole days until it is due; negative once it is overdue."""
        return (self.due_at - timezone.now()).days
