"""Proof that all sums about pay agree: rows with each other, with the campaigns' budgets, and with the ledger.

Everything is added as Decimal or by MoneySum, and streamed. What the ledger's tree says of single entries is verified
by consent.audit; here its amounts are added up.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_DOWN, Decimal

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from annotation.balances import NOTHING, Key, Sums, balances, sums
from annotation.intake import PAYABLE
from annotation.models import Annotation, Campaign, Earning, LabelTask, MoneySum
from annotation.payout_models import MOVES, RETURNED, Adjustment, Payment, PaymentChange, PaymentState
from annotation.payouts import CENT
from consent.models import LedgerEntry

CHUNK = 5000
# What the ledger's entries tell of, by their kind, or by the state that a payment came to.
TOLD = {
    "earning.recorded": "earnings",
    "adjustment.made": "adjustments",
    "prepared": "payments",
    "failed": "returned payments",
    "reversed": "returned payments",
}
SAID = Q(payload__contains='"kind":"earning.recorded"')
SAID |= Q(payload__contains='"kind":"adjustment.made"')
SAID |= Q(payload__contains='"kind":"payment.changed"')


def differences() -> Iterator[str]:
    """What does not agree, one sentence each, the most basic first; nothing if all is well."""
    yield from _earning_differences()
    yield from _campaign_differences()
    yield from _payment_differences()
    yield from _run_differences()
    yield from _balance_differences()
    yield from _ledger_differences()


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything read inside is of one moment, whatever is written meanwhile; inside a transaction, of that one's."""
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # a transaction of SQLite is one moment anyway
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


# --- Earnings and campaigns ----------------------------------------------------------------------


def _earning_differences() -> Iterator[str]:
    """Each earning belongs to its annotation, and each accepted annotation to an earning."""
    fits = Q(annotator=F("annotation__annotator"), task=F("annotation__task"), currency=F("task__campaign__currency"))
    for earning in Earning.objects.exclude(fits).iterator(CHUNK):
        yield f"earning {earning.pk}: its annotator, task or currency is not that of its annotation"
    paid = Earning.objects.filter(task=OuterRef("task"), annotator=OuterRef("annotator"))
    unpaid = Annotation.objects.filter(~Exists(paid), verdict=Annotation.Verdict.ACCEPTED)
    for annotation in unpaid.iterator(CHUNK):
        yield f"annotation {annotation.pk} was accepted and earned nothing"


def _campaign_differences() -> Iterator[str]:
    """What is reserved covers every open task in full, of the others what they earned, and what disputes brought."""
    for campaign in Campaign.objects.order_by("pk"):
        tasks = LabelTask.objects.filter(campaign=campaign)
        still_open = tasks.filter(state__in=PAYABLE).count()
        earned = _total(Earning.objects.filter(task__campaign=campaign))
        settled = _total(Earning.objects.of_labels().filter(task__in=tasks.exclude(state__in=PAYABLE)))
        granted = _total(Earning.objects.by_decision().filter(task__campaign=campaign))
        wanted = campaign.task_cost * still_open + settled + granted
        if campaign.reserved != wanted:
            yield (
                f"campaign {campaign.pk} ({campaign}): {campaign.reserved} {campaign.currency} are reserved, "
                f"but {still_open} open tasks and what others earned make {wanted}"
            )
        if earned > campaign.reserved:
            yield f"campaign {campaign.pk} ({campaign}): {earned} were earned of {campaign.reserved} reserved"


def _total(rows: QuerySet[Earning]) -> Decimal:
    return rows.aggregate(total=MoneySum("amount"))["total"] or NOTHING


# --- Payments ------------------------------------------------------------------------------------


def _payment_differences() -> Iterator[str]:
    """Each payment is the whole cents of the balance that it was made from, in its run's currency, counted on."""
    numbers: dict[Key, int] = defaultdict(int)
    payments = Payment.objects.select_related("run").order_by("annotator", "currency", "number")
    for payment in payments.iterator(CHUNK):
        key = (payment.annotator_id, payment.currency)
        numbers[key] += 1
        balance = payment.earned + payment.adjusted - payment.paid_before
        if payment.amount != balance.quantize(CENT, ROUND_DOWN):
            yield f"payment {payment.pk}: {payment} was paid of a balance of {balance}"
        if payment.currency != payment.run.currency:
            yield f"payment {payment.pk}: its run is in {payment.run.currency}, not in {payment.currency}"
        if payment.number != numbers[key]:
            yield f"payment {payment.pk}: it is number {payment.number} of its annotator, not {numbers[key]}"


def _run_differences() -> Iterator[str]:
    """Payments moved step by step, and none was sent that a second person had not approved."""
    payments = Payment.objects.select_related("run").prefetch_related("changes").order_by("run", "pk")
    for payment in payments.iterator(CHUNK):
        steps = [(change.old, str(change.new)) for change in sorted(payment.changes.all(), key=lambda one: one.pk)]
        state = ""
        for old, new in steps:
            if old != state or new not in MOVES.get(state, ()):
                yield f"payment {payment.pk}: “{old}” → “{new}” cannot follow “{state}”"
            state = new
        sent = any(new == PaymentState.SENT for _, new in steps)
        if not steps:
            yield f"payment {payment.pk}: nothing says what became of it"
        elif sent != (payment.run.approved_at is not None):
            yield f"payment {payment.pk}: it was {'sent' if sent else 'not sent'}, against its run's approval"


def _balance_differences() -> Iterator[str]:
    """Nobody was paid more than they earned and were given."""
    given = sums(Adjustment.objects.filter(amount__gt=0))
    for key, balance in balances().items():
        theirs = balance.earned + given.get(key, (NOTHING, 0))[0]
        if balance.paid > theirs:
            yield f"annotator {key[0]}: {balance.paid} {key[1]} were paid, but only {theirs} were theirs"


# --- The ledger ----------------------------------------------------------------------------------


def _ledger_differences() -> Iterator[str]:
    """The ledger was told of every amount, by annotator and currency."""
    told = _told()
    returned = Payment.objects.filter(Exists(PaymentChange.objects.filter(payment=OuterRef("pk"), new__in=RETURNED)))
    rows = {
        "earnings": sums(Earning.objects.all()),
        "adjustments": sums(Adjustment.objects.all()),
        "payments": sums(Payment.objects.all()),
        "returned payments": sums(returned),
    }
    for what, found in rows.items():
        for key in sorted(found.keys() | told[what].keys(), key=str):
            here, there = found.get(key, (NOTHING, 0)), told[what].get(key, (NOTHING, 0))
            if here != there:
                yield (
                    f"annotator {key[0]}: {here[1]} {what} of {here[0]} {key[1]} in all, "
                    f"but the ledger was told of {there[1]} of {there[0]}"
                )


def _told() -> dict[str, Sums]:
    """Sum and number of what the ledger's entries say, as `sums` gives them of rows."""
    told: dict[str, Sums] = {what: {} for what in TOLD.values()}
    for payload in LedgerEntry.objects.filter(SAID).values_list("payload", flat=True).iterator(CHUNK):
        entry = json.loads(payload)
        if what := TOLD.get(entry["kind"]) or TOLD.get(entry["state"]):
            key = (uuid.UUID(entry["annotator"]), entry["currency"])
            total, count = told[what].get(key, (NOTHING, 0))
            told[what][key] = (total + Decimal(entry["amount"]), count + 1)
    return told
