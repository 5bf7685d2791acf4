"""Uploads that can be interrupted: tus 1.0 (https://tus.io/protocols/resumable-upload), for signed-in contributors.

Core, creation, creation-with-upload, expiration, checksum, termination. The pages send the CSRF token as a header, as
anything else that changes something does. Answers are plain sentences: the upload page shows them.
"""

import base64
import logging
import re
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import http_date

from collection import parts, services, tasks, tus_bodies, uploads
from collection.face_marks import holding_faces
from collection.models import Call, ImageStatus, Upload
from collection.turns import turn
from collection.tus_bodies import BODY, DIGESTS, BadRequest
from collection.views import SHOWN
from consent.hints import hint
from consent.models import Contributor
from consent.refusals import Refused

logger = logging.getLogger(__name__)

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
SHA256 = re.compile(r"[0-9a-f]{64}")

Handler = Callable[..., HttpResponseBase]


# --- Every request -------------------------------------------------------------------------------


def tus_view(view: Handler) -> Handler:
    """A view called with (request, contributor, …), which answers as tus has it. Strangers get 401, no sign-in page."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "OPTIONS":
            answer: HttpResponseBase = _abilities()
        else:
            answer = _answer(view, request, *args, **kwargs)
        tus_bodies.read_past(request)
        answer["Tus-Resumable"] = VERSION
        answer["Cache-Control"] = "no-store"
        return answer

    return guarded


def _answer(view: Handler, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    if request.method != "GET" and request.headers.get("Tus-Resumable") != VERSION:
        return _says(412, "This server speaks tus 1.0.0.", **{"Tus-Version": VERSION})
    user = request.user
    contributor = Contributor.objects.filter(user=user.pk).first() if user.is_authenticated else None
    if contributor is None:
        return _says(401, "You are signed out. Please sign in again; what was sent so far is kept.")
    try:
        return view(request, contributor, *args, **kwargs)
    except uploads.TooLarge as refused:
        return _says(413, str(refused))
    except Refused as refused:
        return _says(403, str(refused))
    except BadRequest as bad:
        return _says(bad.status, bad.says)
    except Http404:
        return _says(404, "There is no such upload. Please send the photograph again.")


def _says(status: int, sentence: str, **headers: str) -> HttpResponse:
    return HttpResponse(sentence, "text/plain; charset=utf-8", status=status, headers=headers)


def _abilities() -> HttpResponse:
    return HttpResponse(
        status=204,
        headers={
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(settings.UPLOAD_MAX_BYTES),
            "Tus-Checksum-Algorithm": ",".join(DIGESTS),
        },
    )


# --- Creation ------------------------------------------------------------------------------------


@tus_view
def uploads_create(request: HttpRequest, contributor: Contributor, slug: str) -> HttpResponseBase:
    """POST: announce a photograph for a call, perhaps with its first bytes."""
    if request.method != "POST":
        raise BadRequest(405, "Announce an upload by POST.")
    if not parts.on_disk():
        raise Http404("Photographs go straight to the bucket here.")
    call = get_object_or_404(Call.objects.select_related("form"), slug=slug)
    upload = begin(
        contributor, call, _number(request, "Upload-Length"), _metadata(request.headers.get("Upload-Metadata", ""))
    )
    offset = uploads.offset_of(upload=upload)
    if request.headers.get("Content-Type") == BODY and upload.settled_at is None:
        offset = _append_announced(request, upload, offset)
    return _at(201, upload, offset, Location=reverse("upload_bytes", args=[upload.pk]))


def _append_announced(request: HttpRequest, upload: Upload, there: int) -> int:
    """Append what came with an announcement; the offset after it. What was announced before comes from its beginning
    once more: what is there of it is read past."""
    if there and "Upload-Checksum" in request.headers:  # the digest is of all of it, of which only a part is wanted
        return there
    tus_bodies.skip(request, there)
    return _append(request, upload, there, skipped=there)


def begin(contributor: Contributor, call: Call, byte_length: int, told: dict[str, str]) -> Upload:
    """Announce one photograph with what its sender told about it: filename, sha256, reference."""
    sha256 = told.get("sha256", "")
    with turn():
        consent = services.signed_consent(contributor=contributor, call=call)
        if consent is None:
            raise Refused("Before you send photographs, please read and sign what happens with them.")
        return uploads.begin_upload(
            contributor=contributor,
            consent=consent,
            call=call,
            byte_length=byte_length,
            client_name=told.get("filename", "").replace("\x00", ""),
            sha256=sha256 if SHA256.fullmatch(sha256) else "",
            reference=told.get("reference", "")[:64].replace("\x00", ""),
        )


def _metadata(header: str) -> dict[str, str]:
    """`name base64, name base64, …`"""
    told = {}
    for pair in filter(None, header.split(",")):
        name, _, value = pair.strip().partition(" ")
        try:
            told[name] = base64.b64decode(value, validate=True).decode()
        except ValueError:
            raise BadRequest(400, f"Upload-Metadata: {name!r} is not base64 of UTF-8.") from None
    return told


def _number(request: HttpRequest, header: str) -> int:
    value = request.headers.get(header, "")
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise BadRequest(400, f"{header} must be a number.")
    return int(value)


# --- One upload ----------------------------------------------------------------------------------


@tus_view
def upload_bytes(request: HttpRequest, contributor: Contributor, upload_id: uuid.UUID) -> HttpResponseBase:
    """HEAD: how far it is. PATCH: more of it. DELETE: drop it. GET (not tus): what became of it, as JSON."""
    own = Upload.objects.select_related("contributor", "consent", "call").filter(contributor=contributor)
    upload = get_object_or_404(own, pk=upload_id)
    method = (
        request.headers.get("X-HTTP-Method-Override", request.method) if request.method == "POST" else request.method
    )
    handler = {"HEAD": _head, "PATCH": _patch, "DELETE": _delete, "GET": _told}.get(method or "")
    if handler is None:
        raise BadRequest(405, "An upload knows HEAD, PATCH, DELETE and GET.")
    if upload.settled_at is None and upload.expires_at <= timezone.now():
        raise BadRequest(410, "This upload began too long ago. Please send the photograph again.")
    return handler(request, upload)


def _head(request: HttpRequest, upload: Upload) -> HttpResponse:
    offset = uploads.offset_of(upload=upload)
    _finish_if_whole(upload, offset)  # it was killed, or its answer lost, at the last byte
    return _at(200, upload, offset, **{"Upload-Length": str(upload.byte_length)})


def _patch(request: HttpRequest, upload: Upload) -> HttpResponse:
    if request.headers.get("Content-Type") != BODY:
        raise BadRequest(415, f"The bytes of an upload are {BODY}.")
    begins = _number(request, "Upload-Offset")
    there = uploads.offset_of(upload=upload)
    if begins != there:
        raise BadRequest(409, f"The upload is at byte {there}.")
    services.check_sender(contributor=upload.contributor, consent=upload.consent, call=upload.call)
    return _at(204, upload, _append(request, upload, begins))


def _delete(request: HttpRequest, upload: Upload) -> HttpResponse:
    if upload.settled_at is None and not uploads.drop_upload(upload):
        upload.refresh_from_db()
        if upload.settled_at is None:
            raise BadRequest(423, "This photograph is being taken in just now. You can take it back in My photos.")
    return HttpResponse(status=204)


def _told(request: HttpRequest, upload: Upload) -> HttpResponse:
    told = uploads.outcome(upload=upload)
    badge, word = {"refused": ("bad", "not taken"), "arriving": ("quiet", "on its way")}.get(told.state) or SHOWN[
        ImageStatus(told.image.status) if told.image else ImageStatus.RECEIVED
    ]
    said = {"state": told.state, "badge": badge, "word": word, "message": told.message}
    if told.image and holding_faces([told.image.pk]).exists():
        said["cover"] = reverse("photo_faces", args=[told.image.pk])
    return JsonResponse(said)


def _at(status: int, upload: Upload, offset: int, **headers: str) -> HttpResponse:
    expires = http_date(upload.expires_at.timestamp())
    return HttpResponse(status=status, headers={"Upload-Offset": str(offset), "Upload-Expires": expires, **headers})


def _append(request: HttpRequest, upload: Upload, offset: int, *, skipped: int = 0) -> int:
    """Append the body (but for the bytes that were `skipped`); the offset after it, taken in if that was all."""
    length = _number(request, "Content-Length") - skipped
    if offset + length > upload.byte_length:
        raise BadRequest(413, "That is more than was announced.")
    try:
        offset = tus_bodies.append(request, upload.pk, offset, length)
    except parts.Moved:
        raise BadRequest(409, "Somebody else sends the same upload.") from None
    except FileNotFoundError:
        raise Http404 from None
    _finish_if_whole(upload, offset)
    return offset


def _finish_if_whole(upload: Upload, offset: int) -> None:
    """Take the photograph in when its last byte is there. Whatever keeps us from it, the sweep tries again."""
    if offset < upload.byte_length or upload.settled_at is not None:
        return
    try:
        with turn():
            taken = uploads.finish_upload(upload=upload)
        if taken:
            hint(tasks.advance_task, str(upload.pk))
    except Exception:
        logger.exception("upload %s: not taken in yet", upload.pk)
