"""What a campaign will cost and when it will be done, from what is there now and the pace of the last days."""

import datetime
import math
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max, Min, Q
from django.utils import timezone

from annotation import scope
from annotation.models import Annotation, Campaign, Earning, LabelTask, MoneySum

PACE_DAYS = 7  # a working week with its weekend
TWO_SIDED_95 = 1.96


@dataclass(frozen=True)
class Finish:
    """Days on which a campaign may be done, by a 95 % interval of its pace. None: not in sight at that pace."""

    early: datetime.date | None
    likely: datetime.date | None
    late: datetime.date | None


@dataclass(frozen=True)
class Forecast:
    """Images and money in the campaign's currency. `most` counts what is still being checked as if all of it passed."""

    images: int
    images_most: int
    cost: Decimal
    cost_most: Decimal
    beyond_budget: int  # images of `images` that the budget does not reach
    left: int  # annotations still wanted of `images`
    per_day: float | None  # accepted annotations a day lately; None before there are any
    finish: Finish | None  # None before anything came, and when all is done


def forecast(campaign: Campaign) -> Forecast:
    """The forecast as of now."""
    tasks = campaign.tasks.exclude(state=LabelTask.State.RETRACTED)
    here = tasks.count()
    # What was paid for photographs that are gone by now, and by disputes, for no label: it stays spent.
    beside = Q(task__state=LabelTask.State.RETRACTED) | Q(annotation__verdict=Annotation.Verdict.REFUSED)
    spent = Earning.objects.filter(beside, task__campaign=campaign)
    gone = spent.aggregate(total=MoneySum("amount"))["total"] or Decimal(0)
    waiting = scope.images_of(campaign).exclude(label_tasks__campaign=campaign).count()
    images = _within_sample(campaign, here + waiting)
    most = _within_sample(campaign, here + waiting + scope.images_coming(campaign).count())
    reached = int((campaign.budget - gone) // campaign.task_cost)
    left = max(images * campaign.overlap - Earning.objects.of_labels().filter(task__in=tasks).count(), 0)
    counted = lately(campaign)
    return Forecast(
        images=images,
        images_most=most,
        cost=gone + images * campaign.task_cost,
        cost_most=gone + most * campaign.task_cost,
        beyond_budget=max(images - reached, 0),
        left=left,
        per_day=counted[0] / counted[1] if counted else None,
        finish=finish(left, *counted, today=timezone.localdate()) if counted and left else None,
    )


def _within_sample(campaign: Campaign, images: int) -> int:
    return images if campaign.sample_size is None else min(images, campaign.sample_size)


def lately(campaign: Campaign) -> tuple[int, float] | None:
    """Accepted annotations of the last PACE_DAYS, and the days that they took; None when there are none."""
    now = timezone.now()
    since = now - datetime.timedelta(days=PACE_DAYS)
    recent = Earning.objects.of_labels().filter(task__campaign=campaign, earned_at__gte=since)
    begun = campaign.tasks.aggregate(first=Min("pushed_at"))["first"]
    last = recent.aggregate(last=Max("earned_at"))["last"]
    if last is None or begun is None:
        return None
    # At least a day: the first hour's pace is nobody's pace.
    return recent.count(), max((now - max(begun, since)) / datetime.timedelta(days=1), 1.0)


def finish(left: int, counted: int, days: float, *, today: datetime.date) -> Finish:
    """When `left` annotations will have come, if `counted` came in the last `days` and their number is Poisson's."""
    spread = TWO_SIDED_95 * math.sqrt(counted)
    return Finish(*(_day(left, (counted + off) / days, today) for off in (spread, 0.0, -spread)))


def _day(left: int, per_day: float, today: datetime.date) -> datetime.date | None:
    if per_day <= 0 or left / per_day > (datetime.date.max - today).days - 1:
        return None
    return today + datetime.timedelta(days=math.ceil(left / per_day))
