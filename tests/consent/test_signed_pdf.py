"""The paper of what somebody signed: everything that was shown, what was chosen, and the evidence."""

import re

import pypdfium2
import pytest

from consent.signed_pdf import parse_html, render_pdf
from consent.words import words
from tests.consent.factories import make_consent, make_text

pytestmark = pytest.mark.django_db


def paper(consent):
    """What a reader finds in the PDF, all spaces taken out."""
    pdf = render_pdf(consent, consent.evidence)
    with pypdfium2.PdfDocument(pdf) as document:
        pages = [page.get_textpage().get_text_bounded() for page in document]
    return pdf, re.sub(r"\s+", "", "".join(pages))


def plain(nodes):
    return "".join(node["text"] + plain(node["children"]) for node in nodes)


def test_the_paper_says_all_that_was_shown_and_the_evidence():
    body = (
        "# One\n\nA *b* **c** `d` [e](https://a.b)\n\n- f\n- g\n\n> h\n\n---\n\n    code  here\n\n## Two\n\nEnd of it."
    )
    text = make_text(body=body, summary="First.\n\nSecond.", recipients=["Team One", "Team Two"])
    consent = make_consent(text=text)
    evidence = consent.evidence
    evidence.answers = [{"question": "Sure?", "answer": "Quite sure"}]
    evidence.drawing = "M 10 10 L 500 150 L 20 180"
    evidence.time_zone = "Europe/Dublin"
    pdf, read = paper(consent)
    for node in parse_html(text.html)[0]["children"]:
        for line in node["children"] if node["kind"] in ("ul", "blockquote") else [node]:
            said = re.sub(r"\s+", "", plain([line]))
            assert said in read.replace("•", "").replace("‣", ""), said
    for said in (evidence.signer_name, evidence.email, evidence.ip, evidence.user_agent, evidence.intent, text.sha256,
                 "Europe/Dublin", "Sure?Quitesure", str(consent.pk), "Research:yes"):  # fmt: skip
        assert re.sub(r"\s+", "", said) in read
    assert b"pdfuaid" in pdf


def test_the_drawn_signature_is_on_the_paper_and_nothing_but_lines_can_be_drawn():
    consent = make_consent(text=make_text())
    without = render_pdf(consent, consent.evidence)
    consent.evidence.drawing = 'M 1 1"/><text>no</text>'
    assert render_pdf(consent, consent.evidence) == without
    consent.evidence.drawing = "M 10.5 10 L 500 150"
    assert len(render_pdf(consent, consent.evidence)) > len(without)


@pytest.mark.parametrize("language", ["de", "es", "fr"])
def test_the_paper_speaks_the_language_of_the_text(language):
    consent = make_consent(text=make_text(language=language))
    pdf, read = paper(consent)
    for name in ("signature", "signer", "choices"):
        assert re.sub(r"\s+", "", words(language).paper[name]) in read
    assert b"pdfuaid" in pdf
