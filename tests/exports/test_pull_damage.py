"""A copy that was damaged on its disk before a notice came: nothing of the withdrawn row stays, and nothing is glossed
over."""

import base64
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from consent.keys import public_key
from consent.withdrawals import withdraw
from exports import notices as signing
from exports import pull, verify
from tests.exports.conftest import applied, killed_before
from tests.exports.factories import rows_of
from tests.exports.test_pull import TRAIN, ids, pulling, release, target
from tests.exports.test_pull_rights import newer
from tests.exports.test_verify import wrong

__all__ = ("pulling", "release", "target")
pytestmark = pytest.mark.django_db(transaction=True)
FORMS = [
    "data/train-00000.parquet", "rows/train-00000.jsonl", "webdataset/train-00000.tar", "folder/train-00000.zip",
    "coco/train-00000.json", "label-studio/train-00000.json",
]  # fmt: skip
DOCUMENTS = ["attestations.jsonl", "checkpoint.txt", "croissant.json", "README.md", "statement.dsse.json"]


def withdrawn(notices):
    """Row ids that the notices name."""
    payloads = [json.loads(base64.b64decode(json.loads(text)["payload"])) for text in notices.values()]
    return {row["row_id"] for payload in payloads for row in payload["rows"]}


def traces(copy, gone):
    """What would tell of these rows in a copy: their ids, the hashes of their photographs, the photographs."""
    hashes = [row["image_sha256"].encode() for row in rows_of(copy) if row["row_id"] in gone]
    rows = pq.read_table(copy / TRAIN).to_pylist()
    photographs = [row["image"]["bytes"] for row in rows if row["row_id"] in gone]
    assert len(gone) == len(hashes) == len(photographs) > 0
    return [*(row_id.encode() for row_id in gone), *hashes, *photographs]


def holding(copy, words):
    """Files of a copy with one of these in them, but for what names what was taken out."""
    files = [path for path in copy.rglob("*") if path.is_file() and path.parent.name != "notices"]
    return [path.name for path in files if path.name != pull.REMOVED and any(one in path.read_bytes() for one in words)]


def empty(path, gone):
    path.write_bytes(b"")


def flip(path, gone):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rename(path, gone):
    """The row is there under an id that no notice names, so that looking for its id finds nothing."""
    content = path.read_bytes()
    for row_id in gone:
        content = content.replace(row_id.encode(), b"0" * len(row_id))
    path.write_bytes(content)


def lose(path, gone):
    path.unlink()


@pytest.mark.parametrize("damage", [empty, flip, rename, lose])
@pytest.mark.parametrize("path", FORMS)
def test_a_damaged_file_goes_and_the_row_leaves_every_form(path, damage, copy, notices, pem, capsys):
    gone = withdrawn(notices)
    words, signed = traces(copy, gone), pull.local_sums(copy)
    damage(copy / path, gone)
    applied(copy, notices)
    assert holding(copy, words) == []
    assert not (copy / path).exists()
    sums = pull.local_sums(copy)
    assert sums.pop(path) == signed[path]
    assert sums == {name: pull.sha256_of(copy / name) for name in sums}
    assert f"damaged, and deleted for what it may have held: {path}. " in capsys.readouterr().err
    assert wrong(copy, pem, capsys) == f"{path}: named in SHA256SUMS but not there"


@pytest.mark.parametrize("damage", [empty, flip, lose])
@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_damaged_document_keeps_no_row_in_and_is_missed(path, damage, copy, notices, pem, capsys):
    gone = withdrawn(notices)
    words = traces(copy, gone)
    damage(copy / path, gone)
    applied(copy, notices)
    assert holding(copy, words) == []
    assert wrong(copy, pem, capsys) == f"{path}: named in SHA256SUMS but not there"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0\n"])
def test_damaged_sums_are_made_anew_from_the_signed_statement(content, copy, notices, pem, capsys):
    words = traces(copy, withdrawn(notices))
    (copy / "SHA256SUMS").write_bytes(content)
    applied(copy, notices)
    assert holding(copy, words) == []
    (copy / "statement.dsse.json").unlink()  # nobody signed its sum
    assert "statement.dsse.json" in wrong(copy, pem, capsys)


def test_of_a_copy_that_nothing_speaks_for_nothing_stays(copy, notices):
    empty(copy / "SHA256SUMS", ())
    empty(copy / "statement.dsse.json", ())
    pull.apply_to_copy(copy, notices, {number: [] for number in notices}, public_key())
    assert not copy.exists()


def take_back(release, split="train"):
    item = release.items.filter(split=split).first()
    withdraw(consent=item.image.consent)
    signing.revoke_items()
    return item


@pytest.mark.parametrize("spoilt", ["1.0.0", "1.1.0"])
def test_a_damaged_copy_stops_no_notice_for_the_others(spoilt, pulling, release, target, pem, capsys):
    newer(release)
    for version in ("1.0.0", "1.1.0"):
        assert pulling(f"portraits@{version}") == pull.OK
    shared = (target.parent / spoilt / TRAIN).read_bytes()
    (target.parent / spoilt / TRAIN).unlink()
    (target.parent / spoilt / TRAIN).write_bytes(shared[:-9])  # the other version's file is the same one
    item = take_back(release)
    assert pulling("portraits@1.0.0") == (pull.WITHDRAWN if spoilt == "1.0.0" else pull.OK)
    other = target.parent / {"1.0.0": "1.1.0", "1.1.0": "1.0.0"}[spoilt]
    assert item.row_id not in ids(other)
    assert verify.main([str(other), "--key", str(pem)]) == 0
    assert not (target.parent / spoilt / TRAIN).exists()
    assert f"portraits@{spoilt} fetches what can still be had" in capsys.readouterr().err


