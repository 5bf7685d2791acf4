"""Whether two tables of deviation reports, laid side by side, would tell of one person. Pure functions.

Two tables tell no more than each alone if every number that differs between them is about at least SMALL people: those
who came, those who went, and those of whom there are other photographs or labels now. docs/decisions/0031.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.suppression import SMALL
from exports.deviation import NOT_SAID

Row = Mapping[str, Any]
Table = dict[str, Any]
POOL = "everybody else"  # who is in no group that either table shows
UNSURE = "unsure"  # the column of a row whose person may have answered otherwise when the table was made


@dataclass(frozen=True)
class Shown:
    """A table that somebody may have seen, and what it was made of as far as that is still known.

    `rows` may lack people who withdrew since, and mark people who answered anew as UNSURE: both only make it seem that
    fewer people changed.
    """

    table: Table
    rows: Sequence[Row]
    total: tuple[int, int]  # rows and people of the whole report, which it tells


def tells(now: Shown, then: Shown, stars: str) -> bool:
    """Whether what differs between two tables of the same columns is about fewer than SMALL people."""
    columns = now.table["columns"]
    lines = [{line["group"]: line for line in shown.table["lines"]} for shown in (now, then)]
    groups = {*lines[0], *lines[1]}
    unsure = {row["subject"] for row in then.rows if row.get(UNSURE)}
    scores = sorted(set(now.table["scores"]) & set(then.table["scores"]))
    for score in (None, *scores):
        parts = [_by_person(shown.rows, columns, groups, score, stars) for shown in (now, then)]
        for group in {*groups, POOL}:
            if _numbers(now, lines[0], group, score) == _numbers(then, lines[1], group, score):
                continue
            one, other = (part.get(group, {}) for part in parts)
            people = {*one, *other} - unsure
            if sum(one.get(person) != other.get(person) for person in people) < SMALL:
                return True
    return False


def _by_person(
    rows: Iterable[Row], columns: Sequence[str], groups: set[str], score: str | None, stars: str
) -> dict[str, dict[Any, list[Any]]]:
    """By group and person: what of theirs goes into the group's numbers, in an order that does not matter."""
    found: dict[str, dict[Any, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        answers = [row.get(column) for column in columns]
        name = " × ".join(map(str, answers)) if all(answers) else NOT_SAID
        # Beside combinations of two attributes, whoever is in none of them counts as not having said.
        group = name if name in groups else NOT_SAID if len(columns) > 1 and NOT_SAID in groups else POOL
        value = "" if score is None else repr((row.get(score), sorted(row.get(stars, {}).get(score, {}).items())))
        if score is None or row.get(score) is not None:
            found[group][row["subject"]].append(value)
    return {group: {who: sorted(said) for who, said in people.items()} for group, people in found.items()}


def _numbers(shown: Shown, lines: Mapping[str, Table], group: str, score: str | None) -> Any:
    """What a table tells of a group: how many, or how they are scored."""
    if group == POOL:  # not shown, but what is left of the total
        left = [shown.total[at] - sum(line[name] for line in lines.values()) for at, name in enumerate(("n", "people"))]
        return left if score is None else None
    line = lines.get(group)
    if line is None:
        return None
    return (line["n"], line["people"]) if score is None else line["scores"].get(score)


def kept_back(table: Table) -> Table:
    """A table of which nothing can be shown beside those of other datasets."""
    return {**table, "withheld": None, "lines": [], "scores": {}, "kept_back": True}
