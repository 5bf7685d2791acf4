"""What the world's loaders make of a release: mlcroissant, Hugging Face datasets, webdataset; offline."""

import json
import subprocess
import sys

import pytest

from exports import pull
from tests.exports.factories import rows_of

pytestmark = pytest.mark.django_db  # only to make the release that all of them copy
SCRIPT = """
import glob, hashlib, json, logging, os, socket, sys
folder, cache = sys.argv[1:]
os.environ.update(CROISSANT_CACHE=cache + "/croissant", HF_HOME=cache + "/hf")
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
def no(*a, **k): raise RuntimeError("network")
socket.socket.connect = no
socket.getaddrinfo = no
said = []
class Said(logging.Handler):
    def emit(self, record): said.append(record.getMessage())
logging.getLogger().addHandler(Said())
import mlcroissant, datasets, webdataset
croissant = mlcroissant.Dataset(folder + "/croissant.json")
issues = croissant.metadata.ctx.issues
assert not issues.errors and not issues.warnings, (issues.errors, issues.warnings)
counts = {"images": len(list(croissant.records("images")))}
for split in ("train", "validation", "test"):
    fresh = mlcroissant.Dataset(folder + "/croissant.json")
    counts[split] = len(list(fresh.records("images", filters={"images/split": split})))
tars = [one.id for one in croissant.metadata.record_sets if one.id.startswith("tar_")]
counts["tar"] = sum(len(list(croissant.records(name))) for name in tars)
assert not said, said
loaded = datasets.load_dataset(folder)
counts["datasets"] = {name: rows.num_rows for name, rows in loaded.items()}
for rows in loaded.values():
    for row in rows.cast_column("image", datasets.Image(decode=False)):
        assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["image_sha256"]
        assert row["label_face"] is None or len(row["label_face"]) == 4
    assert not rows.num_rows or rows[0]["image"].size == (64, 48)
counts["webdataset"] = 0
for path in sorted(glob.glob(folder + "/webdataset/*.tar")):
    for sample in webdataset.WebDataset(path, shardshuffle=False, empty_check=False):
        values = json.loads(sample["json"])
        assert hashlib.sha256(sample[values["format"]]).hexdigest() == values["image_sha256"]
        counts["webdataset"] += 1
print(json.dumps(counts))
"""


def load(folder, cache):
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(folder), str(cache)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture
def emptied(copy):
    """A copy in which nothing is left of one split."""
    gone = {row["row_id"] for row in rows_of(copy) if row["split"] == "test"}
    sums = pull.local_sums(copy)
    for path in ("data/test-00000.parquet", "webdataset/test-00000.tar"):
        sums[path] = pull._take_out(copy, path, gone)
    pull._patch_documents(copy, sums)
    return copy


@pytest.mark.parametrize(
    ("which", "rows", "train", "test"), [("copy", 10, 6, 2), ("updated", 8, 4, 2), ("emptied", 8, 6, 0)]
)
def test_loaders(which, rows, train, test, request, tmp_path):
    said = load(request.getfixturevalue(which), tmp_path / "cache")
    splits = {"train": train, "validation": 2} | ({"test": test} if test else {})  # datasets refuses empty ones
    assert said == (
        f'{{"images": {rows}, "train": {train}, "validation": 2, "test": {test}, "tar": {rows}, '
        f'"datasets": {json.dumps(splits)}, "webdataset": {rows}}}'
    )
