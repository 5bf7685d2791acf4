"""What the photographs cost: labels, licences and review, in all, per campaign and per dataset.

Money of different currencies is never added. What reviewers cost follows from their measured time and
REVIEW_HOURLY_COST; without that setting their hours are shown and cost nothing here.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum

from annotation.forecast import Forecast, forecast
from annotation.models import Annotation, Campaign, Earning, MoneySum
from annotation.payout_models import Adjustment
from collection.holdings import cost_of, licence_rows, spent
from collection.models import ReviewDecision
from consent.models import Licence, PriceBasis
from exports.models import Dataset, Release
from exports.selection import AT_ONCE, in_batches

CENT = Decimal("0.01")
HOUR = Decimal(3600)


@dataclass
class Costs:
    """In one currency. `share` is that of labels in the whole, in percent: the rule of thumb is 30.

    `corrections` of pay, which may be below nought, are part of what labels cost and belong to no campaign.
    """

    currency: str
    labels: Decimal = Decimal(0)
    licences: Decimal = Decimal(0)
    review: Decimal = Decimal(0)
    corrections: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.labels + self.licences + self.review

    @property
    def parts(self) -> list[tuple[str, Decimal, Decimal]]:
        """Name, amount, percent of the whole."""
        parts = [("Labels", self.labels), ("Licences", self.licences), ("Review", self.review)]
        return [(name, amount, 100 * amount / self.total if self.total else Decimal(0)) for name, amount in parts]

    @property
    def two(self) -> Decimal:
        """Percent of the whole that labels and licences are together: where a plot draws the third part."""
        return self.parts[0][2] + self.parts[1][2]

    @property
    def share(self) -> Decimal | None:
        return (100 * self.labels / self.total).quantize(Decimal(1)) if self.total else None


@dataclass(frozen=True)
class CampaignCosts:
    """What one campaign has cost and will cost, and what one labelled photograph costs."""

    campaign: Campaign
    earned: Decimal
    photographs: int  # with at least one accepted annotation
    forecast: Forecast | None  # None of one that is closed

    @property
    def per_photograph(self) -> Decimal | None:
        return _each(self.earned, self.photographs)

    @property
    def over(self) -> Decimal:
        """By how much the forecast is beyond the budget."""
        most = self.forecast.cost_most if self.forecast else Decimal(0)
        return max(most - self.campaign.budget, Decimal(0))


@dataclass(frozen=True)
class DatasetCosts:
    """What the rows of a dataset's newest release cost, by currency."""

    release: Release
    rows: int
    costs: list[Costs]

    @property
    def each(self) -> list[tuple[str, Decimal]]:
        """Currency and the cost of one row."""
        return [(one.currency, each) for one in self.costs if (each := _each(one.total, self.rows)) is not None]


@dataclass
class _Sums:
    by_currency: dict[str, Costs] = field(default_factory=dict)

    def of(self, currency: str) -> Costs:
        return self.by_currency.setdefault(currency, Costs(currency))

    def sorted(self) -> list[Costs]:
        return [self.by_currency[currency] for currency in sorted(self.by_currency)]


def _each(amount: Decimal, number: int) -> Decimal | None:
    return (amount / number).quantize(Decimal("0.0001"), ROUND_HALF_UP) if number else None


# --- All of it -----------------------------------------------------------------------------------


def all_costs() -> list[Costs]:
    """Everything spent so far, one for each currency."""
    sums = _Sums()
    for currency, amount in Earning.objects.order_by().values_list("currency").annotate(total=MoneySum("amount")):
        sums.of(currency).labels += amount
    for currency, amount in Adjustment.objects.order_by().values_list("currency").annotate(total=MoneySum("amount")):
        sums.of(currency).labels += amount
        sums.of(currency).corrections = amount
    for one in spent(licence_rows()):
        sums.of(one.currency).licences += one.cost
    if review := cost_of_review(hours_of_review()):
        sums.of(settings.REVIEW_CURRENCY).review += review
    return sums.sorted()


