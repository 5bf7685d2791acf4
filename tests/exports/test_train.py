"""The first hour of an ML engineer: examples/train.py pulls a release from a live server and learns from it."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from collection.storage import open_clean
from consent.withdrawals import withdraw
from tests.annotation.factories import make_annotator
from tests.consent.factories import make_consent
from tests.exports.factories import (
    annotate,
    make_campaign,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_published,
    make_token,
    result,
)

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / "var" / "examples" / "venv" / "bin" / "python"
PEOPLE = 200
ABSENT = (
    "examples/train.py needs an environment with torch (5 GB where only its CUDA build is to be had): make examples"
)


def make_learnable():
    """A release of photographs whose labels can be seen: red ones wear glasses, and the redder the more stars."""
    campaign, annotator = make_campaign(), make_annotator()
    for _ in range(PEOPLE):
        image = make_image(make_consent())
        with open_clean(image) as file, Picture.open(file) as picture:
            red = int(np.asarray(picture.convert("RGB"))[0, 0, 0])
        if 80 < red < 175:  # nobody labels what is hard to tell
            continue
        said = result(1 + round(4 * red / 255), "glasses" if red > 127 else "beard", box=False)
        annotate(image, campaign, annotator, said)
    return make_published(make_dataset(campaign=campaign, slug="portraits"))


@pytest.fixture
def train(live_server, tmp_path):
    """Run the example as somebody without a checkout would; what it printed, and its metrics."""
    if not PYTHON.exists():
        pytest.skip(ABSENT)
    script = tmp_path / "elsewhere" / "train.py"
    script.parent.mkdir()
    script.write_bytes((ROOT / "examples" / "train.py").read_bytes())

    def run(release, *words):
        environment = {"LIKENESS_TOKEN": make_token(release.dataset), "PATH": "", "OMP_NUM_THREADS": "1"}
        about = ["portraits", "data", "--server", live_server.url, "--epochs", "40"]
        asked = [PYTHON, "-W", "error", "-I", script, *about, *words]
        done = subprocess.run(asked, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200)
        written = tmp_path / "metrics.json"
        return done, json.loads(written.read_text()) if written.exists() else {}

    return run


def test_it_pulls_and_learns_what_can_be_seen(train, tmp_path):
    release = make_learnable()
    groups = tmp_path / "groups.csv"
    rows = release.items.order_by("position").values_list("row_id", flat=True)
    groups.write_text("row_id,camera\n" + "".join(f"{row},{'ab'[at % 2]}\n" for at, row in enumerate(rows)))
    done, metrics = train(release, "--fewest", "1", "--groups", str(groups))
    assert done.returncode == 0, done.stderr
    assert (metrics["version"], metrics["sums_sha256"]) == ("1.0.0", release.sums_sha256)
    attributes, quality = sorted(metrics["results"], key=lambda one: one["label"])
    assert attributes["value"] > max(0.9, attributes["guessing"])
    assert quality["value"] < quality["guessing"] / 2
    tested = release.items.filter(split="test").count()
    by = {(one["attribute"], one["group"]): one["rows"] for one in quality["groups"]}
    assert by["camera", "a"] + by["camera", "b"] == tested
    assert {("label_attributes", "beard"), ("label_attributes", "glasses")} < set(by)
    assert "always guessing the same" in done.stdout


def test_after_a_withdrawal_it_says_so_and_trains_on_nothing(train):
    release = make_published(make_labelled_dataset(people=4, each=1, slug="portraits"))
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    done, metrics = train(release)
    assert done.returncode == 4
    assert "may no longer be used" in done.stderr
    assert metrics == {}
