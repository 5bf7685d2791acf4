"""One row's labels in the words of CSV, COCO and Label Studio. Pure: writers and `verify` go by the same functions.

`record` is a line of rows/; a label is text, or a list of texts: a box [x, y, width, height] or a point [x, y] in
pixels of the photograph.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

Record = dict[str, Any]
METADATA = "metadata.csv"
PLAIN = ("row_id", "split", "image_sha256", "subject", "format", "width", "height")
SEEN = 2  # COCO's word for a keypoint that is labelled and visible
FOUR_DECIMALS = Decimal("0.0001")


def file_name(record: Record) -> str:
    """What a photograph is called in the folder and in the tar."""
    return f"{record['row_id']}.{record['format']}"


# --- CSV -----------------------------------------------------------------------------------------


def csv_columns(labels: Sequence[str]) -> list[str]:
    """The header of metadata.csv. `file_name` is what Hugging Face's imagefolder joins by."""
    return ["file_name", *PLAIN, "basis", *(f"label_{name}" for name in labels)]


def csv_cells(record: Record, labels: Sequence[str]) -> list[str]:
    """One line of it; numbers of a place are parted by blanks, and what nobody answered is empty."""
    said = [record["labels"].get(name, "") for name in labels]
    texts = [" ".join(label) if isinstance(label, list) else label for label in said]
    return [file_name(record), *(str(record[name]) for name in PLAIN), record["basis"]["id"], *texts]


# --- COCO ----------------------------------------------------------------------------------------


def coco_image(record: Record, number: int) -> dict[str, Any]:
    """The entry of one photograph; `row_id` is ours."""
    return {
        "id": number,
        "file_name": file_name(record),
        "width": record["width"],
        "height": record["height"],
        "row_id": record["row_id"],
    }


def coco_annotations(record: Record, boxes: Sequence[str], points: Sequence[str]) -> list[dict[str, Any]]:
    """Its boxes, one category each, and all its points as one annotation of the category after those.

    Without `id` and `image_id`; `boxes` and `points` are the names of labels, in the order of categories and keypoints.
    """
    labels = record["labels"]
    found = [
        _annotation(number, [float(side) for side in labels[name]])
        for number, name in enumerate(boxes, start=1)
        if labels.get(name)
    ]
    places = [[float(side) for side in labels[name]] if labels.get(name) else None for name in points]
    if seen := [place for place in places if place]:
        flat = [number for place in places for number in ([*place, SEEN] if place else [0, 0, 0])]
        xs, ys = [x for x, _ in seen], [y for _, y in seen]
        around = [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]
        found.append(_annotation(len(boxes) + 1, around) | {"keypoints": flat, "num_keypoints": len(seen)})
    return found


def _annotation(category: int, box: list[float]) -> dict[str, Any]:
    x, y, width, height = box
    return {
        "category_id": category,
        "bbox": box,
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
    }


def coco_categories(boxes: Sequence[str], points: Sequence[str]) -> list[dict[str, Any]]:
    """A category for each box, and one whose keypoints are the points."""
    found: list[dict[str, Any]] = [{"id": number, "name": name} for number, name in enumerate(boxes, start=1)]
    keypoints = {"id": len(boxes) + 1, "name": "keypoints", "keypoints": list(points), "skeleton": []}
    return [*found, keypoints] if points else found


# --- Label Studio --------------------------------------------------------------------------------


def task_data(record: Record, shard: str) -> dict[str, str]:
    """What its task shows: a file under Label Studio's LOCAL_FILES_DOCUMENT_ROOT, where the zips were unpacked, each
    into a folder with the name of its shard."""
    address = f"/data/local-files/?d=folder/{shard}/{file_name(record)}"
    return {"image": address, "row_id": record["row_id"], "split": record["split"]}


def task_value(kind: str, label: str | list[str], labelled: str, record: Record) -> dict[str, Any]:
    """The value of a result of this type. Places are in percent; `labelled` is the name of the box or point."""
    if kind == "rating":
        return {"rating": float(str(label))}
    if kind == "choices":
        return {"choices": str(label).split("|")}
    sides = [_percent(number, record["height" if at % 2 else "width"]) for at, number in enumerate(label)]
    if kind == "rectanglelabels":
        x, y, width, height = sides
        return {"x": x, "y": y, "width": width, "height": height, "rotation": 0, kind: [labelled]}
    x, y = sides
    return {"x": x, "y": y, "width": 0.5, kind: [labelled]}


def _percent(pixels: str, side: int) -> float:
    return float((Decimal(pixels) * 100 / side).quantize(FOUR_DECIMALS, ROUND_HALF_EVEN))
