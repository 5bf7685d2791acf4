"""Somebody restores files into a copy, from a backup, after its notices were applied: the next pull finds them."""

import os
import shutil

import pytest

from consent.withdrawals import withdraw
from exports import notices as signing
from exports import pull, verify
from exports.models import Acknowledgement
from tests.exports.conftest import applied, killed_before
from tests.exports.test_pull import TRAIN, ids, pulling, release, target
from tests.exports.test_pull_damage import FORMS, holding, lose, take_back, traces, withdrawn
from tests.exports.test_pull_rights import newer

__all__ = ("pulling", "release", "target")
pytestmark = pytest.mark.django_db(transaction=True)


def read_bytes_of(monkeypatch):
    """Paths whose bytes are looked at from now on."""
    sha256_of, read = pull.sha256_of, []

    def remember(path):
        read.append(path)
        return sha256_of(path)

    monkeypatch.setattr(pull, "sha256_of", remember)
    return read


@pytest.fixture
def backup(copy, tmp_path):
    """What the copy was before any notice, with its times."""
    return shutil.copytree(copy, tmp_path / "backup")


@pytest.mark.parametrize("put_back", [shutil.copy, shutil.copy2])
@pytest.mark.parametrize("path", FORMS)
def test_a_file_that_was_restored_loses_its_rows_again(path, put_back, backup, copy, notices, pem):
    words = traces(copy, withdrawn(notices))
    applied(copy, notices)
    sums = pull.local_sums(copy)
    (copy / path).unlink()
    put_back(backup / path, copy / path)
    applied(copy, notices)
    assert holding(copy, words) == []
    assert pull.local_sums(copy) == sums
    assert verify.main([str(copy), "--key", str(pem)]) == 0


def test_a_file_that_was_lost_before_the_notice_and_comes_back_loses_its_rows(backup, copy, notices):
    """Its sum in SHA256SUMS is the one that was signed, so that whoever checks misses it."""
    words = traces(copy, withdrawn(notices))
    lose(copy / TRAIN, ())
    applied(copy, notices)
    shutil.copy2(backup / TRAIN, copy / TRAIN)
    applied(copy, notices)
    assert holding(copy, words) == []
    assert (copy / TRAIN).exists()


@pytest.mark.parametrize("of_its_size", [False, True])
def test_what_is_neither_the_old_file_nor_the_new_one_goes(of_its_size, backup, copy, notices):
    words = traces(copy, withdrawn(notices))
    applied(copy, notices)
    size = (copy / TRAIN).stat().st_size if of_its_size else -9
    (copy / TRAIN).write_bytes((backup / TRAIN).read_bytes()[:size])
    applied(copy, notices)
    assert holding(copy, words) == []
    assert not (copy / TRAIN).exists()


@pytest.mark.parametrize("seen", ["", "[1]", "[" * 200_000, None])
def test_without_a_word_of_how_it_was_left_everything_is_looked_at(seen, backup, copy, notices):
    words = traces(copy, withdrawn(notices))
    applied(copy, notices)
    shutil.copy2(backup / TRAIN, copy / TRAIN)
    note = copy.with_name("1.0.0.seen.json")
    note.write_text(seen) if seen is not None else note.unlink()
    applied(copy, notices)
    assert holding(copy, words) == []


def test_a_copy_that_nobody_touched_is_not_read(copy, notices, monkeypatch):
    applied(copy, notices)
    read = read_bytes_of(monkeypatch)
    applied(copy, notices)
    assert read == []


def test_the_next_pull_of_another_version_finds_it_and_tells_the_server(pulling, release, target, pem, capsys):
    new = newer(release)
    for version in ("1.0.0", new.version):
        assert pulling(f"portraits@{version}") == pull.OK
    shutil.copytree(target, target.parent.parent / "backup")
    item = take_back(release)
    newest = newer(new)
    assert pulling() == pull.OK
    told = Acknowledgement.objects.count()
    shutil.copy2(target.parent.parent / "backup" / TRAIN, target / TRAIN)
    assert item.row_id not in (target / "rows/train-00000.jsonl").read_text()
    assert verify.main([str(target), "--key", str(pem)]) != 0
    capsys.readouterr()
    assert pulling() == pull.OK
    said = capsys.readouterr().err
    assert f"changed since withdrawn rows were taken out: {TRAIN}" in said
    assert "withdrawn rows taken out: 1" in said
    assert Acknowledgement.objects.count() == told > 0
    assert item.row_id not in ids(target)
    for version in ("1.0.0", new.version, newest.version):
        assert verify.main([str(target.parent / version), "--key", str(pem)]) == 0


def test_a_version_that_shares_its_files_with_a_newer_one_is_not_read_for_that(pulling, release, target, monkeypatch):
    withdrew = release.items.filter(split="train").first().image.consent
    assert pulling() == pull.OK
    withdraw(consent=withdrew)
    signing.revoke_items()
    assert pulling() == pull.OK
    newer(release)
    read = read_bytes_of(monkeypatch)
    assert pulling() == pull.OK
    assert pulling() == pull.OK
    assert [path for path in read if path.parent.parent == target] == []


def test_a_pull_that_is_killed_while_it_looks_again_looks_the_next_time(pulling, release, target, pem, monkeypatch):
    assert pulling() == pull.OK
    before = (target / TRAIN).read_bytes()
    item = take_back(release)
    assert pulling() == pull.OK
    (target / TRAIN).unlink()
    (target / TRAIN).write_bytes(before)
    killed_before("train-00000.parquet.new", pulling, monkeypatch)
    assert (target / TRAIN).read_bytes() == before
    assert pulling() == pull.OK
    assert item.row_id not in ids(target)
    assert os.listdir(target.parent).count("1.0.0.seen.json") == 1
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_a_file_that_is_restored_while_the_rows_are_taken_out_is_found_by_the_next_pull(
    backup, copy, notices, monkeypatch
):
    words, patch = traces(copy, withdrawn(notices)), pull._patch_documents

    def restored_meanwhile(target, sums):
        shutil.copy2(backup / TRAIN, copy / TRAIN)
        patch(target, sums)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(pull, "_patch_documents", restored_meanwhile)
        applied(copy, notices)
    assert holding(copy, words) != []
    applied(copy, notices)
    assert holding(copy, words) == []


@pytest.mark.parametrize("name", ["1.0.0.seen.json", "1.0.0.seen.json.new"])
def test_a_folder_in_the_place_of_the_note_stops_no_notice(name, backup, copy, notices):
    words = traces(copy, withdrawn(notices))
    copy.with_name(name).mkdir()
    applied(copy, notices)
    assert holding(copy, words) == []
    assert copy.with_name("1.0.0.seen.json").is_file()
