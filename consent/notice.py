"""The notice: everything a signer is told by a text, as one piece of HTML. Its SHA-256 is what a signature names."""

import datetime
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

from consent.models import FormDraft, FormText, Purpose
from consent.words import words

BODY_TOP = 3  # headings of a text's body come below the notice's own h2
DEEPEST = 6


class Wording(NamedTuple):
    """How a purpose is called and explained in one language."""

    name: str
    description: str


def wording(purpose: Purpose, language: str, at: datetime.datetime | None = None) -> Wording:
    """The words for a purpose in `language` as they stood at `at` (default now); in English where there are none."""
    found = purpose.wordings.filter(language__in=_fallbacks(language))
    if at is not None:
        found = found.filter(added_at__lte=at)
    newest = {said.language: said for said in found.order_by("added_at", "pk")}
    said = next((newest[tag] for tag in _fallbacks(language) if tag in newest), purpose)
    return Wording(said.name, said.description)


def has_wording(purpose: Purpose, language: str) -> bool:
    """True if the purpose has words that a text in `language` can use: its own are English."""
    return _fallbacks(language)[-1] == "en" or purpose.wordings.filter(language__in=_fallbacks(language)).exists()


def _fallbacks(language: str) -> list[str]:
    """`de-AT`: first de-AT, then de."""
    return list(dict.fromkeys([language, language.partition("-")[0]]))


def render_notice(text: FormText | FormDraft, purposes: Sequence[Purpose], at: datetime.datetime | None = None) -> str:
    """The notice of a text, or of a draft, that asks for `purposes` in the words that stood at `at`."""
    spoken = words(text.language)
    context = {
        "text": text,
        "words": spoken,
        "purposes": [wording(purpose, text.language, at) for purpose in purposes],
        "categories": [spoken.category(term) for term in text.data_categories],
        "places": [spoken.country(code) for code in text.storage_locations],
        "law": spoken.country(text.jurisdiction),
        "retention": spoken.span(text.retention_days),
        "body": mark_safe(render_body(text.body)),  # noqa: S308  # HTML inside Markdown stays text
    }
    return render_to_string("consent/notice.html", context).strip() + "\n"


def render_markdown(body: str) -> str:
    """HTML of CommonMark text; HTML inside it stays visible text."""
    return str(MarkdownIt("commonmark", {"html": False}).render(body))


def render_body(body: str, *, tables: bool = False) -> str:
    """render_markdown for the inside of a notice: headings from h3 on without a gap, pictures as their description.

    The hash of the notice would not cover the bytes of a picture. `tables` are for texts that nobody signs.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table" if tables else [])
    markdown.add_render_rule("image", _describe)
    tokens = markdown.parse(body)
    last = BODY_TOP - 1
    top = min((int(token.tag[1]) for token in tokens if token.type == "heading_open"), default=1)
    for token in tokens:
        if token.type == "heading_open":
            last = min(int(token.tag[1]) - top + BODY_TOP, last + 1, DEEPEST)
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{last}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _describe(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return escape(tokens[index].content)
