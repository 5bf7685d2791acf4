"""What a labelling config allows, and whether a result keeps to it.

Label Studio's API stores whatever it is sent: unknown controls, ratings of 99, nothing at all. So we check.
"""

import json
import math
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface

from annotation.answers import label_name
from consent.refusals import Refused

STARTERS = Path(__file__).parent / "configs"
# What a data manager may start from: the file, and what it asks in words.
TEMPLATES = {
    "quality": "Quality, what is to be seen, and a box around the face",
    "rating": "One rating from 1 to 5",
    "face-boxes": "A box around every face",
    "keypoints": "Five points of the face",
    "skin-tone": "Skin tone by the swatches of the Monk scale",
}
DEFAULT_TEMPLATE = "quality"
KINDS = {
    "Rating": "rating",
    "Choices": "choices",
    "RectangleLabels": "rectanglelabels",
    "KeyPointLabels": "keypointlabels",
}
REGIONS = {"rectanglelabels", "keypointlabels"}  # given any number of times
DEFAULT_MAX_RATING = 5
MOST_STARS = 100  # each is a choice of the form that reviewers fill in
PERCENT = 100.0
DEEPEST = 20  # levels of a result: what Label Studio makes has five
SWATCH = re.compile(r"\bbackground(?:-color)?\s*:\s*(#[0-9a-fA-F]{6})\b")
SLACK = 0.01  # Label Studio rounds: a box drawn to the edge may end a hair beyond it


@dataclass(frozen=True)
class Control:
    """One thing that an annotator fills in. `values` are the choices or labels it offers."""

    name: str
    kind: str  # the `type` in results: one of KINDS
    target: str  # the name of the image tag
    required: bool
    values: tuple[str, ...]  # in the order of the config
    multiple: bool
    max_rating: int
    question: str  # what the header above it asks, and what the ends of its scale mean; "" without one
    colours: Mapping[str, str]  # `#rrggbb` of the values that the labelling page shows as swatches

    def __str__(self) -> str:
        """What an annotator is asked for, in words."""
        asked = {
            "rating": f"a rating from 1 to {self.max_rating}",
            "choices": "any of" if self.multiple else "one of",
            "rectanglelabels": "boxes around",
            "keypointlabels": "one point for each of",
        }[self.kind]
        offered = ", ".join(self.values)
        return f"{asked} {offered}".rstrip() + ("" if self.required else " (may be left empty)")


Controls = Mapping[str, Control]


def starter_config(name: str = DEFAULT_TEMPLATE) -> str:
    """One of our own labelling configs, by its name in TEMPLATES."""
    return (STARTERS / f"{name}.xml").read_text()


# --- Parsing -------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def parse_config(xml: str) -> dict[str, Control]:
    """The controls of a labelling config by name; Refused says what is wrong with it."""
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise Refused("The labelling config must not contain DOCTYPE or ENTITY declarations. Remove them.")
    interface = _interface(xml)
    _refuse_other_objects(interface)
    questions = _questions(xml)
    colours = _colours(xml)
    controls = {
        tag.name: _control(tag, questions.get(tag.name, ""), colours.get(tag.name, {})) for tag in interface.controls
    }
    if not controls:
        raise Refused(f"The labelling config has nothing to fill in. Add one of these tags: {', '.join(KINDS)}.")
    _refuse_equal_columns(controls.values())
    return controls


def _questions(xml: str) -> dict[str, str]:
    """By the name of a tag: the last header before it, as the labelling page shows them."""
    questions, header = {}, ""
    for tag in ET.fromstring(xml).iter():  # noqa: S314 - entities were refused before
        if tag.tag == "Header":
            header = tag.get("value", "")
        elif name := tag.get("name"):
            questions[name] = header
    return questions


def _colours(xml: str) -> dict[str, dict[str, str]]:
    """By the name of a tag: the background that the HTML of its choices gives them."""
    found: dict[str, dict[str, str]] = {}
    for tag in ET.fromstring(xml).iter("Choices"):  # noqa: S314 - entities were refused before
        painted = {choice.get("value", ""): SWATCH.search(choice.get("html", "")) for choice in tag.iter("Choice")}
        found[tag.get("name", "")] = {value: colour[1] for value, colour in painted.items() if colour}
    return found


def _refuse_equal_columns(controls: Iterable[Control]) -> None:
    names = Counter(
        label_name(control.name, value)
        for control in controls
        for value in (control.values if control.kind == "keypointlabels" else [""])
    )
    if twice := [name for name, count in names.items() if count > 1]:
        raise Refused(f"Two things would both be called “{twice[0]}” in releases. Rename one of them.")


def _interface(xml: str) -> LabelInterface:
    try:
        interface = LabelInterface(xml)
        interface.validate()  # type: ignore[no-untyped-call]
    except Exception as error:  # the SDK raises its own error, KeyError or ValueError, depending on the mistake
        reason = str(error).split("(<string>")[0].strip(" ,") or type(error).__name__
        raise Refused(f"The labelling config is not valid: {reason}.") from error
    return interface


def _refuse_other_objects(interface: LabelInterface) -> None:
    shown = [(tag.tag, tag.value) for tag in interface.objects]
    if shown != [("Image", "$image")]:
        raise Refused('The labelling config must show exactly one image: <Image name="image" value="$image"/>.')


