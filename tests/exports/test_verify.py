"""Anybody with a copy and the key finds whatever was tampered with, by name. No database, no network."""

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent import merkle
from consent.keys import signing_key
from consent.signing import canonical_json, public_pem, sign_dsse, sign_note
from exports import programs, verify, verify_forms
from exports.provenance import STATEMENT_TYPE
from exports.writers import PARQUET_OPTIONS
from tests.exports.conftest import applied
from tests.exports.factories import rows_of

pytestmark = pytest.mark.django_db  # only to make the release that all of them copy
ROOT = Path(__file__).resolve().parents[2]
TRAIN, TRAIN_TAR, ROWS = "data/train-00000.parquet", "webdataset/train-00000.tar", "rows/train-00000.jsonl"


def check(folder, pem, capsys):
    code = verify.main([str(folder), "--key", str(pem)])
    return code, capsys.readouterr().out


def wrong(folder, pem, capsys):
    """What verify says is wrong."""
    code, out = check(folder, pem, capsys)
    assert code == 1
    assert out.startswith("WRONG  ")
    return out.removeprefix("WRONG  ").strip()


def sum_again(folder):
    """What anybody can do after tampering: make SHA256SUMS fit."""
    files = sorted(
        p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS"
    )
    lines = [f"{hashlib.sha256((folder / path).read_bytes()).hexdigest()}  {path}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def sign_again(folder, subjects=(), **changes):
    """What only a dishonest maker can do: sign the tampered files. Croissant's sums are made to fit, too."""
    document = json.loads((folder / "croissant.json").read_text())
    for entry in document["distribution"]:
        if "sha256" in entry:
            content = (folder / entry["contentUrl"]).read_bytes()
            entry["sha256"], entry["contentSize"] = hashlib.sha256(content).hexdigest(), f"{len(content)} B"
    (folder / "croissant.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    statement = json.loads(base64.b64decode(json.loads((folder / "statement.dsse.json").read_text())["payload"]))
    statement["subject"] += [{"name": path, "digest": {}} for path in subjects]
    for subject in statement["subject"]:
        content = (folder / subject["name"]).read_bytes()
        subject["digest"]["sha256"] = hashlib.sha256(content).hexdigest()
        statement["predicate"]["sizes"][subject["name"]] = len(content)
    lines = [line for path in sorted(folder.glob("rows/*.jsonl")) for line in path.read_bytes().splitlines()]
    root = merkle.root_hash([merkle.leaf_hash(line) for line in lines]).hex()
    statement["predicate"] |= {"rows_root": root, "rows": len(lines), **changes}
    (folder / "statement.dsse.json").write_text(
        sign_dsse(canonical_json(statement).encode(), STATEMENT_TYPE, signing_key()) + "\n"
    )
    sum_again(folder)


def records(folder):
    """Those of the split that is named ROWS."""
    return [json.loads(line) for line in (folder / ROWS).read_text().splitlines()]


def write_records(folder, rows):
    (folder / ROWS).write_text("".join(canonical_json(row) + "\n" for row in rows))


def rewrite_parquet(path, change):
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, **PARQUET_OPTIONS)


def rewrite_tar(path, change):
    with tarfile.open(path) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in change(members):
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def test_a_whole_copy_is_fine(copy, pem, capsys):
    code, out = check(copy, pem, capsys)
    assert (code, out) == (0, "OK  portraits 1.0.0: 10 rows, 0 withdrawn, 5 bases, purpose research\n")


def test_a_copy_without_the_withdrawn_rows_is_fine(updated, pem, capsys):
    code, out = check(updated, pem, capsys)
    assert (code, out) == (0, "OK  portraits 1.0.0: 8 rows, 2 withdrawn, 5 bases, purpose research\n")


def test_it_runs_alone(copy, pem):
    code = (
        "import socket, sys\n"
        "def no(*a, **k): raise RuntimeError('network')\n"
        "socket.socket.connect = no\n"
        "from exports import verify\n"
        "code = verify.main(sys.argv[1:])\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'django']\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(copy), "--key", str(pem)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def handed_out(client, tmp_path):
    """Run verify as an outsider who has the one file that the server hands out, and what it needs."""
    program = tmp_path / "elsewhere" / "verify.pyz"
    program.parent.mkdir()
    program.write_bytes(client.get("/verify.pyz").content)

    def run(*arguments, begin=("-I", str(program))):
        words = [sys.executable, *begin, *map(str, arguments)]
        return subprocess.run(words, cwd=program.parent, capture_output=True, text=True)

    return run


def test_the_server_hands_it_out_as_one_file(handed_out, copy, pem):
    done = handed_out(copy, "--key", pem)
    assert (done.returncode, done.stdout[:27], done.stderr) == (0, "OK  portraits 1.0.0: 10 row", "")
    (copy / TRAIN).write_bytes(b"")
    done = handed_out(copy, "--key", pem)
    assert (done.returncode, done.stdout) == (1, f"WRONG  {TRAIN}: its sha256 is not the one in SHA256SUMS\n")


def test_the_processes_that_read_large_forms_begin_from_the_one_file(handed_out, copy, pem):
    """However a system starts them."""
    code = (
        "import multiprocessing, runpy, sys\n"
        "multiprocessing.set_start_method('spawn')\n"
        "sys.path.insert(0, 'verify.pyz')\n"
        "from exports import verify_forms\n"
        "verify_forms.AT_ONCE_FROM = 0\n"
        "runpy.run_path('verify.pyz', run_name='__main__')\n"
    )
    done = handed_out(copy, "--key", pem, begin=("-I", "-c", code))
    assert (done.returncode, done.stdout[:2], done.stderr) == (0, "OK", "")


def test_the_one_file_holds_all_that_it_needs_of_ours_and_no_more(client, handed_out):
    code = (
        "import sys\n"
        "sys.path.insert(0, 'verify.pyz')\n"
        "import exports.verify\n"
        "ours = [module for name, module in sys.modules.items() if name.split('.')[0] in ('exports', 'consent')]\n"
        "print(*sorted(module.__file__.partition('verify.pyz/')[2] for module in ours))\n"
    )
    done = handed_out(begin=("-I", "-c", code))
    content = client.get("/verify.pyz").content
    held = {*zipfile.ZipFile(io.BytesIO(content)).namelist()} - {"__main__.py"}
    assert done.stdout.split() == sorted(held), done.stderr
    assert programs.verify_program.__wrapped__() == content  # made anew, the same bytes


def test_the_one_file_says_what_python_lacks_to_run_it(handed_out, copy, pem):
    done = handed_out(copy, "--key", pem, begin=("-I", "-S", "verify.pyz"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "Install what it needs: pip install cryptography pyarrow" in done.stderr


@pytest.mark.parametrize("path", [TRAIN, TRAIN_TAR, ROWS, "README.md", "croissant.json", "attestations.jsonl"])
def test_a_changed_byte(path, copy, pem, capsys):
    content = bytearray((copy / path).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / path).write_bytes(content)
    assert wrong(copy, pem, capsys) == f"{path}: its sha256 is not the one in SHA256SUMS"
    sum_again(copy)
    assert wrong(copy, pem, capsys) == f"{path}: not the file that statement.dsse.json signed"


def test_a_file_more_or_less(copy, pem, capsys):
    (copy / "extra.txt").write_text("x")
    assert wrong(copy, pem, capsys) == "extra.txt: there but not named in SHA256SUMS"
    sum_again(copy)
    assert wrong(copy, pem, capsys) == "extra.txt: not among the files that statement.dsse.json signed"
    (copy / "extra.txt").unlink()
    (copy / "README.md").unlink()
    assert wrong(copy, pem, capsys) == "README.md: named in SHA256SUMS but not there"
    sum_again(copy)
    assert wrong(copy, pem, capsys) == "README.md: signed in statement.dsse.json but not there"


def test_another_key(copy, tmp_path, capsys):
    other = tmp_path / "other.pem"
    other.write_text(public_pem(Ed25519PrivateKey.generate().public_key()))
    assert wrong(copy, other, capsys) == "statement.dsse.json: no signature of this key"


def test_a_checkpoint_of_another_key(copy, pem, capsys):
    text = (copy / "checkpoint.txt").read_text().partition("\n\n")[0] + "\n"
    note = sign_note(text, text.partition("\n")[0], Ed25519PrivateKey.generate())
    (copy / "checkpoint.txt").write_text(note)
    sign_again(copy)
    assert wrong(copy, pem, capsys).startswith("checkpoint.txt: no signature of")


def test_another_checkpoint(copy, pem, capsys):
    sign_again(copy, checkpoint={"size": 1, "root": "00" * 32})
    assert wrong(copy, pem, capsys) == "checkpoint.txt: not the checkpoint that statement.dsse.json names"


def test_a_proof_that_does_not_hold(copy, pem, capsys):
    lines = [json.loads(line) for line in (copy / "attestations.jsonl").read_text().splitlines()]
    lines[2]["proof"][0] = "00" * 32
    (copy / "attestations.jsonl").write_text("".join(canonical_json(line) + "\n" for line in lines))
    sign_again(copy)
    assert wrong(copy, pem, capsys).startswith("attestations.jsonl line 3: the proof does not show")


def test_an_attestation_that_says_more_than_the_ledger(copy, pem, capsys):
    text = (copy / "attestations.jsonl").read_text()
    (copy / "attestations.jsonl").write_text(text.replace('[\\"research\\"]', '[\\"marketing\\",\\"research\\"]', 1))
    sign_again(copy)
    assert wrong(copy, pem, capsys).startswith("attestations.jsonl line 1: the proof does not show")


def test_a_row_record_that_was_changed(copy, pem, capsys):
    rows = records(copy)
    rows[0]["annotations"][0]["paid"] = "9.0000"
    write_records(copy, rows)
    sum_again(copy)
    assert wrong(copy, pem, capsys) == f"{ROWS}: not the file that statement.dsse.json signed"


def test_a_row_record_that_was_changed_in_an_updated_copy(updated, pem, capsys):
    rows = records(updated)
    rows[0]["annotations"][0]["paid"] = "9.0000"
    write_records(updated, rows)
    sum_again(updated)
    assert wrong(updated, pem, capsys) == "rows/: the rows are not those that were signed (rows_root differs)"


def test_a_row_removed_without_a_notice(updated, pem, capsys):
    write_records(updated, records(updated)[1:])
    sum_again(updated)
    assert wrong(updated, pem, capsys) == "rows/: 7 rows and 2 withdrawn ones, but 10 were signed"


def test_removed_rows_that_no_notice_names(updated, pem, capsys):
    row_id = records(updated)[0]["row_id"]
    line = canonical_json({"row_id": row_id, "position": 0, "leaf_hash": "00" * 32, "notice": 1})
    with (updated / "removed.jsonl").open("a") as file:
        file.write(line + "\n")
    sum_again(updated)
    assert wrong(updated, pem, capsys) == f"removed.jsonl: row {row_id} is removed without a signed notice"


def test_a_forged_notice(updated, pem, capsys):
    path = next((updated / "notices").iterdir())
    envelope = json.loads(path.read_text())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["rows"].pop()
    envelope["payload"] = base64.b64encode(canonical_json(payload).encode()).decode()
    path.write_text(json.dumps(envelope))
    sum_again(updated)
    assert wrong(updated, pem, capsys) == f"notices/{path.name}: no signature of this key"


def test_a_notice_that_was_hidden(updated, pem, capsys):
    next((updated / "notices").iterdir()).unlink()
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith("is removed without a signed notice")


@pytest.mark.parametrize("path", [ROWS, TRAIN, TRAIN_TAR])
def test_a_withdrawn_row_that_is_still_there(path, exported, updated, pem, capsys):
    (updated / path).write_bytes((exported[0] / path).read_bytes())
    sum_again(updated)
    said = wrong(updated, pem, capsys)
    assert said.startswith(f"{path}: row ")
    assert "was withdrawn (a notice names it) but is still there" in said


def test_a_basis_that_does_not_cover_the_purpose(copy, pem, capsys):
    sign_again(copy, purpose="marketing")
    assert wrong(copy, pem, capsys).endswith("its basis does not cover marketing")


def test_a_basis_that_had_ended(copy, pem, capsys):
    sign_again(copy, snapshot_at="2999-01-01T00:00:00Z")
    assert ": its basis ended on 20" in wrong(copy, pem, capsys)


def test_a_basis_other_than_attested(copy, pem, capsys):
    rows = records(copy)
    rows[0]["basis"]["valid_until"] = "2999-01-01"
    write_records(copy, rows)
    sign_again(copy)
    assert wrong(copy, pem, capsys) == f"{ROWS}: row {rows[0]['row_id']}: its basis is not as the ledger attests"


def test_a_subject_in_two_splits(copy, pem, capsys):
    rows, others = records(copy), rows_of(copy)
    rows[-1]["subject"] = next(row["subject"] for row in others if row["split"] == "test")
    write_records(copy, rows)
    sign_again(copy)
    assert wrong(copy, pem, capsys) == f"{ROWS}: row {rows[-1]['row_id']}: its subject is in two splits"


def test_a_row_among_those_of_another_split(copy, pem, capsys):
    rows = records(copy)
    rows[0]["split"] = "test"
    rows = [row for row in rows if row["subject"] != rows[0]["subject"]] + [rows[0]]
    write_records(copy, rows)
    sign_again(copy)
    assert wrong(copy, pem, capsys) == f"{ROWS}: row {rows[-1]['row_id']}: it belongs in split test"


def test_an_image_in_parquet_that_is_not_the_recorded_one(updated, pem, capsys):
    def swap(rows):
        rows[0]["image"]["bytes"] = rows[1]["image"]["bytes"]

    rewrite_parquet(updated / TRAIN, swap)
    sum_again(updated)
    row = next(row for row in records(updated) if row["split"] == "train")["row_id"]
    assert wrong(updated, pem, capsys) == f"{TRAIN}: row {row}: the image is not the one of its record"


@pytest.mark.parametrize("name", ["label_quality", "label_attributes", "label_face"])
def test_a_label_in_parquet_that_is_not_the_recorded_one(name, updated, pem, capsys):
    def change(rows):
        row = next(row for row in rows if row[name] is not None)
        row[name] = {"label_quality": 1.25, "label_attributes": "hat", "label_face": [1.0, 2.0, 3.0, 4.0]}[name]

    rewrite_parquet(updated / TRAIN, change)
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith(f"label {name[6:]} is not the one of its record")


def test_an_image_in_the_tar_that_is_not_the_recorded_one(updated, pem, capsys):
    rewrite_tar(updated / TRAIN_TAR, lambda members: [members[0], (members[1][0], b"x"), *members[2:]])
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith("the image is not the one of its record")


def test_a_label_in_the_tar_that_is_not_the_recorded_one(updated, pem, capsys):
    def change(members):
        member, content = members[0]
        return [(member, json.dumps({**json.loads(content), "label_quality": 1.25}).encode()), *members[1:]]

    rewrite_tar(updated / TRAIN_TAR, change)
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith("label quality is not the one of its record")


def test_several_shards_at_once_find_the_same(updated, pem, capsys, monkeypatch):
    monkeypatch.setattr(verify_forms, "AT_ONCE_FROM", 0)
    assert check(updated, pem, capsys)[0] == 0
    rewrite_tar(updated / TRAIN_TAR, lambda members: [members[0], (members[1][0], b"x"), *members[2:]])
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith("the image is not the one of its record")


def test_a_reader_that_is_killed_calls_no_release_wrong(copy, pem, capsys, monkeypatch):
    monkeypatch.setattr(verify_forms, "AT_ONCE_FROM", 0)
    monkeypatch.setattr(verify_forms.pq, "ParquetFile", lambda path: os._exit(9))
    assert verify.main([str(copy), "--key", str(pem)]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("verify: a process that read data/ was killed")


@pytest.mark.parametrize("path", [TRAIN, TRAIN_TAR, ROWS, "folder/train-00000.zip"])
@pytest.mark.parametrize("twin", ["{}.zzz", "x/{}"])
def test_a_file_that_no_check_would_read_is_found_even_if_it_is_signed(twin, path, copy, pem, capsys):
    """The good bytes under another name of the same shard, and garbage where loaders look."""
    folder, _, name = path.partition("/")
    other = f"{folder}/{twin.format(name if '/' in twin else name.partition('.')[0])}"
    (copy / other).parent.mkdir(exist_ok=True)
    (copy / other).write_bytes((copy / path).read_bytes())
    if folder != "rows":
        (copy / path).write_bytes(b"garbage")
    sign_again(copy, subjects=[other])
    assert wrong(copy, pem, capsys).startswith(f"{other}: {folder}/ holds files named {folder}/SHARD.")


def test_a_row_missing_from_one_form(updated, pem, capsys):
    rewrite_tar(updated / TRAIN_TAR, lambda members: members[2:])
    sum_again(updated)
    assert wrong(updated, pem, capsys).endswith("has a record, but is in no file of webdataset/")


def test_a_card_changed_in_an_updated_copy(updated, pem, capsys):
    text = (updated / "README.md").read_text()
    (updated / "README.md").write_text(text.replace("Only for research", "For everything"))
    sum_again(updated)
    assert wrong(updated, pem, capsys) == "README.md: not the one that statement.dsse.json signed"


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_card_with_line_ends_of_a_browser_is_the_one_that_was_signed(withdrawn, copy, notices, pem, capsys):
    """A release may have been published before such line ends were made plain ones."""
    card = copy / "README.md"
    card.write_bytes(card.read_bytes() + b"Better light.\r\n\r\nMore people.\n")
    sign_again(copy)
    if withdrawn:
        applied(copy, notices)
    assert check(copy, pem, capsys)[0] == 0


def test_a_description_changed_in_an_updated_copy(updated, pem, capsys):
    text = (updated / "croissant.json").read_text()
    (updated / "croissant.json").write_text(text.replace("Not for identifying persons.", "For everything."))
    sum_again(updated)
    said = wrong(updated, pem, capsys)
    assert said == "croissant.json: not the one that statement.dsse.json signed"


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("SHA256SUMS", b"\xff"),
        ("statement.dsse.json", b"[]"),
        (ROWS, b"{"),
        ("SHA256SUMS", b"x  ../../etc/passwd\n"),
    ],
)
def test_garbage_is_named_and_shows_no_stack_trace(path, content, updated, pem, capsys):
    (updated / path).write_bytes(content)
    if path != "SHA256SUMS":
        sum_again(updated)
    assert wrong(updated, pem, capsys)


def test_a_link_in_a_shard_is_refused(updated, pem, capsys):
    """Whoever unpacks the shard would follow it out of the folder."""
    with tarfile.open(updated / TRAIN_TAR, "a", format=tarfile.USTAR_FORMAT) as tar:
        link = tarfile.TarInfo("out")
        link.type, link.linkname = tarfile.SYMTYPE, "../../.."
        tar.addfile(link)
    sum_again(updated)
    assert "is not a file" in wrong(updated, pem, capsys)
