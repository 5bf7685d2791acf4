"""The page on which further faces in a photograph are covered: for its contributor, and for reviewers."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from collection import claims, face_marks, tasks
from collection.face_forms import read_marks, write_mark
from collection.face_marks import Kind
from collection.models import Image, ImageStatus, ReviewCase
from collection.removals import seen_by
from consent.hints import hint
from consent.models import Contributor, User
from consent.pages import form_page
from consent.refusals import Refused
from consent.roles import REVIEWER, contributor_required, role_required, staff_user

DRAWN_WIDTH = 1000  # units of the drawing over the photograph


@form_page
@never_cache
@contributor_required
def photo_faces(request: HttpRequest, contributor: Contributor, image_id: uuid.UUID) -> HttpResponse:
    """A contributor covers faces in their own photograph."""
    image = get_object_or_404(seen_by(contributor), pk=image_id)
    assert contributor.user is not None  # noqa: S101  # they are signed in
    if request.method == "POST" and _mark(request, image, contributor.user, as_reviewer=False):
        messages.success(request, "Thank you. The photograph is made anew with the faces covered, for good.")
        return redirect("photos")
    kinds = [(Kind.COVER, "Cover it")]
    preview = reverse("photo_thumb", args=[image.pk])
    return _page(request, image, kinds, {"preview": preview, "back": reverse("photos"), "reviewer": False})


@form_page
@role_required(REVIEWER)
def review_faces(request: HttpRequest, image_id: uuid.UUID) -> HttpResponse:
    """A reviewer says of each further face what is to become of it."""
    image = get_object_or_404(Image.objects.with_live_basis(), pk=image_id)
    if request.method == "POST" and _mark(request, image, staff_user(request), as_reviewer=True):
        messages.success(request, "Noted. The photograph is made anew and goes through screening again.")
        return redirect("review_queue")
    kinds = [(Kind.COVER, "Cover it"), (Kind.NO_FACE, "No person's face")]
    if image.licence_id:
        kinds.append((Kind.RELEASED, "The library has this person's release"))
    preview, back = reverse("staff_preview", args=[image.pk]), reverse("review_image", args=[image.pk])
    return _page(request, image, kinds, {"preview": preview, "back": back, "reviewer": True})


def _mark(request: HttpRequest, image: Image, user: User, *, as_reviewer: bool) -> bool:
    try:
        if as_reviewer and not claims.is_theirs(ReviewCase.objects.filter(pk=image.pk).first(), user):
            raise Refused(
                claims.why_not(image_id=image.pk, reviewer=user) or "Please open this case first: it is not yours."
            )
        face_marks.mark_faces(image=image, marks=read_marks(request.POST), user=user, as_reviewer=as_reviewer)
    except Refused as refused:
        messages.warning(request, str(refused))
        return False
    hint(tasks.advance_task, str(image.pk))
    return True


def _page(request: HttpRequest, image: Image, kinds: list[tuple[Kind, str]], context: dict[str, Any]) -> HttpResponse:
    height = round(DRAWN_WIDTH * (image.height or 1) / (image.width or 1))
    boxes = sorted(face_marks.open_faces(image), key=lambda box: box.x)  # numbered from left to right
    return render(
        request,
        "collection/faces.html",
        {
            **context,
            "image": image,
            "waits": image.status == ImageStatus.NEEDS_REVIEW,
            "width": DRAWN_WIDTH,
            "height": height,
            "faces": [
                {
                    "x": round(box.x * DRAWN_WIDTH),
                    "y": round(box.y * height),
                    "w": round(box.w * DRAWN_WIDTH),
                    "h": round(box.h * height),
                    "choices": [(write_mark(kind, box), words) for kind, words in kinds],
                }
                for box in boxes
            ],
        },
    )
