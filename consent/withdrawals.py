"""Taking back what was permitted. It bites at the next read; sweeps do the rest."""

import uuid
from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from consent import events
from consent.erasure_list import note
from consent.models import Aftermath, Consent, Contributor, Withdrawal
from consent.refusals import Refused


def withdraw(
    *,
    consent: Consent,
    purpose: str | None = None,
    aftermath: str = Aftermath.ERASE,
    act: uuid.UUID | None = None,
    cause: str = Withdrawal.Cause.WITHDRAWN,
) -> Withdrawal:
    """Take back one purpose (code) of a consent, or all of it. The first withdrawal counts; later ones return it.

    Signing again renews, so the same is taken back of the person's other live consents under the same form.
    """
    with transaction.atomic():
        _wait_for_turn(consent.contributor_id)
        if withdrawn := _withdrawn_before(consent, purpose):
            return withdrawn
        renewals = Consent.objects.live(purpose).filter(
            contributor=consent.contributor_id, text__form=consent.text.form_id
        )
        if purpose is None or consent.granted.filter(purpose=purpose).exists():
            ended = [consent, *renewals.exclude(pk=consent.pk)]
        else:
            ended = list(renewals)
        if not ended:
            raise Refused(
                "You did not give permission for that purpose under this form, so there is nothing to withdraw."
            )
        return _end(ended, purpose, aftermath, act or uuid.uuid4(), cause)[0]


def withdraw_all(
    *,
    contributor: Contributor,
    aftermath: str = Aftermath.ERASE,
    act: uuid.UUID | None = None,
    cause: str = Withdrawal.Cause.WITHDRAWN,
) -> list[Withdrawal]:
    """Take back everything that a contributor still permits, in one act."""
    with transaction.atomic():
        _wait_for_turn(contributor.pk)
        live: QuerySet[Consent] = Consent.objects.live().filter(contributor=contributor)
        return _end(live, None, aftermath, act or uuid.uuid4(), cause)


def _wait_for_turn(contributor_id: uuid.UUID) -> None:
    """Sent twice at the same moment, the second sees what the first did."""
    Contributor.objects.select_for_update(no_key=True).get(pk=contributor_id)


def _end(
    consents: Iterable[Consent], purpose: str | None, aftermath: str, act: uuid.UUID, cause: str
) -> list[Withdrawal]:
    return [
        _record(Withdrawal(consent=consent, purpose_id=purpose, aftermath=aftermath, act=act, cause=cause))
        for consent in consents
    ]


def _record(withdrawal: Withdrawal) -> Withdrawal:
    """The row, its ledger entry and its line on the erasure list."""
    withdrawal.save(force_insert=True)
    events.record_withdrawal(withdrawal)
    fields = {field.attname: getattr(withdrawal, field.attname) for field in Withdrawal._meta.concrete_fields}
    note("withdrawal", **fields)
    return withdrawal


def _withdrawn_before(consent: Consent, purpose: str | None) -> Withdrawal | None:
    made = consent.withdrawals.order_by("made_at")
    whole = made.filter(purpose__isnull=True).first()
    return whole or (made.filter(purpose=purpose).first() if purpose is not None else None)
