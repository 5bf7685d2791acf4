"""The forms that labels have beside Parquet and tar: a zip with a CSV, COCO JSON, Label Studio JSON.

The same rows give the same bytes: no times, no owners, keys in one order, one row at a time.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from annotation.answers import Control
from consent.sheets import csv_line
from exports import label_forms, shards
from exports.label_forms import METADATA, Record
from exports.writers import Add

OLDEST = (1980, 1, 1, 0, 0, 0)  # the zero of zip files


@contextmanager
def open_folder(path: Path, controls: Sequence[Control]) -> Iterator[Add]:
    """A zip that unpacks to photographs and metadata.csv, which Hugging Face's imagefolder reads as it is."""
    names = [control.name for control in controls]
    lines = [csv_line(*label_forms.csv_columns(names))]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # photographs are compressed already

        def add(record: Record, content: bytes) -> None:
            archive.writestr(_member(label_forms.file_name(record)), content)
            lines.append(csv_line(*label_forms.csv_cells(record, names)))

        yield add
        archive.writestr(_member(METADATA), "".join(lines))


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, date_time=OLDEST)
    member.create_system, member.external_attr = 3, 0o644 << 16
    return member


def write_coco(path: Path, records: Sequence[Record], controls: Sequence[Control]) -> None:
    """COCO's object detection form, with keypoints where points were asked for. Photographs are those of the folder."""
    boxes = [control.name for control in controls if control.kind == "box"]
    points = [control.name for control in controls if control.kind == "point"]
    first = shards.number_of(path.stem) * shards.IDS_PER_SHARD + 1
    with path.open("w", encoding="utf-8") as file:
        file.write('{"annotations":[')
        _write_all(file, _annotations(records, boxes, points, first))
        file.write(f'],"categories":{compact(label_forms.coco_categories(boxes, points))},"images":[')
        _write_all(file, (label_forms.coco_image(one, number) for number, one in enumerate(records, start=first)))
        file.write(f'],"info":{compact({"description": path.stem})},"licenses":[]}}\n')


def _annotations(
    records: Sequence[Record], boxes: Sequence[str], points: Sequence[str], first: int
) -> Iterator[dict[str, Any]]:
    ids = count(first)
    for number, record in enumerate(records, start=first):
        for found in label_forms.coco_annotations(record, boxes, points):
            yield {"id": next(ids), "image_id": number, **found}


# --- Label Studio --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """What Label Studio wants to know of a label besides its value."""

    from_name: str
    to_name: str
    type: str
    label: str  # of a box or a point


def write_tasks(path: Path, records: Iterable[Record], frames: Mapping[str, Frame]) -> None:
    """Tasks with one annotation each, as Label Studio imports them under the campaign's config."""
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        _write_all(file, (_task(record, frames, path.stem) for record in records))
        file.write("]\n")


def _task(record: Record, frames: Mapping[str, Frame], shard: str) -> dict[str, Any]:
    results = [
        {
            "id": name,
            "from_name": frames[name].from_name,
            "to_name": frames[name].to_name,
            "type": frames[name].type,
            "original_width": record["width"],
            "original_height": record["height"],
            "image_rotation": 0,
            "value": label_forms.task_value(frames[name].type, label, frames[name].label, record),
        }
        for name, label in sorted(record["labels"].items())
        if label and name in frames
    ]
    return {"data": label_forms.task_data(record, shard), "annotations": [{"result": results}]}


# --- JSON ----------------------------------------------------------------------------------------


def compact(value: Any) -> str:
    """JSON in the one form that pull writes it in as well, when rows are taken out."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _write_all(file: Any, values: Iterable[Any]) -> None:
    for number, value in enumerate(values):
        file.write(f",{compact(value)}" if number else compact(value))
