"""The numbers of a release that its documents state. Computed from its rows, never typed."""

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from annotation.agreement import LEVELS
from annotation.answers import Control, answer, answered
from annotation.quality import alpha_of_units
from exports.selection import Candidate, Photograph
from exports.splits import NAMES

Unit = tuple[Any, ...]  # the answers to one control of one photograph


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
    change: dict[str, int] | None  # rows added, removed, relabelled, kept since the release before


class Tally:
    """What of the rows a summary needs, counted one row at a time: all of them would fill the memory."""

    def __init__(self) -> None:
        self.splits: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.per_row: Counter[int] = Counter()
        self.texts, self.terms, self.formats = set[str](), set[str](), set[str]()
        self.annotators, self.responsible = set[str](), set[str]()
        self.days: tuple[datetime.date, datetime.date] = (datetime.date.max, datetime.date.min)
        self.units: dict[Control, Counter[Unit]] = defaultdict(Counter)

    def add(self, record: dict[str, Any], candidate: Candidate) -> None:
        """A row, and what it was made from."""
        basis, day = record["basis"], candidate.image.received_at.date()
        self.splits[record["split"]] += 1
        self.kinds[basis["kind"]] += 1
        self.per_row[len(record["annotations"])] += 1
        self.texts |= {basis["text_version"]} - {""}
        self.terms |= {basis["terms"]} if basis["kind"] == "licence" else set()
        self.formats.add(record["format"])
        self.annotators |= {one["annotator"] for one in record["annotations"]}
        self.responsible.add(_responsible(candidate.image))
        self.days = min(self.days[0], day), max(self.days[1], day)
        for control in answered(one.result for one in candidate.said):
            said = (answer(one.result, control) for one in candidate.said)
            self.units[control][_unit(control, said)] += 1

    @property
    def controls(self) -> list[Control]:
        """What annotators answered of all that was asked, by name."""
        return sorted(self.units)

    def summary(self, *, subjects: int, left_out: Counter[str], change: dict[str, int] | None) -> Summary:
        """`change` is since the release before."""
        counts = (min(self.per_row), max(self.per_row))
        return Summary(
            rows=self.splits.total(),
            subjects=subjects,
            splits={name: self.splits[name] for name in NAMES if self.splits[name]},
            bases=dict(sorted(self.kinds.items())),
            texts=sorted(self.texts),
            terms=sorted(self.terms),
            formats=sorted(self.formats),
            annotators=len(self.annotators),
            annotations=sum(number * count for number, count in self.per_row.items()),
            per_item=" to ".join(str(number) for number in dict.fromkeys(counts)),
            agreement=[_agreement(control, self.units[control]) for control in self.controls if control.kind in LEVELS],
            received=(self.days[0].isoformat(), self.days[1].isoformat()),
            controllers=sorted(self.responsible),
            controls=self.controls,
            left_out=dict(sorted(left_out.items())),
            change=change,
        )


def _unit(control: Control, said: Iterable[Any]) -> Unit:
    """What was said of one photograph, in one order: so that the same is counted together. Places are not compared."""
    given = [value for value in said if value is not None] if control.kind in LEVELS else []
    return tuple(sorted("|".join(value) if isinstance(value, list) else value for value in given))


def _responsible(image: Photograph) -> str:
    consent = image.consent
    return consent.text.controller_name if consent else image.licence.licensor  # type: ignore[union-attr]


def _agreement(control: Control, units: Counter[Unit]) -> str:
    level = LEVELS[control.kind]
    # In order: sums of decimals depend on it.
    alpha = alpha_of_units(((Counter(unit), times) for unit, times in sorted(units.items())), level)
    value = "not defined (too few answers, or no variation)" if alpha is None else f"{alpha:.3f}"
    return f"Krippendorff alpha ({level}) of {control.name}: {value}"
