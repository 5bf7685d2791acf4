"""The pages of contributors: open calls, upload, their own files. (My photos itself: exports.contributor_views.)"""

import uuid
from pathlib import PurePath
from typing import Any

from csp.constants import SELF
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from collection import multipart, parts, progress, services, storage, targets, tasks
from collection.forms import UploadForm
from collection.models import Call, Image, ImageStatus
from collection.removals import seen_by
from collection.turns import turn
from consent.hints import hint
from consent.models import Consent, Contributor
from consent.pages import form_page
from consent.roles import contributor_required
from consent.texts import render_markdown

# What a contributor reads for each status: badge class, word.
SHOWN = {
    ImageStatus.RECEIVED: ("quiet", "being checked"),
    ImageStatus.SANITIZED: ("quiet", "being checked"),
    ImageStatus.SCREENED: ("quiet", "being checked"),
    ImageStatus.ACCEPTED: ("ok", "accepted"),
    ImageStatus.NEEDS_REVIEW: ("warn", "somebody looks at it"),
    ImageStatus.DUPLICATE: ("quiet", "counted already"),
    ImageStatus.REJECTED: ("bad", "not taken"),
    ImageStatus.PURGED: ("quiet", "erased"),
}


@require_GET
def calls(request: HttpRequest) -> HttpResponse:
    found = Call.objects.open().order_by("closes_at")
    shown = [(call, render_markdown(call.description)) for call in found]
    return render(request, "collection/calls.html", {"calls": shown})


@require_GET
@never_cache
def call(request: HttpRequest, slug: str) -> HttpResponse:
    """What is wanted and how far it is; to a contributor, also where they stand with it."""
    call = get_object_or_404(Call.objects.select_related("form"), slug=slug)
    contributor = Contributor.objects.filter(user=request.user.pk).first() if request.user.is_authenticated else None
    context = {
        "call": call,
        "description": render_markdown(call.description),
        "rows": progress.public_progress(call),
        "versions": progress.versions(call),
        "standing": targets.standing(contributor=contributor, call=call) if contributor and call.is_open() else None,
    }
    return render(request, "collection/call.html", context)


@form_page
@never_cache
@contributor_required
def upload(request: HttpRequest, contributor: Contributor, slug: str) -> HttpResponse:
    """Take in the files that a form sends; each gets its own message, and one bad file does not stop the others."""
    call = get_object_or_404(Call.objects.select_related("form"), slug=slug)
    consent = services.signed_consent(contributor=contributor, call=call)
    if consent is None:
        messages.info(request, "Before you send photographs, please read and sign what happens with them.")
        return redirect_to_login(request.get_full_path(), login_url=reverse("sign", args=[call.form.slug]))
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    results: list[dict[str, Any]] = []
    if form.is_valid():
        results = [_take(contributor, consent, call, file) for file in form.cleaned_data["photos"]]
    if "application/json" in request.headers.get("Accept", ""):
        errors = [str(error) for error in form.errors.get("photos", [])]
        return JsonResponse({"files": results, "errors": errors}, status=400 if errors else 200)
    taken = sum(result["image_id"] is not None for result in results)
    context = {"call": call, "form": form, "results": results, "taken": taken, "on_disk": parts.on_disk()}
    context["standing"] = targets.standing(contributor=contributor, call=call)
    return _reaching_the_bucket(render(request, "collection/upload.html", context))


def _reaching_the_bucket(page: HttpResponse) -> HttpResponse:
    """Where browsers send photographs to a bucket, the page may talk to that one."""
    if not parts.on_disk():
        vars(page)["_csp_update"] = {"connect-src": [SELF, multipart.browser_origin()]}
    return page


def _take(contributor: Contributor, consent: Consent, call: Call, file: UploadedFile) -> dict[str, Any]:
    name = file.name or "photograph"
    try:
        with turn():
            image = services.receive_image(
                contributor=contributor, consent=consent, call=call, file=file, client_name=name
            )
    except services.Refused as refused:
        return {"name": name, "image_id": None, "message": str(refused)}
    hint(tasks.advance_task, str(image.pk))
    return {"name": name, "image_id": str(image.pk), "message": "Thank you, it has arrived."}


@require_GET
@contributor_required
def photo_thumb(request: HttpRequest, contributor: Contributor, image_id: uuid.UUID) -> HttpResponseBase:
    return preview_response(seen_by(contributor).filter(pk=image_id).first())


@require_GET
@contributor_required
def photo_original(request: HttpRequest, contributor: Contributor, image_id: uuid.UUID) -> HttpResponseBase:
    """The contributor's own file, as it was sent."""
    image = get_object_or_404(seen_by(contributor), pk=image_id)
    try:
        file = storage.open_original(image)
    except FileNotFoundError:  # purged between the look-up and here
        raise Http404 from None
    name = image.client_name or PurePath(image.original_key).name
    answer = FileResponse(file, as_attachment=True, filename=name, content_type="application/octet-stream")
    answer["Cache-Control"] = "no-store"
    return answer


def preview_response(image: Image | None) -> HttpResponseBase:
    """The preview of an image that the caller may see, else 404; never cached anywhere."""
    if image is None or not image.preview_key:
        raise Http404
    try:
        with storage.open_preview(image) as file:
            content = file.read()
    except FileNotFoundError:  # purged between the look-up and here
        raise Http404 from None
    return HttpResponse(content, content_type="image/jpeg", headers={"Cache-Control": "no-store"})
