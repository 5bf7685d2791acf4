"""The rights desk: requests of people about their data, each with its clock (Art. 12(3) GDPR).

A request is due one calendar month after receipt, or three once it was extended. What people are to be told, and that
something is overdue, are to-dos in the row itself, found by sweeps. Everything done twice is the same as once.
"""

import calendar
import datetime
import logging
import uuid

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.utils import timezone

from consent import events
from consent.adulthood import is_adult
from consent.mailing import absolute, send_claimed, write_mail
from consent.models import Contributor, RightsRequest, User
from consent.refusals import Refused
from consent.roles import PROTECTION_OFFICER, addresses_of

logger = logging.getLogger(__name__)

MONTHS = 1
EXTENDED_MONTHS = 3  # one, and two further ones
ALARM_EVERY = datetime.timedelta(days=1)
YEAR = 12


def months_after(moment: datetime.datetime, months: int) -> datetime.datetime:
    """The same day `months` later, or the last day of that month if it has no such day: 31 January, 28 February."""
    years, month = divmod(moment.month - 1 + months, YEAR)
    year, month = moment.year + years, month + 1
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def open_requests() -> QuerySet[RightsRequest]:
    """What waits for an answer, the most urgent first."""
    waiting = RightsRequest.objects.filter(answered_at__isnull=True)
    return waiting.select_related("contributor__user").order_by("due_at", "pk")


# --- From receipt to answer ----------------------------------------------------------------------


def open_request(
    *,
    kind: str,
    contributor: Contributor | None = None,
    name: str = "",
    email: str = "",
    details: str = "",
    reference: uuid.UUID | None = None,
) -> RightsRequest:
    """Take in a request. `reference` names the form that was shown: sent twice, it is one request."""
    if kind not in RightsRequest.Kind.values:
        raise Refused("We do not know that kind of request. Please choose one from the list.")
    reference = reference or uuid.uuid4()
    now = timezone.now()
    request = RightsRequest(
        pk=reference,
        kind=kind,
        contributor=contributor,
        name=name.strip(),
        email=email.strip(),
        details=details.strip(),
        received_at=now,
        due_at=months_after(now, MONTHS),
    )
    if opened := _opened_before(request):
        return opened
    try:
        with transaction.atomic():
            request.save(force_insert=True)
            events.record_request_opened(request)
    except IntegrityError:  # the same form was sent twice at the same moment
        if opened := _opened_before(request):
            return opened
        raise
    return request


def _opened_before(request: RightsRequest) -> RightsRequest | None:
    opened = RightsRequest.objects.filter(pk=request.pk).first()
    if opened and _said(opened) != _said(request):
        raise Refused("This form was sent before with other words. Please open the page again to send something else.")
    return opened


def _said(request: RightsRequest) -> tuple[object, ...]:
    return request.kind, request.contributor_id, request.email, request.details


def extend_request(*, request: RightsRequest, reason: str, user: User) -> RightsRequest:
    """Take two further months, once and in time, for a reason that the person is mailed."""
    if not reason.strip():
        raise Refused("Please give the reason: the person is told of it.")
    now = timezone.now()
    current = RightsRequest.objects.filter(pk=request.pk, answered_at__isnull=True, extended_at__isnull=True)
    with transaction.atomic():
        extended = current.filter(due_at__gt=now).update(
            extended_at=now,
            extension_reason=reason.strip(),
            due_at=months_after(request.received_at, EXTENDED_MONTHS),
            handled_by=user,
            mail_due_at=now,
        )
        request.refresh_from_db()
        if extended:
            events.record_request_extended(request)
    if not extended and request.extension_reason != reason.strip():
        raise Refused(
            "It can be extended only once, before it is due and before it is answered. Please answer it instead."
        )
    return request


def answer_request(*, request: RightsRequest, outcome: str, answer: str, user: User) -> RightsRequest:
    """Answer a request in words that the person is mailed."""
    if outcome not in RightsRequest.Outcome.values:
        raise Refused("Please say whether it is done, partly done, or refused.")
    if not answer.strip():
        raise Refused("Please write what the person is told.")
    if not _close(request, outcome=outcome, answer=answer.strip(), handled_by=user, mail_due_at=timezone.now()) and (
        (request.outcome, request.answer) != (outcome, answer.strip())
    ):
        raise Refused("This request was answered before. If there is more to say, please write to the person.")
    return request


