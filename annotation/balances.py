"""What somebody is owed: earnings and adjustments, less the payments that stand. The one place that says so."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet

from annotation.models import Annotator, Earning, MoneySum
from annotation.payout_models import Adjustment, Payment

NOTHING = Decimal(0)
Key = tuple[uuid.UUID, str]  # annotator, currency
Sums = dict[Key, tuple[Decimal, int]]  # sum and number of rows


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Sums of one annotator and currency; `payments` counts all payments, also those that failed."""

    earned: Decimal = NOTHING
    adjusted: Decimal = NOTHING
    paid: Decimal = NOTHING
    annotations: int = 0
    payments: int = 0

    @property
    def total(self) -> Decimal:
        """What is owed, to four places; below nought when more was taken back than there was."""
        return self.earned + self.adjusted - self.paid


def balances(*, annotators: Collection[Annotator] | None = None, currency: str = "") -> dict[Key, Balance]:
    """Everybody's balances, or these annotators', in all currencies or one."""

    def of(rows: QuerySet) -> QuerySet:
        narrowed = rows if annotators is None else rows.filter(annotator__in=annotators)
        return narrowed.filter(currency=currency) if currency else narrowed

    earned = sums(of(Earning.objects.all()))
    adjusted = sums(of(Adjustment.objects.all()))
    paid = sums(of(Payment.objects.standing()))
    made = sums(of(Payment.objects.all()))
    return {
        key: Balance(
            earned=earned.get(key, (NOTHING, 0))[0],
            adjusted=adjusted.get(key, (NOTHING, 0))[0],
            paid=paid.get(key, (NOTHING, 0))[0],
            annotations=earned.get(key, (NOTHING, 0))[1],
            payments=made.get(key, (NOTHING, 0))[1],
        )
        for key in _keys(earned, adjusted, made)
    }


def _keys(*found: Sums) -> Iterable[Key]:
    return sorted(set().union(*found), key=lambda key: (key[1], str(key[0])))


def sums(rows: QuerySet[Any]) -> Sums:
    """Sum and number of rows that have an amount, by annotator and currency."""
    grouped = rows.order_by().values("annotator", "currency").annotate(total=MoneySum("amount"), count=Count("pk"))
    return {(row["annotator"], row["currency"]): (row["total"], row["count"]) for row in grouped}
