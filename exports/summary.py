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
    splits: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    per_row: Counter[int] = Counter()
    bases: dict[str, dict[str, Any]] = {}
    subjects, formats, annotators = set(), set(), set()
    for row in rows:  # one record at a time: all of them would fill the memory
        record = row.record
        splits[record["split"]] += 1
        kinds[record["basis"]["kind"]] += 1
        per_row[len(record["annotations"])] += 1
        bases[record["basis"]["id"]] = record["basis"]
        subjects.add(record["subject"])
        formats.add(record["format"])
        annotators |= {one["annotator"] for one in record["annotations"]}
    days = [row.image.received_at.date() for row in rows]
    return Summary(
        rows=len(rows),
        subjects=len(subjects),
        splits={name: splits[name] for name in NAMES if splits[name]},
        bases=dict(sorted(kinds.items())),
        texts=sorted({basis["text_version"] for basis in bases.values()} - {""}),
        terms=sorted({basis["terms"] for basis in bases.values() if basis["kind"] == "licence"}),
        formats=sorted(formats),
        annotators=len(annotators),
        annotations=sum(number * count for number, count in per_row.items()),
        per_item=" to ".join(str(number) for number in dict.fromkeys((min(per_row), max(per_row)))),
        agreement=[_agreement(control, candidates) for control in controls if control.kind in LEVELS],
        received=(min(days).isoformat(), max(days).isoformat()),
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
