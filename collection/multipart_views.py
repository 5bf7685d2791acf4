"""Uploads straight to S3: what a browser asks us before it asks the bucket. Session and CSRF token as ever."""

import json
import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from collection import multipart, parts, services, tasks
from collection.models import Call, Upload
from collection.tus_views import begin
from consent.hints import hint
from consent.models import Contributor
from consent.refusals import Refused
from consent.roles import contributor_required


@require_POST
@never_cache
@contributor_required
def uploads_sign(request: HttpRequest, contributor: Contributor, slug: str) -> HttpResponseBase:
    """The address for one request of one upload to the bucket, as JSON.

    Asked without `uploadId` for POST it announces the upload (`filename`, `size`, `sha256`, `reference`) and answers
    with its `key`; all else names that `key`, which must be the sender's own.
    """
    if parts.on_disk():
        raise Http404("Photographs come to this server itself here (tus).")
    call = get_object_or_404(Call.objects.select_related("form"), slug=slug)
    asked = _asked(request)
    try:
        upload = _announced(contributor, call, asked) if _announces(asked) else _own(contributor, asked)
        services.check_sender(contributor=contributor, consent=upload.consent, call=upload.call)
        url = _address(upload, asked)
    except Refused as refused:
        return HttpResponse(str(refused), "text/plain; charset=utf-8", status=403)
    except multipart.NotSigned as wrong:
        return HttpResponse(str(wrong), "text/plain; charset=utf-8", status=400)
    return JsonResponse({"url": url, "key": parts.key_of(upload.pk)})


def _asked(request: HttpRequest) -> dict[str, Any]:
    try:
        asked = json.loads(request.body)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _announces(asked: dict[str, Any]) -> bool:
    return asked.get("method") == "POST" and not asked.get("uploadId")


def _announced(contributor: Contributor, call: Call, asked: dict[str, Any]) -> Upload:
    size = asked.get("size")
    if not isinstance(size, int):
        raise multipart.NotSigned("size must be a number")
    told = {name: str(asked.get(name) or "") for name in ("filename", "sha256", "reference")}
    return begin(contributor, call, size, told)


def _own(contributor: Contributor, asked: dict[str, Any]) -> Upload:
    """The unfinished upload that a key belongs to, if it is this person's; 404 else."""
    upload_id = parts.upload_id_of(str(asked.get("key")))
    own = Upload.objects.select_related("consent", "call").filter(contributor=contributor, settled_at__isnull=True)
    return get_object_or_404(own, pk=upload_id, expires_at__gt=timezone.now())


def _address(upload: Upload, asked: dict[str, Any]) -> str:
    part = asked.get("partNumber")
    return multipart.sign(
        upload_id=upload.pk,
        byte_length=upload.byte_length,
        method=str(asked.get("method")),
        multipart_id=str(asked.get("uploadId") or ""),
        part=part if isinstance(part, int) else None,
    )


@require_POST
@never_cache
@contributor_required
def upload_arrived(request: HttpRequest, contributor: Contributor, upload_id: uuid.UUID) -> HttpResponse:
    """The browser says that its last part is there: a worker looks. (If it never says so, the sweep looks.)"""
    upload = get_object_or_404(Upload, contributor=contributor, pk=upload_id)
    if upload.settled_at is None:
        hint(tasks.finish_upload_task, str(upload.pk))
    return HttpResponse(status=202)
