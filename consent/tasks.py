"""What the queue runs for consents: sweeps, whose to-do is rows, so that a lost message costs only a little time."""

from celery import shared_task

from consent import ledger, services


@shared_task
def issue_receipts() -> None:
    """Issue and mail the receipts that are missing."""
    services.issue_due()


@shared_task
def seal_ledger() -> None:
    """Seal what has been appended since the last seal."""
    ledger.seal()