def _control(tag: Any, question: str, colours: Mapping[str, str]) -> Control:
    if tag.tag not in KINDS:
        raise Refused(f"The labelling config uses <{tag.tag}>, which cannot be checked yet. Use: {', '.join(KINDS)}.")
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,60}", tag.name or ""):  # it names a column of every release
        raise Refused("The name of a control must be letters, digits, _ and - only. Rename it.")
    values = tuple(tag.labels or ())
    if tag.tag != "Rating" and not values:
        raise Refused(f"The control “{tag.name}” offers nothing to choose. Add at least one value to it.")
    return Control(
        name=tag.name,
        kind=KINDS[tag.tag],
        target=tag.to_name[0],
        required=str(tag.attr.get("required", "")).lower() == "true",
        values=values,
        multiple=tag.attr.get("choice") == "multiple",
        max_rating=_max_rating(tag),
        question=question,
        colours=colours,
    )


def _max_rating(tag: Any) -> int:
    given = str(tag.attr.get("maxRating", DEFAULT_MAX_RATING))
    if not re.fullmatch(r"[0-9]{1,3}", given) or not 1 <= int(given) <= MOST_STARS:
        raise Refused(f"maxRating of the control “{tag.name}” must be a whole number from 1 to {MOST_STARS}.")
    return int(given)


# --- Checking results ----------------------------------------------------------------------------


def is_storable(result: Any) -> bool:
    """Whether every database keeps it as JSON: no NaN, NUL, lone surrogates, endless numbers or nesting."""
    if not _is_shallow(result):
        return False
    try:
        text = json.dumps(result, allow_nan=False, ensure_ascii=False)
        text.encode()
    except ValueError:
        return False
    return result is not None and "\\u0000" not in text


def _is_shallow(result: Any) -> bool:
    """Counted, not tried: how much nesting json takes depends on who asks, and one who asks later would fail."""
    level = [result]
    for _ in range(DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    return not level


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def check_result(controls: Controls, result: Any) -> str:
    """Why an annotation's `result` cannot be accepted, in words for the annotator; "" when it can."""
    if not isinstance(result, list) or not all(isinstance(region, dict) for region in result):
        return "The labels are not in Label Studio's format."
    for region in result:
        if refusal := _check_region(controls, region):
            return refusal
    return _check_whole(controls, result)


def _check_whole(controls: Controls, result: Sequence[Mapping[str, Any]]) -> str:
    given = Counter(region["from_name"] for region in result)
    for control in controls.values():
        if control.required and not given[control.name]:
            return f"“{control.name}” is required and was left empty."
        if control.kind not in REGIONS and given[control.name] > 1:
            return f"“{control.name}” was given more than once."
    points = Counter(
        (region["from_name"], str(region["value"]["keypointlabels"]))
        for region in result
        if region["type"] == "keypointlabels"
    )
    if points and max(points.values()) > 1:
        return "A point was set more than once."
    return ""


def _check_region(controls: Controls, region: Mapping[str, Any]) -> str:
    name = region.get("from_name")
    control = controls.get(name) if isinstance(name, str) else None
    if control is None:
        return f"The campaign has no control “{str(name)[:40]}”."
    value = region.get("value")
    if region.get("type") != control.kind or region.get("to_name") != control.target or not isinstance(value, dict):
        return f"“{control.name}” does not have the form that the campaign asks for."
    return CHECKS[control.kind](control, value)


def _check_rating(control: Control, value: Mapping[str, Any]) -> str:
    rating = value.get("rating")
    if type(rating) is not int or not 1 <= rating <= control.max_rating:
        return f"“{control.name}” must be a whole number from 1 to {control.max_rating}."
    return ""


def _check_values(control: Control, values: Any) -> str:
    if not isinstance(values, list) or not values:
        return f"“{control.name}” was left empty."
    if unknown := [value for value in values if not isinstance(value, str) or value not in control.values]:
        return f"“{control.name}” has no choice “{str(unknown[0])[:40]}”."
    if len(set(values)) != len(values) or (len(values) > 1 and not control.multiple):
        return f"“{control.name}” takes one choice, not several."
    return ""


def _check_choices(control: Control, value: Mapping[str, Any]) -> str:
    return _check_values(control, value.get("choices"))


def _check_box(control: Control, value: Mapping[str, Any]) -> str:
    sides = [value.get(side) for side in ("x", "y", "width", "height")]
    if not all(_is_number(side) for side in sides) or not _is_number(value.get("rotation", 0)):
        return f"The box of “{control.name}” lacks a position or a size."
    x, y, width, height = (float(side) for side in sides if side is not None)
    if min(width, height) < SLACK:
        return f"The box of “{control.name}” is empty."
    if min(x, y) < -SLACK or max(x + width, y + height) > PERCENT + SLACK:
        return f"The box of “{control.name}” reaches beyond the photograph."
    return _check_values(control, value.get("rectanglelabels"))


def _check_point(control: Control, value: Mapping[str, Any]) -> str:
    place = [value.get("x"), value.get("y")]
    if not all(_is_number(number) for number in place):
        return f"The point of “{control.name}” lacks a position."
    if not all(-SLACK <= number <= PERCENT + SLACK for number in place if number is not None):
        return f"The point of “{control.name}” is beyond the photograph."
    return _check_values(control, value.get("keypointlabels"))


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


CHECKS: dict[str, Callable[[Control, Mapping[str, Any]], str]] = {
    "rating": _check_rating,
    "choices": _check_choices,
    "rectanglelabels": _check_box,
    "keypointlabels": _check_point,
}
