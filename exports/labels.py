"""From what several annotators said about one image to one label per control. Pure and deterministic.

A control is a Label Studio `from_name` and a type: "rating" (mean), "choices" (majority, joined by |),
"rectanglelabels" (median box), "keypointlabels" (median point, a control of its own for each label).
Numbers are text with four decimals: row records are canonical JSON, which has no floats.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from annotation.config import label_name

Result = list[dict[str, Any]]  # what Label Studio stores of one annotation: one dict per region or choice
Label = str | list[str]
KINDS = {
    "rating": "rating",
    "choices": "choices",
    "rectanglelabels": "box",
    "rectangle": "box",
    "keypointlabels": "point",
}
SIDES = {"box": ("x", "y", "width", "height"), "point": ("x", "y")}
CHOICE_SEPARATOR = "|"
FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True, order=True)
class Control:
    """One thing that annotators were asked: its name in releases, and "rating", "choices", "box" or "point"."""

    name: str
    kind: str


def controls(results: Iterable[Result]) -> list[Control]:
    """The controls that these annotations answer, by name."""
    return sorted({control for result in results for item in _known(result) for control in _controls_of(item)})


def consolidate(results: Sequence[Result], width: int, height: int) -> dict[str, Label]:
    """One label per control. Boxes are [x, y, width, height] and points [x, y] in pixels of the image of this size."""
    made: dict[str, Label] = {}
    for control in controls(results):
        said = [value for result in results if (value := answer(result, control)) is not None]
        made[control.name] = _MERGE[control.kind](said, width, height)
    return made


def answer(result: Result, control: Control) -> Any:
    """What one annotator said about one control; None if nothing.

    A number, choices, or a box (the largest) or a point in percent.
    """
    values = [item["value"] for item in _known(result) if control in _controls_of(item)]
    if not values:
        return None
    if control.kind == "rating":
        return values[0]["rating"]
    if control.kind == "choices":
        return sorted({choice for value in values for choice in value["choices"]})
    places = [[Decimal(str(value[side])) for side in SIDES[control.kind]] for value in values]
    return max(places, key=lambda place: (math.prod(place[2:]), place))


def _controls_of(item: dict[str, Any]) -> list[Control]:
    kind = KINDS[item["type"]]
    if kind == "point":
        return [Control(label_name(item["from_name"], label), kind) for label in item["value"]["keypointlabels"]]
    return [Control(item["from_name"], kind)]


def _known(result: Result) -> list[dict[str, Any]]:
    return [item for item in result if item.get("type") in KINDS]


def _mean(said: list[Any], width: int, height: int) -> str:
    numbers = [Decimal(str(value)) for value in said]
    return _text(sum(numbers, Decimal(0)) / len(numbers))


def _majority(said: list[list[str]], width: int, height: int) -> str:
    """What more than half of the annotators chose; if that is nothing, what most did (a tie: first in the alphabet)."""
    counts = Counter(choice for choices in said for choice in choices)
    if not counts:
        return ""
    most = sorted(choice for choice in counts if counts[choice] * 2 > len(said))
    return CHOICE_SEPARATOR.join(most or [min(counts, key=lambda choice: (-counts[choice], choice))])


def _median_place(said: list[list[Decimal]], width: int, height: int) -> list[str]:
    sizes = (width, height, width, height)
    return [_text(median(sides) * size / 100) for sides, size in zip(zip(*said, strict=True), sizes, strict=False)]


def _text(number: Decimal) -> str:
    return str(number.quantize(FOUR_DECIMALS, ROUND_HALF_EVEN))


_MERGE: dict[str, Any] = {"rating": _mean, "choices": _majority, "box": _median_place, "point": _median_place}
