"""Documents as tagged PDF (PDF/UA-1), by typst."""

from pathlib import Path
from typing import Any

import typst

from consent.signing import canonical_json


def typeset(document: Path, paper: dict[str, Any]) -> bytes:
    """The PDF of a typst document that reads its content as JSON from `sys.inputs.paper`."""
    inputs = {"paper": canonical_json(paper)}
    try:
        return typst.compile(document, format="pdf", sys_inputs=inputs, pdf_standards="ua-1")
    except typst.TypstError:  # PDF/UA refuses letters that no font here has, as a name may hold
        return typst.compile(document, format="pdf", sys_inputs=inputs)
