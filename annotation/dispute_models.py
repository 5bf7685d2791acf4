"""Disputes: an annotator disagrees with a judgement of their work, and a second person decides."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Dispute(models.Model):
    """An annotator says that an annotation of theirs was judged wrongly (append-only): once per annotation."""

    annotation = models.OneToOneField(
        "annotation.Annotation", primary_key=True, on_delete=models.PROTECT, related_name="dispute"
    )
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotation": "whose work it is about, by pseudonym"}

    def __str__(self) -> str:
        return f"dispute of {self.annotation_id}"


class DisputeWords(models.Model):
    """What the annotator wrote. Apart, so that it can be erased: people write about themselves."""

    dispute = models.OneToOneField(Dispute, primary_key=True, on_delete=models.CASCADE, related_name="said")
    words = models.TextField()

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"words": "why somebody disagrees with how their work was judged"}

    def __str__(self) -> str:
        return f"words of the {self.dispute}"


class DisputeDecision(models.Model):
    """What a second reviewer decided (append-only)."""

    class Outcome(models.TextChoices):
        UPHELD = "upheld", "It stays as it was judged"
        GRANTED = "granted", "The annotator is right"

    dispute = models.OneToOneField(Dispute, primary_key=True, on_delete=models.PROTECT, related_name="decision")
    outcome = models.CharField(max_length=10, choices=Outcome)
    answer = models.CharField(max_length=300)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="dispute_decisions")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "answer": "what a reviewer wrote to an annotator",
        "made_by": "staff user",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(outcome__in=["upheld", "granted"]), name="dispute_outcome_known"),
            models.CheckConstraint(condition=~Q(answer=""), name="dispute_has_answer"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome}: {self.dispute}"
