"""The files of a release, written into a folder: shards, then the documents about them, then the sums of all."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from annotation.answers import Control, answered
from consent import merkle
from consent.models import Checkpoint
from exports import card, croissant, label_files, writers
from exports.differences import Difference
from exports.models import Format, Release
from exports.provenance import Row, attestation_lines, sign_statement
from exports.selection import Candidate, Selection
from exports.splits import NAMES
from exports.summary import Summary, summarize
from exports.writers import Add, ReadImage

STATEMENT, SUMS = "statement.dsse.json", "SHA256SUMS"


@dataclass(frozen=True)
class Plan:
    """Everything that a release will hold, in order. Two plans of one snapshot are equal."""

    rows: list[Row]
    controls: list[Control]
    summary: Summary

    def rows_of(self, split: str) -> list[Row]:
        return [row for row in self.rows if row.record["split"] == split]


@dataclass(frozen=True)
class Built:
    """One file that was written."""

    path: str
    sha256: str
    size: int
    shard: str = ""
    carries_rows: bool = False


def make_plan(selection: Selection, rows: Iterable[Row], change: Difference | None) -> Plan:
    """Order rows by split and keyed id, which tells nothing about who came first. `change` since the release before."""
    ordered = sorted(rows, key=lambda row: (NAMES.index(row.record["split"]), row.record["row_id"]))
    by_image = {candidate.image.pk: candidate for candidate in selection.candidates}
    candidates: list[Candidate] = [by_image[row.image.pk] for row in ordered]
    controls = answered(said.result for candidate in candidates for said in candidate.said)
    return Plan(ordered, controls, summarize(ordered, candidates, controls, selection.left_out, change))


def write_files(
    release: Release, plan: Plan, checkpoint: Checkpoint, folder: Path, read_image: ReadImage
) -> list[Built]:
    """Write the release into `folder`; the list is in the order of SHA256SUMS, which comes last."""
    splits = plan.summary.splits
    shards = [built for split in splits for built in _write_shards(release, plan, split, folder, read_image)]
    hashes = {built.path: (built.sha256, built.size) for built in shards}
    files = [
        *shards,
        _write(folder, "rows.jsonl", b"".join(row.line + b"\n" for row in plan.rows), carries_rows=True),
        _write(folder, "README.md", card.write(release, plan.summary)),
        _write(folder, "croissant.json", croissant.write(release, plan.summary, hashes)),
        _write(folder, "checkpoint.txt", checkpoint.note.encode()),
        _write(folder, "attestations.jsonl", attestation_lines(release, checkpoint)),
    ]
    subjects = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in files]
    statement = sign_statement(release, checkpoint, subjects, rows_root(plan.rows), len(plan.rows))
    files = sorted([*files, _write(folder, STATEMENT, statement.encode())], key=lambda file: file.path)
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return [*files, _write(folder, SUMS, sums.encode())]


def rows_root(rows: Sequence[Row]) -> str:
    """The Merkle root over the row records."""
    return merkle.root_hash([merkle.leaf_hash(row.line) for row in rows]).hex()


def shard_name(split: str) -> str:
    return f"{split}-00000"


def all_paths() -> list[str]:
    """Every path that any release may have, for clearing up after a build that was killed."""
    shards = [shard_path(form, split) for split in NAMES for form in PATHS]
    documents = ["rows.jsonl", "README.md", "croissant.json", "checkpoint.txt", "attestations.jsonl"]
    return [*shards, *documents, STATEMENT, SUMS]


PARQUET = "parquet"
PATHS = {
    PARQUET: "data/{}-00000-of-00001.parquet",
    Format.WEBDATASET: "webdataset/{}-000000.tar",
    Format.FOLDER: "folder/{}.zip",
    Format.COCO: "coco/{}.json",
    Format.LABEL_STUDIO: "label-studio/{}.json",
}


def shard_path(form: str, split: str) -> str:
    """Where a split is in one of the forms."""
    return PATHS[form].format(split)


def _write_shards(release: Release, plan: Plan, split: str, folder: Path, read_image: ReadImage) -> Iterator[Built]:
    rows = plan.rows_of(split)
    paths = {form: folder / shard_path(form, split) for form in _forms_of(release)}
    for path in paths.values():
        path.parent.mkdir(exist_ok=True)
    with ExitStack() as opened:
        adders = [opened.enter_context(OPEN[form](path, plan.controls)) for form, path in paths.items() if form in OPEN]
        for row in rows:
            content = read_image(row.image)
            for add in adders:
                add(row, content)
    if Format.COCO in paths:
        label_files.write_coco(paths[Format.COCO], rows, plan.controls)
    if Format.LABEL_STUDIO in paths and (campaign := release.dataset.campaign):
        label_files.write_tasks(paths[Format.LABEL_STUDIO], rows, label_files.frames_of(campaign.config))
    for form in paths:
        yield _built(folder, shard_path(form, split), shard=shard_name(split), carries_rows=True)


def _forms_of(release: Release) -> list[str]:
    return [PARQUET, *(form for form in Format if form in release.definition.formats)]


# Forms with photographs in them, which are read once for all.
OPEN: dict[str, Callable[[Path, Sequence[Control]], AbstractContextManager[Add]]] = {
    PARQUET: writers.open_parquet,
    Format.WEBDATASET: writers.open_tar,
    Format.FOLDER: label_files.open_folder,
}


def _write(folder: Path, path: str, content: bytes, *, carries_rows: bool = False) -> Built:
    (folder / path).write_bytes(content)
    return _built(folder, path, carries_rows=carries_rows)


def _built(folder: Path, path: str, *, shard: str = "", carries_rows: bool = False) -> Built:
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Built(path, digest, (folder / path).stat().st_size, shard, carries_rows)
