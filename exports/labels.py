"""From what several annotators said about one image to one label per control. Pure and deterministic.

"rating": the mean; "choices": the majority, joined by |; "box" and "point": the median of each number.
Numbers are text with four decimals: row records are canonical JSON, which has no floats.
"""

from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from annotation.answers import Result, answer, answered

Label = str | list[str]
CHOICE_SEPARATOR = "|"
FOUR_DECIMALS = Decimal("0.0001")


def consolidate(results: Sequence[Result], width: int, height: int) -> dict[str, Label]:
    """One label per control. Boxes are [x, y, width, height] and points [x, y] in pixels of the image of this size."""
    made: dict[str, Label] = {}
    for control in answered(results):
        said = [value for result in results if (value := answer(result, control)) is not None]
        made[control.name] = _MERGE[control.kind](said, width, height)
    return made


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
