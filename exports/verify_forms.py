"""Do photographs and labels in every form say what the signed row records say? Part of `verify`; no Django."""

import csv
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq

from consent.sheets import csv_line
from consent.signing import sha256_hex
from exports import label_forms
from exports.label_forms import METADATA, PLAIN
from exports.pulled import Release, Unfinished, Wrong
from exports.shards import PARQUET, folder_of

AT_ONCE_FROM = 64 << 20  # bytes of a form; less is read sooner than other processes start
Found = tuple[str, bytes, dict[str, Any]]  # row id, photograph, values


@dataclass(frozen=True)
class Shard:
    """One file of a form, and what the signed records say of its rows. Travels to another process."""

    folder: Path
    path: str
    form: str
    rows: dict[str, dict[str, Any]]  # row_id to record
    revoked: frozenset[str]

    def wrong(self, row_id: str, why: str) -> Wrong:
        return Wrong(f"{self.path}: row {row_id}{why}")


# --- Every row once, in the file of its shard ----------------------------------------------------


def check_form(release: Release, form: str) -> None:
    """Each row of a form, if the release has it: all of them, no other, none twice. Several shards at once."""
    paths = release.shard_paths(form)
    if not paths and form != PARQUET:
        return
    rows: dict[str, dict[str, dict[str, Any]]] = {shard: {} for shard in paths}
    for row_id, record in release.rows.items():
        held = rows.get(release.shards[row_id])
        if held is None:
            raise Wrong(_missing(row_id, form))
        held[row_id] = record
    revoked = frozenset(release.revoked)
    shards = [Shard(release.folder, path, form, rows[name], revoked) for name, path in paths.items()]
    if sum((release.folder / path).stat().st_size for path in paths.values()) < AT_ONCE_FROM:
        for shard in shards:
            check_shard(shard)
    else:
        with ProcessPoolExecutor() as pool:
            try:
                list(pool.map(check_shard, shards))
            except BrokenProcessPool as error:
                raise Unfinished(
                    f"a process that read {folder_of(form)} was killed, perhaps for want of memory. Try again."
                ) from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def check_shard(shard: Shard) -> None:
    """Raises Wrong for the first row of it that is not as its record says."""
    read, check = FORMS[shard.form]
    seen = set()
    for row_id, content, said in read(shard.folder / shard.path):
        if row_id in shard.revoked:
            raise shard.wrong(row_id, " was withdrawn (a notice names it) but is still there")
        if row_id not in shard.rows:
            raise shard.wrong(row_id, " is not among the records of this shard")
        if row_id in seen:
            raise shard.wrong(row_id, " is there twice")
        check(shard, shard.rows[row_id], content, said)
        seen.add(row_id)
    for row_id in shard.rows.keys() - seen:
        raise Wrong(_missing(row_id, shard.form))


def _missing(row_id: str, form: str) -> str:
    return f"row {row_id} has a record, but is in no file of {folder_of(form)}"


def _check_plain(shard: Shard, record: dict[str, Any], content: bytes, values: dict[str, Any]) -> None:
    _check_photograph(shard, record, content)
    _check_values(shard, record, values)


def _check_cells(shard: Shard, record: dict[str, Any], content: bytes, cells: dict[str, Any]) -> None:
    _check_photograph(shard, record, content)
    labels = [name.removeprefix("label_") for name in cells if name.startswith("label_")]
    expected = _plain_csv(label_forms.csv_columns(labels), label_forms.csv_cells(record, labels))
    if cells != expected or set(record["labels"]) - set(labels):
        raise shard.wrong(record["row_id"], f": {METADATA} does not say what its record says")


def _check_coco(shard: Shard, record: dict[str, Any], _: bytes, found: dict[str, Any]) -> None:
    number = found["image"].get("id")
    expected = label_forms.coco_annotations(record, found["boxes"], found["points"])
    if found["image"] != label_forms.coco_image(record, number):
        raise shard.wrong(record["row_id"], ": its image is not as its record says")
    if found["annotations"] != expected:
        raise shard.wrong(record["row_id"], ": its annotations are not the labels of its record")
    places = {name for name, label in record["labels"].items() if isinstance(label, list)}
    if places - {*found["boxes"], *found["points"]}:
        raise shard.wrong(record["row_id"], ": a place of its record is in no category")


