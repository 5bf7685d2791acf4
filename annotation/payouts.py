"""Pay reaches people: bank details, adjustments, payout runs and what became of each payment.

A run pays what balances hold at its moment, in whole cents; the rest stays. It is one transaction under the locks of
all annotators, so that whoever comes second finds the balances empty. Nobody has a bank file before a second person
approved the run, and from then on only the bank's answer (recorded by staff) moves a payment.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.balances import Balance, balances
from annotation.bank_details import Party, checked_bic, checked_iban, payer
from annotation.bank_files import Order, Transfer
from annotation.models import Annotator, Earning
from annotation.payout_events import record_adjustment, record_payment_change
from annotation.payout_models import (
    MOVES,
    RETURNED,
    Adjustment,
    LeftOut,
    Payee,
    Payment,
    PaymentChange,
    PaymentDetails,
    PaymentState,
    PayoutRun,
)
from consent.models import User
from consent.refusals import Refused
from consent.retention_table import PAID_ACCOUNTS

TWICE = timedelta(minutes=1)  # the same again within it is a form that was sent twice
ALONE_DAYS = 30
CENT, PLACES = Decimal("0.01"), Decimal("0.0001")
# ISO 4217: currencies whose smallest unit is not a hundredth.
WITHOUT_CENTS = frozenset(
    {
        "BHD", "BIF", "CLP", "DJF", "GNF", "IQD", "ISK", "JOD", "JPY", "KMF", "KRW", "KWD", "LYD", "OMR", "PYG", "RWF",
        "TND", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF",
    }
)  # fmt: skip


# --- To whom -------------------------------------------------------------------------------------


def give_payee(*, annotator: Annotator, details: Mapping[str, str]) -> Payee:
    """Keep where somebody wants to be paid; it takes the place of what they gave before. Refused for no IBAN or BIC."""
    checked = {**details, "iban": checked_iban(details["iban"]), "bic": checked_bic(details.get("bic", ""))}
    return Payee.objects.update_or_create(annotator=annotator, defaults={**checked, "given_at": timezone.now()})[0]


def remove_payee(*, annotator: Annotator) -> None:
    """Forget where somebody wants to be paid. Payments that were prepared already keep what they need."""
    Payee.objects.filter(annotator=annotator).delete()


def forget_bank_details() -> int:
    """Delete the accounts that payments went to long ago, and those of people who have no account here any more."""
    old = PaymentDetails.objects.filter(payment__run__prepared_at__lt=PAID_ACCOUNTS.cutoff())
    gone = Payee.objects.filter(annotator__user=None)
    return old.delete()[0] + gone.delete()[0]


# --- Corrections ---------------------------------------------------------------------------------


def adjust_pay(
    *, annotator: Annotator, amount: Decimal, currency: str, reason: str, user: User, agreed_by: User | None = None
) -> Adjustment:
    """Add to somebody's balance, or take from it, for a reason that they can read.

    Refused above what one person may correct alone, unless a second one agreed: `takes_two`, `annotation.proposals`.
    """
    exact = checked_correction(annotator, amount, reason, user)
    said = {"annotator": annotator, "amount": exact, "currency": currency, "reason": reason.strip(), "made_by": user}
    with transaction.atomic():
        Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)  # two clicks take turns
        if agreed_by in (None, user) and takes_two(annotator=annotator, amount=exact, currency=currency):
            raise Refused("A correction of this size takes a second person, who has to agree to it first.")
        if Adjustment.objects.filter(**said, made_at__gt=timezone.now() - TWICE).exists():
            raise Refused("You made this very correction a moment ago. If there is another, give it words of its own.")
        adjustment = Adjustment.objects.create(**said, agreed_by=agreed_by)
        record_adjustment(adjustment)
    return adjustment


def checked_correction(annotator: Annotator, amount: Decimal, reason: str, user: User) -> Decimal:
    """The amount to four places; Refused for none, for no reason, and for one's own pay."""
    exact = amount.quantize(PLACES)
    if exact != amount or not exact:
        raise Refused("Give an amount that is not nought, with four decimal places at most.")
    if not reason.strip():
        raise Refused("Say why: the annotator reads it.")
    if annotator.user_id == user.pk:
        raise Refused("This is your own pay. Ask a colleague to correct it.")
    return exact


