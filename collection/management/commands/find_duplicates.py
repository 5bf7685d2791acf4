"""Say which files of a folder are copies of each other. (Of what the collection holds: still to come.)"""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from collection.copies.folder import File, group_folder
from collection.copies.groups import Link

EVERY = 50  # files between two lines of progress


class Command(BaseCommand):
    help = (
        "Group the photographs of a folder that show the same: equal, recompressed, resized, mirrored, turned, "
        "cropped, framed, written on. Exit code 0: all were looked at (files that cannot be opened are named); "
        "1: nothing was done, the message says why."
    )
    requires_system_checks: list[str] = []  # noqa: RUF012  # --within needs neither database nor settings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--within", action="store_true", help="compare the files with each other; no database")
        parser.add_argument("--json", action="store_true", help="one JSON list, an object per file")
        parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)

    def handle(self, *args: Any, folder: Path, within: bool, processes: int, **options: Any) -> None:
        if not within:
            raise CommandError("Comparing with the collection is not built yet. Add --within to group the folder.")
        if not folder.is_dir():
            raise CommandError(f"{folder} is no folder. Name one that holds photographs.")
        files, links = group_folder(folder, processes=max(1, processes), progress=self._progress)
        rows = [_row(file, link, files) for file, link in zip(files, links, strict=True)]
        for row in rows:
            if "error" in row:
                self.stderr.write(f"{row['path']}: {row['error']}")
        self._print(rows, as_json=options["json"])

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


def _row(file: File, link: Link | None, files: list[File]) -> dict[str, Any]:
    row: dict[str, Any] = {"path": file.path, "match": None, "kind": None, "score": None}
    if file.error:
        return row | {"error": file.error}
    if link:
        row |= {"match": files[link.match].path, "kind": link.kind, "score": round(link.score, 3)}
    return row