def record_served(
    *, kind: str, contributor: Contributor, answer: str, reference: uuid.UUID | None = None
) -> RightsRequest:
    """A request that a page answers at once: nobody has to be told."""
    with transaction.atomic():
        request = open_request(kind=kind, contributor=contributor, reference=reference)
        done = RightsRequest.Outcome.DONE
        _close(request, outcome=done, answer=answer, answer_told_at=timezone.now())
    return request


def _close(request: RightsRequest, **fields: object) -> bool:
    """False if it was answered before; `request` then holds what was said."""
    with transaction.atomic():
        waiting = RightsRequest.objects.filter(pk=request.pk, answered_at__isnull=True)
        closed = waiting.update(answered_at=timezone.now(), **fields)
        request.refresh_from_db()
        if closed:
            events.record_request_answered(request)
    return bool(closed)


def correct_contributor(*, request: RightsRequest, date_of_birth: datetime.date, country: str) -> bool:
    """Correct what is known of the person who asks. True if they are an adult by it."""
    today = timezone.now().date()
    if date_of_birth > today:
        raise Refused("That date of birth is in the future. Please check it.")
    if request.contributor_id is None or request.answered_at is not None:
        raise Refused("Only while the request of a contributor is open can their values be corrected.")
    with transaction.atomic():
        person = Contributor.objects.select_for_update(no_key=True).get(pk=request.contributor_id)
        values = {"date_of_birth": date_of_birth, "country": country}
        changed = [name for name, value in values.items() if getattr(person, name) != value]
        if changed:
            Contributor.objects.filter(pk=person.pk).update(**values)
            events.record_correction(request, changed)
    return is_adult(date_of_birth, country, today)


# --- Telling the person --------------------------------------------------------------------------

_EXTENSION_UNTOLD = Q(extended_at__isnull=False, extension_told_at__isnull=True)
_ANSWER_UNTOLD = Q(answered_at__isnull=False, answer_told_at__isnull=True)
_REACHABLE = ~Q(email="") | Q(contributor__user__isnull=False)


def mail_due() -> None:
    """Mail what people have not been told yet."""
    untold = RightsRequest.objects.filter(_REACHABLE, _EXTENSION_UNTOLD | _ANSWER_UNTOLD)
    for request in untold.filter(mail_due_at__lte=timezone.now()).select_related("contributor__user"):
        mail_request(request=request)


def mail_request(*, request: RightsRequest) -> bool:
    """Tell the person of an extension and of the answer, each once. False as mailing.send_claimed says."""
    owed = RightsRequest.objects.filter(_EXTENSION_UNTOLD | _ANSWER_UNTOLD, pk=request.pk)
    return send_claimed(owed, lambda: _tell_all(request), what=f"the news of request {request.pk}")


def _tell_all(request: RightsRequest) -> None:
    request.refresh_from_db()
    if request.extended_at and not request.extension_told_at:
        _tell(request, "We need more time for your request", "desk_extended.txt", "extension_told_at")
    if request.answered_at and not request.answer_told_at:
        _tell(request, "Our answer to your request", "desk_answered.txt", "answer_told_at")


def _tell(request: RightsRequest, subject: str, template: str, told: str) -> None:
    body = render_to_string(f"consent/mail/{template}", {"request": request})
    write_mail(f"Likeness: {subject}", body, [request.reply_to]).send()
    RightsRequest.objects.filter(pk=request.pk).update(**{told: timezone.now()})


# --- Overdue -------------------------------------------------------------------------------------


def alarm_overdue() -> int:
    """Tell every data-protection officer of each overdue request, once a day; returns of how many."""
    now = timezone.now()
    late = open_requests().filter(due_at__lt=now, alarm_due_at__lte=now)
    to = addresses_of(PROTECTION_OFFICER)
    if late and not to:
        logger.error("%s requests are overdue, and there is no active %s to tell", len(late), PROTECTION_OFFICER)
        return 0
    return sum(_alarm(request, to) for request in late)


def _alarm(request: RightsRequest, to: list[str]) -> bool:
    now = timezone.now()
    owed = RightsRequest.objects.filter(pk=request.pk, answered_at__isnull=True)
    what = f"the alarm of request {request.pk}"
    if not send_claimed(owed, lambda: _mail_alarm(request, to), what=what, due="alarm_due_at"):
        return False
    RightsRequest.objects.filter(pk=request.pk).update(alarmed_at=now, alarm_due_at=now + ALARM_EVERY)
    return True


def _mail_alarm(request: RightsRequest, to: list[str]) -> None:
    facts = {"request": request, "page": absolute("desk_request", request.pk)}
    body = render_to_string("consent/mail/desk_overdue.txt", facts)
    write_mail(f"Likeness: a request is overdue ({request.get_kind_display()})", body, to).send()
