"""How far annotators of one region agree about the photographs of one group of people. Pure functions.

Annotators are people too: a region of fewer than SMALL of them is left out like a group of fewer than SMALL subjects.
An alpha is no sum, so no other cell or total gives one away. In a deviation report the alphas are numbers of the group
like all others, so `steady_tables` keeps a table back in which one changed because one annotator said something else.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.quality import krippendorff_alpha
from consent.suppression import SMALL
from exports.deviation import NOT_SAID

Row = Mapping[str, Any]
Cell = tuple[str, str]  # group, region


def agreement_by_region(
    rows: Sequence[Row], score: str, group: str, stars: str, regions: Mapping[str, str]
) -> dict[Cell, float | None]:
    """Krippendorff's alpha (ordinal) by group of subjects and region of annotators; None where nothing can be said.

    `rows` as in `exports.group_rows`: column `stars` holds {score: {annotator: stars}}. `regions` says where each
    annotator is from; who is not in it said nothing and is in no cell. A cell is left out unless at least SMALL
    annotators of the region rated photographs of at least SMALL people of the group.
    """
    units: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
    subjects: dict[Cell, set[Any]] = defaultdict(set)
    annotators: dict[Cell, set[str]] = defaultdict(set)
    for row in rows:
        by_region: dict[str, dict[str, Any]] = defaultdict(dict)
        for annotator, said in row.get(stars, {}).get(score, {}).items():
            if annotator in regions:
                by_region[regions[annotator]][annotator] = said
        for region, given in by_region.items():
            cell = (row.get(group) or NOT_SAID, region)
            units[cell].append(given)
            subjects[cell].add(row["subject"])
            annotators[cell] |= set(given)
    large = sorted(cell for cell in units if min(len(subjects[cell]), len(annotators[cell])) >= SMALL)
    return {cell: _alpha(units[cell], sorted(annotators[cell])) for cell in large}


def _alpha(units: Sequence[Mapping[str, Any]], annotators: Sequence[str]) -> float | None:
    return krippendorff_alpha([[unit.get(annotator) for unit in units] for annotator in annotators], "ordinal")
