"""Taking back what was permitted. It bites at the next read; sweeps do the rest."""

from django.db import IntegrityError, transaction

from consent import events
from consent.models import Consent, Contributor, Withdrawal
from consent.refusals import Refused


def withdraw(*, consent: Consent, purpose: str | None = None) -> Withdrawal:
    """Take back one purpose (code) of a consent, or all of it. The first withdrawal counts; later ones return it."""
    if withdrawn := _withdrawn_before(consent, purpose):
        return withdrawn
    if purpose is not None and not consent.granted.filter(purpose=purpose).exists():
        raise Refused("You did not give permission for that purpose under this form, so there is nothing to withdraw.")
    try:
        with transaction.atomic():
            withdrawal = Withdrawal.objects.create(consent=consent, purpose_id=purpose)
            events.record_withdrawal(withdrawal)
            return withdrawal
    except IntegrityError:  # sent twice at the same moment
        if withdrawn := _withdrawn_before(consent, purpose):
            return withdrawn
        raise


def withdraw_all(*, contributor: Contributor) -> list[Withdrawal]:
    """Take back everything that a contributor still permits."""
    with transaction.atomic():
        return [withdraw(consent=consent) for consent in Consent.objects.live().filter(contributor=contributor)]


def _withdrawn_before(consent: Consent, purpose: str | None) -> Withdrawal | None:
    made = consent.withdrawals.order_by("made_at")
    whole = made.filter(purpose__isnull=True).first()
    return whole or (made.filter(purpose=purpose).first() if purpose is not None else None)
