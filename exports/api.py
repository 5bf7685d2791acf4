"""What recipients' machines read: releases, files, notices. A bearer token opens one dataset.

Rights are looked up at every read: a file that holds a row whose rights ended is gone (410) at once, before any sweep.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from django.core.files.storage import storages
from django.db.models import Q, QuerySet
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.refusals import Refused
from consent.signing import utc_text
from exports import api_schema
from exports.api_access import AnyFormAsked, BearerToken, OfThisDataset, PerMinute
from exports.api_schema import described
from exports.citation import cite, makers_of
from exports.deviation_tables import whole_per_cent
from exports.differences import difference
from exports.drafts import superseded_by
from exports.gate import VERDICTS, in_words
from exports.models import (
    AccessToken,
    Acknowledgement,
    Dataset,
    DeviationReport,
    Download,
    Item,
    Notice,
    Recipient,
    Release,
    ReleaseFile,
)
from exports.ranges import BeyondTheEnd, Part, PartOfFile, asked_part
from exports.release_files import direct_address
from exports.services import withheld_items
from exports.tokens import end_token, find_token, known_token, reporting_token

BYTES = "application/octet-stream"


class DatasetView(APIView):
    """What all addresses of one dataset share."""

    authentication_classes = (BearerToken,)
    permission_classes = (OfThisDataset,)
    throttle_classes = (PerMinute,)
    parser_classes = (JSONParser,)
    content_negotiation_class = AnyFormAsked
    costs = "facts"
    takes = staticmethod(find_token)

    def dataset(self) -> Dataset:
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        return token.dataset

    def recipient(self) -> Recipient:
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        return token.recipient

    def release(self, version: str) -> Release:
        found = Release.objects.filter(dataset=self.dataset(), state=Release.State.PUBLISHED)
        return get_object_or_404(found.select_related("dataset__campaign"), version=version)


class DatasetDetail(DatasetView):
    @described("dataset", api_schema.DatasetAnswer, "A dataset and its published releases")
    def get(self, request: Request, slug: str) -> Response:
        """What the dataset's page shows; the newest release comes first."""
        dataset = self.dataset()
        releases = dataset.releases.filter(state=Release.State.PUBLISHED).order_by("-number")
        rows = [_release(release) for release in releases.select_related("dataset")]
        about = {
            "slug": dataset.slug,
            "title": dataset.title,
            "description": dataset.description,
            "purpose": dataset.purpose_id,
            "purpose_in_words": dataset.purpose,
            "terms": dataset.terms,
            "latest": rows[0]["version"] if rows else None,
            "releases": rows,
        }
        return Response(api_schema.DatasetAnswer(about).data)


class ReleaseDetail(DatasetView):
    @described("release", api_schema.ReleaseAnswer, "A release and its files", parameters=[api_schema.VERSION])
    def get(self, request: Request, slug: str, version: str) -> Response:
        """Every file with its hash and size, and whether it can still be had."""
        release = self.release(version)
        lost = set(gone_items(release).values_list("shard", flat=True))
        files = [
            {"path": file.path, "sha256": file.sha256, "size": file.size, "gone": file.shard in lost}
            for file in release.files.order_by("path")
        ]
        newer = superseded_by(release)
        about = {
            "notes": release.notes,
            "citation": cite(release, makers_of(release)),
            "superseded_by": newer.version if newer else None,
            "files": files,
        }
        return Response(api_schema.ReleaseAnswer(_release(release) | about).data)


class ReleaseBalance(DatasetView):
    @described(
        "balance", api_schema.BalanceAnswer, "Who is in a release, in whole per cent", parameters=[api_schema.VERSION]
    )
    def get(self, request: Request, slug: str, version: str) -> Response:
        """Groups are as people say they belong to them; small ones are withheld."""
        content = get_object_or_404(DeviationReport, release=self.release(version)).content
        about = {
            "version": version,
            "gate": VERDICTS[content["gate"]["verdict"]],
            "findings": list(map(in_words, content["gate"]["over"])),
            "attributes": whole_per_cent(content["tables"]),
        }
        return Response(api_schema.BalanceAnswer(about).data)


class ReleaseDifference(DatasetView):
    costs = "differences"

    @described(
        "difference",
        api_schema.DifferenceAnswer,
        "The rows that changed since an earlier release",
        parameters=[api_schema.VERSION, OpenApiParameter("earlier", str, OpenApiParameter.PATH)],
    )
    def get(self, request: Request, slug: str, version: str, earlier: str) -> Response:
        """The ids of the rows that were added, removed and relabelled."""
        release, before = self.release(version), self.release(earlier)
        try:
            found = difference(release=release, earlier=before)
        except Refused as refusal:
            raise Http404(str(refusal)) from None
        return Response(api_schema.DifferenceAnswer({"version": version, "since": earlier, **asdict(found)}).data)


class ReleaseCroissant(DatasetView):
    @described("croissant", OpenApiTypes.OBJECT, "Croissant with the files' addresses", parameters=[api_schema.VERSION])
    def get(self, request: Request, slug: str, version: str) -> Response:
        """croissant.json in which each file has its address here, for loaders that fetch by themselves."""
        file = get_object_or_404(self.release(version).files, path="croissant.json")
        with storages["releases"].open(file.key) as content:
            document = json.load(content)
        here = request.build_absolute_uri("../files/")
        for entry in document["distribution"]:
            if "contentUrl" in entry:
                entry["contentUrl"] = here + quote(entry["contentUrl"])
        return Response(document)


