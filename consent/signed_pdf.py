"""The PDF of what one person signed: the whole text as shown, what they chose, and their signature. Pure.

The text comes from the very HTML that was shown and hashed, so that the paper cannot say anything else.
"""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from consent.models import Consent, FormText, SignatureEvidence
from consent.notice import wording
from consent.typesetting import typeset
from consent.words import Words, words

DOCUMENT = Path(__file__).parent / "documents" / "signed_text.typ"
DRAWING = re.compile(r"[MLml0-9 .,-]*")
WITHOUT_END = ("br", "hr", "img")
Node = dict[str, Any]


def render_pdf(consent: Consent, evidence: SignatureEvidence) -> bytes:
    """A tagged PDF (PDF/UA-1)."""
    return typeset(DOCUMENT, _paper(consent, evidence))


def _paper(consent: Consent, evidence: SignatureEvidence) -> dict[str, Any]:
    text, spoken = consent.text, words(consent.text.language)
    return {
        "title": text.title,
        "language": text.language.split("-")[0],
        "controller": text.controller_name,
        "words": {name: spoken.paper[name] for name in ("document", "signed_text", "choices", "signature", "drawing")},
        "document": [[spoken.paper["consent"], str(consent.pk)], [spoken.paper["sha256"], text.sha256]],
        "text": parse_html(text.html),
        "choices": _choices(consent, text, spoken),
        "signature": _signature(consent, evidence, spoken),
        "drawing": _drawing(evidence.drawing),
    }


def _choices(consent: Consent, text: FormText, spoken: Words) -> list[list[str]]:
    granted = {purpose.pk for purpose in consent.purposes.all()}
    return [
        [
            wording(purpose, text.language, text.published_at).name,
            spoken.paper["yes" if purpose.pk in granted else "no"],
        ]
        for purpose in text.purposes.order_by("code")
    ]


def _signature(consent: Consent, evidence: SignatureEvidence, spoken: Words) -> list[list[str]]:
    verified = evidence.email_verified_at
    said = {
        "signer": evidence.signer_name,
        "intent": evidence.intent,
        "signed_at": f"{evidence.signed_at:%Y-%m-%d %H:%M:%S} UTC",
        "viewed_at": f"{evidence.viewed_at:%Y-%m-%d %H:%M:%S} UTC",
        "kept_until": f"{consent.expires_at:%Y-%m-%d}",
        "email": evidence.email,
        "email_verified": f"{verified:%Y-%m-%d %H:%M:%S} UTC" if verified else "",
        "ip": evidence.ip or "",
        "user_agent": evidence.user_agent,
        "time_zone": evidence.time_zone,
        "answers": "; ".join(f"{given['question']} {given['answer']}" for given in evidence.answers),
    }
    return [[spoken.paper[name], value] for name, value in said.items() if value]


def _drawing(path: str) -> str:
    """The drawn signature as an SVG document; empty if there is none, or if it is more than lines."""
    if not path or not DRAWING.fullmatch(path):
        return ""
    line = f'<path d="{path}" fill="none" stroke="black" stroke-width="3" stroke-linecap="round"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="200" viewBox="0 0 600 200">{line}</svg>'


def parse_html(html: str) -> list[Node]:
    """HTML that we made as plain data for the document: {"kind": tag or "text", "text", "href", "children"}."""
    parser = _Tree()
    parser.feed(html)
    parser.close()
    return list(parser.root["children"])


def _node(kind: str, text: str = "", href: str = "") -> Node:
    return {"kind": kind, "text": text, "href": href, "children": []}


class _Tree(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _node("root")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        node = _node("text", said.get("alt") or "") if tag == "img" else _node(tag, href=said.get("href") or "")
        self.open[-1]["children"].append(node)
        if tag not in WITHOUT_END:
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if tag not in WITHOUT_END:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        inside_code = any(node["kind"] == "pre" for node in self.open)
        text = data if inside_code else re.sub(r"\s+", " ", data)
        if text.strip() or self.open[-1]["kind"] not in ("root", "article", "ul", "ol", "blockquote"):
            self.open[-1]["children"].append(_node("text", text))
