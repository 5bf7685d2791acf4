"""What upper layers read of the labels."""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef

from annotation.models import Annotation, Campaign, Earning


@dataclass(frozen=True)
class AcceptedAnnotation:
    """One accepted annotation in its newest version, and what was earned for it."""

    id: uuid.UUID
    image_id: uuid.UUID
    annotator_id: uuid.UUID
    result: list[dict[str, Any]]
    result_sha256: str
    made_at: datetime.datetime
    amount: Decimal
    currency: str


def accepted_annotations(campaign: Campaign, image_ids: Collection[uuid.UUID]) -> list[AcceptedAnnotation]:
    """The accepted annotations of these images, by image and time. The caller has checked the right to the images."""
    newer = Annotation.objects.filter(unique_id=OuterRef("unique_id"), version__gt=OuterRef("version"))
    rows = (
        Annotation.objects.filter(task__campaign=campaign, task__image__in=image_ids)
        .filter(~Exists(newer), verdict=Annotation.Verdict.ACCEPTED)
        .select_related("task")
        .order_by("task__image", "made_at", "pk")
    )
    earned = Earning.objects.filter(task__campaign=campaign, task__image__in=image_ids)
    pay = {(earning.task_id, earning.annotator_id): earning for earning in earned}
    return [_accepted(row, pay[row.task_id, row.annotator_id]) for row in rows if row.annotator_id]


def _accepted(row: Annotation, earning: Earning) -> AcceptedAnnotation:
    return AcceptedAnnotation(
        id=row.pk,
        image_id=row.task.image_id,
        annotator_id=earning.annotator_id,
        result=row.result,
        result_sha256=row.result_sha256,
        made_at=row.made_at,
        amount=earning.amount,
        currency=earning.currency,
    )
