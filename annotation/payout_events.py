"""What the ledger hears of pay after it was earned, and the same again from the rows, for audits. Pseudonymous."""

import datetime
from collections.abc import Iterator

from annotation.payout_models import Adjustment, PaymentChange
from consent import ledger
from consent.ledger import Facts
from consent.models import LedgerEntry

CHUNK = 5000


def record_adjustment(adjustment: Adjustment) -> LedgerEntry:
    """Somebody's pay was corrected. Not why: reasons are words about a person."""
    return ledger.append(**adjustment_facts(adjustment))


def record_payment_change(change: PaymentChange) -> LedgerEntry:
    """A payment was prepared, sent, settled, failed or came back."""
    return ledger.append(**change_facts(change))


def adjustment_facts(adjustment: Adjustment) -> Facts:
    """What the ledger says of an adjustment, whole."""
    return {
        "kind": "adjustment.made",
        "at": adjustment.made_at,
        "adjustment": adjustment.pk,
        "annotator": adjustment.annotator_id,
        "amount": adjustment.amount,
        "currency": adjustment.currency,
    }


def change_facts(change: PaymentChange) -> Facts:
    """What the ledger says of one step of a payment, whole."""
    payment = change.payment
    return {
        "kind": "payment.changed",
        "at": change.at,
        "payment": payment.pk,
        "run": payment.run_id,
        "annotator": payment.annotator_id,
        "amount": payment.amount,
        "currency": payment.currency,
        "state": str(change.new),
    }


def adjustment_rows(since: datetime.datetime | None) -> Iterator[tuple[Adjustment, Facts]]:
    """Each adjustment (made since then) and what the ledger must say of it: settings.LEDGER_PROOF."""
    made = Adjustment.objects.filter(made_at__gte=since) if since else Adjustment.objects.all()
    for adjustment in made.iterator(CHUNK):
        yield adjustment, adjustment_facts(adjustment)


def change_rows(since: datetime.datetime | None) -> Iterator[tuple[PaymentChange, Facts]]:
    """Each step of a payment (since then) and what the ledger must say of it: settings.LEDGER_PROOF."""
    made = PaymentChange.objects.filter(at__gte=since) if since else PaymentChange.objects.all()
    for change in made.select_related("payment").iterator(CHUNK):
        yield change, change_facts(change)
