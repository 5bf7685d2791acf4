"""Deleting an account: who it was goes, what was proven stays."""

import uuid
from collections.abc import Collection

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import ProtectedError, Q
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
NO_WORDS = "Deleted with the account."  # an extension has a reason
CAUSE = Withdrawal.Cause.ACCOUNT_DELETED


def delete_account(*, contributor: Contributor) -> uuid.UUID:
    """Take back everything, forget who it was, and leave the pseudonymous proof; the act that a certificate is made of.

    Refused while somebody works here or is owed pay: their account serves more than their photographs. Deleting twice
    is the same as once.
    """
    act = uuid.uuid4()
    with transaction.atomic():
        # Signing waits for the same row, so that nothing is signed while the signer goes.
        contributor = Contributor.objects.select_for_update(no_key=True).get(pk=contributor.pk)
        if contributor.user is None:
            return _act_of(contributor) or act
        _refuse_others(contributor.user)
        withdraw_all(contributor=contributor, act=act, cause=CAUSE)
        forget_person(contributor=contributor)
        record_deletion(contributor)
        note("account", contributor=contributor.pk, at=timezone.now())
    return act


def _act_of(contributor: Contributor) -> uuid.UUID | None:
    deleted = Withdrawal.objects.filter(consent__contributor=contributor, cause=CAUSE)
    return deleted.values_list("act", flat=True).first()


def _refuse_others(user: User) -> None:
    if user.is_staff or user.is_superuser or user.groups.exists():
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
    user = contributor.user
    _blank_requests(contributor, _addresses(user) if user else ())
    Contributor.objects.filter(pk=contributor.pk).update(user=None, date_of_birth=None, country=NOWHERE)
    if user is not None:
        _end_sessions(user)
        EmailAddress.objects.filter(user=user).delete()
        _remove(user)


def _addresses(user: User) -> set[str]:
    return {user.email, *EmailAddress.objects.filter(user=user, verified=True).values_list("email", flat=True)}


def _blank_requests(contributor: Contributor, addresses: Collection[str]) -> None:
    """Their requests, also what they asked without signing in. Of that, what waits for an answer keeps the address."""
    named = Q(pk__in=[])
    for address in addresses:
        named |= Q(contributor__isnull=True, answered_at__isnull=False, email__iexact=address)
    theirs = list(RightsRequest.objects.filter(Q(contributor=contributor) | named).values_list("pk", flat=True))
    found = RightsRequest.objects.filter(pk__in=theirs)
    found.update(name="", email="", details="", answer="")
    found.exclude(extension_reason="").update(extension_reason=NO_WORDS)


def _end_sessions(user: User) -> None:
    """Sign them out everywhere. Sessions are opaque to the database, so live ones are looked through."""
    live = Session.objects.filter(expire_date__gt=timezone.now())
    theirs = [one.pk for one in live.iterator(500) if one.get_decoded().get("_auth_user_id") == str(user.pk)]
    Session.objects.filter(pk__in=theirs).delete()


def _remove(user: User) -> None:
    """Delete the account. A release keeps who drafted and who published it: then an empty row stays in its place."""
    try:
        user.delete()
    except ProtectedError:  # found before anything is deleted
        Authenticator.objects.filter(user=user).delete()
        User.objects.filter(pk=user.pk).update(
            email=f"{uuid.uuid4().hex}@deleted.invalid",
            password=make_password(None),
            is_active=False,
            first_name="",
            last_name="",
            email_verified_at=None,
            last_login=None,
        )


def record_deletion(contributor: Contributor) -> LedgerEntry:
    """A contributor deleted their account."""
    return ledger.append("account.deleted", contributor=contributor.pk)
