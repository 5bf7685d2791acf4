"""More than one face in a photograph: each further one is covered, or somebody says why it need not be.

A mark sends the photograph back to `received`: the clean copy, the preview and the hashes are made anew from the
original, painted over, and the pipeline goes on. From the mark on nobody is served the old ones.
"""

import uuid
from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import QuerySet

from collection import fingerprints
from collection.boxes import Box
from collection.faces import SAME_FACE
from collection.models import FaceMark, Image, ImageStatus, Screening
from consent.models import User
from consent.refusals import Refused

Kind = FaceMark.Kind
MOST_MARKS = 50  # of one photograph
LEAST_SIDE = 0.005  # of a box, in parts of the picture
Mark = tuple[str, Box]


def faces_of(image: Image) -> list[Box]:
    """Where faces were found when the image was screened last."""
    screening = Screening.objects.filter(image=image).first()
    return [Box(*box) for box in screening.faces] if screening else []


def without_mark(image: Image, boxes: Sequence[Box]) -> list[Box]:
    """Those of `boxes` that nobody has decided on yet."""
    marks = [box_of(mark) for mark in image.face_marks.all()]
    return [box for box in boxes if all(box.covers(mark) < SAME_FACE for mark in marks)]


def open_faces(image: Image) -> list[Box]:
    """The faces that nobody has decided on yet: more than one, and the image is used for nothing."""
    return without_mark(image, faces_of(image))


def refuse_open_faces(image: Image) -> None:
    """Refused if more than one face is in it that nobody has decided on: it cannot be accepted."""
    if len(open_faces(image)) > 1:
        raise Refused("More than one face is in it. Please say for each further face whether it is to be covered.")


def covers_of(image: Image) -> list[Box]:
    """What is painted over in every copy but the original."""
    return [box_of(mark) for mark in image.face_marks.filter(kind=Kind.COVER)]


def box_of(mark: FaceMark) -> Box:
    return Box(mark.x, mark.y, mark.w, mark.h)


def holding_faces(images: Collection[uuid.UUID]) -> QuerySet[Image]:
    """Which of these (ids) wait because of further faces."""
    held = Image.objects.with_live_basis().filter(pk__in=images, status=ImageStatus.NEEDS_REVIEW)
    several = Screening.objects.filter(image__in=held.values("pk"))
    return held.filter(pk__in=[one.pk for one in several if len(one.faces) > 1])


def mark_faces(*, image: Image, marks: Sequence[Mark], user: User, as_reviewer: bool) -> None:
    """Decide on faces of a held photograph. Refused says what is wrong; contributors can only cover."""
    _refuse_bad(image, marks, as_reviewer)
    with transaction.atomic():
        moved = Image.objects.move(
            image.pk,
            ImageStatus.NEEDS_REVIEW,
            ImageStatus.RECEIVED,
            reason="faces_marked",
            detail=", ".join(sorted({str(kind) for kind, _ in marks})),
            actor=f"user:{user.pk}",
            clean_key="",
            clean_sha256="",
            clean_format="",
            preview_key="",
        )
        if not moved:
            raise Refused("This photograph does not wait any more: somebody settled it, or the permission ended.")
        fingerprints.forget(image.pk)
        FaceMark.objects.bulk_create(
            FaceMark(image=image, kind=kind, x=box.x, y=box.y, w=box.w, h=box.h, actor=f"user:{user.pk}")
            for kind, box in marks
        )


def _refuse_bad(image: Image, marks: Sequence[Mark], as_reviewer: bool) -> None:
    if not marks:
        raise Refused("Please choose at least one face, or draw a box over one.")
    if image.face_marks.count() + len(marks) > MOST_MARKS:
        raise Refused(f"At most {MOST_MARKS} boxes fit on one photograph. Please send one with fewer people.")
    if not as_reviewer and any(kind != Kind.COVER for kind, _ in marks):
        raise Refused("Only a reviewer can say that. You can cover faces.")
    if image.licence_id is None and any(kind == Kind.RELEASED for kind, _ in marks):
        raise Refused("Only a licensed photograph comes with model releases.")
    if any(min(box.w, box.h) < LEAST_SIDE for _, box in marks):
        raise Refused("That box is too small. Please draw it over the whole face.")
    if any(box.x < 0 or box.y < 0 or box.x + box.w > 1 or box.y + box.h > 1 for _, box in marks):
        raise Refused("That box is not inside the photograph.")
