"""What runs in workers. Each task loads by primary key, or looks for what is due, and calls one service."""

from celery import shared_task
from django.utils import timezone

from exports import certificates, deviation_reports, notice_mails, notices, release_files, services
from exports.models import Release

# Seconds. It keeps its lease, and another worker begins anew if it is killed. Its message is acknowledged when it
# begins: RabbitMQ closes the channel of whoever keeps one for half an hour, and the row is the to-do anyway.
LONGEST_BUILD = 6 * 60 * 60


@shared_task(acks_late=False, soft_time_limit=LONGEST_BUILD, time_limit=LONGEST_BUILD + 60)
def build(release_id: int) -> None:
    """Build one release."""
    services.build_release(release_id=release_id)


@shared_task(acks_late=False, soft_time_limit=LONGEST_BUILD, time_limit=LONGEST_BUILD + 60)
def build_due() -> None:
    """Build what waits longest to be built; one only, so that each has the time limit to itself."""
    due = Release.objects.filter(state=Release.State.BUILDING, next_attempt_at__lte=timezone.now())
    if release := due.order_by("next_attempt_at", "pk").first():
        services.build_release(release_id=release.pk)


@shared_task
def revoke_items() -> None:
    """Mark rows whose rights ended and tell their recipients."""
    notices.revoke_items()


@shared_task
def delete_files_again() -> None:
    """Delete files of releases that lie in storage again although they were deleted."""
    release_files.delete_again()


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