def hours_of_review() -> Decimal:
    """Measured hours at the review desk."""
    return Decimal(_seconds(ReviewDecision.objects.all())) / HOUR


def _seconds(decisions: QuerySet[ReviewDecision]) -> int:
    return decisions.aggregate(seconds=Sum("seconds"))["seconds"] or 0


def cost_of_review(hours: Decimal) -> Decimal:
    """To the cent; nought while nobody has said what an hour costs."""
    return (hours * settings.REVIEW_HOURLY_COST).quantize(CENT, ROUND_HALF_UP)


# --- Campaigns -----------------------------------------------------------------------------------


def campaign_costs() -> list[CampaignCosts]:
    """Every campaign, newest first."""
    campaigns = Campaign.objects.annotate(
        earned=MoneySum("tasks__earnings__amount"),
        labelled=Count(
            "tasks", filter=Q(tasks__earnings__annotation__verdict=Annotation.Verdict.ACCEPTED), distinct=True
        ),
    )
    return [
        CampaignCosts(
            campaign,
            campaign.earned or Decimal(0),
            campaign.labelled,
            None if campaign.state == Campaign.State.CLOSED else forecast(campaign),
        )
        for campaign in campaigns.order_by("-created_at")
    ]


# --- Datasets ------------------------------------------------------------------------------------


def dataset_costs() -> list[DatasetCosts]:
    """The newest published release of every dataset that has one."""
    found = []
    for dataset in Dataset.objects.order_by("title"):
        release = dataset.releases.filter(state=Release.State.PUBLISHED).order_by("-number").first()
        if release is not None:
            found.append(_of_release(release))
    return found


def _of_release(release: Release) -> DatasetCosts:
    spending, rows = Spending(release.dataset), 0
    for some in in_batches(release.items.order_by("pk").values_list("image", "image__licence").iterator(AT_ONCE)):
        spending.add(dict(some))
        rows += len(some)
    return DatasetCosts(release, rows, spending.costs())


class Spending:
    """What photographs cost a dataset that holds them. They come some at a time, each once.

    Labels as earned for them in its campaign, licences by photograph, review by measured time.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._earned = Earning.objects.filter(task__campaign=dataset.campaign_id).order_by()
        self._labels, self._licences, self._seconds = defaultdict[str, Decimal](Decimal), Counter[uuid.UUID](), 0

    def add(self, images: Mapping[uuid.UUID, uuid.UUID | None]) -> None:
        """Photographs by id, with their licence if they have one."""
        earned = self._earned.filter(task__image__in=images)
        for currency, amount in earned.values_list("currency").annotate(total=MoneySum("amount")):
            self._labels[currency] += amount
        self._licences.update(filter(None, images.values()))
        self._seconds += _seconds(ReviewDecision.objects.filter(image__in=images))

    def costs(self) -> list[Costs]:
        """By currency."""
        sums = _Sums()
        for currency, amount in self._labels.items():
            sums.of(currency).labels += amount
        for currency, amount in _licence_shares(self._licences).items():
            sums.of(currency).licences += amount
        if review := cost_of_review(Decimal(self._seconds) / HOUR):
            sums.of(settings.REVIEW_CURRENCY).review += review
        return sums.sorted()


def _licence_shares(counted: Mapping[uuid.UUID, int]) -> dict[str, Decimal]:
    """By currency, of so many photographs by licence. A flat price is shared by all that use the licence up."""
    used = {row.licence.pk: row.used for row in licence_rows()}
    shares: dict[str, Decimal] = defaultdict(Decimal)
    for licence in Licence.objects.filter(pk__in=counted):
        rows = counted[licence.pk]
        if licence.price_basis == PriceBasis.PER_IMAGE:
            shares[licence.currency] += cost_of(licence, rows)
        else:
            shares[licence.currency] += (licence.price * rows / max(used[licence.pk], rows)).quantize(CENT)
    return shares
