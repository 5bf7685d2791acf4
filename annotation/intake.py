"""What comes back from Label Studio is judged, kept and paid: many annotations in one transaction."""

import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from annotation import training
from annotation.config import check_result, is_storable, parse_config
from annotation.handout_models import Handout
from annotation.joining_models import TrainingSet
from annotation.labelstudio import RemoteAnnotation
from annotation.models import Annotation, Annotator, Earning, FormerAccount, LabelTask
from consent import ledger
from consent.signing import sha256_hex

# In these states a task's budget is reserved, so that an annotation of it can be paid.
PAYABLE = (LabelTask.State.PUSHING, LabelTask.State.PUSHED, LabelTask.State.RETRACTING)
MOST_VERSIONS = 1000  # of one annotation: each is kept for good, and the column ends somewhere
SKIPPED = "Skipped."
LONGEST = 86_400.0  # seconds that an annotation may claim to have taken

Told = tuple[uuid.UUID, RemoteAnnotation]  # the task's asset_id, and what Label Studio says was said about it


def record_annotation(*, task: LabelTask, remote: RemoteAnnotation) -> Annotation:
    """`record_annotations` of one; the annotation as it stands then."""
    return record_annotations(told=[(task.pk, remote)])[0]


@transaction.atomic
def record_annotations(*, told: Sequence[Told]) -> list[Annotation]:
    """Keep what annotators said, in the order told, and pay for what holds, once however often it is told.

    Returns the annotation that stands for each: a new one, or the one that was there. The rows of all tasks are locked,
    so two processes judge annotations of one task one after the other.
    """
    book = _open_book(told)
    standing = [_judge(book, book.tasks[asset_id], remote) for asset_id, remote in told]
    Annotation.objects.bulk_create(book.new)
    Earning.objects.bulk_create(book.earned)
    record_earnings(book.earned)
    _note_answers(book)
    _judge_training(book)
    return standing


@dataclass
class _Book:
    """What is known of the tasks that are told of, and what is to be written."""

    tasks: dict[uuid.UUID, LabelTask]
    annotators: dict[int, Annotator]  # by user id in Label Studio
    latest: dict[uuid.UUID, Annotation]  # by unique_id
    paid: dict[uuid.UUID, dict[uuid.UUID, uuid.UUID]]  # by task: annotator and the unique_id that was paid
    paid_beside: set[tuple[uuid.UUID, uuid.UUID]]  # task and annotator paid by a dispute, which takes nobody's place
    new: list[Annotation] = field(default_factory=list)
    earned: list[Earning] = field(default_factory=list)


def _open_book(told: Sequence[Told]) -> _Book:
    # In one order, whoever locks: two sweeps that meet do not wait for each other.
    locked = LabelTask.objects.select_for_update(of=("self",)).select_related("campaign").order_by("pk")
    tasks = {task.pk: task for task in locked.filter(pk__in={asset_id for asset_id, _ in told})}
    users = {remote.user for _, remote in told if remote.user}
    annotations = Annotation.objects.filter(unique_id__in={remote.unique_id for _, remote in told})
    paid: dict[uuid.UUID, dict[uuid.UUID, uuid.UUID]] = defaultdict(dict)
    earnings = Earning.objects.filter(task__in=tasks)
    for task, annotator, unique_id in earnings.values_list("task", "annotator", "annotation__unique_id"):
        paid[task][annotator] = unique_id
    beside = Earning.objects.by_decision().filter(task__in=tasks)
    return _Book(
        tasks=tasks,
        annotators=whose_accounts(users),
        latest={one.unique_id: one for one in annotations.order_by("version")},
        paid=paid,
        paid_beside=set(beside.values_list("task", "annotator")),
    )


def whose_accounts(users: Collection[int]) -> dict[int, Annotator]:
    """Whose these accounts in Label Studio are, or were: it may give an id again, so who has it now goes first."""
    former = FormerAccount.objects.filter(label_studio_user__in=users).select_related("annotator").order_by("left_at")
    now = Annotator.objects.filter(label_studio_user__in=users)
    return {one.label_studio_user: one.annotator for one in former} | {
        one.label_studio_user: one for one in now if one.label_studio_user is not None
    }


