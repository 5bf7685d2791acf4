"""What a comparison of both sides found: kept, so that somebody can see what Label Studio lost or brought back."""

from typing import ClassVar

from django.db import models
from django.utils import timezone


class Comparison(models.Model):
    """One look at all that a project in Label Studio has, beside all that we know to be there."""

    project = models.ForeignKey("annotation.LabelProject", on_delete=models.PROTECT, related_name="comparisons")
    at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True)  # null: it was interrupted, and is made again
    tasks = models.PositiveIntegerField(default=0)  # that Label Studio had

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        indexes: ClassVar = [models.Index(fields=["project", "-at"], name="comparison_latest")]

    def __str__(self) -> str:
        return f"comparison of {self.project} at {self.at}"


class Difference(models.Model):
    """One thing that differed, and by its kind what was done about it."""

    class Kind(models.TextChoices):
        PROJECT = "project", "The whole project was gone: it was made anew"
        LOST = "lost", "Label Studio had lost the photograph: it is sent again"
        FORGOTTEN = "forgotten", "Label Studio had lost labels that were paid: it has them again"
        MOVED = "moved", "Label Studio had it under another number"
        UNTOLD = "untold", "It had labels that we had not been told of: they are here now"
        SECOND = "second", "It was there twice: the second was deleted"
        RETURNED = "returned", "It was there again though it had been taken back: it was deleted once more"
        STRANGE = "strange", "Somebody else made this task: look at it in Label Studio"

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="differences")
    kind = models.CharField(max_length=10, choices=Kind)
    asset_id = models.UUIDField(null=True)  # of the task, where the difference is about one of ours
    external_id = models.PositiveBigIntegerField(null=True)  # what Label Studio calls it

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.external_id or self.asset_id})"
