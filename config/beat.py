"""The beat table: which sweeps look for pending rows, and how often. Each is a task without arguments."""

from typing import Any

MINUTE, HOUR = 60.0, 3600.0  # seconds

# What people wait for: every SWEEP_SECONDS.
OFTEN = (
    "consent.tasks.issue_receipts",
    "consent.tasks.seal_ledger",
    "consent.tasks.write_erasure_notes",
    "consent.tasks.observe_clock",
    "consent.tasks.empty_log",
    "consent.tasks.delete_demographics",
    "consent.tasks.mail_requests",
    "collection.tasks.sweep_due",
    "collection.tasks.purge_withdrawn",
    "collection.tasks.apply_reviews",
    "collection.tasks.mail_harm_alarms",
    "collection.tasks.settle_uploads",
    "collection.tasks.sweep_imports",
    "annotation.tasks.push_running",
    "annotation.tasks.pull_hinted",
    "annotation.tasks.sweep_updated",
    "annotation.tasks.retract_withdrawn",
    "exports.tasks.build_due",
    "exports.tasks.revoke_items",
    "exports.tasks.issue_certificates",
)

# What looks at everything, or goes by days. Seconds between two turns.
SELDOM = {
    "consent.tasks.copy_checkpoint": MINUTE,
    "collection.tasks.compare_harm_lists": MINUTE,
    "annotation.tasks.compare_studio": MINUTE,  # each project once a day, and again after it mended something
    "annotation.tasks.pause_weak": 5 * MINUTE,  # it compares every gold answer of every running campaign
    "collection.tasks.warn_licences": 5 * MINUTE,  # it counts the images of every licence
    "consent.tasks.seal_stragglers": HOUR,
    "consent.tasks.end_lapsed": HOUR,
    "consent.tasks.remind_lapsing": HOUR,
    "consent.tasks.delete_old_records": HOUR,
    "consent.tasks.alarm_overdue": HOUR,
    "collection.tasks.remove_orphans": HOUR,
    "collection.tasks.remove_leftovers": HOUR,
    "collection.tasks.forget_digests": HOUR,
    "annotation.tasks.forget_bank_details": HOUR,
    "annotation.tasks.forget_former": HOUR,
    "exports.tasks.delete_files_again": HOUR,
    "exports.tasks.remind_recipients": HOUR,
    "exports.tasks.report_quarter": HOUR,  # it makes one report a quarter
}


def beat_schedule(sweep_seconds: float) -> dict[str, dict[str, Any]]:
    """Celery's CELERY_BEAT_SCHEDULE.

    A sweep that had to wait is still wanted; one that waited for several turns has been overtaken by the next.
    """
    often = {name: _turn(name, sweep_seconds, expires=5 * sweep_seconds) for name in OFTEN}
    return often | {name: _turn(name, seconds, expires=seconds) for name, seconds in SELDOM.items()}


def _turn(name: str, seconds: float, *, expires: float) -> dict[str, Any]:
    return {"task": name, "schedule": seconds, "options": {"expires": expires}}
