"""What screening finds out about one photograph, and where that sends it. Pixels: collection.quality, .faces."""

import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass

from django.db.models import Exists, OuterRef

from collection import face_marks, faces, quality, vendors
from collection.boxes import Box
from collection.models import FaceMark, Image, ImageStatus, Screening, Transition, VendorCall
from collection.quality import Failure
from collection.reasons import Reason, describe

MOST_FACES = 1
TOLD = (ImageStatus.SCREENED, ImageStatus.ACCEPTED, ImageStatus.NEEDS_REVIEW)  # in which a sender can still do better


@dataclass(frozen=True)
class Finding:
    """What was measured, and the verdict: the status to go to, and why (a code of collection.reasons)."""

    measures: quality.Measures
    faces: list[Box]
    failures: list[Failure]
    status: str
    reason: str = ""
    detail: str = ""


def look_at(*, image: Image, preview: bytes, last_try: bool) -> Finding:
    """Measure a photograph and ask whom the settings name. Raises vendors.VendorError, while another try may help."""
    grey = quality.decode_grey(preview)
    boxes = faces.find_faces(grey)
    measures = quality.measure(grey, boxes, min(image.width or 0, image.height or 0))
    failures = quality.failures(measures)
    verdict = _verdict(image, boxes, failures) or _queue(image, preview, last_try)
    return Finding(measures, boxes, failures, *verdict)


def store_finding(*, image: Image, finding: Finding) -> None:
    """Inside the transaction of the move: an image that was purged meanwhile must not get its measures back."""
    values = {
        "measures": asdict(finding.measures),
        "faces": [[box.x, box.y, box.w, box.h] for box in finding.faces],
        "failures": [failure.reason for failure in finding.failures],
    }
    found = Screening(image=image, **values)
    Screening.objects.bulk_create([found], update_conflicts=True, unique_fields=["image"], update_fields=[*values])


def _verdict(image: Image, boxes: list[Box], failures: list[Failure]) -> tuple[str, str, str] | None:
    """What the picture itself says; None if it may go on."""
    if failures and failures[0].final:
        return ImageStatus.REJECTED, failures[0].reason, failures[0].detail
    if (open_faces := len(face_marks.without_mark(image, boxes))) > MOST_FACES:
        return ImageStatus.NEEDS_REVIEW, "more_than_one_face", f"{open_faces} faces"
    if failures:
        return ImageStatus.NEEDS_REVIEW, failures[0].reason, failures[0].detail
    return None


def _queue(image: Image, preview: bytes, last_try: bool) -> tuple[str, str, str]:
    """Whose turn it is: the desk's if the call wants each photograph looked at or a vendor says so."""
    if image.call and image.call.look_at_all:
        return ImageStatus.NEEDS_REVIEW, "call_looks", ""
    for kind in VendorCall.Kind:
        if why := vendors.ask(kind=kind, image=image, preview=preview, last_try=last_try):
            return ImageStatus.NEEDS_REVIEW, str(kind), why
    return ImageStatus.SCREENED, "", ""


def without_face(images: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Of these images (ids) those in which no face was found, where nobody has looked at them yet: their senders are
    told, kindly, since the machine often overlooks faces. A reviewer who let one pass has found the face."""
    looked_at = Transition.objects.filter(image=OuterRef("image"), old=ImageStatus.NEEDS_REVIEW)
    seen = Screening.objects.filter(image__in=images, faces=[], image__status__in=TOLD).exclude(Exists(looked_at))
    return set(seen.values_list("image_id", flat=True))


def hints_of(image: Image) -> list[Reason]:
    """What the desk should know besides the reason for which an image is held; never a verdict."""
    screening = Screening.objects.filter(image=image).first()
    if screening is None:
        return []
    codes = [*screening.failures, *([] if screening.faces else ["no_face"])]
    covered = image.face_marks.filter(kind=FaceMark.Kind.COVER).exists()
    return [describe(code) for code in (*codes, *(["faces_covered"] if covered else []))]
