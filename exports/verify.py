"""Check a pulled release without any access to its makers: `python verify.pyz DIR --key PEM`.

The server hands out /verify.pyz, for which Python needs `cryptography` and `pyarrow`; where Likeness is installed it is
`likeness-verify`. --key is the makers' public key, got by a way you trust.

Checks sums, signatures, ledger proofs, that each basis covered the purpose, that the rows are those that were signed
(but for withdrawn ones, which signed notices name), images and labels in every form, that nobody is in two splits.
No network. Prints the first thing that is wrong and exits with 1; 0 if all is well, 2 for wrong
arguments, 3 if the check could not be finished.
"""

import argparse
import base64
import csv
import hashlib
import json
import lzma
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consent import merkle
from consent.signing import BadSignature, load_public_key, open_dsse, open_note, sha256_hex
from exports import verify_forms
from exports.pulled import REMOVED, Release, Unfinished, Wrong
from exports.shards import PATHS, ROWS, folder_of, split_of

SUMS, STATEMENT = "SHA256SUMS", "statement.dsse.json"
CROISSANT, CARD = "croissant.json", "README.md"
CHECKPOINT, ATTESTATIONS = "checkpoint.txt", "attestations.jsonl"
STATEMENT_TYPE, NOTICE_TYPE = "application/vnd.in-toto+json", "application/vnd.likeness.notice+json"
SPLITS = ("train", "validation", "test")


def verify(folder: Path, key: Ed25519PublicKey) -> Release:
    """Raises Wrong for the first thing that is wrong."""
    release = Release(folder, key)
    for name, check in CHECKS.items():
        try:
            check(release)
        except (
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            OSError,
            IndexError,
            EOFError,
            ArithmeticError,
            RuntimeError,
            csv.Error,
            StopIteration,
            struct.error,
            zlib.error,
            lzma.LZMAError,
        ) as error:  # not JSON, not Parquet
            raise Wrong(f"{name}: not in the expected form ({type(error).__name__}: {error})") from error
        except tarfile.TarError as error:
            raise Wrong(f"webdataset: not a tar file ({error})") from error
        except zipfile.BadZipFile as error:
            raise Wrong(f"folder: not a zip file ({error})") from error
    return release


# --- Files and signatures ------------------------------------------------------------------------------------------


def check_sums(release: Release) -> None:
    for line in release.text(SUMS).splitlines():
        sha256, _, path = line.partition("  ")
        release.sums[path] = sha256
    for path in release.sums:
        file = release.folder / path
        if not file.resolve().is_relative_to(release.folder.resolve()) or not file.is_file():
            raise Wrong(f"{path}: named in {SUMS} but not there")
    with ThreadPoolExecutor() as pool:  # hashing lets other threads work
        found = pool.map(lambda path: _sha256(release.folder / path), release.sums)
        for (path, sha256), digest in zip(release.sums.items(), found, strict=True):
            if digest != sha256:
                raise Wrong(f"{path}: its sha256 is not the one in {SUMS}")
    for file in sorted(release.folder.rglob("*")):
        path = file.relative_to(release.folder).as_posix()
        if file.is_file() and path not in {*release.sums, SUMS}:
            raise Wrong(f"{path}: there but not named in {SUMS}")


def check_statement(release: Release) -> None:
    try:
        statement = json.loads(open_dsse(release.text(STATEMENT), STATEMENT_TYPE, release.key))
    except BadSignature as error:
        raise Wrong(f"{STATEMENT}: {error}") from error
    release.signed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    release.predicate = statement["predicate"]


def check_signed_files(release: Release) -> None:
    """Each file is the one that was signed; those rewritten after a notice are checked by content further on."""
    rewritten = REMOVED in release.sums
    for path, sha256 in release.signed.items():
        if path not in release.sums:
            raise Wrong(f"{path}: signed in {STATEMENT} but not there")
        if release.sums[path] != sha256 and not (rewritten and _may_be_rewritten(path)):
            raise Wrong(f"{path}: not the file that {STATEMENT} signed")
    added = set(release.sums) - set(release.signed) - {STATEMENT}
    for path in sorted(added):
        if not (rewritten and (path == REMOVED or re.fullmatch(r"notices/\d+\.dsse\.json", path))):
            raise Wrong(f"{path}: not among the files that {STATEMENT} signed")


