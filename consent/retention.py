"""The clocks of consent.retention_table that run in this app.

Ended purposes and expired consents need no rows: reads refuse them, and sweeps delete what rested on them. Only silence
does: whoever has not been heard of for RETENTION_CONTACT_DAYS has withdrawn, as far as the rows go. The functions take
a `clock`, by default the trusted time.
"""

import datetime
import logging
import uuid
from importlib import import_module

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from consent.clock import trusted_now
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import Consent, Contributor, Receipt, RightsRequest, SignatureEvidence, User, Withdrawal
from consent.retention_table import CONTACT, EVIDENCE, REQUESTS, UNCONFIRMED
from consent.withdrawals import withdraw_all

logger = logging.getLogger(__name__)

REMINDER = datetime.timedelta(days=30)  # before everything lapses


# --- Silence -------------------------------------------------------------------------------------


def end_lapsed(*, clock: datetime.datetime | None = None) -> int:
    """Withdraw everything of contributors who were not heard of for too long; returns of how many."""
    cutoff = CONTACT.cutoff(clock)
    silent = _with_permissions().filter(last_contact_at__lt=cutoff).values_list("pk", flat=True)
    return sum(_end(contributor_id, cutoff) for contributor_id in silent)


@transaction.atomic
def _end(contributor_id: uuid.UUID, cutoff: datetime.datetime) -> bool:
    """False if they were heard of in the meantime."""
    silent = Contributor.objects.select_for_update().filter(pk=contributor_id, last_contact_at__lt=cutoff).first()
    return silent is not None and bool(withdraw_all(contributor=silent, cause=Withdrawal.Cause.LAPSED))


def remind_lapsing(*, clock: datetime.datetime | None = None) -> int:
    """Write to those whose permissions lapse within REMINDER, once per silence; returns to how many."""
    clock = clock or trusted_now()
    unsaid = Q(reminded_at__isnull=True) | Q(reminded_at__lt=F("last_contact_at"))
    due = _with_permissions().filter(unsaid, user__isnull=False, last_contact_at__lt=CONTACT.cutoff(clock) + REMINDER)
    return sum(_remind(contributor) for contributor in due.select_related("user"))


def _with_permissions() -> QuerySet[Contributor]:
    return Contributor.objects.filter(Exists(Consent.objects.live().filter(contributor=OuterRef("pk"))))


def _remind(contributor: Contributor) -> bool:
    owed = Contributor.objects.filter(pk=contributor.pk, reminded_at=contributor.reminded_at)
    what = f"the reminder of contributor {contributor.pk}"
    if not send_claimed(owed, lambda: _mail_reminder(contributor), what=what, due="reminder_due_at"):
        return False
    Contributor.objects.filter(pk=contributor.pk).update(reminded_at=timezone.now())
    return True


def _mail_reminder(contributor: Contributor) -> None:
    assert contributor.user is not None  # noqa: S101  # remind_lapsing asks for nobody else
    ends = contributor.last_contact_at + datetime.timedelta(days=CONTACT.days)
    write_mail(
        "Likeness: do you want to stay?",
        "Hello,\n\n"
        f"we have not heard from you for a long time. On {ends:%-d %B %Y} your permissions end and your photographs "
        "are erased, unless you sign in before then. Signing in is enough, and there is nothing else to do:\n\n"
        f"{absolute('account_login')}\n\n"
        "If you would rather have it end, you need not do anything.\n",
        [contributor.user.email],
    ).send()


# --- Old records ---------------------------------------------------------------------------------


def delete_old_records(*, clock: datetime.datetime | None = None) -> int:
    """Delete or blank what is older than the table allows; returns how many rows."""
    clock = clock or trusted_now()
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return _delete_evidence(clock) + _delete_unconfirmed(clock) + _blank_requests(clock)


def _delete_evidence(clock: datetime.datetime) -> int:
    """Signatures' evidence and receipts of consents that were over by then; hashes stay in consent and ledger."""
    cutoff = EVIDENCE.cutoff(clock)
    over = Consent.objects.filter(signed_at__lte=cutoff).exclude(pk__in=Consent.objects.live(at=cutoff))
    with transaction.atomic():
        gone = SignatureEvidence.objects.filter(consent__in=over).delete()[0]
        return gone + Receipt.objects.filter(consent__in=over).delete()[0]


def _delete_unconfirmed(clock: datetime.datetime) -> int:
    confirmed = EmailAddress.objects.filter(user=OuterRef("pk"), verified=True)
    forgotten = User.objects.filter(
        ~Exists(confirmed),
        contributor__isnull=True,
        is_staff=False,
        is_superuser=False,
        date_joined__lt=UNCONFIRMED.cutoff(clock),
    )
    return sum(_delete_if_unconfirmed(pk) for pk in forgotten.values_list("pk", flat=True))


@transaction.atomic
def _delete_if_unconfirmed(pk: int) -> int:
    """Deleted unless the address was confirmed in this very moment."""
    user = User.objects.select_for_update().filter(pk=pk).first()
    if user is None or EmailAddress.objects.filter(user=user, verified=True).exists():
        return 0
    user.delete()
    return 1


def _blank_requests(clock: datetime.datetime) -> int:
    blank = dict.fromkeys(("name", "email", "details", "answer"), "")
    return RightsRequest.objects.filter(~Q(**blank), answered_at__lt=REQUESTS.cutoff(clock)).update(**blank)
