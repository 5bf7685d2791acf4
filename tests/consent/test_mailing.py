"""Every mail of ours is claimed, sent once, and tried again after whatever went wrong."""

import datetime
import re
import smtplib
from pathlib import Path

import pytest
from django.core.mail.backends.locmem import EmailBackend
from django.urls import reverse
from django.utils import timezone

from consent import desk
from consent.mailing import MAIL_RETRY, send_claimed
from consent.models import RightsRequest
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db
TROUBLE = [
    smtplib.SMTPServerDisconnected("gone"),
    smtplib.SMTPRecipientsRefused({"a@example.org": (550, b"no")}),
    ConnectionRefusedError("nobody listens"),
    ValueError("Header values can't contain newlines"),  # django.core.mail.BadHeaderError is one
    UnicodeEncodeError("ascii", "ü", 0, 1, "not in an address"),
]


class Failing(EmailBackend):
    """A mail server that takes nothing for `Failing.first`, and everything for the others."""

    error: Exception
    first = "first@example.org"

    def send_messages(self, messages):
        if any(self.first in message.to for message in messages):
            raise self.error
        return super().send_messages(messages)


def answered(email: str) -> RightsRequest:
    request = desk.open_request(kind="depicted", name="Somebody", email=email, details="That is me.")
    RightsRequest.objects.filter(pk=request.pk).update(
        answered_at=timezone.now(), outcome="done", answer="It is gone.", mail_due_at=timezone.now()
    )
    return request


@pytest.mark.parametrize("error", TROUBLE, ids=lambda error: type(error).__name__)
def test_one_mails_trouble_keeps_back_no_other_and_is_tried_again(settings, mailoutbox, time_machine, error):
    settings.EMAIL_BACKEND = f"{__name__}.Failing"
    Failing.error = error
    first, second = answered(Failing.first), answered("second@example.org")
    desk.mail_due()
    assert [message.to for message in mailoutbox] == [["second@example.org"]]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    desk.mail_due()  # too soon
    assert len(mailoutbox) == 1
    time_machine.move_to(timezone.now() + MAIL_RETRY + datetime.timedelta(seconds=1))
    desk.mail_due()
    assert [message.to for message in mailoutbox] == [["second@example.org"], [Failing.first]]
    assert not RightsRequest.objects.filter(pk__in=[first.pk, second.pk], answer_told_at__isnull=True).exists()


def test_a_claimed_mail_is_not_sent_by_another_worker():
    owed = RightsRequest.objects.filter(pk=answered("a@example.org").pk)
    sent: list[bool] = []

    def send() -> None:  # while the first worker is at it, a second one comes
        sent.append(send_claimed(owed, lambda: sent.append(True), what="the same mail"))

    assert send_claimed(owed, send, what="a mail")
    assert sent == [False]


def test_the_log_names_no_address(caplog):
    def refused() -> None:
        raise smtplib.SMTPRecipientsRefused({"somebody@example.org": (550, b"no")})

    assert not send_claimed(RightsRequest.objects.filter(pk=answered("a@example.org").pk), refused, what="a mail")
    assert "SMTPRecipientsRefused" in caplog.text
    assert "somebody@example.org" not in caplog.text


def test_there_is_one_place_that_claims_mails():
    root = Path(__file__).parents[2]
    claiming = re.compile(r"_RETRY = datetime\.timedelta")
    files = [path for app in ("consent", "collection", "annotation", "exports") for path in (root / app).rglob("*.py")]
    assert [path.name for path in files if claiming.search(path.read_text())] == ["mailing.py"]


def test_an_answer_reaches_a_person(client, settings, mailoutbox):
    settings.REPLY_TO_EMAIL = ["people@example.org"]
    answered("somebody@example.org")
    desk.mail_due()
    client.post(reverse("account_reset_password"), {"email": make_user("new@example.org").email})
    assert [(message.to, message.reply_to) for message in mailoutbox] == [
        (["somebody@example.org"], ["people@example.org"]),
        (["new@example.org"], ["people@example.org"]),  # allauth's own
    ]