def takes_two(*, annotator: Annotator, amount: Decimal, currency: str) -> bool:
    """Whether a second person has to agree to a correction: with all that was corrected without one in the last
    ALONE_DAYS, it is more than ADJUSTED_ALONE, or they earn nothing in its currency. So nothing is gained by cutting
    it in pieces, nor by paying each piece in another currency."""
    if not Earning.objects.filter(annotator=annotator, currency=currency).exists():
        return True
    since = timezone.now() - timedelta(days=ALONE_DAYS)
    alone = Adjustment.objects.filter(annotator=annotator, currency=currency, agreed_by=None, made_at__gt=since)
    return sum(map(abs, alone.values_list("amount", flat=True)), abs(amount)) > settings.ADJUSTED_ALONE


# --- A run ---------------------------------------------------------------------------------------


@dataclass
class Plan:
    """Who a run pays and who not, and why."""

    pay: list[tuple[uuid.UUID, Balance]] = field(default_factory=list)
    leave: list[tuple[uuid.UUID, Balance, LeftOut.Reason]] = field(default_factory=list)


def plan_run(*, currency: str, minimum: Decimal) -> Plan:
    """What a run would do now. Whom we owe less than a cent is in neither list."""
    plan = Plan()
    with_details = set(Payee.objects.values_list("annotator", flat=True))
    for (annotator, _), balance in balances(currency=currency).items():
        if balance.total < CENT:
            continue
        if balance.total < minimum:
            plan.leave.append((annotator, balance, LeftOut.Reason.BELOW_MINIMUM))
        elif annotator not in with_details:
            plan.leave.append((annotator, balance, LeftOut.Reason.NO_DETAILS))
        else:
            plan.pay.append((annotator, balance))
    return plan