def _judge(book: _Book, task: LabelTask, remote: RemoteAnnotation) -> Annotation:
    result = remote.result if not remote.skipped and is_storable(remote.result) else []
    # Not canonical_json: Label Studio's numbers are floats.
    sha256 = sha256_hex(json.dumps(result, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())
    latest = book.latest.get(remote.unique_id)
    annotator = book.annotators.get(remote.user) if remote.user else None
    if latest and (_was_told(latest, sha256, remote) or _is_somebody_elses(latest, task, annotator)):
        return latest
    if latest and latest.version >= MOST_VERSIONS:
        return latest
    refusal = _refusal(book, task, annotator, remote)
    annotation = Annotation(
        task=task,
        annotator=annotator,
        unique_id=remote.unique_id,
        version=latest.version + 1 if latest else 1,
        result=result,
        result_sha256=sha256,
        made_at=remote.made_at,
        lead_seconds=_believable(remote.lead_seconds),
        verdict=Annotation.Verdict.REFUSED if refusal else Annotation.Verdict.ACCEPTED,
        refusal=refusal[:200],
    )
    book.latest[remote.unique_id] = annotation
    book.new.append(annotation)
    if annotator and not refusal:
        _earn(book, annotation, annotator)
    return annotation


def _believable(seconds: float | None) -> float | None:
    """What the browser claims, if it can be added up: anything can be claimed, also infinity."""
    return seconds if seconds is not None and 0 <= seconds <= LONGEST else None


def _was_told(latest: Annotation, sha256: str, remote: RemoteAnnotation) -> bool:
    return latest.result_sha256 == sha256 or latest.made_at >= remote.made_at


def _is_somebody_elses(latest: Annotation, task: LabelTask, annotator: Annotator | None) -> bool:
    """True for work under another's unique_id: Label Studio lets anybody choose it, and would be paid as an edit."""
    other = latest.annotator_id is not None and latest.annotator_id != (annotator and annotator.pk)
    return other or latest.task_id != task.pk


def _refusal(book: _Book, task: LabelTask, annotator: Annotator | None, remote: RemoteAnnotation) -> str:
    """Why this annotation is not accepted, in words for the annotator; "" when it is."""
    if annotator is None:
        return "Made by somebody who is not one of our annotators."
    if task.state not in PAYABLE:
        return "The photograph had been withdrawn before this was sent."
    if remote.skipped:
        return SKIPPED
    if not is_storable(remote.result):
        return "The labels hold characters or numbers that cannot be kept."
    others = [who for who, unique_id in book.paid[task.pk].items() if unique_id != remote.unique_id]
    if annotator.pk in others:
        return "A second annotation by the same person of the same photograph."
    if sum((task.pk, who) not in book.paid_beside for who in others) >= task.campaign.overlap:
        return f"The photograph had all {task.campaign.overlap} annotations that were wanted already."
    return check_result(parse_config(task.campaign.config), remote.result)


def _earn(book: _Book, annotation: Annotation, annotator: Annotator) -> None:
    """Pay for the first accepted version; edits of it are paid already."""
    task = annotation.task
    if annotator.pk in book.paid[task.pk]:
        return
    book.paid[task.pk][annotator.pk] = annotation.unique_id
    campaign = task.campaign
    book.earned.append(
        Earning(
            annotation=annotation,
            task=task,
            annotator=annotator,
            amount=campaign.rate,
            currency=campaign.currency,
        )
    )


def _note_answers(book: _Book) -> None:
    """Whatever came back is held by nobody any more, and keeps no place: it is paid, or the place is free again."""
    new = Annotation.objects.filter(pk__in=[one.pk for one in book.new])
    told = Exists(new.filter(task=OuterRef("task"), annotator=OuterRef("annotator")))
    handouts = Handout.objects.filter(told, task__in={one.task_id for one in book.new})
    handouts.update(answered_at=Coalesce("answered_at", timezone.now()), place_until=None)


def _judge_training(book: _Book) -> None:
    """Whoever completed an attempt at a training learns how it went, and may be let in to what asks for it."""
    trained = {(one.annotator, one.task.campaign) for one in book.earned}
    trainings = TrainingSet.objects.in_bulk({campaign.pk for _, campaign in trained})
    for annotator, campaign in sorted(trained, key=lambda one: str(one[0].pk)):  # in one order, whoever locks
        if campaign.pk in trainings:
            training.judge(annotator=annotator, training=trainings[campaign.pk])


def record_earnings(earnings: Sequence[Earning]) -> None:
    """The ledger's entry for each earning: pseudonymous."""
    ledger.append_all(
        [
            ledger.entry(
                "earning.recorded",
                at=earning.earned_at,
                annotation=earning.annotation_id,
                annotator=earning.annotator_id,
                task=earning.task_id,
                result_sha256=earning.annotation.result_sha256,
                amount=earning.amount,
                currency=earning.currency,
            )
            for earning in earnings
        ]
    )
