"""Do photographs and labels in every form say what the signed row records say? Part of `verify`; no Django."""

import csv
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from consent.sheets import csv_line
from consent.signing import sha256_hex
from exports import label_forms
from exports.label_forms import METADATA, PLAIN
from exports.pulled import ROWS, Release, Wrong

FORMS = {".parquet": "data/", ".tar": "webdataset/", ".zip": "folder/", "coco": "coco/", "tasks": "label-studio/"}
Seen = Iterator[tuple[str, bytes, dict[str, Any]]]  # row id, photograph, values


def holds_rows(path: str) -> bool:
    """Whether a file of a release is one of the forms, so that rows of it may be taken out."""
    return path.startswith(tuple(FORMS.values()))


def check_parquet(release: Release) -> None:
    for path, (row_id, content, values) in _rows(release, ".parquet", _parquet_rows):
        _check_photograph(release, path, row_id, content)
        _check_values(path, row_id, release.rows[row_id], values)


def check_webdataset(release: Release) -> None:
    for path, (row_id, content, values) in _rows(release, ".tar", _tar_rows):
        _check_photograph(release, path, row_id, content)
        _check_values(path, row_id, release.rows[row_id], values)


def check_folder(release: Release) -> None:
    for path, (row_id, content, cells) in _rows(release, ".zip", _zip_rows):
        _check_photograph(release, path, row_id, content)
        labels = [name.removeprefix("label_") for name in cells if name.startswith("label_")]
        expected = _plain_csv(label_forms.csv_columns(labels), label_forms.csv_cells(release.rows[row_id], labels))
        if cells != expected or set(release.rows[row_id]["labels"]) - set(labels):
            raise Wrong(f"{path}: row {row_id}: {METADATA} does not say what its record says")


def check_coco(release: Release) -> None:
    for path, (row_id, _, found) in _rows(release, "coco", _coco_rows):
        record = release.rows[row_id]
        number = found["image"].get("id")
        expected = label_forms.coco_annotations(record, found["boxes"], found["points"])
        if found["image"] != label_forms.coco_image(record, number):
            raise Wrong(f"{path}: row {row_id}: its image is not as its record says")
        if found["annotations"] != expected:
            raise Wrong(f"{path}: row {row_id}: its annotations are not the labels of its record")
        places = {name for name, label in record["labels"].items() if isinstance(label, list)}
        if places - {*found["boxes"], *found["points"]}:
            raise Wrong(f"{path}: row {row_id}: a place of its record is in no category")


def check_label_studio(release: Release) -> None:
    for path, (row_id, _, task) in _rows(release, "tasks", _task_rows):
        record = release.rows[row_id]
        if task["data"] != label_forms.task_data(record):
            raise Wrong(f"{path}: row {row_id}: its task is not about its photograph")
        results = [one for annotation in task["annotations"] for one in annotation["result"]]
        if sorted(one["id"] for one in results) != sorted(name for name, label in record["labels"].items() if label):
            raise Wrong(f"{path}: row {row_id}: its results are not the labels of its record")
        for one in results:
            name = one["id"]
            labelled = next(iter(one["value"].get(one["type"], ())), "") if one["type"].endswith("labels") else ""
            if one["value"] != label_forms.task_value(one["type"], record["labels"][name], labelled, record):
                raise Wrong(f"{path}: row {row_id}: label {name} is not the one of its record")


# --- Every row once, in the file of its split ----------------------------------------------------


def _rows(release: Release, form: str, read: Any) -> Iterator[tuple[str, tuple[str, bytes, dict[str, Any]]]]:
    """(path, what was read) of each row of a form, if the release has it; all of them, no other, none twice."""
    paths = sorted(path for path in release.sums if path.startswith(FORMS[form]))
    if not paths and form != ".parquet":
        return
    seen = set()
    for path in paths:
        for found in read(release.folder / path):
            row_id = found[0]
            record = release.rows.get(row_id)
            if row_id in release.revoked:
                raise Wrong(f"{path}: row {row_id} was withdrawn (a notice names it) but is still there")
            if record is None or row_id in seen:
                raise Wrong(f"{path}: row {row_id} is {'there twice' if record else f'not in {ROWS}'}")
            if Path(path).name.partition(".")[0].partition("-")[0] != record["split"]:
                raise Wrong(f"{path}: row {row_id} belongs in split {record['split']}")
            yield path, found
            seen.add(row_id)
    for row_id in release.rows:
        if row_id not in seen:
            raise Wrong(f"row {row_id} is in {ROWS} but in no {form if form[0] == '.' else FORMS[form]} file")


