"""Which photographs annotators were given, and each look at one."""

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

# For an answer that Label Studio has, until it is here: far longer than a sweep takes, and so short that one that it
# lost keeps others away for a while only.
ANSWER_KEPT = timedelta(minutes=15)


class Handout(models.Model):
    """Label Studio gave a task to an annotator through the gateway: only whoever was given it may look and answer."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="handouts")
    task = models.ForeignKey("annotation.LabelTask", on_delete=models.PROTECT, related_name="handouts")
    at = models.DateTimeField(default=timezone.now, editable=False)
    answered_at = models.DateTimeField(null=True)  # or skipped; null: they hold it, and may hold only so many
    place_until = models.DateTimeField(null=True)  # until then a place of the overlap is theirs; null: none, or paid

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["annotator", "task"], name="handed_out_once")]
        indexes: ClassVar = [
            models.Index(fields=["annotator"], condition=Q(answered_at__isnull=True), name="handout_held"),
            models.Index(fields=["annotator", "at"], name="handout_last"),
            models.Index(fields=["task"], condition=Q(place_until__isnull=False), name="handout_place"),
        ]

    def __str__(self) -> str:
        return f"handout of task {self.task_id}"


class ImageView(models.Model):
    """The labelling page fetched an image from us (append-only)."""

    task = models.ForeignKey("annotation.LabelTask", on_delete=models.PROTECT, related_name="views")
    annotator = models.ForeignKey("annotation.Annotator", null=True, on_delete=models.PROTECT, related_name="views")
    served = models.BooleanField()  # False: refused by the rights check
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    def __str__(self) -> str:
        return f"view of task {self.task_id}"
