"""What upper layers read of the labels."""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation.models import Annotation, Campaign, Earning, LabelTask
from annotation.quality_models import Rejection


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


def accepted_annotations(
    campaign: Campaign,
    at: datetime.datetime,
    *,
    images: Collection[uuid.UUID] | None = None,
    also_rejected: bool = False,
) -> list[AcceptedAnnotation]:
    """The annotations of a campaign that were accepted, and not rejected by a reviewer, as things stood at `at`.

    One per image and annotator, of all images or of these. The caller checks the right to the images. `also_rejected`
    is for judging people by all that they sent; no dataset is made of that.
    """
    # By task and annotator: an edit is paid already, so the pay belongs to the first version.
    tasks = campaign.tasks.all() if images is None else campaign.tasks.filter(image__in=images)
    earned = Earning.objects.filter(task__in=tasks)
    pay = {(earning.task_id, earning.annotator_id): earning for earning in earned}
    rows = _newest(tasks, at, also_rejected=also_rejected)
    return [_accepted(row, pay[row.task_id, row.annotator_id]) for row in rows if row.annotator_id]


def _newest(tasks: QuerySet[LabelTask], at: datetime.datetime, *, also_rejected: bool) -> QuerySet[Annotation]:
    told = Annotation.objects.filter(recorded_at__lte=at)
    newer = told.filter(unique_id=OuterRef("unique_id"), version__gt=OuterRef("version"))
    # Whatever is sent under the same id later: who edits a rejected answer does not bring it back.
    rejected = Rejection.objects.standing(at).filter(annotation__unique_id=OuterRef("unique_id"))
    accepted = told.filter(task__in=tasks, verdict=Annotation.Verdict.ACCEPTED)
    return (
        accepted.filter(~Exists(newer), Q() if also_rejected else ~Exists(rejected))
        .select_related("task")
        .order_by("task__image", "recorded_at", "pk")
    )


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
