"""Retention clocks that really delete (R13), and the table that says so."""

import datetime

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings as live_settings
from django.contrib.sessions.models import Session
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from config.celery import app
from consent import audit, ledger, receipts, retention
from consent.models import (
    Clock,
    Consent,
    Contributor,
    PurposeEnd,
    Receipt,
    RightsRequest,
    SignatureEvidence,
    User,
    Withdrawal,
)
from consent.retention_table import CONTACT, EVIDENCE, REQUESTS, RULES, UNCONFIRMED, seconds_in_words, time_in_words
from consent.withdrawals import withdraw
from tests.consent.factories import make_consent, make_contributor, make_purpose, make_text

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def silent_for(contributor, days):
    Contributor.objects.filter(pk=contributor.pk).update(last_contact_at=timezone.now() - days * DAY)


def long_consent(**fields):
    return make_consent(text=make_text(slug="long", retention_days=4000), **fields)


# --- Silence -------------------------------------------------------------------------------------


def test_r13_three_years_without_a_word_end_everything_once():
    silent, heard = long_consent(), long_consent()
    second = make_consent(silent.contributor)
    silent_for(silent.contributor, 1096)
    silent_for(heard.contributor, 1094)
    assert retention.end_lapsed() == 1
    assert set(Consent.objects.live()) == {heard}
    assert {w.consent_id for w in Withdrawal.objects.filter(cause="lapsed")} == {silent.pk, second.pk}
    assert retention.end_lapsed() == 0
    assert list(audit.problems()) == []


def test_r13_the_contact_time_is_a_setting(settings):
    consent = make_consent()
    silent_for(consent.contributor, 11)
    assert retention.end_lapsed() == 0
    settings.RETENTION_CONTACT_DAYS = 10
    assert retention.end_lapsed() == 1


def test_a_wrong_clock_makes_nobody_silent(mailoutbox):
    then = timezone.now() - 1500 * DAY  # when the clock was last believed
    Clock.objects.create(seen_at=then, steady_since=then - DAY)
    consent = long_consent()
    silent_for(consent.contributor, 1400)
    assert (retention.remind_lapsing(), retention.end_lapsed()) == (0, 0)
    assert mailoutbox == []
    Clock.objects.update(seen_at=timezone.now())
    assert (retention.remind_lapsing(), retention.end_lapsed()) == (1, 1)


def test_a_reminder_goes_out_once_per_silence(mailoutbox):
    consent = long_consent()
    silent_for(consent.contributor, 1060)
    assert retention.remind_lapsing() == 0
    silent_for(consent.contributor, 1066)
    assert retention.remind_lapsing() == 1
    assert retention.remind_lapsing() == 0
    Contributor.objects.update(reminder_due_at=timezone.now())  # also when the lease is over
    assert retention.remind_lapsing() == 0
    (mail,) = mailoutbox
    assert mail.to == [consent.contributor.user.email]
    ends = timezone.now() + 29 * DAY
    assert f"On {ends:%-d %B %Y} your permissions end" in mail.body
    assert "Signing in is enough" in mail.body
    silent_for(consent.contributor, 0)  # they signed in, and three years later the same again
    Contributor.objects.update(reminded_at=timezone.now() - DAY)
    assert retention.remind_lapsing(clock=timezone.now() + 1070 * DAY) == 1
    assert len(mailoutbox) == 2


class NoMail(EmailBackend):
    def send_messages(self, messages):
        raise ConnectionRefusedError("no mail server")


def test_a_reminder_that_could_not_be_mailed_is_tried_again(settings, mailoutbox):
    consent = long_consent()
    silent_for(consent.contributor, 1080)
    settings.EMAIL_BACKEND = "tests.consent.test_retention.NoMail"
    assert retention.remind_lapsing() == 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert retention.remind_lapsing() == 0  # whoever tried last may still be at it
    Contributor.objects.update(reminder_due_at=timezone.now())
    assert retention.remind_lapsing() == 1
    assert len(mailoutbox) == 1


def test_nobody_is_reminded_who_permits_nothing(mailoutbox):
    contributor = make_contributor()
    withdrawn = long_consent()
    withdraw(consent=withdrawn)
    for one in (contributor, withdrawn.contributor):
        silent_for(one, 1080)
    assert retention.remind_lapsing() == 0
    assert mailoutbox == []


# --- Evidence, accounts, requests ----------------------------------------------------------------


def evidence_of(consent):
    return SignatureEvidence.objects.filter(consent=consent).count() + Receipt.objects.filter(consent=consent).count()


def test_r24_evidence_outlasts_the_permission_by_its_own_time():
    expired, withdrawn, running = make_consent(), long_consent(), long_consent()
    for consent in (expired, withdrawn, running):
        receipts.issue_receipt(consent=consent)
    withdrawal = withdraw(consent=withdrawn)
    after = EVIDENCE.days * DAY
    retention.delete_old_records(clock=withdrawal.made_at + after - DAY)
    assert [evidence_of(one) for one in (expired, withdrawn, running)] == [2, 2, 2]
    retention.delete_old_records(clock=withdrawal.made_at + after + DAY)
    assert [evidence_of(one) for one in (expired, withdrawn, running)] == [2, 0, 2]
    retention.delete_old_records(clock=expired.expires_at + after + DAY)
    assert [evidence_of(one) for one in (expired, withdrawn, running)] == [0, 0, 2]
    assert Withdrawal.objects.filter(consent=withdrawn).exists()
    assert len(withdrawn.evidence_sha256) == 64
    assert list(audit.problems()) == []
    receipts.issue_due()  # does not make anew what was deleted
    assert evidence_of(withdrawn) == 0


