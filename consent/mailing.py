"""How every mail of ours goes out: written by `write_mail`, so that an answer reaches a person, and claimed by moving
the moment at which it is due, so that of two workers one sends.

A worker that dies after its claim is succeeded after MAIL_RETRY. What the mail server, or the mail itself, has against
it is logged and tried again then; it keeps back no other mail.
"""

import datetime
import logging
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

logger = logging.getLogger(__name__)

MAIL_RETRY = datetime.timedelta(minutes=10)


def write_mail(subject: str, body: str, to: Sequence[str]) -> EmailMessage:
    """A mail of ours, to be sent. Answers go to REPLY_TO_EMAIL, where a person reads them."""
    return EmailMessage(subject, body, to=to, reply_to=settings.REPLY_TO_EMAIL)


def send_claimed(rows: QuerySet[Any], send: Callable[[], object], *, what: str, due: str = "mail_due_at") -> bool:
    """Send one mail, if its row (`rows`: it alone, while the mail is owed) is due by the field `due`.

    False: it is not owed, somebody is just at it, or it failed. The caller notes in the row that it went out. `what`
    names the mail in the log, where nobody's address may stand.
    """
    now = timezone.now()
    if not rows.filter(**{f"{due}__lte": now}).update(**{due: now + MAIL_RETRY}):
        return False
    return try_to_send(send, what=what)


def try_to_send(send: Callable[[], object], *, what: str) -> bool:
    """False if it failed."""
    try:
        send()
    except OSError as error:  # the mail server's trouble, SMTP errors among it; their words may name the address
        logger.warning("%s could not be mailed: %s", what, type(error).__name__)
        return False
    except Exception:  # the mail's own: an address or a header that no mail may have, a text that cannot be written
        logger.exception("%s could not be mailed", what)
        return False
    return True


def absolute(name: str, *arguments: Any) -> str:
    """The full address of one of our pages, as it stands in mails and receipts."""
    return f"{settings.BASE_URL}{reverse(name, args=arguments)}"
