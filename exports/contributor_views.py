"""What contributors see of the far end: My photos, and the certificate of what they took back."""

import uuid
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from collection import removals
from collection.face_marks import holding_faces
from collection.freezes import frozen_images
from collection.models import Image, ImageQuerySet, ImageStatus
from collection.reasons import describe
from collection.screening import without_face
from collection.views import SHOWN
from consent.models import Consent, Contributor
from consent.roles import contributor_required
from exports.acts import find_act, progress_of
from exports.certificates import CACHES, STAYS
from exports.history import histories
from exports.models import Certificate

PER_PAGE = 48
EXPLAINED = {ImageStatus.REJECTED, ImageStatus.DUPLICATE, ImageStatus.NEEDS_REVIEW, ImageStatus.PURGED}


@require_GET
@never_cache
@contributor_required
def photos(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    """Every photograph of this contributor that is there: where it stands and why, who saw it, what holds it, who
    pulled that. Erased ones, which have no picture any more, are one line."""
    own = Image.objects.filter(consent__contributor=contributor)
    erased = own.filter(status=ImageStatus.PURGED).count()
    return _page(request, contributor, own.exclude(status=ImageStatus.PURGED), of_erased=False, erased=erased)


@require_GET
@never_cache
@contributor_required
def photos_erased(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    """What stays of this contributor's erased photographs: why they went, and where they had been."""
    erased = Image.objects.filter(consent__contributor=contributor, status=ImageStatus.PURGED)
    return _page(request, contributor, erased, of_erased=True)


def _page(request: HttpRequest, contributor: Contributor, images: ImageQuerySet, **context: Any) -> HttpResponse:
    ordered = images.order_by("-received_at", "pk").prefetch_related("transitions")
    page = Paginator(ordered, PER_PAGE).get_page(request.GET.get("page"))
    rows = _rows(contributor, list(page.object_list))
    context |= {"page": page, "rows": rows, "removable": any(row["removable"] for row in rows)}
    context["may_withdraw"] = Consent.objects.live().filter(contributor=contributor).exists()
    return render(request, "exports/photos.html", context)


def _rows(contributor: Contributor, images: list[Image]) -> list[dict[str, Any]]:
    ids = [image.pk for image in images]
    told, frozen = histories(ids), frozen_images(ids)
    faceless = without_face(ids)
    crowded = set(holding_faces(ids).values_list("pk", flat=True))
    seen, kept, removable = (
        set(found(contributor).filter(pk__in=ids).values_list("pk", flat=True))
        for found in (removals.seen_by, removals.kept_by, removals.removable_by)
    )
    return [
        {
            "image": image,
            "reason": image.latest_reason() if image.status in EXPLAINED else None,
            "history": told[image.pk],
            "visible": image.pk in seen,
            "kept": image.pk in kept,
            "removable": image.pk in removable,
            "crowded": image.pk in crowded,
            "hint": describe("no_face_seen") if image.pk in faceless else None,
            **_standing(image, kept=image.pk in kept, removable=image.pk in removable, frozen=image.pk in frozen),
        }
        for image in images
    ]


def _standing(image: Image, *, kept: bool, removable: bool, frozen: bool) -> dict[str, str]:
    """Badge class and word."""
    if frozen and image.status != ImageStatus.PURGED:
        return {"badge": "warn", "word": "held while we look into a question; nobody uses it"}
    if kept:
        return {"badge": "quiet", "word": "taken back, kept for you alone"}
    if not removable and image.status != ImageStatus.PURGED:
        return {"badge": "warn", "word": "being erased"}
    badge, word = SHOWN[ImageStatus(image.status)]
    return {"badge": badge, "word": word}


@require_GET
@never_cache
def certificate(request: HttpRequest, act: uuid.UUID) -> HttpResponse:
    """How far an act of taking back is, for whoever has the link. No identity is on it."""
    found = find_act(act)
    if found is None:
        raise Http404("There is no such certificate.")
    issued = Certificate.objects.filter(act=act).first()
    progress = progress_of(found)
    working = issued is None and (not progress.complete or found.contributor() is not None)
    context = {"progress": progress, "issued": issued, "working": working, "stays": STAYS, "caches": CACHES}
    return render(request, "exports/certificate.html", context)


@require_GET
@never_cache
def certificate_json(request: HttpRequest, act: uuid.UUID) -> HttpResponse:
    issued = get_object_or_404(Certificate, act=act)
    name = f"certificate-{act}.json"
    return HttpResponse(
        issued.envelope, "application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
