"""Which images a campaign is to label: of its purpose, call and basis, and of those a sample where it asks for one."""

import heapq
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable
from typing import Any

from django.db.models import F, QuerySet, Value

from annotation.joining_models import TrainingSet
from annotation.models import Campaign, LabelTask
from collection.models import Image, ImageQuerySet, ImageStatus
from consent import demographics

UNDER_WAY = (ImageStatus.RECEIVED, ImageStatus.SANITIZED, ImageStatus.SCREENED, ImageStatus.NEEDS_REVIEW)


def images_of(campaign: Campaign) -> ImageQuerySet:
    """Images that the campaign may label now, planned or not, however large its sample."""
    return _in_scope(campaign, Image.objects.open_for(campaign.purpose_id))


def images_coming(campaign: Campaign) -> ImageQuerySet:
    """Images that the campaign may label if they pass their checks."""
    return _in_scope(campaign, Image.objects.with_live_basis(campaign.purpose_id).filter(status__in=UNDER_WAY))


def _in_scope(campaign: Campaign, images: ImageQuerySet) -> ImageQuerySet:
    if campaign.call_id is not None:
        images = images.filter(call=campaign.call_id)
    if campaign.basis != Campaign.Basis.ANY:
        images = images.filter(**{f"{campaign.basis}__isnull": False})
    if training := TrainingSet.objects.filter(campaign=campaign).first():
        known = LabelTask.objects.filter(campaign=training.answers_from_id, gold_answer__isnull=False)
        images = images.filter(pk__in=known.values("image"))
    return images


def unplanned(campaign: Campaign) -> list[uuid.UUID]:
    """Images to make a task of now. Ids are random, so the first by id are a random sample, the same one each time."""
    waiting = images_of(campaign).exclude(label_tasks__campaign=campaign)
    if campaign.sample_size is None:
        return list(waiting.order_by("received_at").values_list("pk", flat=True))
    planned = Image.objects.filter(
        pk__in=campaign.tasks.exclude(state=LabelTask.State.RETRACTED).values("image")
    )  # who withdraws is replaced
    room = campaign.sample_size - planned.count()
    if room <= 0:
        return []
    candidates = _with_stratum(campaign, waiting).order_by("pk").values_list("pk", "stratum")
    if campaign.strata == Campaign.Strata.NONE:
        return [pk for pk, _ in candidates[:room]]
    so_far = Counter(_with_stratum(campaign, planned).values_list("stratum", flat=True))
    return even_share(candidates, so_far, room)


def _with_stratum(campaign: Campaign, images: ImageQuerySet) -> QuerySet[Any]:
    """With the group that each image counts in; what people did not say of themselves is a group like any other."""
    if campaign.strata == Campaign.Strata.NONE:
        return images.annotate(stratum=Value(""))
    if campaign.strata == Campaign.Strata.CALL:
        return images.annotate(stratum=F("call"))
    said = demographics.said_in_force("consent__contributor", [campaign.strata])
    return images.annotate(stratum=said[campaign.strata])


def even_share(
    candidates: Iterable[tuple[uuid.UUID, Hashable]], so_far: Counter[Hashable], room: int
) -> list[uuid.UUID]:
    """Up to `room` of `candidates` (id, stratum), one at a time of the stratum that has the fewest with it."""
    waiting: dict[Hashable, deque[uuid.UUID]] = defaultdict(deque)
    for pk, stratum in candidates:
        waiting[stratum].append(pk)
    order = {stratum: number for number, stratum in enumerate(waiting)}  # strata need not be comparable
    fewest = [(so_far[stratum], order[stratum], stratum) for stratum in waiting]
    heapq.heapify(fewest)
    chosen: list[uuid.UUID] = []
    while fewest and len(chosen) < room:
        count, number, stratum = heapq.heappop(fewest)
        chosen.append(waiting[stratum].popleft())
        if waiting[stratum]:
            heapq.heappush(fewest, (count + 1, number, stratum))
    return chosen