class ReleaseFileContent(DatasetView):
    costs = "files"

    @described(
        "file",
        None,
        "One file of a release",
        parameters=[
            api_schema.VERSION,
            OpenApiParameter("path", str, OpenApiParameter.PATH, description="As the release names it"),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="bytes=N-, bytes=N-M or bytes=-N"),
        ],
        also={
            (200, BYTES): OpenApiResponse(OpenApiTypes.BINARY, "The bytes"),
            (206, BYTES): OpenApiResponse(OpenApiTypes.BINARY, "The bytes that Range asked for"),
            302: OpenApiResponse(description="It is at this address for half a minute, without the token."),
            410: OpenApiResponse(api_schema.Gone, "Photographs in it were withdrawn"),
            416: OpenApiResponse(api_schema.Said, "Range begins after the end"),
        },
    )
    def get(self, request: Request, slug: str, version: str, path: str) -> HttpResponseBase:
        """A file with withdrawn photographs is gone at once; pull again, or pull the next release."""
        release = self.release(version)
        file = get_object_or_404(release.files, path=path)
        if gone_items(release).filter(shard=file.shard).exists():
            return Response(_gone(release), status=410)
        try:
            part = asked_part(request.headers.get("Range", ""), file.size)
        except BeyondTheEnd:
            detail = f"This file has {file.size} bytes; Range asks for what comes after them."
            return Response({"detail": detail}, status=416, headers={"Content-Range": f"bytes */{file.size}"})
        if request.method == "HEAD":
            return _headed(HttpResponse(), file, part)
        if address := direct_address(file):
            self.note_download(file)
            return HttpResponseRedirect(address, headers={"Cache-Control": "no-store"})
        try:
            content = storages["releases"].open(file.key)
        except FileNotFoundError:
            return Response(_gone(release), status=410)
        self.note_download(file)
        start, end = part or Part(0, file.size)
        content.seek(start)
        return _headed(Bytes(PartOfFile(content, end - start)), file, part)

    def note_download(self, file: ReleaseFile) -> None:
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        Download.objects.create(recipient=token.recipient, token=token, file=file)


class Bytes(FileResponse):
    """In blocks that a disk and a network like."""

    block_size = 1 << 18


def _headed(answer: HttpResponse | FileResponse, file: ReleaseFile, part: Part | None) -> HttpResponse | FileResponse:
    answer["Content-Type"] = BYTES
    answer["Content-Length"] = str(part.size if part else file.size)
    answer["Accept-Ranges"] = "bytes"
    answer["ETag"] = f'"{file.sha256}"'
    answer["Cache-Control"] = "no-store"
    if part:
        answer.status_code = 206
        answer["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
    return answer


class Token(DatasetView):
    takes = staticmethod(reporting_token)  # one that has expired still reports, so it can be ended as well

    @described(
        "end_token",
        None,
        "End the token that asks",
        also={204: OpenApiResponse(description="It has ended."), 401: api_schema.ENDED_TOKEN},
    )
    def delete(self, request: Request, slug: str) -> Response:
        """For a token that others may have seen. Copies stay bound by the terms; it still reads the notices."""
        token: AccessToken = self.request.auth  # type: ignore[assignment]
        end_token(token=token, by=None)
        return Response(status=204)


class NoticeList(DatasetView):
    takes = staticmethod(known_token)  # what was withdrawn must still leave its holder's copies

    @described(
        "notices",
        api_schema.NoticesAnswer,
        "The signed notices about withdrawn rows",
        also={401: api_schema.UNKNOWN_TOKEN},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Whoever holds a copy drops the rows that these name. `pull.py` does so, and reports it.

        A token reads them also when it has expired or was ended.
        """
        return Response(api_schema.NoticesAnswer({"notices": list(_notices(self.dataset()))}).data)


class NoticeAcknowledge(DatasetView):
    takes = staticmethod(reporting_token)

    @described(
        "acknowledge",
        api_schema.AppliedAnswer,
        "Report that a notice was applied",
        request=api_schema.Applied,
        also={
            401: api_schema.ENDED_TOKEN,
            400: OpenApiResponse(description="Not such a report. The answer names the field and says why."),
            415: OpenApiResponse(api_schema.Said, "Reports are JSON."),
        },
    )
    def post(self, request: Request, slug: str, notice_id: int) -> Response:
        """Saying it again changes nothing. A token that has expired may say it; one that was ended may not."""
        notice = get_object_or_404(Notice, pk=notice_id, release__dataset=self.dataset())
        try:
            report = api_schema.Applied(data=request.data)
        except RecursionError:
            raise ParseError("The report is nested too deeply.") from None
        report.is_valid(raise_exception=True)
        said, _ = Acknowledgement.objects.get_or_create(
            notice=notice, recipient=self.recipient(), defaults={"rows_removed": report.validated_data["rows_removed"]}
        )
        return Response(api_schema.AppliedAnswer({"notice": notice.pk, "rows_removed": said.rows_removed}).data)


def gone_items(release: Release) -> QuerySet[Item]:
    """Rows that nobody may have: marked already, or not yet but without rights (or frozen) now."""
    return release.items.filter(Q(revocation__isnull=False) | Q(pk__in=withheld_items(release).values("pk")))


def _gone(release: Release) -> dict[str, Any]:
    return {
        "detail": "This file holds photographs that may no longer be used. Pull again to bring your copy up to date, "
        "or pull the next release.",
        "notices": list(release.notices.order_by("pk").values_list("pk", flat=True)),
    }


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
