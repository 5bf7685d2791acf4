"""Annotations of one photograph as pages show them to reviewers: what each says, and where it drew."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from string import ascii_uppercase

from annotation.answers import Result, Word, answer, answered, in_words
from annotation.config import parse_config
from annotation.models import Annotation, LabelTask

COLOURS = ("#0b6bcb", "#c2410c", "#15803d", "#7e22ce", "#b91c1c", "#0e7490")


@dataclass(frozen=True)
class Said:
    """One annotation as the page shows it: by a letter, for who said it might sway the reviewer."""

    letter: str
    colour: str
    annotation: Annotation
    answers: list[tuple[str, list[Word]]]
    boxes: list[dict[str, Decimal]]
    points: list[dict[str, Decimal]]


def newest_accepted(task: LabelTask) -> list[Annotation]:
    """The newest version of each accepted annotation, in an order that does not tell who was first."""
    newest: dict[uuid.UUID, Annotation] = {}
    for annotation in task.annotations.select_related("rejection", "dispute__decision").order_by("version"):
        newest[annotation.unique_id] = annotation
    accepted = [one for one in newest.values() if one.verdict == Annotation.Verdict.ACCEPTED]
    return sorted(accepted, key=lambda one: one.result_sha256 + str(one.pk))


def side_by_side(task: LabelTask, annotations: Sequence[Annotation]) -> list[Said]:
    """Annotations of one photograph, each with a letter and a colour of its own."""
    return [
        Said(
            letter=letter,
            colour=COLOURS[number % len(COLOURS)],
            annotation=annotation,
            answers=_answers(annotation.result, task),
            boxes=_places(task, annotation.result, "rectanglelabels"),
            points=_places(task, annotation.result, "keypointlabels"),
        )
        for number, (letter, annotation) in enumerate(zip(ascii_uppercase, annotations, strict=False))
    ]


def _answers(result: Result, task: LabelTask) -> list[tuple[str, list[Word]]]:
    asked = parse_config(task.campaign.config)
    return [
        (control.name, in_words(answer(result, control), asked[control.name].colours))
        for control in answered([result])
        if control.kind in ("rating", "choices")
    ]


def _places(task: LabelTask, result: Result, kind: str) -> list[dict[str, Decimal]]:
    """Boxes or points in pixels of the photograph."""
    wide, high = Decimal(task.image.width or 1) / 100, Decimal(task.image.height or 1) / 100
    scale = {"x": wide, "y": high, "width": wide, "height": high}
    return [
        {side: Decimal(str(item["value"][side])) * scale[side] for side in scale if side in item["value"]}
        for item in result
        if item["type"] == kind
    ]
