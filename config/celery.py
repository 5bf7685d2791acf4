"""The Celery application. The queue is only a hint: every to-do is a database row (settings.CELERY_BEAT_SCHEDULE)."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

TRANSPORT_ALIASES["filesystem"] = "config.broker:Transport"
app = Celery("likeness")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def refuse_before_replay(**_: Any) -> None:
    """A restored backup does nothing before the erasures since it was made are done again."""
    from consent import erasure_list  # noqa: PLC0415  # the apps are ready only now

    if erasure_list.is_behind():
        raise SystemExit("This database is older than its erasure list. Run `manage.py replay_erasures` first.")
