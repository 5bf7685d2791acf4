"""Requests of people about their data: the clock, the extension, the answer, the alarm. Each once."""

import datetime
import json
import uuid
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from consent import desk, tasks
from consent.models import LedgerEntry, RightsRequest
from consent.refusals import Refused
from consent.roles import PROTECTION_OFFICER
from tests.consent.factories import make_contributor, make_user

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
DONE = {"outcome": "done", "answer": "We changed your country to France."}


@pytest.fixture
def officer():
    return make_user("dpo@example.org", PROTECTION_OFFICER)


@pytest.fixture
def request_(officer):
    return desk.open_request(kind="rectification", contributor=make_contributor(), details="Country: France")


def received(request, at):
    """As if it had come in then."""
    RightsRequest.objects.filter(pk=request.pk).update(received_at=at, due_at=desk.months_after(at, 1))
    request.refresh_from_db()
    return request


def said(kind):
    """What the ledger says of this kind of event."""
    found = [json.loads(entry.payload) for entry in LedgerEntry.objects.order_by("pk")]
    return [facts for facts in found if facts["kind"] == kind]


# --- The clock -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "months", "due"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2028-01-31", 1, "2028-02-29"),
        ("2026-02-28", 1, "2026-03-28"),
        ("2026-12-31", 1, "2027-01-31"),
        ("2026-11-30", 3, "2027-02-28"),
        ("2026-08-31", 3, "2026-11-30"),
        ("2026-05-15", 1, "2026-06-15"),
    ],
)
def test_r16_months_are_calendar_months(day, months, due):
    moment = datetime.datetime.fromisoformat(f"{day}T23:59:59.999999+00:00")
    assert desk.months_after(moment, months).isoformat() == f"{due}T23:59:59.999999+00:00"


def test_r16_a_request_is_due_one_month_after_receipt(request_):
    assert request_.due_at == desk.months_after(request_.received_at, 1)
    assert request_.days_left() in (27, 28, 29, 30)
    [opened] = said("request.opened")
    assert opened["request"] == str(request_.pk)
    assert set(opened) == {"kind", "at", "request", "about", "due_at"}  # not who, not what they wrote


def test_r16_an_extension_takes_two_months_once_and_the_person_is_told_once(request_, officer, mailoutbox):
    received(request_, timezone.now() - 10 * DAY)
    desk.extend_request(request=request_, reason="Many requests came in at once.", user=officer)
    assert request_.due_at == desk.months_after(request_.received_at, 3)
    desk.extend_request(request=request_, reason="Many requests came in at once.", user=officer)  # pressed twice
    with pytest.raises(Refused, match="only once"):
        desk.extend_request(request=request_, reason="Still many.", user=officer)
    assert len(said("request.extended")) == 1
    tasks.mail_requests()
    tasks.mail_requests()
    [mail] = mailoutbox
    assert mail.to == [request_.contributor.user.email]
    assert "Many requests came in at once." in mail.body
    assert f"{request_.due_at:%B %Y}" in mail.body
    request_.refresh_from_db()
    assert request_.extension_told_at is not None


def test_r16_no_extension_after_the_due_date_or_without_a_reason(request_, officer):
    with pytest.raises(Refused, match="reason"):
        desk.extend_request(request=request_, reason="  ", user=officer)
    received(request_, timezone.now() - 40 * DAY)
    with pytest.raises(Refused, match="before it is due"):
        desk.extend_request(request=request_, reason="Too late.", user=officer)
    assert said("request.extended") == []


# --- The answer ----------------------------------------------------------------------------------


def test_r16_an_answer_is_given_and_mailed_once(request_, officer, mailoutbox):
    desk.answer_request(request=request_, user=officer, **DONE)
    desk.answer_request(request=request_, user=officer, **DONE)  # pressed twice
    with pytest.raises(Refused, match="answered before"):
        desk.answer_request(request=request_, user=officer, outcome="refused", answer="No.")
    tasks.mail_requests()
    tasks.mail_requests()
    [mail] = mailoutbox
    assert DONE["answer"] in mail.body
    request_.refresh_from_db()
    assert (request_.outcome, request_.handled_by) == ("done", officer)
    assert [facts["outcome"] for facts in said("request.answered")] == ["done"]


def test_an_answer_that_could_not_be_mailed_is_mailed_later(request_, officer, mailoutbox, settings):
    desk.answer_request(request=request_, user=officer, **DONE)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    tasks.mail_requests()
    request_.refresh_from_db()
    assert request_.answer_told_at is None
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    tasks.mail_requests()
    assert mailoutbox == []  # somebody may still be at it
    RightsRequest.objects.filter(pk=request_.pk).update(mail_due_at=timezone.now())
    tasks.mail_requests()
    assert len(mailoutbox) == 1


def test_a_form_sent_twice_asks_once():
    person, reference = make_contributor(), uuid.uuid4()
    asked = {"kind": "objection", "contributor": person, "details": "Not for adverts.", "reference": reference}
    assert desk.open_request(**asked) == desk.open_request(**asked)
    assert len(said("request.opened")) == 1
    with pytest.raises(Refused, match="other words"):
        desk.open_request(**{**asked, "details": "Something else."})
    with pytest.raises(Refused, match="other words"):
        desk.open_request(**{**asked, "contributor": make_contributor()})
    with pytest.raises(Refused, match="kind of request"):
        desk.open_request(kind="wish")


def test_nobody_is_mailed_after_the_account_is_gone(request_, officer, mailoutbox):
    desk.answer_request(request=request_, user=officer, **DONE)
    request_.contributor.user.delete()
    tasks.mail_requests()
    assert mailoutbox == []


# --- Overdue -------------------------------------------------------------------------------------


def test_r16_overdue_requests_alarm_every_officer_once_a_day(request_, officer, mailoutbox):
    second = make_user("second-dpo@example.org", PROTECTION_OFFICER)
    gone = make_user("left@example.org", PROTECTION_OFFICER)
    gone.is_active = False
    gone.save()
    tasks.alarm_overdue()
    assert mailoutbox == []  # not due yet
    received(request_, timezone.now() - 40 * DAY)
    tasks.alarm_overdue()
    tasks.alarm_overdue()
    [mail] = mailoutbox
    assert sorted(mail.to) == sorted([officer.email, second.email])
    assert f"/staff/desk/{request_.pk}/" in mail.body
    assert "France" not in mail.body  # what people write stays at the desk
    request_.refresh_from_db()
    assert request_.alarmed_at is not None
    RightsRequest.objects.update(alarm_due_at=timezone.now())  # a day later
    tasks.alarm_overdue()
    assert len(mailoutbox) == 2
    desk.answer_request(request=request_, user=officer, **DONE)
    RightsRequest.objects.update(alarm_due_at=timezone.now())
    tasks.alarm_overdue()
    assert len(mailoutbox) == 2


def test_r16_the_alarm_waits_until_there_is_somebody_to_tell(request_, officer, mailoutbox):
    received(request_, timezone.now() - 40 * DAY)
    officer.groups.clear()
    tasks.alarm_overdue()
    assert mailoutbox == []
    make_user("new-dpo@example.org", PROTECTION_OFFICER)
    tasks.alarm_overdue()
    assert len(mailoutbox) == 1


def test_the_sweeps_are_in_the_schedule(settings):
    assert {"consent.tasks.mail_requests", "consent.tasks.alarm_overdue"} <= set(settings.CELERY_BEAT_SCHEDULE)


def test_months_after_keeps_the_time_zone():
    moment = datetime.datetime(2026, 1, 31, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    assert desk.months_after(moment, 1).isoformat() == "2026-02-28T12:00:00+01:00"
