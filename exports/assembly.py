"""The files of a release, written into a folder: shards, then the documents about them, then the sums of all."""

from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from consent.models import Checkpoint
from exports import card, croissant, shard_files
from exports.label_frames import frames_of
from exports.models import Format, Release
from exports.plans import Plan
from exports.provenance import attestation_lines, sign_statement
from exports.shard_files import Built, Layout, Second, built_file
from exports.shards import PARQUET, ROWS, folder_of
from exports.summary import Summary

STATEMENT, SUMS = "statement.dsse.json", "SHA256SUMS"


def write_files(
    release: Release,
    plan: Plan,
    summary: Summary,
    checkpoint: Checkpoint,
    layout: Layout,
    second: Second | None = None,
) -> list[Built]:
    """Write the release into the layout's folder; the list is in the order of SHA256SUMS, which comes last."""
    folder, root = Path(layout.folder), plan.root  # all rows are read for it: meanwhile the second process writes
    written = shard_files.write_shards(layout, plan, second)
    hashes = {one.path: (one.sha256, one.size) for one in written if not one.path.startswith(folder_of(ROWS))}
    files = [
        *written,
        _write(folder, "README.md", [card.write(release, summary)]),
        _write(folder, "croissant.json", [croissant.write(release, summary, hashes)]),
        _write(folder, "checkpoint.txt", [checkpoint.note.encode()]),
        _write(folder, "attestations.jsonl", attestation_lines(release, checkpoint)),
    ]
    subjects = [{"path": file.path, "sha256": file.sha256, "size": file.size} for file in files]
    statement = sign_statement(release, checkpoint, subjects, root, len(plan))
    files = sorted([*files, _write(folder, STATEMENT, [statement.encode()])], key=lambda file: file.path)
    sums = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return [*files, _write(folder, SUMS, [sums.encode()])]


def layout_of(release: Release, plan: Plan, summary: Summary, folder: Path, sized: Path) -> Layout:
    """How the shards of a release are to be written: into `folder`, with photographs made smaller for it in `sized`."""
    campaign, wanted = release.dataset.campaign, release.definition.formats
    forms = [form for form in Format if form in wanted and (campaign or form != Format.LABEL_STUDIO)]
    frames = frames_of(campaign.config) if campaign and Format.LABEL_STUDIO in forms else {}
    return Layout(
        plan=str(plan.path),
        folder=str(folder),
        sized=str(sized),
        forms=[PARQUET, ROWS, *forms],
        controls=[(control.name, control.kind) for control in summary.controls],
        frames={name: astuple(frame) for name, frame in frames.items()},
    )


def _write(folder: Path, path: str, pieces: Iterable[bytes]) -> Built:
    with (folder / path).open("wb") as file:
        file.writelines(pieces)
    return built_file(folder, path)
