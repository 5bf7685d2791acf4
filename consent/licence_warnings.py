"""How licences stand, in words, and the warnings before a right ends: found by a sweep, mailed once each."""

import datetime
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from consent.dates import day
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import Licence, LicenceWarning
from consent.roles import DATA_MANAGER, addresses_of

logger = logging.getLogger(__name__)

Kind = LicenceWarning.Kind
AHEAD = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Standing:
    """How a licence stands; `badge` is the class of the mark: ok, warn or bad."""

    words: str
    badge: str


def standing(licence: Licence, *, live: bool, used: int, today: datetime.date) -> list[Standing]:
    """Everything there is to say about where a licence stands; `used` counts its images, `live` is Licence.live."""
    found = [_term(licence, live, today)]
    if licence.volume_cap is not None and used >= licence.volume_cap:
        found.append(Standing("used up", "warn"))
    return found


def _term(licence: Licence, live: bool, today: datetime.date) -> Standing:
    if today > licence.ends_on:
        return Standing(f"ended on {day(licence.ends_on)}", "bad")
    if today < licence.starts_on:
        return Standing(f"starts on {day(licence.starts_on)}", "warn")
    if not live:
        return Standing("its purposes have come to an end", "bad")
    left = licence.ends_on - today
    return Standing(f"in force, ends {_in_days(left.days)}", "warn") if left <= AHEAD else Standing("in force", "ok")


def _in_days(days: int) -> str:
    return {0: "today at midnight UTC", 1: "tomorrow"}.get(days, f"in {days} days")


def notices() -> list[str]:
    """Sentences for the staff pages: what ends within 30 days, has ended in the last 30, or is used up."""
    today = timezone.now().date()
    near = Licence.objects.filter(ends_on__gte=today - AHEAD, ends_on__lte=today + AHEAD, starts_on__lte=today)
    said = [_ending(licence, today) for licence in near.order_by("ends_on")]
    full = Licence.objects.live().filter(warnings__kind=Kind.USED_UP).order_by("title")
    return said + [f"“{licence.title}” is used up: nothing more can be imported under it." for licence in full]


def _ending(licence: Licence, today: datetime.date) -> str:
    if licence.ends_on < today:
        return f"“{licence.title}” ended on {day(licence.ends_on)}: its images cannot be used any more."
    return f"“{licence.title}” ends {_in_days((licence.ends_on - today).days)} ({day(licence.ends_on)})."


# --- The sweep -----------------------------------------------------------------------------------


def warn(*, used: Mapping[uuid.UUID, int]) -> None:
    """Find what is to be said of licences, once each, and mail what has not been mailed. `used`: images by licence."""
    _find(used)
    to = addresses_of(DATA_MANAGER)
    due = LicenceWarning.objects.filter(mailed_at__isnull=True, mail_due_at__lte=timezone.now())
    if due and not to:
        logger.warning("%s licence warnings wait: there is no active %s to tell", len(due), DATA_MANAGER)
        return
    for warning in due.select_related("licence"):
        mail_warning(warning=warning, to=to)


def _find(used: Mapping[uuid.UUID, int]) -> None:
    today = timezone.now().date()
    soon, ended = Q(ends_on__gte=today, ends_on__lte=today + AHEAD), Q(ends_on__lt=today)
    capped = Licence.objects.filter(volume_cap__isnull=False, ends_on__gte=today)
    full = [licence.pk for licence in capped if used.get(licence.pk, 0) >= (licence.volume_cap or 0)]
    for kind, which in ((Kind.ENDS_SOON, soon), (Kind.ENDED, ended), (Kind.USED_UP, Q(pk__in=full))):
        new = Licence.objects.filter(which).exclude(warnings__kind=kind)
        LicenceWarning.objects.bulk_create(
            [LicenceWarning(licence=licence, kind=kind) for licence in new], ignore_conflicts=True
        )


def mail_warning(*, warning: LicenceWarning, to: list[str]) -> bool:
    """Mail one warning to the addresses `to`, once. False as mailing.send_claimed says."""
    owed = LicenceWarning.objects.filter(pk=warning.pk, mailed_at__isnull=True)

    def send() -> None:
        write_mail(f"Licence: {warning}", _body(warning), to).send()

    if not send_claimed(owed, send, what=f"licence warning {warning.pk}"):
        return False
    LicenceWarning.objects.filter(pk=warning.pk).update(mailed_at=timezone.now())
    return True


def _body(warning: LicenceWarning) -> str:
    facts = {"warning": warning, "licence": warning.licence, "licences": absolute("licences")}
    return render_to_string("consent/mail/licence_warning.txt", facts)