@transaction.atomic
def prepare_run(*, currency: str, minimum: Decimal, user: User) -> PayoutRun:
    """Set aside what everybody is owed who is owed at least `minimum` and can be paid. Refused when that is nobody."""
    paying = payer()
    if currency in WITHOUT_CENTS:
        raise Refused(f"Amounts in {currency} have no cents, and runs pay in cents. Pay in another currency.")
    if minimum < CENT:
        raise Refused("The minimum is one cent or more.")
    # Whoever prepares at the same time waits here, and finds the payments that this run made.
    list(Annotator.objects.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    plan = plan_run(currency=currency, minimum=minimum)
    if not plan.pay:
        raise Refused(_nobody(plan, currency))
    run = PayoutRun.objects.create(currency=currency, minimum=minimum, prepared_by=user, payer=asdict(paying))
    payments = Payment.objects.bulk_create(_payment(run, annotator, balance) for annotator, balance in plan.pay)
    _keep_details(payments)
    _change(payments, "", PaymentState.PREPARED, user)
    LeftOut.objects.bulk_create(
        LeftOut(run=run, annotator_id=annotator, balance=balance.total, reason=reason)
        for annotator, balance, reason in plan.leave
    )
    return run


def _nobody(plan: Plan, currency: str) -> str:
    reasons = [reason for _, _, reason in plan.leave]
    counted = [f"{reasons.count(reason)} {reason.label}" for reason in LeftOut.Reason if reason in reasons]
    return f"Nobody can be paid in {currency} now: {', '.join(counted) or 'nobody is owed a cent'}."


def _payment(run: PayoutRun, annotator: uuid.UUID, balance: Balance) -> Payment:
    return Payment(
        run=run,
        annotator_id=annotator,
        number=balance.payments + 1,
        amount=balance.total.quantize(CENT, ROUND_DOWN),
        currency=run.currency,
        earned=balance.earned,
        adjusted=balance.adjusted,
        paid_before=balance.paid,
    )


def _keep_details(payments: Sequence[Payment]) -> None:
    """The account as it is now: what the second person approves is what is paid, whatever changes meanwhile."""
    payees = Payee.objects.in_bulk([payment.annotator_id for payment in payments])
    PaymentDetails.objects.bulk_create(
        PaymentDetails(
            payment=payment,
            **{name: getattr(payees[payment.annotator_id], name) for name in PaymentDetails.FIELDS},
        )
        for payment in payments
    )


def approve_run(*, run: PayoutRun, user: User) -> None:
    """A second person lets the run go to the bank; its payments count as sent from this moment."""
    if run.prepared_by_id == user.pk:
        raise Refused("You prepared this run. Ask a second person to look at it and approve it.")
    if run.payments.filter(annotator__user=user).exists():
        raise Refused("This run pays you. Ask somebody else to look at it and approve it.")
    with transaction.atomic():
        waiting = PayoutRun.objects.filter(pk=run.pk, approved_at=None).exclude(prepared_by=user)
        if not waiting.update(approved_by=user, approved_at=timezone.now()):
            raise Refused("This run was approved already.")
        _move_run(run, PaymentState.PREPARED, PaymentState.SENT, user)
    run.refresh_from_db()


@transaction.atomic
def discard_run(*, run: PayoutRun, reason: str, user: User) -> None:
    """Drop a run that nobody approved yet: all of it goes back to the balances."""
    _move_run(run, PaymentState.PREPARED, PaymentState.FAILED, user, _said(reason))


def settle_run(*, run: PayoutRun, user: User) -> int:
    """The bank says that it paid all that is still on its way; how many payments."""
    return _move_run(run, PaymentState.SENT, PaymentState.SETTLED, user)


def record_outcome(*, payment: Payment, new: str, reason: str = "", user: User, agreed_by: User | None = None) -> None:
    """Write down what the bank says of a payment: settled, failed or reversed (came back later; both with a reason).

    What failed or was reversed is in the balance again and will be paid again: Refused unless a second person agreed.
    """
    state = checked_outcome(payment, new, reason, user)
    if new in RETURNED and agreed_by in (None, user):
        raise Refused("That a payment failed or came back takes a second person, who has to agree to it first.")
    _change([payment], state, new, user, reason.strip() if new in RETURNED else "", agreed_by)


def checked_outcome(payment: Payment, new: str, reason: str, user: User) -> str:
    """The state that the payment would leave; Refused when it cannot, for no reason where one is due, for one's own."""
    if payment.annotator.user_id == user.pk:
        raise Refused("This is your own payment. Ask a colleague to write down what the bank says.")
    state = Payment.objects.with_state().get(pk=payment.pk).state
    if state == PaymentState.PREPARED:
        raise Refused("This payment waits for approval. Approve or discard its run.")
    if new not in MOVES.get(state, ()):
        raise Refused(f"This payment is {state} already, so it cannot become {new or 'that'}.")
    if new in RETURNED:
        _said(reason)
    return state


def bank_order(*, run: PayoutRun) -> Order:
    """What an approved run tells the bank: the same whenever it is asked for. Refused before that, or long after."""
    if run.approved_at is None:
        raise Refused("Nobody approved this run yet, so there is no file. Ask a second person to look at it.")
    payments = list(run.payments.select_related("details").order_by("pk"))
    if PaymentDetails.objects.filter(payment__run=run).count() < len(payments):
        raise Refused("The accounts that this run paid to were deleted after their time, so its file cannot be made.")
    return Order(
        reference=f"LIKENESS-{run.pk}-{run.approved_at:%Y%m%d}",
        made_at=run.approved_at,
        day=run.approved_at.date(),
        currency=run.currency,
        payer=Party(**run.payer) if run.payer else payer(),  # runs from before it was kept
        text=f"Labelling, payout run {run.pk}",
        transfers=[
            Transfer(reference=payment.pk.hex, payee=_account(payment.details), amount=payment.amount)
            for payment in payments
        ],
    )


def _account(details: PaymentDetails) -> Party:
    return Party(**{name: getattr(details, name) for name in PaymentDetails.FIELDS})


def _said(reason: str) -> str:
    if not reason.strip():
        raise Refused("Say why: the people who are not paid read it.")
    return reason.strip()


def _move_run(run: PayoutRun, old: str, new: str, user: User, reason: str = "") -> int:
    """Move the payments of a run that are `old`; how many. Refused when there are none: somebody was faster."""
    moving = list(run.payments.in_state(old))
    if not moving:
        raise Refused(f"No payment of this run is {old} any more. Look at it again.")
    _change(moving, old, new, user, reason)
    return len(moving)


@transaction.atomic
def _change(
    payments: Collection[Payment], old: str, new: str, user: User, reason: str = "", agreed_by: User | None = None
) -> None:
    """Write the steps and tell the ledger; Refused when somebody else moved one of them meanwhile."""
    now = timezone.now()
    changes = [
        PaymentChange(payment=payment, old=old, new=new, reason=reason, made_by=user, at=now, agreed_by=agreed_by)
        for payment in payments
    ]
    try:
        with transaction.atomic():
            PaymentChange.objects.bulk_create(changes)
    except IntegrityError as error:
        raise Refused("Somebody else changed this in the same moment. Look at it again.") from error
    for change in changes:
        record_payment_change(change)