def _may_be_rewritten(path: str) -> bool:
    return path in {CROISSANT, CARD} or path.startswith(tuple(map(folder_of, PATHS)))


def check_notices(release: Release) -> None:
    for path in sorted(path for path in release.sums if path.startswith("notices/")):
        try:
            notice = json.loads(open_dsse(release.text(path), NOTICE_TYPE, release.key))
        except BadSignature as error:
            raise Wrong(f"{path}: {error}") from error
        if any(notice[name] != release.predicate[name] for name in ("dataset", "version", "rows_root")):
            raise Wrong(f"{path}: about another release")
        release.revoked |= {row["row_id"]: row for row in notice["rows"]}
    if REMOVED in release.sums:
        removed = {row["row_id"]: row for row in release.lines(REMOVED)}
        for row_id in sorted(removed.keys() ^ release.revoked.keys()):
            what = "removed without a signed notice" if row_id in removed else "named in a notice but not removed"
            raise Wrong(f"{REMOVED}: row {row_id} is {what}")


# --- Rows and their basis ------------------------------------------------------------------------------------------


def check_rows(release: Release) -> None:
    """The row records, with the hashes of withdrawn ones in their places, have the signed Merkle root."""
    lines = []
    for shard, path in release.shard_paths(ROWS).items():
        for line in release.text(path).splitlines():
            record = json.loads(line)
            release.rows[record["row_id"]] = record
            release.shards[record["row_id"]] = shard
            lines.append(line)
    for row_id in sorted(release.rows.keys() & release.revoked.keys()):
        raise Wrong(f"{_place(release, row_id)} was withdrawn (a notice names it) but is still there")
    places = {row["position"]: bytes.fromhex(row["leaf_hash"]) for row in release.revoked.values()}
    present = iter([merkle.leaf_hash(line.encode()) for line in lines])
    count = release.predicate["rows"]
    if len(lines) + len(places) != count or len(release.rows) != len(lines):
        raise Wrong(f"{ROWS}/: {len(lines)} rows and {len(places)} withdrawn ones, but {count} were signed")
    leaves = [places[place] if place in places else next(present) for place in range(count)]
    if merkle.root_hash(leaves).hex() != release.predicate["rows_root"]:
        raise Wrong(f"{ROWS}/: the rows are not those that were signed (rows_root differs)")


def check_checkpoint(release: Release) -> None:
    note = release.text(CHECKPOINT)
    try:
        text = open_note(note, note.partition("\n")[0], release.key)
    except BadSignature as error:
        raise Wrong(f"{CHECKPOINT}: {error}") from error
    _, size, root = text.splitlines()[:3]
    said = {"size": int(size), "root": base64.b64decode(root).hex()}
    if said != release.predicate["checkpoint"]:
        raise Wrong(f"{CHECKPOINT}: not the checkpoint that {STATEMENT} names")


def check_attestations(release: Release) -> None:
    size, root = release.predicate["checkpoint"]["size"], bytes.fromhex(release.predicate["checkpoint"]["root"])
    for number, entry in enumerate(release.lines(ATTESTATIONS), start=1):
        leaf = merkle.leaf_hash(entry["leaf"].encode())
        proof = [bytes.fromhex(step) for step in entry["proof"]]
        if not merkle.verify_inclusion(leaf, entry["index"], size, proof, root):
            raise Wrong(f"{ATTESTATIONS} line {number}: the proof does not show that the ledger has this entry")
        facts = json.loads(entry["leaf"])
        about = (facts["kind"], facts["dataset"], facts["version"])
        if about != ("basis.attested", release.predicate["dataset"], release.predicate["version"]):
            raise Wrong(f"{ATTESTATIONS} line {number}: about something else ({' '.join(about)})")
        release.attested[facts["basis"]["id"]] = facts["basis"]


