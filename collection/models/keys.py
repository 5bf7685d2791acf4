"""Which key the photographs of a person are sealed under. The keys themselves are not in the database."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class SubjectKey(models.Model):
    """The key of one subject (`Image.subject`). New photographs take the open one; of a destroyed one the row stays."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    subject = models.CharField(max_length=100)
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    used_at = models.DateTimeField(default=timezone.now)  # by an upload, to within some minutes
    closed_at = models.DateTimeField(null=True)  # no new photograph is sealed under it
    destroyed_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"subject": "pseudonym"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subject"], condition=Q(closed_at__isnull=True), name="one_open_key_of_a_subject"
            ),
            models.CheckConstraint(
                condition=Q(destroyed_at__isnull=True) | Q(closed_at__isnull=False), name="destroyed_key_is_closed"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["subject"], condition=Q(destroyed_at__isnull=True), name="subject_key_in_being"),
        ]

    def __str__(self) -> str:
        return f"key {self.pk}"
