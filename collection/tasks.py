"""What runs in the background. A task calls one service; the sweeps find what a lost message left."""

import logging
import uuid

from celery import shared_task
from kombu.exceptions import OperationalError

from collection import erasure, pipeline
from collection.models import Image

logger = logging.getLogger(__name__)
SWEPT_AT_ONCE = 200


@shared_task
def advance_task(image_id: str) -> None:
    """Take one image as far as it gets."""
    pipeline.advance(uuid.UUID(image_id))


@shared_task
def sweep_due() -> None:
    """Advance every image that has a step to do."""
    due = Image.objects.with_live_basis().due().order_by("next_attempt_at").values_list("pk", flat=True)
    for image_id in due[:SWEPT_AT_ONCE]:
        pipeline.advance(image_id)


@shared_task
def purge_withdrawn() -> None:
    """Erase images whose basis has ended."""
    erasure.purge_withdrawn()


@shared_task
def remove_orphans() -> None:
    """Erase bytes that no image owns."""
    erasure.remove_orphans()


def request_advance(image: Image) -> None:
    """Hint to the workers that there is something to do. Without a broker the sweep finds it."""
    try:
        advance_task.delay_on_commit(str(image.pk))  # type: ignore[attr-defined]  # celery-types lacks it
    except OperationalError as error:
        logger.warning("no broker, image %s waits for the sweep: %s", image.pk, error)
