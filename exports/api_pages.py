"""The API for people: a page made from the same OpenAPI document that machines read at /api/schema."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET
from django.views.defaults import page_not_found
from drf_spectacular.generators import SchemaGenerator

Document = Mapping[str, Any]
TYPES = {"integer": "whole number", "string": "text", "boolean": "yes or no", "object": "object"}


@dataclass(frozen=True)
class Field:
    """One line about a parameter or a field; `depth` says how far inside others it lies."""

    name: str
    kind: str
    about: str
    depth: int = 0


@dataclass(frozen=True)
class Answer:
    """What may come back."""

    status: str
    about: str
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Operation:
    """One method of one address."""

    method: str
    path: str
    summary: str
    about: str
    parameters: tuple[Field, ...]
    sends: tuple[Field, ...]
    answers: tuple[Answer, ...]

    @property
    def anchor(self) -> str:
        return f"{self.method}{self.path}".replace("/", "-").strip("-").translate(str.maketrans("", "", "{}"))


def only_ours(endpoints: list[Any], **_: Any) -> list[Any]:
    """drf-spectacular's hook: what recipients ask, not the address of the document itself."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/datasets/")]


@cache  # it depends on nothing but the code, and anybody may ask for it
def openapi() -> Document:
    """The OpenAPI document of the recipients' API."""
    document: Document = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


@require_GET
def api_schema(request: HttpRequest) -> HttpResponse:
    return JsonResponse(openapi())


@require_GET
def api_page(request: HttpRequest) -> HttpResponse:
    return render(request, "exports/api.html", {"operations": list(operations(openapi()))})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of addresses that there are not: below /api/ it speaks as the API does."""
    if request.path.startswith("/api/"):
        return JsonResponse({"detail": "There is no such address. /api/ lists those that there are."}, status=404)
    return page_not_found(request, exception)


def operations(document: Document) -> Iterator[Operation]:
    """Every operation of an OpenAPI document, in its order."""
    for path, methods in document["paths"].items():
        for method, found in methods.items():
            yield Operation(
                method=method.upper(),
                path=path,
                summary=found["summary"],
                about=found.get("description", ""),
                parameters=tuple(_parameter(one) for one in found.get("parameters", ())),
                sends=tuple(_fields(_json(found.get("requestBody", {})), document)),
                answers=tuple(_answer(status, one, document) for status, one in sorted(found["responses"].items())),
            )


def _parameter(found: Document) -> Field:
    place = "in the address" if found["in"] == "path" else f"a {found['in']}"
    return Field(found["name"], f"{_kind(found['schema'])}, {place}", found.get("description", ""))


def _answer(status: str, found: Document, document: Document) -> Answer:
    return Answer(status, found.get("description", ""), tuple(_fields(_json(found), document)))


def _json(holder: Document) -> Document:
    schema: Document = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _fields(schema: Document, document: Document, depth: int = 0) -> Iterator[Field]:
    """The fields of an object, and below each the fields of the objects in it."""
    for name, found in _resolved(schema, document).get("properties", {}).items():
        inner = _resolved(found, document)
        yield Field(name, _kind(inner), found.get("description", ""), depth)
        yield from _fields(inner.get("items", inner), document, depth + 1)


def _resolved(schema: Document, document: Document) -> Document:
    """What a schema refers to, if it does."""
    [reference] = [one["$ref"] for one in (schema, *schema.get("allOf", ())) if "$ref" in one] or [""]
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def _kind(schema: Document) -> str:
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "$ref" not in schema["items"] else "list of objects"
    words = TYPES.get(schema.get("type", ""), "anything")
    return f"{words}, or null" if schema.get("nullable") else words
