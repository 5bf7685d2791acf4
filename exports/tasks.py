"""What runs in workers. Each task loads by primary key, or looks for what is due, and calls one service."""

from celery import shared_task
from django.utils import timezone

from exports import certificates, deviation_reports, notice_mails, notices, services
from exports.models import Release

LONGEST_BUILD = 6 * 60 * 60  # seconds; it keeps its lease, and another worker begins anew if it is killed


@shared_task(soft_time_limit=LONGEST_BUILD, time_limit=LONGEST_BUILD + 60)
def build(release_id: int) -> None:
    """Build one release."""
    services.build_release(release_id=release_id)


@shared_task(soft_time_limit=LONGEST_BUILD, time_limit=LONGEST_BUILD + 60)
def build_due() -> None:
    """Build whatever waits to be built."""
    due = Release.objects.filter(state=Release.State.BUILDING, next_attempt_at__lte=timezone.now())
    for pk in due.values_list("pk", flat=True):
        services.build_release(release_id=pk)


@shared_task
def revoke_items() -> None:
    """Mark rows whose rights ended and tell their recipients."""
    notices.revoke_items()


@shared_task
def issue_certificates() -> None:
    """Sign the certificates of what is done everywhere, and mail them."""
    certificates.issue_due()


@shared_task
def remind_recipients() -> None:
    """Remind whoever has not acknowledged a notice."""
    notice_mails.remind_recipients()


@shared_task
def report_quarter() -> None:
    """Make the deviation report of the last quarter, once it is over."""
    deviation_reports.report_quarter()
