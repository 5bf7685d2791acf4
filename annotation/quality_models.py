"""How labels are judged: what is right for a gold photograph, which labels are rejected, who is paused."""

import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from annotation.dispute_models import DisputeDecision

STAFF = settings.AUTH_USER_MODEL


class GoldAnswer(models.Model):
    """What a reviewer says is right for a gold task (append-only). It may leave controls out."""

    task = models.OneToOneField(
        "annotation.LabelTask", primary_key=True, on_delete=models.PROTECT, related_name="gold_answer"
    )
    result = models.JSONField()
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="gold_answers")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"result": "labels of a photograph of a person", "made_by": "staff user"}

    def __str__(self) -> str:
        return f"gold answer of {self.task_id}"


class RejectionQuerySet(models.QuerySet["Rejection"]):
    def standing(self, at: datetime.datetime) -> Self:
        """Rejections in force at that moment: made, and no dispute of them granted yet."""
        granted = DisputeDecision.objects.filter(
            dispute=OuterRef("annotation"), outcome=DisputeDecision.Outcome.GRANTED, at__lte=at
        )
        return self.filter(~Exists(granted), at__lte=at)


class Rejection(models.Model):
    """A reviewer takes an accepted annotation out of datasets (append-only). What it earned stays earned."""

    annotation = models.OneToOneField(
        "annotation.Annotation", primary_key=True, on_delete=models.PROTECT, related_name="rejection"
    )
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="label_rejections")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"reason": "what a reviewer wrote about a label", "made_by": "staff user"}

    objects: ClassVar[RejectionQuerySet] = RejectionQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=~Q(reason=""), name="rejection_has_reason")]

    def __str__(self) -> str:
        return f"rejection of {self.annotation_id}"


class Pause(models.Model):
    """An annotator gets no more of a campaign, until `lifted_at`."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="pauses")
    campaign = models.ForeignKey("annotation.Campaign", on_delete=models.PROTECT, related_name="pauses")
    reason = models.CharField(max_length=300)
    paused_at = models.DateTimeField(default=timezone.now, editable=False)
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(STAFF, null=True, on_delete=models.SET_NULL, related_name="+")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "annotator": "pseudonym",
        "reason": "how their work was judged",
        "lifted_by": "staff user",
    }

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["annotator", "campaign"], condition=Q(lifted_at__isnull=True), name="one_pause_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"pause of {self.annotator_id} in {self.campaign}"
