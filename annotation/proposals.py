"""Changes of pay that take two people: larger corrections, and payments that are said to have failed or come back."""

import datetime
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation import payouts
from annotation.models import Annotator
from annotation.payout_models import Payment
from annotation.proposal_models import Proposal, ProposalDecision
from consent.models import User
from consent.refusals import Refused

AGREED = ProposalDecision.Outcome.AGREED


def waiting() -> QuerySet[Proposal]:
    """Proposals that nobody has decided, longest waiting first."""
    return Proposal.objects.filter(decision=None).order_by("made_at", "pk")


def propose_adjustment(*, annotator: Annotator, amount: Decimal, currency: str, reason: str, user: User) -> Proposal:
    """Ask a second person for a correction too large for one; Refused for what `adjust_pay` would refuse too."""
    exact = payouts.checked_correction(annotator, amount, reason, user)
    said = {"annotator": annotator, "amount": exact, "currency": currency, "reason": reason.strip(), "made_by": user}
    return _propose(annotator, said)


def propose_return(*, payment: Payment, new: str, reason: str, user: User) -> Proposal:
    """Ask a second person to agree that the bank did not pay, or sent back, a payment."""
    payouts.checked_outcome(payment, new, reason, user)
    said = {"payment": payment, "new": new, "annotator": payment.annotator, "reason": reason.strip(), "made_by": user}
    return _propose(payment.annotator, said)


def _propose(annotator: Annotator, said: dict[str, object]) -> Proposal:
    with transaction.atomic():
        Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)  # two clicks take turns
        same = {name: said[name] for name in ("payment", "amount", "currency") if name in said}
        if waiting().filter(annotator=annotator, **same).exists():
            raise Refused("The same waits for a second person already. Ask a colleague to look at it.")
        return Proposal.objects.create(**said)


def refuse_first_person(proposal: Proposal, user: User) -> None:
    """Refused for whoever proposed it, and for whose pay it is."""
    if proposal.made_by_id == user.pk:
        raise Refused("You proposed this. Ask a second person to look at it.")
    if proposal.annotator.user_id == user.pk:
        raise Refused("This is your own pay. Ask somebody else to look at it.")


@transaction.atomic
def decide_proposal(*, proposal: Proposal, outcome: str, user: User) -> ProposalDecision:
    """Agree, which carries it out in the same transaction, or decline. Refused when it cannot be carried out by now."""
    refuse_first_person(proposal, user)
    try:
        with transaction.atomic():
            decision = ProposalDecision.objects.create(proposal=proposal, outcome=outcome, made_by=user)
    except IntegrityError:
        raise Refused("Somebody else decided this meanwhile. Their decision stays.") from None
    if outcome == AGREED:
        _carry_out(proposal, user)
    return decision


def _carry_out(proposal: Proposal, agreed_by: User) -> None:
    by: dict[str, Any] = {"reason": proposal.reason, "user": proposal.made_by, "agreed_by": agreed_by}
    if proposal.payment is not None:
        payouts.record_outcome(payment=proposal.payment, new=proposal.new, **by)
    elif proposal.amount is not None:
        payouts.adjust_pay(annotator=proposal.annotator, amount=proposal.amount, currency=proposal.currency, **by)


def decided_lately(days: int) -> QuerySet[ProposalDecision]:
    """Decisions of the last days, newest first."""
    since = timezone.now() - datetime.timedelta(days=days)
    return ProposalDecision.objects.filter(at__gte=since).order_by("-at")
