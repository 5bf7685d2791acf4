"""What one annotation says, control by control, in plain values. Pure.

A control is a Label Studio `from_name` and a type: "rating" (a number), "choices" (a list), "rectanglelabels" (a box in
percent), "keypointlabels" (a point in percent, a control of its own for each label).
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

Result = list[dict[str, Any]]  # what Label Studio stores of one annotation: one dict per region or choice
KINDS = {
    "rating": "rating",
    "choices": "choices",
    "rectanglelabels": "box",
    "rectangle": "box",
    "keypointlabels": "point",
}
SIDES = {"box": ("x", "y", "width", "height"), "point": ("x", "y")}


@dataclass(frozen=True, order=True)
class Control:
    """One thing that annotators were asked: its name in releases, and "rating", "choices", "box" or "point"."""

    name: str
    kind: str


def label_name(control: str, label: str = "") -> str:
    """What the labels of a control are called in releases; each point of a face has a name of its own."""
    return f"{control}_{re.sub('[^A-Za-z0-9]+', '_', label)}" if label else control


def answered(results: Iterable[Result]) -> list[Control]:
    """The controls that these annotations answer, by name."""
    return sorted({control for result in results for item in _known(result) for control in _controls_of(item)})


def answer(result: Result, control: Control) -> Any:
    """What one annotation says about one control; None if nothing.

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


class Word(NamedTuple):
    """A part of an answer as pages show it; `colour` where the labelling page shows a swatch."""

    text: str
    colour: str = ""


def in_words(value: Any, colours: Mapping[str, str]) -> list[Word]:
    """What `answer` gave, to be read; `colours` are those of the control's values."""
    if value is None or value == []:
        return [Word("nothing")]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [Word(one, colours.get(one, "")) for one in value]
    return [Word("marked in the photograph" if isinstance(value, list) else str(value))]


def _controls_of(item: dict[str, Any]) -> list[Control]:
    kind = KINDS[item["type"]]
    if kind == "point":
        return [Control(label_name(item["from_name"], label), kind) for label in item["value"]["keypointlabels"]]
    return [Control(item["from_name"], kind)]


def _known(result: Result) -> list[dict[str, Any]]:
    return [item for item in result if item.get("type") in KINDS]
