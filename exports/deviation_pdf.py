"""A deviation report as a tagged PDF (PDF/UA-1): the tables of its page, with the same words."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from consent.typesetting import typeset
from exports.deviation_reports import sections
from exports.deviation_words import Topic, part
from exports.models import DeviationReport

DOCUMENT = Path(__file__).parent / "documents" / "deviation_report.typ"


def render_pdf(report: DeviationReport) -> bytes:
    """The PDF of a report. PDF/UA refuses letters that no font here has; a title with such gets a plain PDF."""
    return typeset(DOCUMENT, _paper(report))


def _paper(report: DeviationReport) -> dict[str, Any]:
    parts = [part(section) for section in sections(report.content)]
    return {
        "title": f"Deviation report {report.release or report.quarter}",
        "made": f"{report.made_at:%Y-%m-%d}",
        "sha256": report.sha256,
        "parts": [
            {
                "title": one.title,
                "facts": f"{one.rows:,} photographs of {one.people:,} people",
                "verdict": f"The gate: {one.verdict}.",
                "over": list(one.over),
                "regions": one.regions,
                "topics": [_topic(topic) for topic in (*one.topics, *one.pairs)],
            }
            for one in parts
        ],
    }


def _topic(topic: Topic) -> dict[str, Any]:
    return {
        "title": topic.title,
        "notes": list(topic.notes),
        "plots": [{**asdict(plot), "bars": [asdict(bar) for bar in plot.bars]} for plot in topic.plots],
    }
