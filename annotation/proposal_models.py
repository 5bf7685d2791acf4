"""What a second person has to agree to before it changes anybody's pay."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.payout_models import PaymentState

STAFF = settings.AUTH_USER_MODEL


class Proposal(models.Model):
    """A correction of somebody's pay, or that the bank did not pay or sent back a payment (append-only).

    It changes nothing until a second person agrees (ProposalDecision).
    """

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="proposals")
    amount = models.DecimalField(max_digits=10, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    payment = models.ForeignKey("annotation.Payment", null=True, on_delete=models.PROTECT, related_name="proposals")
    new = models.CharField(max_length=10, blank=True, choices=PaymentState)
    reason = models.CharField(max_length=300)
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "annotator": "pseudonym",
        "reason": "why somebody's pay is to be changed",
        "made_by": "staff user",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=(Q(payment__isnull=True, new="", amount__isnull=False) & ~Q(currency=""))
                | Q(payment__isnull=False, new__in=["failed", "reversed"], amount__isnull=True, currency=""),
                name="proposal_is_of_one_kind",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="proposal_has_reason"),
        ]

    def __str__(self) -> str:
        return f"proposal {self.pk}"


class ProposalDecision(models.Model):
    """What a second person said to a proposal (append-only)."""

    class Outcome(models.TextChoices):
        AGREED = "agreed"
        DECLINED = "declined"

    proposal = models.OneToOneField(Proposal, primary_key=True, on_delete=models.PROTECT, related_name="decision")
    outcome = models.CharField(max_length=10, choices=Outcome)
    made_by = models.ForeignKey(STAFF, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"made_by": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(outcome__in=["agreed", "declined"]), name="proposal_outcome_known")
        ]

    def __str__(self) -> str:
        return f"{self.proposal}: {self.outcome}"
