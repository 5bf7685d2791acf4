"""What runs in the background. A task calls one service; the sweeps find what a lost message left."""

import uuid

from celery import shared_task

from collection import erasure, licensed, pipeline, recognition
from collection.models import Image
from consent import licence_warnings

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


@shared_task
def forget_digests() -> None:
    """Delete what was kept of erased photographs for as long as it may be."""
    recognition.forget_digests()


@shared_task
def warn_licences() -> None:
    """Tell data managers which licences end soon, have ended, or are used up."""
    licence_warnings.warn(used=licensed.used_by_licence())
