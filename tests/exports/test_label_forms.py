"""Folder with CSV, COCO and Label Studio JSON: what standard tools make of them, and that every row leaves them."""

import csv
import io
import json
import subprocess
import sys
import zipfile

import pytest
from django.core.files.storage import storages
from label_studio_sdk.label_interface.interface import LabelInterface

from consent.withdrawals import withdraw
from exports import label_forms, notices, shards, verify
from exports.models import Format
from tests.exports.factories import (
    annotate,
    define_forms,
    export_to,
    make_annotator,
    make_built,
    make_campaign,
    make_dataset,
    make_image,
    make_published,
    result,
    rows_in,
    rows_of,
)
from tests.exports.test_build import files_of, plan_bytes
from tests.exports.test_verify import check, sign_again, wrong

pytestmark = pytest.mark.django_db
ZIP, COCO, TASKS = "folder/train-00000.zip", "coco/train-00000.json", "label-studio/train-00000.json"
CONFIG = """<View>
<Image name="image" value="$image"/>
<Rating name="quality" toName="image" maxRating="5"/>
<Choices name="attributes" toName="image" choice="multiple"><Choice value="=1+1"/><Choice value="beard"/></Choices>
<RectangleLabels name="face" toName="image"><Label value="a face"/></RectangleLabels>
<KeyPointLabels name="eyes" toName="image"><Label value="left eye"/><Label value="right eye"/></KeyPointLabels>
</View>"""


def point(label, x, y):
    value = {"x": x, "y": y, "width": 1, "keypointlabels": [label]}
    return {"from_name": "eyes", "to_name": "image", "type": "keypointlabels", "value": value}


@pytest.fixture
def release(db):
    """Three people; the first has both eyes, the second one, the third none and no box."""
    campaign = make_campaign(config=CONFIG)
    said = [
        [*result(4, "=1+1"), point("left eye", 25, 50), point("right eye", 50, 50)],
        [*result(5, "beard"), point("right eye", 75, 25)],
        result(2, "beard", box=False),
    ]
    for one in said:
        annotate(make_image(), campaign, make_annotator(), one)
    dataset = make_dataset(campaign=campaign, slug="faces", pseudonym_key=f"{1:064x}")
    define_forms(dataset, *Format)
    return make_published(dataset)


def files_like(files, folder):
    return {path: content for path, content in files.items() if path.startswith(folder)}


def test_the_same_snapshot_gives_the_same_bytes_in_every_form(release, tmp_path):
    first = files_of(release, tmp_path / "first")
    assert plan_bytes(release, tmp_path / "second") == first
    for form in ("data/", "rows/", "webdataset/", "folder/", "coco/", "label-studio/"):
        assert {path.rpartition("/")[2].partition(".")[0].partition("-")[0] for path in files_like(first, form)} == {
            item.split for item in release.items.all()
        }
    sums = first["SHA256SUMS"].decode()
    assert all(f"  {path}\n" in sums for path in first if path != "SHA256SUMS")


def test_coco_holds_boxes_and_keypoints(release, tmp_path):
    files = files_of(release, tmp_path)
    rows = {row["row_id"]: row for row in rows_in(files)}
    seen = {}
    for content in files_like(files, "coco/").values():
        document = json.loads(content)
        assert document["categories"] == [
            {"id": 1, "name": "face"},
            {"id": 2, "name": "keypoints", "keypoints": ["eyes_left_eye", "eyes_right_eye"], "skeleton": []},
        ]
        assert len({one["id"] for one in document["annotations"]}) == len(document["annotations"])
        images = {one["id"]: one for one in document["images"]}
        for image in images.values():
            assert (image["width"], image["height"]) == (64, 48)
            seen[image["row_id"]] = [one for one in document["annotations"] if one["image_id"] == image["id"]]
    assert seen.keys() == rows.keys()
    found = sorted(seen.values(), key=len)
    assert [len(one) for one in found] == [0, 2, 2]
    points = {one[1]["num_keypoints"]: one[1] for one in found[1:]}
    assert points[2]["keypoints"] == [16.0, 24.0, 2, 32.0, 24.0, 2]
    assert points[2]["bbox"] == [16.0, 24.0, 16.0, 0.0]
    assert points[1]["keypoints"] == [0, 0, 0, 48.0, 12.0, 2]
    box = found[1][0]
    assert box["bbox"] == [6.4, 9.6, 32.0, 19.44]
    assert box["area"] == pytest.approx(32 * 19.44)


