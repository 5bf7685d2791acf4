"""The PDF of what one person signed: the text, what they chose, and their signature. Pure but for typst; no storage."""

from pathlib import Path
from typing import Any

import typst
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from consent.models import Consent, SignatureEvidence
from consent.signing import canonical_json

DOCUMENT = Path(__file__).parent / "documents" / "signed_text.typ"


def render_pdf(consent: Consent, evidence: SignatureEvidence) -> bytes:
    """A tagged PDF (PDF/UA-1)."""
    inputs = {"paper": canonical_json(_paper(consent, evidence))}
    try:
        return typst.compile(DOCUMENT, format="pdf", sys_inputs=inputs, pdf_standards="ua-1")
    except typst.TypstError:  # PDF/UA refuses letters that no font here has, as a name may hold
        return typst.compile(DOCUMENT, format="pdf", sys_inputs=inputs)


def _paper(consent: Consent, evidence: SignatureEvidence) -> dict[str, Any]:
    text = consent.text
    return {
        "title": text.title,
        "language": text.language.split("-")[0],
        "controller": {"name": text.controller_name},
        "facts": _facts(consent),
        "text": [_node(node) for node in SyntaxTreeNode(MarkdownIt("commonmark").parse(text.body)).children],
        "signature": _signature(consent, evidence),
    }


def _facts(consent: Consent) -> list[list[str]]:
    text = consent.text
    granted = {purpose.pk for purpose in consent.purposes.all()}
    chosen = [
        [purpose.name, ("yes" if purpose.pk in granted else "no") + f" ({purpose.description})"]
        for purpose in text.purposes.order_by("code")
    ]
    return [
        ["Controller", f"{text.controller_name}, {text.controller_address}, {text.contact}"],
        ["Version", f"{text.version} ({text.language})"],
        ["SHA-256 of the text as shown", text.sha256],
        ["In short", text.summary],
        ["Recipients", "; ".join(text.recipients)],
        ["Transfers", text.transfers],
        ["Kept until", f"{consent.expires_at:%Y-%m-%d} ({text.retention_days} days)"],
        ["Complaints", text.complaint_body],
        *chosen,
    ]


def _signature(consent: Consent, evidence: SignatureEvidence) -> list[list[str]]:
    return [
        ["Signed by", evidence.signer_name],
        ["E-mail address", evidence.email],
        ["Statement", evidence.intent],
        ["Signed at", f"{evidence.signed_at:%Y-%m-%d %H:%M:%S} UTC"],
        ["Text shown at", f"{evidence.viewed_at:%Y-%m-%d %H:%M:%S} UTC"],
        ["Consent", str(consent.pk)],
    ]


def _node(node: SyntaxTreeNode) -> dict[str, Any]:
    """A Markdown node as plain data for the document. A picture becomes its description."""
    return {
        "kind": "text" if node.type == "image" else node.type,
        "text": "" if node.is_root else node.content,
        "level": int(node.tag[1]) if node.type == "heading" else 0,
        "href": str(node.attrs.get("href", "")),
        "children": [_node(child) for child in node.children],
    }
