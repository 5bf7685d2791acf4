"""What an hour of labelling brings, by times that servers saw: the photograph was fetched here, the annotation arrived.

A browser's own count is not asked: whoever counts there decides what it says.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from statistics import median

from django.conf import settings
from django.db.models import OuterRef, Subquery

from annotation.handout_models import ImageView
from annotation.models import Annotation, Campaign

LATEST = 1000  # annotations that the median is of
FEWEST = 5  # under so many there is no telling
LONGEST = 300.0  # seconds: a longer look is a break, of which no more than this counts as work
HOUR = 3600
CENT, PLACES = Decimal("0.01"), Decimal("0.0001")


@dataclass(frozen=True)
class Wage:
    """Of one campaign, in its currency. `floor` is the least that is set for it (WAGE_FLOOR), if any."""

    hourly: Decimal
    timed: int  # annotations that the median is of
    floor: Decimal | None
    rate_needed: Decimal | None  # per annotation, to reach the floor; None while it is reached


def wage_of(campaign: Campaign) -> Wage | None:
    """None while fewer than FEWEST annotations were timed."""
    seconds = seconds_of_work(campaign)
    if len(seconds) < FEWEST:
        return None
    typical = Decimal(median(seconds))
    floor = Decimal(settings.WAGE_FLOOR[campaign.currency]) if campaign.currency in settings.WAGE_FLOOR else None
    hourly = (campaign.rate * HOUR / typical).quantize(CENT, ROUND_HALF_UP)
    short = floor is not None and hourly < floor
    needed = (floor * typical / HOUR).quantize(PLACES, ROUND_UP) if floor is not None and short else None
    return Wage(hourly=hourly, timed=len(seconds), floor=floor, rate_needed=needed)


def seconds_of_work(campaign: Campaign) -> list[float]:
    """From the last look at the photograph to the annotation, of the latest paid annotations."""
    looks = ImageView.objects.filter(
        task=OuterRef("task"), annotator=OuterRef("annotator"), served=True, at__lt=OuterRef("made_at")
    )
    paid = Annotation.objects.filter(task__campaign=campaign, earning__isnull=False)
    timed = paid.annotate(seen=Subquery(looks.order_by("-at").values("at")[:1])).filter(seen__isnull=False)
    times = timed.order_by("-made_at").values_list("made_at", "seen")[:LATEST]
    return [min((made - seen).total_seconds(), LONGEST) for made, seen in times]
