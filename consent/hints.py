"""Hints to the workers. Every to-do is a row that a sweep finds, so a hint that is lost costs only a little time."""

import logging
from typing import Any

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def hint(task: Task, *arguments: Any) -> None:
    """Ask the queue to run `task` once the transaction is committed. Without a broker the sweep finds the row."""

    def send() -> None:
        try:
            task.delay(*arguments)
        except OperationalError as error:
            logger.warning("no broker, %s waits for the sweep: %s", task.name, error)

    transaction.on_commit(send)
