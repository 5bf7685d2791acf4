"""What runs in the background. A task calls one service; the sweeps find what a lost message left."""

import time
import uuid

from celery import shared_task

from collection import erasure, library_runs, licensed, licensed_attributes, pipeline
from collection.models import Image
from consent import licence_warnings
from consent.hints import hint

SWEPT_AT_ONCE = 200
SLICE_SECONDS = 120.0  # of one import, then others have their turn; well within the time limit of tasks


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
def warn_licences() -> None:
    """Tell data managers which licences end soon, have ended, or are used up."""
    licence_warnings.warn(used=licensed.used_by_licence())


@shared_task
def import_library(run_id: int) -> None:
    """Work on one library import; what is left after a while is hinted at again."""
    if library_runs.work_on(run_id=run_id, seconds=SLICE_SECONDS):
        hint(import_library, run_id)
    hint(sweep_due)


@shared_task
def sweep_imports() -> None:
    """Go on with library imports that nobody works on: their hint was lost, or their worker died."""
    until = time.monotonic() + SLICE_SECONDS
    for run_id in library_runs.due():
        left = until - time.monotonic()
        if left > 0:
            library_runs.work_on(run_id=run_id, seconds=left)


@shared_task
def remove_leftovers() -> None:
    """Erase what imports and killed processes leave behind, and attributes whose day has come."""
    erasure.remove_temporary()
    library_runs.remove_leftovers()
    licensed_attributes.delete_due()
