"""Deleting an account: who it was goes, what was proven stays."""

import uuid

from allauth.account.models import EmailAddress
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from consent import ledger
from consent.erasure_list import note
from consent.models import (
    Contributor,
    Demographics,
    LedgerEntry,
    Receipt,
    RightsRequest,
    SignatureEvidence,
    User,
    Withdrawal,
)
from consent.refusals import Refused
from consent.withdrawals import withdraw_all

NOWHERE = ""  # the country of somebody whom we no longer know


def delete_account(*, contributor: Contributor) -> uuid.UUID:
    """Take back everything, forget who it was, and leave the pseudonymous proof; the act that a certificate is made of.

    Refused while somebody works here or is owed pay: their account serves more than their photographs.
    """
    user = contributor.user
    if user is not None:
        _refuse_others(user)
    act = uuid.uuid4()
    with transaction.atomic():
        withdraw_all(contributor=contributor, act=act, cause=Withdrawal.Cause.ACCOUNT_DELETED)
        forget_person(contributor=contributor)
        record_deletion(contributor)
        note("account", contributor=contributor.pk, at=timezone.now())
    return act


def _refuse_others(user: User) -> None:
    if user.is_staff:
        raise Refused("You work here with this account. Ask a colleague to end your role first, then delete it.")
    if hasattr(user, "annotator"):
        raise Refused(
            "You label for pay with this account. Write to us first, so that everything that you earned is paid out."
        )


def forget_person(*, contributor: Contributor) -> None:
    """Delete and empty everything that says who a contributor is; their hashes in consents and ledger stay."""
    consents = contributor.consents.values("pk")
    SignatureEvidence.objects.filter(consent__in=consents).delete()
    Receipt.objects.filter(consent__in=consents).delete()
    Demographics.objects.filter(contributor=contributor).delete()
    RightsRequest.objects.filter(contributor=contributor).update(name="", email="", details="", answer="")
    user = contributor.user
    Contributor.objects.filter(pk=contributor.pk).update(user=None, date_of_birth=None, country=NOWHERE)
    if user is not None:
        _end_sessions(user)
        EmailAddress.objects.filter(user=user).delete()
        user.delete()


def _end_sessions(user: User) -> None:
    """Sign them out everywhere. Sessions are opaque to the database, so live ones are looked through."""
    live = Session.objects.filter(expire_date__gt=timezone.now())
    theirs = [one.pk for one in live.iterator(500) if one.get_decoded().get("_auth_user_id") == str(user.pk)]
    Session.objects.filter(pk__in=theirs).delete()


def record_deletion(contributor: Contributor) -> LedgerEntry:
    """A contributor deleted their account."""
    return ledger.append("account.deleted", contributor=contributor.pk)
