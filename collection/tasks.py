"""What runs in the background. A task calls one service; the sweeps find what a lost message left."""

import time
import uuid

from celery import shared_task

from collection import (
    erasure,
    harm_matches,
    library_runs,
    licensed,
    licensed_attributes,
    pipeline,
    recognition,
    review,
    uploads,
)
from collection.models import Image, Upload
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
def apply_reviews() -> None:
    """Let reviewers' decisions take effect, and forget cases that are none any more."""
    for image_id in review.apply_due():
        pipeline.advance(image_id)
    review.forget_settled()


@shared_task
def purge_withdrawn() -> None:
    """Erase images whose basis has ended."""
    erasure.purge_withdrawn()


@shared_task
def finish_upload_task(upload_id: str) -> None:
    """Take in one photograph that has arrived in a bucket, and take it as far as it gets."""
    upload = Upload.objects.select_related("contributor", "consent", "call").filter(pk=upload_id).first()
    if upload and uploads.offset_of(upload=upload) >= upload.byte_length and uploads.finish_upload(upload=upload):
        pipeline.advance(upload.pk)


@shared_task
def settle_uploads() -> None:
    """Take in what arrived and was left lying, and drop what expired or lost its consent."""
    for image_id in uploads.settle_uploads():
        pipeline.advance(image_id)


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


@shared_task
def compare_harm_lists() -> None:
    """Hold the images that we have against lists that are new."""
    harm_matches.compare_due()


@shared_task
def mail_harm_alarms() -> None:
    """Tell the officers of both duties of matches."""
    harm_matches.mail_due()


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
