"""What the page on which faces are covered sends: marks as "kind x y w h", and one box in percent by hand."""

import math

from django.http import QueryDict

from collection.boxes import Box
from collection.face_marks import Kind, Mark
from consent.refusals import Refused

SIDES = ("left", "top", "width", "height")
PARTS = 5  # words of a mark
UNREADABLE = "We could not read which faces you chose. Please open the page again."


def read_marks(sent: QueryDict) -> list[Mark]:
    """Every mark that was sent. Refused if something is not a mark."""
    marks = [_mark(words) for words in sent.getlist("mark") if words]
    typed = [sent.get(side, "").strip().replace(",", ".") for side in SIDES]
    if any(typed):
        marks.append((Kind.COVER, _typed(typed)))
    return marks


def write_mark(kind: str, box: Box) -> str:
    return f"{kind} {box.x:.5f} {box.y:.5f} {box.w:.5f} {box.h:.5f}"


def _mark(words: str) -> Mark:
    kind, *numbers = words.split()
    if kind not in Kind.values or len(numbers) != PARTS - 1:
        raise Refused(UNREADABLE)
    return kind, Box(*(_number(number, UNREADABLE) for number in numbers))


def _typed(typed: list[str]) -> Box:
    wrong = "Please give all four numbers of the box, each between 0 and 100."
    return Box(*(_number(number, wrong) / 100 for number in typed))


def _number(word: str, otherwise: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise Refused(otherwise) from None
    if not math.isfinite(number):
        raise Refused(otherwise)
    return number
