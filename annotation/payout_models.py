"""Pay after it was earned: to whom, corrections, payout runs and what became of each payment."""

import datetime
import uuid
from decimal import Decimal
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone
from stdnum import iban

STAFF = settings.AUTH_USER_MODEL


class PayeeDetails(models.Model):
    """Who gets the money and where: as pain.001 wants it, with the address in parts."""

    name = models.CharField(max_length=70)
    iban = models.CharField(max_length=34)  # without spaces
    bic = models.CharField(max_length=11, blank=True)
    street = models.CharField(max_length=70)
    building = models.CharField(max_length=16, blank=True)
    postcode = models.CharField(max_length=16)
    town = models.CharField(max_length=35)
    country = models.CharField(max_length=2)

    FIELDS: ClassVar[tuple[str, ...]] = (
        "name", "iban", "bic", "street", "building", "postcode", "town", "country",
    )  # fmt: skip

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"account ending in {self.iban[-4:]}"

    @property
    def iban_in_groups(self) -> str:
        """As people write and compare it: in groups of four."""
        return str(iban.format(self.iban))


PAYEE_DATA = dict.fromkeys(PayeeDetails.FIELDS, "to pay somebody by bank transfer")


class Payee(PayeeDetails):
    """What an annotator gave us to be paid by. Apart from the pay, so that it can be changed and erased."""

    annotator = models.OneToOneField(
        "annotation.Annotator", primary_key=True, on_delete=models.CASCADE, related_name="payee"
    )
    given_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {**PAYEE_DATA, "annotator": "whose it is"}


class Adjustment(models.Model):
    """A correction of somebody's pay, with the reason that they read (append-only). Below nought: taken back."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="adjustments")
    amount = models.DecimalField(max_digits=10, decimal_places=4)
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    agreed_by = models.ForeignKey(STAFF, null=True, on_delete=models.PROTECT, related_name="+")  # above ADJUSTED_ALONE

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "annotator": "pseudonym",
        "reason": "why somebody's pay was corrected",
        "made_by": "staff user",
        "agreed_by": "staff user",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(amount=0), name="adjustment_changes_something"),
            models.CheckConstraint(condition=~Q(reason=""), name="adjustment_has_reason"),
            models.CheckConstraint(
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("made_by")), name="adjustment_four_eyes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount:+} {self.currency}"


class PayoutRun(models.Model):
    """Everybody of one currency paid at once: prepared by one person, approved by another, and fixed from then on."""

    currency = models.CharField(max_length=3)
    minimum = models.DecimalField(max_digits=10, decimal_places=2)  # who is owed less waits for a later run
    payer = models.JSONField(null=True)  # PAYER_… as it was then: the file says the same whenever it is made
    prepared_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="+")
    prepared_at = models.DateTimeField(default=timezone.now, editable=False)
    approved_by = models.ForeignKey(STAFF, null=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"prepared_by": "staff user", "approved_by": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(minimum__gte=Decimal("0.01")), name="run_minimum_positive"),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True, approved_at__isnull=True)
                | (Q(approved_by__isnull=False, approved_at__isnull=False) & ~Q(approved_by=F("prepared_by"))),
                name="run_four_eyes",
            ),
        ]

    def __str__(self) -> str:
        return f"payout run {self.pk}"


class PaymentState(models.TextChoices):
    """How far a payment is. What is sent may be with the bank: only the bank's answer moves it on."""

    PREPARED = "prepared"
    SENT = "sent"
    SETTLED = "settled"
    FAILED = "failed"
    REVERSED = "reversed"


# From which state to which; each is passed at most once.
MOVES: dict[str, tuple[str, ...]] = {
    "": (PaymentState.PREPARED,),
    PaymentState.PREPARED: (PaymentState.SENT, PaymentState.FAILED),
    PaymentState.SENT: (PaymentState.SETTLED, PaymentState.FAILED),
    PaymentState.SETTLED: (PaymentState.REVERSED,),
}
# In these states the money is with us again.
RETURNED = (PaymentState.FAILED, PaymentState.REVERSED)


