"""What a build that was killed leaves in its temporary folder, clear photographs among it, goes with the next build."""

import os

import pytest

from collection import workplaces
from exports import shard_files
from exports.services import build_release, draft_release
from tests.exports.factories import make_labelled_dataset, make_manager

pytestmark = pytest.mark.django_db


@pytest.fixture
def own(settings, tmp_path):
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "own")
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def test_the_next_build_deletes_it_and_leaves_one_under_way_alone(own):
    left = own / "likeness-release-left"
    left.mkdir()
    (left / "sized").mkdir()
    (left / "sized" / "clear.jpg").write_bytes(b"a photograph")
    (own / "likeness-release-left.lock").touch()
    release = draft_release(dataset=make_labelled_dataset(people=2), user=make_manager())
    with workplaces.at_work("release") as (other, _):
        build_release(release_id=release.pk)
        assert sorted(own.iterdir()) == sorted([other, other.with_name(f"{other.name}.lock")])
    release.refresh_from_db()
    assert release.state == "built"


def test_while_the_second_process_of_a_killed_builder_writes_on_its_folder_stays(own):
    with workplaces.at_work("release") as (folder, lock):
        with shard_files.Second(folder, lock), open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), lock)  # as if we had ended: the lock is not ours any more
            assert workplaces.remove_left() == 0
            assert folder.exists()
        assert workplaces.remove_left() == 1
        assert not folder.exists()
