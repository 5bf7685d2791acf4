"""Without our client: `datasets`, `mlcroissant` and `webdataset` read a release from its addresses, with a token."""

import json
import os
import subprocess
import sys

import pytest

from consent.withdrawals import withdraw
from exports.tokens import issue_token
from tests.exports.factories import Recipient, make_labelled_dataset, make_published

pytestmark = pytest.mark.django_db(transaction=True)
# What somebody would write, after what any of them needs to begin with.
BEGIN = """
import json, os, requests
here, token = os.environ["HERE"], os.environ["LIKENESS_TOKEN"]
headers = {"Authorization": f"Bearer {token}"}
files = [file["path"] for file in requests.get(here, headers=headers).json()["files"]]
"""
DATASETS = """
import datasets
shards = {"train": [here + "files/" + path for path in files if path.startswith("data/train-")]}
options = {"client_kwargs": {"headers": headers}}
rows = datasets.load_dataset("parquet", data_files=shards, storage_options=options)["train"]
print(json.dumps(sorted([row["row_id"], *row["image"].size] for row in rows)))
"""
STREAMED = DATASETS.replace("storage_options=options", "storage_options=options, streaming=True")
CROISSANT = """
os.environ |= {"CROISSANT_BASIC_AUTH_USERNAME": "token", "CROISSANT_BASIC_AUTH_PASSWORD": token}
import mlcroissant
described = requests.get(here + "croissant/", headers=headers).json()
dataset = mlcroissant.Dataset(described)
tars = [one.id for one in dataset.metadata.record_sets if one.id.startswith("tar_")]  # it reads no Parquet over HTTP
print(json.dumps(sum(1 for tar in tars for _ in dataset.records(tar))))
"""
WEBDATASET = """
import webdataset
shards = [here + "files/" + path for path in files if path.startswith("webdataset/train-")]
piped = [f"pipe:curl -sfL -H 'Authorization: Bearer {token}' {shard}" for shard in shards]
samples = webdataset.WebDataset(piped, shardshuffle=False).decode("pil")
found = [(one["__key__"], next(one[kind] for kind in ("jpg", "png", "webp") if kind in one)) for one in samples]
print(json.dumps(sorted([key, *image.size] for key, image in found)))
"""


@pytest.fixture
def release():
    return make_published(make_labelled_dataset(people=4, each=2, slug="portraits"))


@pytest.fixture
def load(live_server, release, tmp_path):
    recipient = Recipient.objects.create(name="ML team", email="ml@example.org")
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "HERE": f"{live_server.url}/api/datasets/portraits/1.0.0/",
        "LIKENESS_TOKEN": issue_token(recipient=recipient, dataset=release.dataset),
        "HF_HOME": str(tmp_path / "hf"),
        "CROISSANT_CACHE": str(tmp_path / "croissant"),
    }

    def run(script):
        words = [sys.executable, "-c", BEGIN + script]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120)

    return run


def test_mlcroissant_loads_every_row(load, release):
    done = load(CROISSANT)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == release.items.count()


@pytest.mark.parametrize("script", [DATASETS, STREAMED, WEBDATASET], ids=["datasets", "streamed", "webdataset"])
def test_every_row_loads_and_none_after_a_withdrawal(load, release, script):
    done = load(script)
    assert done.returncode == 0, done.stderr[-3000:]
    train = release.items.filter(split="train")
    rows = sorted([row, 64, 48] for row in train.values_list("row_id", flat=True))
    assert json.loads(done.stdout.splitlines()[-1]) == rows
    withdraw(consent=train.first().image.consent)
    assert load(script.replace("/hf", "/elsewhere")).returncode != 0