def test_evidence_goes_too_when_purposes_ended_one_by_one():
    consent = long_consent(purposes=("research",))
    PurposeEnd.objects.create(purpose=make_purpose(), reason="The project is over.")
    retention.delete_old_records(clock=timezone.now() + EVIDENCE.days * DAY + DAY)
    assert evidence_of(consent) == 0


def test_accounts_that_were_never_confirmed_are_deleted():
    waiting, young, confirmed, staff = (User.objects.create_user(f"{i}@example.org", "x") for i in range(4))
    for user in (waiting, young):
        EmailAddress.objects.create(user=user, email=user.email, verified=False)
    EmailAddress.objects.create(user=confirmed, email=confirmed.email, verified=True)
    contributor = make_contributor()
    EmailAddress.objects.filter(user=contributor.user).update(verified=False)  # as while changing the address
    User.objects.exclude(pk=young.pk).update(date_joined=timezone.now() - 31 * DAY)
    User.objects.filter(pk=staff.pk).update(is_staff=True)
    retention.delete_old_records()
    assert set(User.objects.all()) == {young, confirmed, staff, contributor.user}
    retention.delete_old_records(clock=timezone.now() + UNCONFIRMED.days * DAY)
    assert not User.objects.filter(pk=young.pk).exists()


def make_request(answered_days_ago):
    now = timezone.now()
    return RightsRequest.objects.create(
        kind="depicted",
        name="Ada Example",
        email="ada@example.org",
        details="I am in it.",
        received_at=now - 2000 * DAY,
        due_at=now - 1970 * DAY,
        answered_at=now - answered_days_ago * DAY if answered_days_ago else None,
        outcome="done" if answered_days_ago else "",
        answer="It is gone, Ada." if answered_days_ago else "",
    )


def test_requests_lose_their_words_three_years_after_the_answer():
    old, young, unanswered = make_request(REQUESTS.days + 1), make_request(REQUESTS.days - 1), make_request(0)
    retention.delete_old_records()
    for request in (old, young, unanswered):
        request.refresh_from_db()
    assert (old.name, old.email, old.details, old.answer) == ("", "", "", "")
    assert (old.kind, old.outcome) == ("depicted", "done")
    assert young.name == unanswered.name == "Ada Example"


def test_sessions_that_have_ended_are_deleted():
    for key, days in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + days * DAY)
    retention.delete_old_records()
    assert [session.session_key for session in Session.objects.all()] == ["new"]


# --- The table -----------------------------------------------------------------------------------


def test_every_rule_that_deletes_has_a_sweep_that_runs():
    app.loader.import_default_modules()
    sweeps = {rule.sweep for rule in RULES if rule.sweep}
    assert len(sweeps) >= 5
    assert sweeps <= set(live_settings.CELERY_BEAT_SCHEDULE)
    assert sweeps <= set(app.tasks)


def test_every_rule_without_a_sweep_says_that_it_is_kept():
    for rule in RULES:
        if not rule.sweep:
            assert rule.until_in_words().startswith("Kept for good") or "You delete" in rule.until


def test_the_table_says_what_the_settings_say(settings):
    settings.RETENTION_CONTACT_DAYS = 40
    assert "40 days pass" in CONTACT.until_in_words()
    now = timezone.now()
    assert CONTACT.cutoff(now) == now - 40 * DAY
    assert {rule.setting for rule in RULES} - {""} == {
        "RETENTION_CONTACT_DAYS", "EVIDENCE_DAYS", "REQUEST_DAYS", "UNCONFIRMED_DAYS", "REMOVED_DIGEST_DAYS",
        "IMPORT_REPORT_DAYS", "UPLOAD_DAYS", "PAYMENT_DETAILS_DAYS",
    }  # fmt: skip


def test_times_are_told_in_words():
    assert [time_in_words(days) for days in (1095, 365, 30, 1)] == ["3 years", "1 year", "30 days", "1 day"]
    assert [seconds_in_words(s) for s in (5.0, 1, 60, 3600, 7200, 2.5)] == [
        "every 5 seconds", "every second", "every minute", "every hour", "every 2 hours", "every 2.5 seconds",
    ]  # fmt: skip


def test_the_sweeps_run_as_tasks():
    consent = make_consent()
    silent_for(consent.contributor, 1096)
    for name in ("observe_clock", "remind_lapsing", "end_lapsed", "delete_old_records"):
        app.tasks[f"consent.tasks.{name}"]()
    assert not Consent.objects.live().exists()
    assert ledger.LedgerEntry.objects.filter(payload__contains="consent.withdrawn").exists()
