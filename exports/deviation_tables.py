"""The tables of a deviation report, as plain JSON values without floats, and the gate's verdict. Pure functions.

Small groups are withheld without their names. Groups of two attributes are shown only as far as neither they nor what
remains beside them is small, with all that people may work out from the tables of one attribute.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

from annotation.quality import krippendorff_alpha
from consent.demographics import ATTRIBUTES
from consent.suppression import SMALL
from exports.deviation import (
    COMPARED_FROM,
    LARGEST_GAP,
    NOT_SAID,
    RESAMPLES,
    SEED,
    GroupLine,
    GroupReport,
    Interval,
    group_report,
    is_too_far,
    judged_gap,
)

Row = Mapping[str, Any]
Table = dict[str, Any]
# What shares are held against, by attribute: its name and the shares.
REFERENCES: dict[str, tuple[str, dict[str, float]]] = {
    "skin_tone": ("equal shares of the ten tones", dict.fromkeys(ATTRIBUTES["skin_tone"][1], 0.1)),
    "age_band": ("equal shares of the five age bands", dict.fromkeys(ATTRIBUTES["age_band"][1], 0.2)),
    "gender": ("half women, half men", {"woman": 0.5, "man": 0.5}),
}
LIMITS = {
    "largest_gap": str(LARGEST_GAP),
    "compared_from": COMPARED_FROM,
    "withheld_under": SMALL,
    "resamples": RESAMPLES,
    "seed": SEED,
}
MOST_GAPS = 10  # of one score in one table that are listed
BALANCE_ONLY = ""  # the name of a score that no row has


def tables(rows: Sequence[Row], scores: Iterable[str], attributes: Sequence[str], stars: str) -> list[Table]:
    """One table per attribute, then one per pair of them that is big enough. `stars` as in `group_rows.STARS`."""
    scores = list(scores)
    single = [_table(rows, scores, (attribute,), stars) for attribute in attributes]
    shown = {table["columns"][0]: {line["group"] for line in table["lines"]} - {NOT_SAID} for table in single}
    pairs = [_pair(rows, scores, pair, shown, stars) for pair in combinations(attributes, 2)]
    return single + [table for table in pairs if table]


def title(columns: Sequence[str]) -> str:
    """`Skin tone (Monk scale) × Gender`."""
    return " × ".join(ATTRIBUTES[column][0] for column in columns)


def label(group: str, columns: Sequence[str]) -> str:
    """`Tone 2 × Woman`."""
    if group == NOT_SAID:
        return "Not said" if len(columns) == 1 else "Everybody else"
    answers = zip(group.split(" × "), columns, strict=True)
    return " × ".join(ATTRIBUTES[column][1].get(answer, answer) for answer, column in answers)


def decimals(number: float | None) -> str:
    """Four decimals, as canonical JSON has no floats; empty for None."""
    return "" if number is None else f"{number:.4f}"


def whole_per_cent(shown: Iterable[Table]) -> list[Table]:
    """What everybody may see of the tables of one attribute: {"title", "as_of", "groups" of "label" and "share"}."""
    return [
        {
            "title": table["title"],
            "as_of": table["as_of"],
            "groups": [{"label": line["label"], "share": round(float(line["share"]) * 100)} for line in table["lines"]],
        }
        for table in shown
        if len(table["columns"]) == 1
    ]


# --- One table -----------------------------------------------------------------------------------


def _table(rows: Sequence[Row], scores: list[str], columns: tuple[str, ...], stars: str) -> Table:
    name, reference = REFERENCES.get(columns[0], ("", {})) if len(columns) == 1 else ("", {})
    reports = {score: group_report(rows, score, columns, reference) for score in scores or [BALANCE_ONLY]}
    first = next(iter(reports.values()))
    shown = [place for place, line in enumerate(first.lines) if not line.withheld]
    agreement = {score: _agreement(rows, score, columns, stars) for score in scores}
    return {
        "columns": list(columns),
        "title": title(columns),
        "reference": name,
        # Of a table that gives its small groups away as a whole, not even their number is told.
        "withheld": None if first.n is None else len(first.lines) - len(shown),
        "lines": [
            {
                **_balance(first.lines[place], columns),
                "scores": {
                    score: _score(reports[score].lines[place], agreement[score]) for score in scores
                },
            }
            for place in shown
        ],
        "scores": {score: _gaps(reports[score], columns) for score in scores},
    }  # fmt: skip


def _balance(line: GroupLine, columns: Sequence[str]) -> Table:
    return {
        "group": line.group,
        "label": label(line.group, columns),
        "n": line.n,
        "people": line.people,
        "share": decimals(line.share),
        "share_interval": _interval(line.share_interval),
        "ratio": decimals(line.ratio),
    }


def _score(line: GroupLine, agreement: Mapping[str, float | None]) -> Table:
    told = line.mean is not None
    return {
        "n": line.scored if told else None,
        "mean": decimals(line.mean),
        "mean_interval": _interval(line.mean_interval),
        "compared": line.compared,
        "alpha": decimals(agreement.get(line.group)) if told else "",
    }


def _gaps(report: GroupReport, columns: Sequence[str]) -> Table:
    return {
        "gap": decimals(report.gap),
        "disparity": decimals(report.disparity),
        "gaps": [
            {"higher": label(gap.higher, columns), "lower": label(gap.lower, columns), "gap": decimals(gap.gap)}
            for gap in report.gaps[:MOST_GAPS]
        ],
    }


def _interval(interval: Interval | None) -> list[str]:
    return [decimals(end) for end in interval or ()]


def _agreement(rows: Sequence[Row], score: str, columns: Sequence[str], stars: str) -> dict[str, float | None]:
    """Krippendorff's alpha (ordinal) of the annotators on the photographs of each group."""
    units: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        answers = [row.get(column) for column in columns]
        group = " × ".join(map(str, answers)) if all(answers) else NOT_SAID
        units.setdefault(group, []).append(row.get(stars, {}).get(score, {}))
    return {group: _alpha(said) for group, said in units.items()}