def coco_of(dataset, folder):
    """The COCO files of its next release by path, and its photographs' hashes by row id."""
    define_forms(dataset, Format.FOLDER, Format.COCO)
    files = files_of(make_built(dataset), folder)
    made = {path: json.loads(content) for path, content in files_like(files, "coco/").items()}
    return made, {row["row_id"]: row["image_sha256"] for row in rows_in(files)}


@pytest.fixture
def campaign(db):
    """With twelve labelled photographs."""
    campaign, worker = make_campaign(), make_annotator()
    for _ in range(12):
        annotate(make_image(), campaign, worker, result())
    return campaign


def test_no_number_of_coco_is_given_twice_in_a_split(campaign, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MOST_ROWS", 2)
    made, _ = coco_of(make_dataset(campaign=campaign), tmp_path)
    for split in ("train", "validation", "test"):
        files = [one for path, one in made.items() if path.startswith(f"coco/{split}-")]
        for part in ("images", "annotations"):
            numbers = [one["id"] for file in files for one in file[part]]
            assert len({*numbers}) == len(numbers)
    assert sum(path.startswith("coco/train-") for path in made) > 1


def test_two_datasets_cannot_be_joined_by_the_numbers_of_coco(campaign, tmp_path):
    """A number says the place of the keyed row id among those of its file, and nothing else does."""
    found = []
    for name in ("one", "two"):
        made, hashes = coco_of(make_dataset(campaign=campaign), tmp_path / name)
        for path, one in made.items():
            rows = [image["row_id"] for image in one["images"]]
            assert rows == sorted(rows)
            assert [image["id"] for image in one["images"]] == list(range(1, len(rows) + 1))
            assert [box["id"] for box in one["annotations"]] == list(range(1, len(rows) + 1))
            assert [box["image_id"] for box in one["annotations"]] == [image["id"] for image in one["images"]]
            assert one["info"] == {"description": path.removeprefix("coco/").removesuffix(".json")}
            assert {key for image in one["images"] for key in image} == {"id", "file_name", "width", "height", "row_id"}
        images = [(path, image) for path, one in made.items() for image in one["images"]]
        found.append({(path, image["id"]): hashes[image["row_id"]] for path, image in images})
    assert {*found[0].values()} == {*found[1].values()}  # the same photographs
    joined = found[0].keys() & found[1].keys()
    assert [found[0][one] for one in joined] != [found[1][one] for one in joined]


def test_label_studio_takes_the_tasks_under_the_same_config(release, tmp_path):
    files = files_of(release, tmp_path)
    interface = LabelInterface(CONFIG)
    tasks = [task for content in files_like(files, "label-studio/").values() for task in json.loads(content)]
    assert len(tasks) == 3
    for task in tasks:
        assert interface.validate_annotation({"result": task["annotations"][0]["result"]})
        assert task["data"]["image"].endswith(f"?d=folder/{task['data']['split']}-00000/{_file_of(files, task)}")
    eyes = [one["value"] for task in tasks for one in task["annotations"][0]["result"] if one["from_name"] == "eyes"]
    assert sorted((one["keypointlabels"][0], one["x"], one["y"]) for one in eyes) == [
        ("left eye", 25.0, 50.0), ("right eye", 50.0, 50.0), ("right eye", 75.0, 25.0),
    ]  # fmt: skip


def _file_of(files, task):
    with zipfile.ZipFile(io.BytesIO(files[f"folder/{task['data']['split']}-00000.zip"])) as archive:
        [name] = [name for name in archive.namelist() if name.startswith(task["data"]["row_id"])]
        return name


def test_the_csv_says_what_the_records_say_and_is_no_formula(release, tmp_path):
    files = files_of(release, tmp_path)
    lines = []
    for content in files_like(files, "folder/").values():
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            text = archive.read("metadata.csv").decode()
            assert archive.testzip() is None
        lines += list(csv.DictReader(io.StringIO(text, newline="")))
    rows = {row["row_id"]: row for row in rows_in(files)}
    assert {line["row_id"] for line in lines} == rows.keys()
    for line in lines:
        assert line["label_quality"] == rows[line["row_id"]]["labels"]["quality"]
    assert sorted(line["label_attributes"] for line in lines) == ["'=1+1", "beard", "beard"]
    assert sorted(line["label_face"] for line in lines)[0] == ""
    assert sorted(line["label_face"] for line in lines)[1] == "6.4000 9.6000 32.0000 19.4400"


IMAGEFOLDER = """
import os, socket, sys
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HOME=sys.argv[2])
def no(*a, **k): raise RuntimeError("network")
socket.socket.connect = no
import datasets
for split in sys.argv[3:]:
    rows = datasets.load_dataset("imagefolder", data_dir=f"{sys.argv[1]}/{split}", split="train")
    assert {"image", "row_id", "label_quality"} <= set(rows.column_names), rows.column_names
    for row in rows:
        assert row["image"].size == (64, 48)
    print(split, rows.num_rows)
"""


def test_hugging_face_loads_the_unpacked_folder(copy, tmp_path):
    for path in (copy / "folder").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path / "unpacked" / path.stem)
    words = [sys.executable, "-c", IMAGEFOLDER, str(tmp_path / "unpacked"), str(tmp_path / "cache")]
    done = subprocess.run([*words, "train-00000", "validation-00000", "test-00000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["train-00000 6", "validation-00000 2", "test-00000 2"]


# --- Withdrawal ----------------------------------------------------------------------------------


def test_after_a_withdrawal_no_form_is_kept_that_holds_the_row(release):
    item = release.items.first()
    doomed = set(release.files.filter(shard=item.shard).values_list("path", flat=True))
    assert {path.partition("/")[0] for path in doomed} == {
        "data", "rows", "webdataset", "folder", "coco", "label-studio",
    }  # fmt: skip
    withdraw(consent=item.image.consent)
    notices.revoke_items()
    gone = release.files.filter(purge__isnull=False)
    assert doomed == set(gone.values_list("path", flat=True))
    assert not [file.key for file in gone if storages["releases"].exists(file.key)]


def test_what_was_withdrawn_leaves_every_form_of_a_copy(copy, updated, exported, pem, capsys):
    before = rows_of(exported[0])
    kept = {row["row_id"] for row in rows_of(updated)}
    lost = [row for row in before if row["row_id"] not in kept]
    assert len(lost) == 2
    words = [value.encode() for row in lost for value in (row["row_id"], row["image_sha256"])]
    left = [
        path.name
        for path in updated.rglob("*")
        if path.is_file() and "notices" not in path.parts and path.name != "removed.jsonl"
        if any(word in path.read_bytes() for word in words)
    ]
    assert left == []
    for path in (updated / "folder").glob("*.zip"):
        with zipfile.ZipFile(path) as archive:
            assert {name.partition(".")[0] for name in archive.namelist()} - {"metadata"} <= kept
    code, out = check(updated, pem, capsys)
    assert (code, "8 rows, 2 withdrawn" in out) == (0, True)


# --- Tampering -----------------------------------------------------------------------------------


def rezip(path, change):
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def rejson(path, change):
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def swap(members):
    one, other = [name for name in members if name != "metadata.csv"][:2]
    members[one], members[other] = members[other], members[one]


def reword(members):
    members["metadata.csv"] = members["metadata.csv"].replace(b"glasses", b"goggles", 1)


def drop_image(made):
    marked = made["annotations"][0]["image_id"]
    made["images"] = [image for image in made["images"] if image["id"] != marked]


def sneak(members):
    members["../evil"] = b"x"


@pytest.mark.parametrize(
    ("path", "spoil", "why"),
    [
        (ZIP, (rezip, swap), "the image is not the one of its record"),
        (ZIP, (rezip, reword), "metadata.csv does not say what its record says"),
        (ZIP, (rezip, sneak), "its files are not those that metadata.csv names"),
        (ZIP, (rezip, lambda members: members.pop("metadata.csv")), "not in the expected form"),
        (
            COCO,
            (rejson, lambda made: made["annotations"].pop()),
            "its annotations are not the labels",
        ),
        (
            COCO,
            (rejson, lambda made: made["annotations"][0]["bbox"].reverse()),
            "its annotations are not",
        ),
        (COCO, (rejson, drop_image), "is of no image of it"),
        (
            COCO,
            (rejson, lambda made: made["images"][0].update(width=9)),
            "its image is not as its record",
        ),
        (
            COCO,
            (rejson, lambda made: made["images"][1].update(id=1)),
            "two of its images have one id",
        ),
        (
            COCO,
            (rejson, lambda made: made["categories"][0].update(id=9)),
            "not numbered as they stand",
        ),
        (
            COCO,
            (rejson, lambda made: made.update(categories=[], annotations=[])),
            "is in no category",
        ),
        (TASKS, (rejson, lambda made: made.pop()), "but is in no file of label-studio/"),
        (TASKS, (rejson, lambda made: made.append(made[0])), "there twice"),
        (
            TASKS,
            (rejson, lambda made: made[0]["data"].update(image="/data/local-files/?d=other.jpg")),
            "its task is not about its photograph",
        ),
        (
            TASKS,
            (rejson, lambda made: made[0]["annotations"][0]["result"].pop()),
            "its results are not the labels of its record",
        ),
        (
            TASKS,
            (rejson, lambda made: made[0]["annotations"][0]["result"][-1]["value"].update(rating=0.5)),
            "label quality is not the one of its record",
        ),
    ],
)
def test_what_a_form_says_beside_the_record_is_found_even_if_it_is_signed(path, spoil, why, copy, pem, capsys):
    rewrite, change = spoil
    rewrite(copy / path, change)
    sign_again(copy)
    said = wrong(copy, pem, capsys)
    assert why in said
    assert path in said or path.partition("/")[0] in said or "folder" in said


def test_a_withdrawn_row_is_missed_in_no_form(copy, updated, exported, pem, capsys):
    for folder in (ZIP, COCO, TASKS):
        now = (updated / folder).read_bytes()
        (updated / folder).write_bytes((exported[0] / folder).read_bytes())
        _sum(updated)
        assert "was withdrawn (a notice names it) but is still there" in wrong(updated, pem, capsys)
        (updated / folder).write_bytes(now)


def _sum(folder):
    from tests.exports.test_verify import sum_again

    document = json.loads((folder / "croissant.json").read_text())
    for entry in document["distribution"]:
        if "sha256" in entry:
            content = (folder / entry["contentUrl"]).read_bytes()
            entry["sha256"], entry["contentSize"] = verify.sha256_hex(content), f"{len(content)} B"
    (folder / "croissant.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    sum_again(folder)


def test_a_release_without_some_forms_is_whole(tmp_path, pem, capsys):
    campaign = make_campaign()
    annotate(make_image(), campaign, make_annotator(), result())
    dataset = make_dataset(campaign=campaign, slug="faces")
    define_forms(dataset)
    folder = export_to(make_published(dataset), tmp_path / "faces" / "1.0.0")
    assert not (folder / "webdataset").exists()
    assert check(folder, pem, capsys)[0] == 0
    document = json.loads((folder / "croissant.json").read_text())
    assert {one["@type"] for one in document["distribution"]} == {"cr:FileObject", "cr:FileSet"}
    assert not [one for one in document["recordSet"] if one["@id"].startswith("tar_")]


def test_the_record_alone_decides_what_a_form_says():
    record = {
        "row_id": "r", "format": "png", "split": "train", "width": 200, "height": 100, "image_sha256": "s",
        "subject": "p", "basis": {"id": "b"}, "labels": {"face": ["20.0000", "10.0000", "50.0000", "40.0000"]},
    }  # fmt: skip
    assert label_forms.task_value("rectanglelabels", record["labels"]["face"], "a face", record) == {
        "x": 10.0, "y": 10.0, "width": 25.0, "height": 40.0, "rotation": 0, "rectanglelabels": ["a face"],
    }  # fmt: skip
    assert label_forms.csv_cells(record, ["face", "hair"])[-3:] == ["b", "20.0000 10.0000 50.0000 40.0000", ""]
