"""The numbers of a release that its documents state. Computed from its rows, never typed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotation.agreement import LEVELS, ratings_of
from annotation.answers import Control, answer
from annotation.quality import krippendorff_alpha
from exports.differences import Difference
from exports.provenance import Row
from exports.selection import Candidate
from exports.splits import NAMES


@dataclass(frozen=True)
class Summary:
    """What croissant.json and README.md are made from."""

    rows: int
    subjects: int
    splits: dict[str, int]
    bases: dict[str, int]  # kind of basis to number of rows
    texts: list[str]  # versions of the texts signed
    terms: list[str]  # terms of the licences
    formats: list[str]
    annotators: int
    annotations: int
    per_item: str  # "3", or "2 to 3"
    agreement: list[str]
    received: tuple[str, str]  # first and last day
    controllers: list[str]
    controls: list[Control]
    left_out: dict[str, int]
    change: Difference | None  # since the release before


def summarize(
    rows: Sequence[Row],
    candidates: Sequence[Candidate],
    controls: list[Control],
    left_out: Counter[str],
    change: Difference | None,
) -> Summary:
    """`candidates` are those of the rows, in any order."""
    records = [row.record for row in rows]
    bases = {record["basis"]["id"]: record["basis"] for record in records}.values()
    days = sorted(row.image.received_at.date().isoformat() for row in rows)
    per_row = sorted({len(record["annotations"]) for record in records})
    return Summary(
        rows=len(rows),
        subjects=len({record["subject"] for record in records}),
        splits={name: n for name in NAMES if (n := sum(record["split"] == name for record in records))},
        bases=dict(sorted(Counter(record["basis"]["kind"] for record in records).items())),
        texts=sorted({basis["text_version"] for basis in bases} - {""}),
        terms=sorted({basis["terms"] for basis in bases if basis["kind"] == "licence"}),
        formats=sorted({record["format"] for record in records}),
        annotators=len({one["annotator"] for record in records for one in record["annotations"]}),
        annotations=sum(len(record["annotations"]) for record in records),
        per_item=" to ".join(str(number) for number in dict.fromkeys((per_row[0], per_row[-1]))),
        agreement=[_agreement(control, candidates) for control in controls if control.kind in LEVELS],
        received=(days[0], days[-1]),
        controllers=sorted({_responsible(row) for row in rows}),
        controls=controls,
        left_out=dict(sorted(left_out.items())),
        change=change,
    )


def _responsible(row: Row) -> str:
    consent = row.image.consent
    return consent.text.controller_name if consent else row.image.licence.licensor  # type: ignore[union-attr]


def _agreement(control: Control, candidates: Sequence[Candidate]) -> str:
    level = LEVELS[control.kind]
    alpha = krippendorff_alpha(ratings(control, candidates), level)
    value = "not defined (too few answers, or no variation)" if alpha is None else f"{alpha:.3f}"
    return f"Krippendorff alpha ({level}) of {control.name}: {value}"


def ratings(control: Control, candidates: Sequence[Candidate]) -> list[list[Any]]:
    """Annotators × images: what each said of each, None where they said nothing."""
    return ratings_of(
        {
            unit: {one.annotator: answer(one.result, control) for one in candidate.said}
            for unit, candidate in enumerate(candidates)
        }
    )
