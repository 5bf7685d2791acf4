"""Say which files of a folder the collection holds already, or which are copies of each other."""

import json
import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from collection.copies.folder import File, files_in, group_folder
from collection.copies.groups import Link
from collection.edited import find_known
from collection.erasure import remove_temporary
from collection.fingerprints import Shown, nearest_known
from collection.imaging import BadImage
from collection.models import Resemblance
from collection.reasons import explain

WITHOUT = "See DATABASE_URL and manage.py migrate, or add --within to compare the files with each other."
EVERY = 50  # files between two lines of progress


class Command(BaseCommand):
    help = (
        "Say which photographs of a folder are in the collection already (accepted, or held for a person), as they are "
        "or recompressed, resized, mirrored, turned, cropped, framed, written on: before a library is bought. Nothing "
        "of them is stored. With --within: which of them are copies of each other. Exit code 0: all were looked at "
        "(files that cannot be opened are named); 1: nothing was done, the message says why."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  # --within needs neither database nor settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--within", action="store_true", help="compare the files with each other; no database")
        parser.add_argument("--json", action="store_true", help="one JSON list, an object per file")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)

    def handle(self, *args: Any, folder: Path, within: bool, processes: int, **options: Any) -> None:
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder. Name one that holds photographs.")
        if within:
            remove_temporary()  # where no worker runs, nobody else does it after a run that was killed
            temporary = Path(settings.FILE_UPLOAD_TEMP_DIR)
            processes = max(1, processes)
            files, links = group_folder(folder, temporary=temporary, processes=processes, progress=self._progress)
            rows = [_row(file, link, files) for file, link in zip(files, links, strict=True)]
        else:
            try:
                rows = list(self._known(folder))
            except DatabaseError as error:
                raise CommandError(f"The collection's database does not answer: {error}. {WITHOUT}") from error
        for row in rows:
            if "error" in row:
                self.stderr.write(f"{row['path']}: {row['error']}")
        self._print(rows, as_json=options["json"])

    def _known(self, folder: Path) -> Iterator[dict[str, Any]]:
        paths = files_in(folder)
        for done, path in enumerate(paths, 1):
            row: dict[str, Any] = {"path": path, "match": None, "kind": None, "score": None}
            try:
                data = (folder / path).read_bytes()
            except OSError as error:
                yield row | {"error": f"cannot be read: {error}"}
                continue
            try:
                yield row | _in_collection(data)
            except BadImage as bad:
                yield row | {"error": explain(bad.reason, str(bad))}
            self._progress("comparing", done, len(paths))

    def _progress(self, what: str, done: int, total: int) -> None:
        if done % EVERY == 0 or done == total:
            self.stderr.write(f"{what}: {done} of {total}")

    def _print(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False))
            return
        for row in rows:
            if row["match"]:
                self.stdout.write(f"{row['path']}  {row['kind']} copy of  {row['match']}  ({row['score']})")
        copies = sum(1 for row in rows if row["match"])
        self.stdout.write(f"{len(rows)} files, {copies} copies")


def _in_collection(data: bytes) -> dict[str, Any]:
    """Which image shows what a file shows, and how; nothing if there is none."""
    shown = Shown.of(data)
    if match := nearest_known(shown):
        kind = "edited" if match.kind == Resemblance.Kind.MIRRORED else match.kind
        return {"match": str(match.image.pk), "kind": str(kind), "score": round(1 - match.distance / 256, 3)}
    if edited := find_known(shown.preview):
        image_id, verdict = edited
        return {"match": str(image_id), "kind": "edited", "score": round(verdict.score, 3)}
    return {}


def _row(file: File, link: Link | None, files: list[File]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": file.path, "match": None, "kind": None, "score": None}
    if file.error:
        return row | {"error": file.error}
    if link:
        row |= {"match": files[link.match].path, "kind": link.kind, "score": round(link.score, 3)}
    return row
