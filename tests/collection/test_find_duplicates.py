"""find_duplicates --within: copies in a folder are found however they were edited, and other photographs are not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageOps

from tests.collection.pictures import portrait

ROOT = Path(__file__).parents[2]
SIZE = (900, 1100)


def written_on(picture: Image.Image) -> Image.Image:
    copy = picture.copy()
    ImageDraw.Draw(copy).text((80, 80), "SAMPLE", fill="white", font_size=90)
    return copy


EDITS = {
    "framed": lambda picture: ImageOps.expand(picture, 60, "black"),
    "mirrored": ImageOps.mirror,
    "shrunk": lambda picture: picture.resize((450, 550)),
    "turned": lambda picture: picture.rotate(8, expand=True, fillcolor="white"),
    "written": written_on,
    "cut": lambda picture: picture.crop((90, 110, 810, 990)),
}


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Where there is neither a database nor a secret key."""
    bare = {"PATH": os.environ["PATH"], "LIKENESS_VAR": str(folder.parent / "var")}
    words = (sys.executable, "manage.py", "find_duplicates", str(folder), *words)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=ROOT, env=bare, start_new_session=True, **pipes)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    process = begin(folder, *words)
    said, complained = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "library"
    (folder / "deep").mkdir(parents=True)
    picture = portrait(1, 1, SIZE).convert("RGB")
    picture.save(folder / "a.jpg", quality=92)
    (folder / "deep" / "same.jpg").write_bytes((folder / "a.jpg").read_bytes())
    for name, edit in EDITS.items():
        edit(picture).save(folder / f"b_{name}.jpg", quality=80)
    portrait(1, 51, SIZE).convert("RGB").save(folder / "c_another_shot.jpg")
    portrait(2, 2, SIZE).convert("RGB").save(folder / "c_somebody_else.jpg")
    (folder / "notes.jpg").write_text("no picture")
    return folder


def test_every_edit_is_found_and_no_other_photograph_is(folder):
    done = run(folder, "--within", "--json")
    assert done.returncode == 0, done.stderr
    rows = {Path(row["path"]).name: row for row in json.loads(done.stdout)}
    kinds = {name: row["kind"] for name, row in rows.items()}
    assert kinds["same.jpg"] == "exact"
    assert {kinds[f"b_{name}.jpg"] for name in EDITS} <= {"near", "edited"}
    assert all(rows[name]["match"] for name in kinds if name.startswith("b_"))
    assert [kinds[name] for name in ("a.jpg", "c_another_shot.jpg", "c_somebody_else.jpg")] == [None, None, None]
    assert rows["notes.jpg"]["error"] == "is not a picture that we can read (not_an_image)"
    assert "notes.jpg: is not a picture" in done.stderr


def test_what_cannot_be_done_is_said(folder):
    alone = run(folder)
    assert "add --within" in alone.stderr
    assert "Traceback" not in alone.stderr
    assert "is no folder" in run(folder / "nothing", "--within").stderr


def test_what_a_killed_run_leaves_is_swept_by_the_next_one(folder):
    with begin(folder, "--within") as process:
        while not process.stderr.readline().startswith("opening"):
            pass
        os.killpg(process.pid, signal.SIGKILL)
    [left] = (folder.parent / "var" / "tmp").glob("copies-*")
    assert list(left.iterdir())
    assert run(folder, "--within").returncode == 0
    assert left.exists(), "somebody may be at work in it"
    for path in (*left.iterdir(), left):
        os.utime(path, (1, 1))
    assert run(folder, "--within").returncode == 0
    assert not left.exists()