def check_basis(release: Release) -> None:
    """Each row's basis is attested, and covered the purpose on the day of the snapshot."""
    purpose, day = release.predicate["purpose"], release.predicate["snapshot_at"][:10]
    for row_id, record in release.rows.items():
        basis = record["basis"]
        if basis != release.attested.get(basis["id"]):
            raise Wrong(f"{_place(release, row_id)}: its basis is not as the ledger attests")
        if purpose not in basis["purposes"]:
            raise Wrong(f"{_place(release, row_id)}: its basis does not cover {purpose}")
        if basis["valid_until"] < day:
            raise Wrong(f"{_place(release, row_id)}: its basis ended on {basis['valid_until']}, before {day}")


def check_splits(release: Release) -> None:
    splits: dict[str, str] = {}  # by subject
    for row_id, record in release.rows.items():
        if splits.setdefault(record["subject"], record["split"]) != record["split"]:
            raise Wrong(f"{_place(release, row_id)}: its subject is in two splits")
        if split_of(release.shards[row_id]) != record["split"]:
            raise Wrong(f"{_place(release, row_id)}: it belongs in split {record['split']}")


def _place(release: Release, row_id: str) -> str:
    return f"{PATHS[ROWS].format(release.shards[row_id])}: row {row_id}"


# --- Documents ------------------------------------------------------------------------------------------------------


def check_croissant(release: Release) -> None:
    """It names the files as they are; but for their sums and sizes it is the one that was signed."""
    document = json.loads(release.text(CROISSANT))
    for entry in document["distribution"]:
        if "sha256" not in entry:
            continue
        path = entry["contentUrl"]
        size = (release.folder / path).stat().st_size
        if (entry["sha256"], entry["contentSize"]) != (release.sums[path], f"{size} B"):
            raise Wrong(f"{CROISSANT}: its sum or size of {path} is wrong")
        entry["sha256"], entry["contentSize"] = release.signed[path], f"{release.predicate['sizes'][path]} B"
    restored = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    if sha256_hex(restored) != release.signed[CROISSANT]:
        raise Wrong(f"{CROISSANT}: not the one that {STATEMENT} signed")


def check_card(release: Release) -> None:
    """But for splits that are empty now, README.md is the one that was signed."""
    names = [split for split in SPLITS if any(path.startswith(f"data/{split}-") for path in release.signed)]
    whole = "".join(f"  - split: {name}\n    path: data/{name}-*.parquet\n" for name in names)
    listed = r"(?<=\n  data_files:\n)(  - split: \w+\n    path: data/\w+-\*\.parquet\n)*"
    restored = re.sub(listed, whole, release.text(CARD), count=1)
    if sha256_hex(restored.encode()) != release.signed[CARD]:
        raise Wrong(f"{CARD}: not the one that {STATEMENT} signed")


CHECKS: dict[str, Callable[[Release], None]] = {
    "sums": check_sums,
    "statement": check_statement,
    "signed files": check_signed_files,
    "notices": check_notices,
    "rows": check_rows,
    "checkpoint": check_checkpoint,
    "attestations": check_attestations,
    "basis": check_basis,
    "splits": check_splits,
    **{form: partial(verify_forms.check_form, form=form) for form in verify_forms.FORMS},
    "croissant": check_croissant,
    "card": check_card,
}


# --- Command line --------------------------------------------------------------------------------------------------


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(argv: Sequence[str] | Iterable[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="verify", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path, help="a pulled version: .../DATASET/VERSION")
    parser.add_argument("--key", type=Path, required=True, metavar="PEM", help="the makers' public key")
    arguments = parser.parse_args(None if argv is None else list(argv))
    try:
        key = load_public_key(arguments.key.read_bytes())
    except (OSError, ValueError) as error:
        parser.error(f"--key {arguments.key}: {error}")
    try:
        release = verify(arguments.folder, key)
    except Wrong as wrong:
        sys.stdout.write(f"WRONG  {wrong}\n")
        return 1
    except Unfinished as unfinished:
        sys.stderr.write(f"verify: {unfinished}\n")
        return 3
    about = release.predicate
    sys.stdout.write(
        f"OK  {about['dataset']} {about['version']}: {len(release.rows)} rows, {len(release.revoked)} withdrawn, "
        f"{len(release.attested)} bases, purpose {about['purpose']}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
