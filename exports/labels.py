"""From what several annotators said about one image to one label per control. Pure and deterministic.

A control is a Label Studio `from_name` and a type: "rating" (mean), "choices" (majority, joined by |),
"rectanglelabels" (median box).
Numbers are text with four decimals: row records are canonical JSON, which has no floats.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

Result = list[dict[str, Any]]  # what Label Studio stores of one annotation: one dict per region or choice
Label = str | list[str]
KINDS = {"rating": "rating", "choices": "choices", "rectanglelabels": "box", "rectangle": "box"}
CHOICE_SEPARATOR = "|"
FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True, order=True)
class Control:
    """One thing that annotators were asked: its name in the labelling config, and "rating", "choices" or "box"."""

    name: str
    kind: str


def controls(results: Iterable[Result]) -> list[Control]:
    """The controls that these annotations answer, by name."""
    found = {Control(item["from_name"], KINDS[item["type"]]) for result in results for item in _known(result)}
    return sorted(found)


def consolidate(results: Sequence[Result], width: int, height: int) -> dict[str, Label]:
    """One label per control. Boxes are [x, y, width, height] in pixels of the image of this size."""
    made: dict[str, Label] = {}
    for control in controls(results):
        said = [value for result in results if (value := answer(result, control)) is not None]
        made[control.name] = _MERGE[control.kind](said, width, height)
    return made


def answer(result: Result, control: Control) -> Any:
    """What one annotator said about one control: number, choices, or box in percent (the largest); None if nothing."""
    values = [item["value"] for item in _known(result) if Control(item["from_name"], KINDS[item["type"]]) == control]
    if not values:
        return None
    if control.kind == "rating":
        return values[0]["rating"]
    if control.kind == "choices":
        return sorted({choice for value in values for choice in value["choices"]})
    boxes = [[Decimal(str(value[side])) for side in ("x", "y", "width", "height")] for value in values]
    return max(boxes, key=lambda box: (box[2] * box[3], box))


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


def _median_box(said: list[list[Decimal]], width: int, height: int) -> list[str]:
    sizes = (width, height, width, height)
    return [_text(median(box[side] for box in said) * sizes[side] / 100) for side in range(4)]


def _text(number: Decimal) -> str:
    return str(number.quantize(FOUR_DECIMALS, ROUND_HALF_EVEN))


_MERGE: dict[str, Any] = {"rating": _mean, "choices": _majority, "box": _median_box}