class PaymentQuerySet(models.QuerySet["Payment"]):
    def with_state(self) -> Self:
        """Payments with `state` and `state_since`, of their newest change."""
        newest = PaymentChange.objects.filter(payment=OuterRef("pk")).order_by("-pk")
        return self.annotate(state=Subquery(newest.values("new")[:1]), state_since=Subquery(newest.values("at")[:1]))

    def in_state(self, state: str) -> Self:
        """Payments whose newest change led to `state`."""
        newest = PaymentChange.objects.filter(payment=OuterRef("pk")).order_by("-pk")
        return self.alias(newest=Subquery(newest.values("new")[:1])).filter(newest=state)

    def standing(self) -> Self:
        """Payments that count: made, and neither failed nor reversed."""
        return self.filter(~Exists(PaymentChange.objects.filter(payment=OuterRef("pk"), new__in=RETURNED)))


class Payment(models.Model):
    """One annotator's payment in a run, in cents (append-only); how far it is say its changes.

    `number` counts somebody's payments of one currency: two that were made out of the same balance would have the
    same one. `earned`, `adjusted` and `paid_before` are the sums that it was made from.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # the bank's end-to-end reference
    run = models.ForeignKey(PayoutRun, on_delete=models.PROTECT, related_name="payments")
    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="payments")
    number = models.PositiveIntegerField()
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3)
    earned = models.DecimalField(max_digits=14, decimal_places=4)
    adjusted = models.DecimalField(max_digits=14, decimal_places=4)
    paid_before = models.DecimalField(max_digits=14, decimal_places=2)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    objects: ClassVar[PaymentQuerySet] = PaymentQuerySet.as_manager()  # type: ignore[assignment]
    state: str  # with_state()
    state_since: datetime.datetime

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["run", "annotator"], name="payment_once_per_run"),
            models.UniqueConstraint(fields=["annotator", "currency", "number"], name="payment_once_per_balance"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    @property
    def left(self) -> Decimal:
        """What stayed in the balance."""
        return self.earned + self.adjusted - self.paid_before - self.amount


class PaymentChange(models.Model):
    """One step of a payment (append-only). One row per old state: of two who move it at once, one wins."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="changes")
    old = models.CharField(max_length=10, blank=True)
    new = models.CharField(max_length=10, choices=PaymentState)
    reason = models.CharField(max_length=300, blank=True)
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)
    agreed_by = models.ForeignKey(STAFF, null=True, on_delete=models.PROTECT, related_name="+")  # that it came back

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "made_by": "staff user",
        "agreed_by": "staff user",
        "reason": "why somebody was not paid",
    }

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["payment", "old"], name="payment_leaves_a_state_once"),
            models.UniqueConstraint(fields=["payment", "new"], name="payment_enters_a_state_once"),
            models.CheckConstraint(
                condition=Q(old="", new="prepared")
                | Q(old="prepared", new__in=["sent", "failed"])
                | Q(old="sent", new__in=["settled", "failed"])
                | Q(old="settled", new="reversed"),
                name="payment_change_known",
            ),
            models.CheckConstraint(
                condition=~Q(new__in=["failed", "reversed"]) | ~Q(reason=""), name="returned_payment_has_reason"
            ),
            models.CheckConstraint(
                condition=Q(agreed_by__isnull=True) | ~Q(agreed_by=F("made_by")), name="returned_payment_four_eyes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.old or 'nothing'} → {self.new}"


class PaymentDetails(PayeeDetails):
    """Where a payment went: what its payee had given when it was prepared. Apart, so that it can be erased."""

    payment = models.OneToOneField(Payment, primary_key=True, on_delete=models.PROTECT, related_name="details")

    PERSONAL_DATA: ClassVar[dict[str, str]] = PAYEE_DATA


class LeftOut(models.Model):
    """Somebody who is owed pay and whom a run does not pay (append-only)."""

    class Reason(models.TextChoices):
        BELOW_MINIMUM = "below_minimum", "is owed less than the minimum"
        NO_DETAILS = "no_details", "has given no bank details"

    run = models.ForeignKey(PayoutRun, on_delete=models.PROTECT, related_name="left_out")
    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="+")
    balance = models.DecimalField(max_digits=14, decimal_places=4)
    reason = models.CharField(max_length=20, choices=Reason)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["run", "annotator"], name="left_out_once_per_run")]

    def __str__(self) -> str:
        return f"{self.annotator_id} {self.get_reason_display()}"