def test_a_forged_notice_about_one_version_stops_no_notice_about_another(pulling, release, target, monkeypatch):
    newest = newer(release)
    for version in ("1.0.0", newest.version):
        assert pulling(f"portraits@{version}") == pull.OK
    sign = signing.sign_dsse

    def forge(payload, kind, key):
        return sign(payload, "other/type" if b'"version":"1.0.0"' in payload else kind, key)

    monkeypatch.setattr(signing, "sign_dsse", forge)
    item = take_back(release)
    assert pulling() == pull.BAD
    assert item.row_id in ids(target)
    assert item.row_id not in ids(target.parent / newest.version)


def test_what_can_still_be_had_is_fetched_again(pulling, release, target, pem):
    assert pulling() == pull.OK
    spoilt = ["data/test-00000.parquet", "rows/validation-00000.jsonl", *DOCUMENTS]
    for path in spoilt:
        empty(target / path, ())
    take_back(release)
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0


@pytest.mark.parametrize("path", ["croissant.json", "README.md"])
def test_a_document_that_came_again_is_brought_up_to_date_though_that_pull_was_killed(
    path, pulling, release, target, pem, monkeypatch
):
    """Nobody is left in one split, so that the card changes as well."""
    assert pulling() == pull.OK
    take_back(release, "test")
    assert pulling() == pull.OK
    after = (target / path).read_bytes()
    empty(target / path, ())

    killed_before(f"{path}.new", pulling, monkeypatch)
    assert pulling() == pull.OK
    assert (target / path).read_bytes() == after
    assert verify.main([str(target), "--key", str(pem)]) == 0


@pytest.mark.parametrize("path", [*DOCUMENTS, "data/test-00000.parquet"])
def test_what_is_damaged_after_a_notice_is_mended_by_the_next_pull(path, pulling, release, target, pem):
    assert pulling() == pull.OK
    take_back(release)
    assert pulling() == pull.OK
    empty(target / path, ())
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_damaged_sums_are_mended_by_the_next_pull(pulling, target, pem):
    assert pulling() == pull.OK
    empty(target / "SHA256SUMS", ())
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_the_next_release_is_pulled_beside_a_copy_that_cannot_be_mended(pulling, release, target, pem, capsys):
    assert pulling() == pull.OK
    empty(target / TRAIN, ())
    take_back(release)
    assert pulling() == pull.WITHDRAWN
    assert "Pull a newer version" in capsys.readouterr().err
    newest = newer(release)
    assert pulling() == pull.OK
    assert verify.main([str(target.parent / newest.version), "--key", str(pem)]) == 0


# --- What is no file, or lies elsewhere -------------------------------------------------------------


@pytest.mark.parametrize("is_damaged", [False, True])
@pytest.mark.parametrize("path", FORMS)
def test_a_row_leaves_the_disk_that_a_link_leads_to(path, is_damaged, copy, notices, tmp_path):
    words, elsewhere = traces(copy, withdrawn(notices)), tmp_path / "elsewhere"
    elsewhere.mkdir()
    there = (copy / path).rename(elsewhere / Path(path).name)
    (copy / path).symlink_to(there)
    if is_damaged:
        there.write_bytes(there.read_bytes() + b"x")
    applied(copy, notices)
    assert holding(copy, words) == holding(elsewhere, words) == []
    assert (copy / path).exists() != is_damaged


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_version_on_another_disk_loses_its_rows_there(is_complete, copy, notices, tmp_path):
    words = traces(copy, withdrawn(notices))
    there = copy.rename(tmp_path / "elsewhere")
    copy.symlink_to(there)
    if not is_complete:
        (there / pull.SUMS).unlink()
    applied(copy, notices)
    assert there.exists() == copy.exists() == is_complete
    assert holding(there, words) == []


PLACES = [*FORMS, "README.md", "attestations.jsonl", pull.REMOVED, pull.BEGUN, "README.md.new", f"{TRAIN}.new"]


@pytest.mark.parametrize("path", PLACES)
def test_a_folder_where_a_file_should_be_stops_no_notice(path, copy, notices):
    words = traces(copy, withdrawn(notices))
    (copy / path).unlink(missing_ok=True)
    (copy / path).mkdir()
    (copy / path / "within").write_bytes(words[0])
    applied(copy, notices)
    assert holding(copy, words) == []
    assert all(f"notices/{number}.dsse.json" in pull.local_sums(copy) for number in notices)


def test_a_statement_nested_without_end_is_damaged_and_no_more(copy, notices):
    words = traces(copy, withdrawn(notices))
    (copy / pull.STATEMENT).write_text("[" * 200_000)
    applied(copy, notices)
    assert holding(copy, words) == []
    with pytest.raises(pull.Trouble, match="not a signed envelope"):
        pull.open_dsse("[" * 200_000, pull.NOTICE_TYPE, public_key(), "notice 1")
