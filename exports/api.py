"""What recipients' machines read: releases, files, notices. A bearer token opens one dataset.

Rights are looked up at every read: a file that holds a row whose rights ended is gone (410) at once, before any sweep.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.files.storage import storages
from django.db.models import Q, QuerySet
from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.refusals import Refused
from consent.signing import utc_text
from exports.differences import difference
from exports.models import (
    AccessToken,
    Acknowledgement,
    Dataset,
    Download,
    Item,
    Notice,
    Recipient,
    Release,
    ReleaseFile,
)
from exports.services import withheld_items
from exports.tokens import find_token


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <token>`."""

    def authenticate(self, request: Request) -> tuple[Recipient, AccessToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = find_token(text.strip())
        if token is None:
            raise AuthenticationFailed("This token is unknown or has expired. Ask the data manager for a new one.")
        return token.recipient, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class OfThisDataset(BasePermission):
    """The token is for the dataset in the address; for any other dataset there is nothing to see."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, AccessToken):
            return False
        if any("\0" in str(part) for part in view.kwargs.values()):  # PostgreSQL cannot be asked for it
            raise Http404
        if request.auth.dataset.slug != view.kwargs["slug"]:
            raise Http404
        return True


class DatasetView(APIView):
    """What all addresses of one dataset share."""

    authentication_classes = (BearerToken,)
    permission_classes = (OfThisDataset,)

    def dataset(self) -> Dataset:
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        return token.dataset

    def recipient(self) -> Recipient:
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        return token.recipient

    def release(self, version: str) -> Release:
        found = Release.objects.filter(dataset=self.dataset(), state=Release.State.PUBLISHED)
        return get_object_or_404(found.select_related("dataset"), version=version)


class DatasetDetail(DatasetView):
    def get(self, request: Request, slug: str) -> Response:
        dataset = self.dataset()
        releases = dataset.releases.filter(state=Release.State.PUBLISHED).order_by("-number")
        rows = [_release(release) for release in releases.select_related("dataset")]
        latest = rows[0]["version"] if rows else None
        about = {"slug": dataset.slug, "title": dataset.title, "purpose": dataset.purpose_id}
        return Response({**about, "latest": latest, "releases": rows})


class ReleaseDetail(DatasetView):
    def get(self, request: Request, slug: str, version: str) -> Response:
        release = self.release(version)
        lost = set(gone_items(release).values_list("shard", flat=True))
        files = [
            {"path": file.path, "sha256": file.sha256, "size": file.size, "gone": _holds(file, lost)}
            for file in release.files.order_by("path")
        ]
        return Response({**_release(release), "files": files})


class ReleaseDifference(DatasetView):
    """The ids of the rows that were added, removed and relabelled since an earlier release."""

    def get(self, request: Request, slug: str, version: str, earlier: str) -> Response:
        release, before = self.release(version), self.release(earlier)
        try:
            found = difference(release=release, earlier=before)
        except Refused as refusal:
            raise Http404(str(refusal)) from None
        return Response({"version": version, "since": earlier, **asdict(found)})


class ReleaseFileContent(DatasetView):
    """The bytes of one file; `Range: bytes=N-` continues a pull that was cut off."""

    def get(self, request: Request, slug: str, version: str, path: str) -> HttpResponseBase:
        release = self.release(version)
        file = get_object_or_404(release.files, path=path)
        if _holds(file, set(gone_items(release).values_list("shard", flat=True))):
            return Response(_gone(release), status=410)
        try:
            content = storages["releases"].open(file.key)
        except FileNotFoundError:
            return Response(_gone(release), status=410)
        Download.objects.create(recipient=self.recipient(), file=file)
        start = _range_start(request.headers.get("Range", ""), file.size)
        content.seek(start)
        answer = FileResponse(content, status=206 if start else 200, content_type="application/octet-stream")
        answer["Content-Length"] = str(file.size - start)
        answer["Accept-Ranges"] = "bytes"
        answer["Cache-Control"] = "no-store"
        if start:
            answer["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        return answer


class NoticeList(DatasetView):
    def get(self, request: Request, slug: str) -> Response:
        return Response({"notices": list(_notices(self.dataset()))})


class Report(serializers.Serializer):
    rows_removed = serializers.IntegerField(min_value=0, max_value=2**31 - 1)


class NoticeAcknowledge(DatasetView):
    """A recipient says that a notice was applied; saying it again changes nothing."""

    def post(self, request: Request, slug: str, notice_id: int) -> Response:
        notice = get_object_or_404(Notice, pk=notice_id, release__dataset=self.dataset())
        try:
            report = Report(data=request.data)
        except RecursionError:
            raise ParseError("The report is nested too deeply.") from None
        report.is_valid(raise_exception=True)
        said, _ = Acknowledgement.objects.get_or_create(
            notice=notice, recipient=self.recipient(), defaults={"rows_removed": report.validated_data["rows_removed"]}
        )
        return Response({"notice": notice.pk, "rows_removed": said.rows_removed})


def gone_items(release: Release) -> QuerySet[Item]:
    """Rows that nobody may have: marked already, or not yet but without rights (or frozen) now."""
    return release.items.filter(Q(revocation__isnull=False) | Q(pk__in=withheld_items(release).values("pk")))


def _holds(file: ReleaseFile, lost_shards: set[str]) -> bool:
    """True if a file holds rows of these shards."""
    return file.carries_rows and bool(lost_shards) and (not file.shard or file.shard in lost_shards)


def _gone(release: Release) -> dict[str, Any]:
    return {
        "detail": "This file holds photographs that may no longer be used. Pull again to bring your copy up to date, "
        "or pull the next release.",
        "notices": list(release.notices.order_by("pk").values_list("pk", flat=True)),
    }


def _range_start(header: str, size: int) -> int:
    found = re.fullmatch(r"bytes=([0-9]{1,18})-", header)
    start = int(found[1]) if found else 0
    return start if start < size else 0


def _release(release: Release) -> dict[str, Any]:
    assert release.published_at is not None  # noqa: S101 -- a CHECK constraint of published releases
    return {
        "version": release.version,
        "number": release.number,
        "items": release.items.count(),
        "revoked": gone_items(release).count(),
        "sums_sha256": release.sums_sha256,
        "published_at": utc_text(release.published_at),
    }


def _notices(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for notice in Notice.objects.filter(release__dataset=dataset).select_related("release").order_by("pk"):
        version, at = notice.release.version, utc_text(notice.created_at)
        yield {"id": notice.pk, "version": version, "envelope": notice.envelope, "created_at": at}