def _alpha(said: Sequence[Mapping[str, Any]]) -> float | None:
    annotators = sorted({annotator for unit in said for annotator in unit})
    return krippendorff_alpha([[unit.get(annotator) for unit in said] for annotator in annotators], "ordinal")


# --- Two attributes at once ----------------------------------------------------------------------


def _pair(
    rows: Sequence[Row], scores: list[str], pair: tuple[str, str], shown: Mapping[str, set[str]], stars: str
) -> Table | None:
    people = {row["subject"]: (row.get(pair[0]), row.get(pair[1])) for row in rows}
    kept = large_answers(list(people.values()), (shown[pair[0]], shown[pair[1]]))
    if min(map(len, kept)) < 2:
        return None
    coarse = [
        {**row, **{name: row.get(name) if row.get(name) in kept[at] else None for at, name in enumerate(pair)}}
        for row in rows
    ]
    return _table(coarse, scores, pair, stars)


def large_answers(people: Sequence[tuple[Any, Any]], shown: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
    """The answers to two questions to be shown against each other; `shown` are those shown of each question alone.

    All others count as no answer. Of the combinations left, those with no answer to one question among them, each has
    no people or at least SMALL: so sums and differences with the tables of one question are about no fewer.
    """
    kept = (set(shown[0]), set(shown[1]))
    while kept[0] and kept[1]:
        pooled = [(one if one in kept[0] else None, other if other in kept[1] else None) for one, other in people]
        small = [cell for cell, count in Counter(pooled).items() if count < SMALL]
        if not small:
            return kept
        sizes = Counter((at, cell[at]) for cell in pooled for at in (0, 1) if cell[at] is not None)
        beside = {cell for cell in pooled if (cell[0] is None) != (cell[1] is None)}
        # The smallest answer of a small combination. People without any answer become more by what stands beside them.
        blamed = _answers(small) or _answers(beside) or set(sizes)
        at, answer = min(blamed, key=lambda one: (sizes[one], one))
        kept[at].discard(answer)
    return set(), set()


def _answers(cells: Iterable[tuple[Any, Any]]) -> set[tuple[int, Any]]:
    return {(at, cell[at]) for cell in cells for at in (0, 1) if cell[at] is not None}


# --- The gate ------------------------------------------------------------------------------------


def judge(
    rows: Sequence[Row],
    scores: Iterable[str],
    attributes: Sequence[str],
    shown: Sequence[Table],
    seal: Callable[[str], str] = str,
) -> Table:
    """The gate's verdict on all groups of one or two attributes, withheld ones too; those it does not name.

    `verdict` is "nothing rated", "too few to tell", "passes" or "too far apart"; `over` the largest gap of each score
    and attributes that is too large. Where a group is not in the tables `shown`, `higher`, `lower` and `gap` are empty,
    and `sealed` is what `seal` makes of them: a mark by which the same finding is known again.
    """
    scores = list(scores)
    every = [(name,) for name in attributes] + list(combinations(attributes, 2))
    names = {tuple(table["columns"]): {line["group"] for line in table["lines"]} for table in shown}
    judged: list[Table] = []
    over: list[Table] = []
    for score in scores:
        for columns in every:
            gap = judged_gap(rows, score, columns)
            if gap is None:
                continue
            named = {gap.higher, gap.lower} <= names.get(columns, set())
            finding: Table = {
                "score": score,
                "columns": list(columns),
                "title": title(columns),
                "higher": label(gap.higher, columns) if named else "",
                "lower": label(gap.lower, columns) if named else "",
                "gap": decimals(gap.gap) if named else "",
                "sealed": "" if named else seal(f"{score} {columns} {gap.higher} {gap.lower} {gap.gap:.4f}"),
            }
            judged.append(finding)
            over += [finding] if is_too_far(gap) else []
    largest = max(judged, key=lambda one: one["gap"], default=None)
    verdict = (
        "nothing rated" if not scores else "too few to tell" if not judged else "too far apart" if over else "passes"
    )
    return {"ran": True, "verdict": verdict, "over": over, "largest": largest if largest and largest["gap"] else None}


# --- Against an earlier report -------------------------------------------------------------------


def _tells(table: Table, before: Table) -> bool:
    """Whether a group differs by fewer than SMALL people, or by photographs of as many as before.

    A group that is not shown may have had up to SMALL - 1.
    """
    now, then = ({line["group"]: (line["people"], line["n"]) for line in one["lines"]} for one in (table, before))
    hidden = (SMALL - 1, None)
    pairs = [(now.get(group, hidden), then.get(group, hidden)) for group in {*now, *then}]
    return any(one != other and abs(one[0] - other[0]) < SMALL for one, other in pairs)


def difference(table: Table, before: Table) -> Table:
    """Shares in two tables of the same columns, side by side. `lines` is None if their difference would tell who."""
    if _tells(table, before):
        return {"title": table["title"], "lines": None}
    now = {line["group"]: line["share"] for line in table["lines"]}
    return {
        "title": table["title"],
        "lines": [
            {"label": line["label"], "then": line["share"], "now": now[line["group"]]}
            for line in before["lines"]
            if line["group"] in now
        ],
    }
