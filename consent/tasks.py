"""What the queue runs for consents: sweeps, whose to-do is rows, so that a lost message costs only a little time."""

import logging

from celery import shared_task

from consent import anchors, clock, demographics, desk, erasure_list, ledger, retention, services, sqlite_log
from consent.models import Consent

logger = logging.getLogger(__name__)


@shared_task
def issue_receipts() -> None:
    """Issue and mail the receipts that are missing."""
    services.issue_due()


@shared_task
def issue_receipt(consent_id: str) -> None:
    """Issue and mail the receipt of one consent, if the sweep has not done it yet."""
    services.issue_one(consent=Consent.objects.get(pk=consent_id))


@shared_task
def seal_ledger() -> None:
    """Seal what has been appended since the last seal."""
    while ledger.seal():
        pass


@shared_task
def seal_stragglers() -> None:
    """Seal entries of transactions that took so long that the ordinary sweep no longer looks for them."""
    while ledger.seal(look_back=None):
        pass


@shared_task
def copy_checkpoint() -> None:
    """Copy the newest checkpoint to where nobody can change it."""
    anchors.copy_checkpoint()


@shared_task
def observe_clock() -> None:
    """Note the time, so that a jump is seen."""
    clock.observe()


@shared_task
def empty_log() -> None:
    """Let nothing that was erased stay in the database's log."""
    if not sqlite_log.empty_log():
        logger.info("SQLite's log may still hold what was erased, for somebody reads an older state: next turn")


@shared_task
def end_lapsed() -> None:
    """Withdraw for contributors who were not heard of for too long."""
    retention.end_lapsed()


@shared_task
def remind_lapsing() -> None:
    """Write to those whose permissions lapse soon."""
    retention.remind_lapsing()


@shared_task
def delete_old_records() -> None:
    """Delete evidence, accounts and requests whose time is over."""
    retention.delete_old_records()


@shared_task
def mail_requests() -> None:
    """Tell people of answers to their requests, and of extensions."""
    desk.mail_due()


@shared_task
def alarm_overdue() -> None:
    """Tell the data-protection officers which requests are overdue."""
    desk.alarm_overdue()


@shared_task
def delete_demographics() -> None:
    """Delete what people said about themselves, on its day and when they permit nothing any more."""
    demographics.delete_due()


@shared_task
def write_erasure_notes() -> None:
    """Write what was erased to the list that lies outside the database."""
    erasure_list.write_notes()