def _check_task(shard: Shard, record: dict[str, Any], _: bytes, task: dict[str, Any]) -> None:
    if task["data"] != label_forms.task_data(record, Path(shard.path).stem):
        raise shard.wrong(record["row_id"], ": its task is not about its photograph")
    results = [one for annotation in task["annotations"] for one in annotation["result"]]
    if sorted(one["id"] for one in results) != sorted(name for name, label in record["labels"].items() if label):
        raise shard.wrong(record["row_id"], ": its results are not the labels of its record")
    for one in results:
        name = one["id"]
        labelled = next(iter(one["value"].get(one["type"], ())), "") if one["type"].endswith("labels") else ""
        if one["value"] != label_forms.task_value(one["type"], record["labels"][name], labelled, record):
            raise shard.wrong(record["row_id"], f": label {name} is not the one of its record")


def _check_photograph(shard: Shard, record: dict[str, Any], content: bytes) -> None:
    if sha256_hex(content) != record["image_sha256"]:
        raise shard.wrong(record["row_id"], ": the image is not the one of its record")


def _check_values(shard: Shard, record: dict[str, Any], values: dict[str, Any]) -> None:
    expected = {name: record[name] for name in PLAIN} | {"basis": record["basis"]["id"]}
    labels = {name.removeprefix("label_"): value for name, value in values.items() if name.startswith("label_")}
    for name in sorted({*values} - {*expected} - {f"label_{label}" for label in labels}):
        raise shard.wrong(record["row_id"], f": {name} is in no record")
    for name, value in expected.items():
        if values.get(name) != value:
            raise shard.wrong(record["row_id"], f": {name} is not the one of its record")
    for name in sorted({*labels, *record["labels"]}):
        if not _same_label(labels.get(name), record["labels"].get(name)):
            raise shard.wrong(record["row_id"], f": label {name} is not the one of its record")


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


def _parquet_rows(path: Path) -> Iterator[Found]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=16):
            for row in batch.to_pylist():
                image = row.pop("image")
                yield row["row_id"], image["bytes"], row


def _tar_rows(path: Path) -> Iterator[Found]:
    with path.open("rb") as file, tarfile.open(fileobj=file) as tar:
        members = list(tar)
        for member in members:
            if not member.isfile() or member.issparse():  # a link would lead whoever unpacks the shard astray
                raise Wrong(f"webdataset/{path.name}: {member.name} is not a file")
        if len(members) % 2:
            raise Wrong(f"webdataset/{path.name}: a row lacks its image or its values")
        for side, image in zip(members[::2], members[1::2], strict=True):
            values = json.loads(_content(file, side))
            if (side.name, image.name) != (f"{values['row_id']}.json", f"{values['row_id']}.{values['format']}"):
                raise Wrong(f"webdataset/{path.name}: {side.name} and {image.name} are not one row")
            yield values["row_id"], _content(file, image), values


def _content(file: IO[bytes], member: tarfile.TarInfo) -> bytes:
    """What is in a member, which is a plain file."""
    file.seek(member.offset_data)
    return file.read(member.size)


def _zip_rows(path: Path) -> Iterator[Found]:
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


def _coco_rows(path: Path) -> Iterator[Found]:
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


def _task_rows(path: Path) -> Iterator[Found]:
    for task in json.loads(path.read_text()):
        yield task["data"]["row_id"], b"", task


# How each is read, and how what was read of a row is held against its record.
FORMS: dict[
    str,
    tuple[Callable[[Path], Iterator[Found]], Callable[[Shard, dict[str, Any], bytes, dict[str, Any]], None]],
] = {
    PARQUET: (_parquet_rows, _check_plain),
    "webdataset": (_tar_rows, _check_plain),
    "folder": (_zip_rows, _check_cells),
    "coco": (_coco_rows, _check_coco),
    "label-studio": (_task_rows, _check_task),
}
