"""What the recipients' API answers, field by field: these serializers render the answers and write the OpenAPI."""

from collections.abc import Callable
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers

Method = TypeVar("Method", bound=Callable[..., Any])
LARGEST = 2**31 - 1  # of a PositiveIntegerField


class Said(serializers.Serializer):
    """Why a request was refused, in words for a person."""

    detail = serializers.CharField()


class Gone(Said):
    """Photographs in this file were withdrawn. `notices` are the signed notices about this release."""

    notices = serializers.ListField(child=serializers.IntegerField())


class Purpose(serializers.Serializer):
    code = serializers.CharField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()


class ReleaseLine(serializers.Serializer):
    """One published release. `revoked` rows may not be used any more; `sums_sha256` is of SHA256SUMS."""

    version = serializers.CharField(help_text="SemVer")
    number = serializers.IntegerField()
    items = serializers.IntegerField(help_text="Rows that were published.")
    revoked = serializers.IntegerField(help_text="Rows of these that may not be used any more.")
    sums_sha256 = serializers.CharField(help_text="SHA-256 of the file SHA256SUMS, which names all others.")
    published_at = serializers.CharField(help_text="UTC, ISO 8601")


class DatasetAnswer(serializers.Serializer):
    slug = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    purpose = serializers.CharField(help_text="The code of the purpose that every row is permitted for.")
    purpose_in_words = Purpose()
    terms = serializers.CharField(help_text="SPDX identifier or LicenseRef-…")
    latest = serializers.CharField(allow_null=True, help_text="The newest version; null before the first.")
    releases = ReleaseLine(many=True)


class FileLine(serializers.Serializer):
    path = serializers.CharField()
    sha256 = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes")
    gone = serializers.BooleanField(help_text="It holds withdrawn photographs and answers 410.")


class ReleaseAnswer(ReleaseLine):
    notes = serializers.CharField(help_text="What whoever drafted it says of it; may be empty")
    citation = serializers.CharField(help_text="How to cite it, in one line")
    superseded_by = serializers.CharField(allow_null=True, help_text="The newest version; null if it is this one")
    files = FileLine(many=True)


class DifferenceAnswer(serializers.Serializer):
    version = serializers.CharField()
    since = serializers.CharField()
    added = serializers.ListField(child=serializers.CharField(), help_text="Row ids")
    removed = serializers.ListField(child=serializers.CharField(), help_text="Row ids")
    relabelled = serializers.ListField(child=serializers.CharField(), help_text="Row ids in both, with other labels")
    kept = serializers.IntegerField(help_text="Rows in both")


class Group(serializers.Serializer):
    group = serializers.CharField(source="label")
    per_cent = serializers.IntegerField(source="share", help_text="Of all rows, rounded")


class Attribute(serializers.Serializer):
    attribute = serializers.CharField(source="title")
    as_of = serializers.CharField(help_text="The version that these numbers are of")
    groups = Group(many=True)


class BalanceAnswer(serializers.Serializer):
    """Who is in a release, by groups that people say they belong to. Small groups are withheld."""

    version = serializers.CharField()
    gate = serializers.CharField(help_text="What comparing the groups' mean ratings found")
    findings = serializers.ListField(child=serializers.CharField())
    attributes = Attribute(many=True)


class NoticeLine(serializers.Serializer):
    id = serializers.IntegerField()
    version = serializers.CharField(help_text="The release that it is about")
    envelope = serializers.CharField(help_text="DSSE; its payload names the rows to drop")
    created_at = serializers.CharField(help_text="UTC, ISO 8601")


class NoticesAnswer(serializers.Serializer):
    notices = NoticeLine(many=True)


class Applied(serializers.Serializer):
    """What a recipient reports: how many rows a notice took out of their copies."""

    rows_removed = serializers.IntegerField(min_value=0, max_value=LARGEST)


class AppliedAnswer(serializers.Serializer):
    notice = serializers.IntegerField()
    rows_removed = serializers.IntegerField(help_text="As it was reported first")


class BearerTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How OpenAPI describes `exports.api_access.BearerToken`."""

    target_class = "exports.api_access.BearerToken"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token opens one dataset until it expires or is ended, and that dataset's notices even "
            "then. Data managers hand them out.",
        }


NO_TOKEN = OpenApiResponse(Said, "No token, or one that is unknown, has expired or was ended.")
ENDED_TOKEN = OpenApiResponse(Said, "No token, or one that is unknown or was ended.")
UNKNOWN_TOKEN = OpenApiResponse(Said, "No token, or one that is unknown.")
NOT_THERE = OpenApiResponse(Said, "Nothing there that this token opens.")
TOO_OFTEN = OpenApiResponse(Said, "Too many requests in this minute. `Retry-After` says after how many seconds again.")
REFUSALS = {401: NO_TOKEN, 404: NOT_THERE, 429: TOO_OFTEN}
VERSION = OpenApiParameter("version", str, OpenApiParameter.PATH, examples=[OpenApiExample("1.0.0", "1.0.0")])


def described(name: str, answer: Any, summary: str, also: Any = None, **more: Any) -> Callable[[Method], Method]:
    """The OpenAPI of a method that answers so, or refuses as all of them do; `also` are further answers by status."""
    responses = {**({200: answer} if answer else {}), **REFUSALS, **(also or {})}
    describe: Callable[[Method], Method] = extend_schema(
        operation_id=name, summary=summary, responses=responses, **more
    )
    return describe