def _check_photograph(release: Release, path: str, row_id: str, content: bytes) -> None:
    if sha256_hex(content) != release.rows[row_id]["image_sha256"]:
        raise Wrong(f"{path}: row {row_id}: the image is not the one of its record")


def _check_values(path: str, row_id: str, record: dict[str, Any], values: dict[str, Any]) -> None:
    expected = {name: record[name] for name in PLAIN} | {"basis": record["basis"]["id"]}
    labels = {name.removeprefix("label_"): value for name, value in values.items() if name.startswith("label_")}
    for name in sorted({*values} - {*expected} - {f"label_{label}" for label in labels}):
        raise Wrong(f"{path}: row {row_id}: {name} is in no record")
    for name, value in expected.items():
        if values.get(name) != value:
            raise Wrong(f"{path}: row {row_id}: {name} is not the one of its record")
    for name in sorted({*labels, *record["labels"]}):
        if not _same_label(labels.get(name), record["labels"].get(name)):
            raise Wrong(f"{path}: row {row_id}: label {name} is not the one of its record")


def _same_label(value: Any, label: Any) -> bool:
    """Records hold numbers as text; Parquet holds boxes as 32-bit floats, the tar as the shortest decimal."""
    if isinstance(label, list):
        return isinstance(value, list) and [_float32(side) for side in value] == [_float32(side) for side in label]
    if isinstance(value, float | int):
        return label is not None and float(label) == value
    return bool(value == label)


def _float32(number: Any) -> float:
    return float(struct.unpack("f", struct.pack("f", float(number)))[0])


# --- Reading -------------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> Seen:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=16):
            for row in batch.to_pylist():
                image = row.pop("image")
                yield row["row_id"], image["bytes"], row


def _tar_rows(path: Path) -> Seen:
    with tarfile.open(path) as tar:
        members = list(tar)
        for member in members:
            if not member.isfile():  # a link would lead whoever unpacks the shard astray
                raise Wrong(f"webdataset/{path.name}: {member.name} is not a file")
        if len(members) % 2:
            raise Wrong(f"webdataset/{path.name}: a row lacks its image or its values")
        for side, image in zip(members[::2], members[1::2], strict=True):
            values = json.loads(_content(tar, side))
            if (side.name, image.name) != (f"{values['row_id']}.json", f"{values['row_id']}.{values['format']}"):
                raise Wrong(f"webdataset/{path.name}: {side.name} and {image.name} are not one row")
            yield values["row_id"], _content(tar, image), values


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _zip_rows(path: Path) -> Seen:
    with zipfile.ZipFile(path) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read(METADATA).decode(), newline="")))
        named = [row["file_name"] for row in rows]
        # Nothing else, and nothing twice: no name that leads whoever unpacks it elsewhere.
        if sorted(archive.namelist()) != sorted([*named, METADATA]):
            raise Wrong(f"folder/{path.name}: its files are not those that {METADATA} names")
        for row in rows:
            yield row["row_id"], archive.read(row["file_name"]), dict(row)


def _plain_csv(columns: list[str], cells: list[str]) -> dict[str, str]:
    """These cells as they are read back: what looks like a formula was made harmless on the way."""
    [read] = csv.reader(io.StringIO(csv_line(*cells), newline=""))
    return dict(zip(columns, read, strict=True))


def _coco_rows(path: Path) -> Seen:
    document = json.loads(path.read_text())
    categories = document["categories"]
    points: list[str] = next((one["keypoints"] for one in categories if "keypoints" in one), [])
    boxes = [one["name"] for one in categories if "keypoints" not in one]
    if categories != label_forms.coco_categories(boxes, points):
        raise Wrong(f"coco/{path.name}: its categories are not numbered as they stand")
    by_image: dict[int, list[dict[str, Any]]] = {one["id"]: [] for one in document["images"]}
    if len(by_image) != len(document["images"]):
        raise Wrong(f"coco/{path.name}: two of its images have one id")
    for annotation in document["annotations"]:
        rest = {name: value for name, value in annotation.items() if name not in ("id", "image_id")}
        if annotation["image_id"] not in by_image:
            raise Wrong(f"coco/{path.name}: annotation {annotation['id']} is of no image of it")
        by_image[annotation["image_id"]].append(rest)
    for image in document["images"]:
        yield image["row_id"], b"", {
            "image": image, "annotations": by_image[image["id"]], "boxes": boxes, "points": points,
        }  # fmt: skip


def _task_rows(path: Path) -> Seen:
    for task in json.loads(path.read_text()):
        yield task["data"]["row_id"], b"", task
