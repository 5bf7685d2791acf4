"""The files of a release, written into a folder: shards, then the documents about them, then the sums of all."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from annotation.answers import Control, answered
from consent import merkle
from consent.models import Checkpoint
from exports import card, croissant, label_files, shards, writers
from exports.differences import Difference
from exports.models import Format, Release
from exports.provenance import Row, attestation_lines, sign_statement
from exports.selection import Candidate, Selection
from exports.shards import PARQUET, PATHS, ROWS, Place, folder_of
from exports.summary import Summary, summarize
from exports.writers import Add, ReadImage

STATEMENT, SUMS = "statement.dsse.json", "SHA256SUMS"


@dataclass(frozen=True)
class Plan:
    """Everything that a release will hold, in order. Two plans of one snapshot are equal."""

    shards: dict[str, list[Row]]  # by name
    controls: list[Control]
    summary: Summary

    @property
    def rows(self) -> list[Row]:
        """All rows in the order of their leaves: shard by shard, each by keyed id."""
        return [row for rows in self.shards.values() for row in rows]

    @cached_property
    def leaves(self) -> list[bytes]:
        """Of the Merkle tree: one for each row, in their order."""
        return [merkle.leaf_hash(row.line) for row in self.rows]

    @cached_property
    def root(self) -> str:
        """The Merkle root over them (hex)."""
        return merkle.root_hash(self.leaves).hex()


@dataclass(frozen=True)
class Built:
    """One file that was written."""

    path: str
    sha256: str
    size: int
    shard: str = ""  # whose rows it holds, if any


def make_plan(selection: Selection, rows: Iterable[Row], before: Mapping[str, str], change: Difference | None) -> Plan:
    """Order rows by shard and keyed id. `before`: the shards of the release before, by row id; `change` since then."""
    by_id: dict[str, Row] = {}
    places: list[Place] = []
    for row in rows:
        record = row.record
        by_id[record["row_id"]] = row
        pixels = record["width"] * record["height"]
        places.append(Place(record["row_id"], record["split"], record["subject"], pixels))
    placed = shards.assign(places, before)
    held: dict[str, list[Row]] = {shard: [] for shard in sorted(set(placed.values()))}
    for row_id in sorted(placed):
        held[placed[row_id]].append(by_id[row_id])
    ordered = [row for some in held.values() for row in some]
    by_image = {candidate.image.pk: candidate for candidate in selection.candidates}
    candidates: list[Candidate] = [by_image[row.image.pk] for row in ordered]
    controls = answered(said.result for candidate in candidates for said in candidate.said)
    return Plan(held, controls, summarize(ordered, candidates, controls, selection.left_out, change))


def write_files(
    release: Release, plan: Plan, checkpoint: Checkpoint, folder: Path, read_image: ReadImage
) -> list[Built]:
    """Write the release into `folder`; the list is in the order of SHA256SUMS, which comes last."""
    written = [built for shard in plan.shards for built in _write_shard(release, plan, shard, folder, read_image)]
    hashes = {one.path: (one.sha256, one.size) for one in written if not one.path.startswith(folder_of(ROWS))}
    files = [
        *written,
        _write(folder, "README.md", card.write(release, plan.summary)),
        _write(folder, "croissant.json", croissant.write(release, plan.summary, hashes)),
        _write(folder, "checkpoint.txt", checkpoint.note.encode()),
        _write(folder, "attestations.jsonl", attestation_lines(release, checkpoint)),
    ]
    subjects = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in files]
    statement = sign_statement(release, checkpoint, subjects, plan.root, len(plan.leaves))
    files = sorted([*files, _write(folder, STATEMENT, statement.encode())], key=lambda file: file.path)
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return [*files, _write(folder, SUMS, sums.encode())]


def _write_shard(release: Release, plan: Plan, shard: str, folder: Path, read_image: ReadImage) -> Iterator[Built]:
    rows = plan.shards[shard]
    records = [row.record for row in rows]
    named = {form: PATHS[form].format(shard) for form in _forms_of(release)}
    paths = {form: folder / path for form, path in named.items()}
    for path in paths.values():
        path.parent.mkdir(exist_ok=True)
    with ExitStack() as opened:
        adders = [opened.enter_context(OPEN[form](path, plan.controls)) for form, path in paths.items() if form in OPEN]
        for row, record in zip(rows, records, strict=True):
            content = read_image(row.image)
            for add in adders:
                add(record, content)
    paths[ROWS].write_bytes(b"".join(row.line + b"\n" for row in rows))
    if Format.COCO in paths:
        label_files.write_coco(paths[Format.COCO], records, plan.controls)
    if Format.LABEL_STUDIO in paths and (campaign := release.dataset.campaign):
        label_files.write_tasks(paths[Format.LABEL_STUDIO], records, label_files.frames_of(campaign.config))
    for name in named.values():
        yield _built(folder, name, shard=shard)


def _forms_of(release: Release) -> list[str]:
    return [PARQUET, ROWS, *(form for form in Format if form in release.definition.formats)]


# Forms with photographs in them, which are read once for all.
OPEN: dict[str, Callable[[Path, Sequence[Control]], AbstractContextManager[Add]]] = {
    PARQUET: writers.open_parquet,
    Format.WEBDATASET: writers.open_tar,
    Format.FOLDER: label_files.open_folder,
}


def _write(folder: Path, path: str, content: bytes) -> Built:
    (folder / path).write_bytes(content)
    return _built(folder, path)


def _built(folder: Path, path: str, *, shard: str = "") -> Built:
    with (folder / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Built(path, digest, (folder / path).stat().st_size, shard)
