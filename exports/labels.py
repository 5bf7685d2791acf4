"""From what several annotators said about one image to one label per control. Pure and deterministic.

"rating": the mean or the median; "choices": the majority's or only what all chose, joined by |; "box" and "point": the
median of each number. Numbers are text with four decimals: row records are canonical JSON, which has no floats.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from statistics import median
from typing import Any

from annotation.answers import Control, Result, answer, answered

Label = str | list[str]
CHOICE_SEPARATOR = "|"
FOUR_DECIMALS = Decimal("0.0001")


@dataclass(frozen=True)
class Rules:
    """How several answers become one: `ratings` by "mean" or "median", `choices` by "majority" or "unanimous"."""

    ratings: str = "mean"
    choices: str = "majority"

    def of(self, control: Control) -> str:
        """What is done with the answers to one control."""
        return {"rating": self.ratings, "choices": self.choices}.get(control.kind, "median place")


PLAIN_RULES = Rules()


def consolidate(results: Sequence[Result], width: int, height: int, rules: Rules = PLAIN_RULES) -> dict[str, Label]:
    """One label per control. Boxes are [x, y, width, height] and points [x, y] in pixels of the image of this size."""
    made: dict[str, Label] = {}
    for control in answered(results):
        said = [value for result in results if (value := answer(result, control)) is not None]
        made[control.name] = _MERGE[rules.of(control)](said, width, height)
    return made


def _mean(said: list[Any], width: int, height: int) -> str:
    numbers = [Decimal(str(value)) for value in said]
    return _text(sum(numbers, Decimal(0)) / len(numbers))


def _median(said: list[Any], width: int, height: int) -> str:
    return _text(Decimal(median(Decimal(str(value)) for value in said)))


def _majority(said: list[list[str]], width: int, height: int) -> str:
    """What more than half of the annotators chose; if that is nothing, what most did (a tie: first in the alphabet)."""
    counts = Counter(choice for choices in said for choice in choices)
    if not counts:
        return ""
    most = sorted(choice for choice in counts if counts[choice] * 2 > len(said))
    return CHOICE_SEPARATOR.join(most or [min(counts, key=lambda choice: (-counts[choice], choice))])


def _unanimous(said: list[list[str]], width: int, height: int) -> str:
    """What every annotator who answered chose; empty if there is nothing of the kind."""
    return CHOICE_SEPARATOR.join(sorted(set.intersection(*map(set, said))))


def _median_place(said: list[list[Decimal]], width: int, height: int) -> list[str]:
    sizes = (width, height, width, height)
    return [_text(median(sides) * size / 100) for sides, size in zip(zip(*said, strict=True), sizes, strict=False)]


def _text(number: Decimal) -> str:
    return str(number.quantize(FOUR_DECIMALS, ROUND_HALF_EVEN))


_MERGE: dict[str, Any] = {
    "mean": _mean,
    "median": _median,
    "majority": _majority,
    "unanimous": _unanimous,
    "median place": _median_place,
}
