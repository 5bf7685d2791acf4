"""What a killed pull leaves beside the files of a copy goes with the next one: it may hold rows of who withdraws."""

import shutil

import pytest

from consent.withdrawals import withdraw
from exports import notices, pull
from tests.exports.conftest import killed_before
from tests.exports.test_pull import TRAIN, pulling, release, target
from tests.exports.test_pull_rights import newer

__all__ = ("pulling", "release", "target")
pytestmark = pytest.mark.django_db(transaction=True)


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.suffix in {".part", ".new"}]


def test_a_part_that_was_begun_goes_when_another_version_has_the_file(pulling, release, target):
    new = target.parent / newer(release).version
    assert pulling() == pull.OK
    (new / TRAIN).rename(new / f"{TRAIN}.part")
    (new / "SHA256SUMS").unlink()  # killed before this file was whole
    assert pulling("portraits@1.0.0") == pull.OK
    assert pulling() == pull.OK
    assert leftovers(new) == []


def test_a_link_that_was_begun_goes_though_the_older_version_is_no_more(pulling, release, target, monkeypatch):
    assert pulling() == pull.OK
    new = target.parent / newer(release).version
    killed_before("train-00000.parquet.new", pulling, monkeypatch)
    assert "train-00000.parquet.new" in leftovers(new)
    shutil.rmtree(target)
    assert pulling() == pull.OK
    assert leftovers(new) == []


def test_a_notice_leaves_no_part_of_a_file_that_was_being_mended(pulling, release, target):
    newer(release)
    assert pulling("portraits@1.0.0") == pull.OK
    shutil.copy(target / TRAIN, target / f"{TRAIN}.part")
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    notices.revoke_items()
    assert pulling() == pull.WITHDRAWN  # another version was asked for, and that holds the photograph, too
    assert leftovers(target) == []
