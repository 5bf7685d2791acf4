"""A pulled release as `verify` reads it. No Django."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exports.shards import PATHS, folder_of

REMOVED = "removed.jsonl"


class Wrong(Exception):
    """What is wrong, by name."""


class Unfinished(Exception):
    """Why the check came to no end: this machine's trouble, which says nothing about the release."""


@dataclass
class Release:
    """A pulled release as far as it has been read."""

    folder: Path
    key: Ed25519PublicKey
    sums: dict[str, str] = field(default_factory=dict)
    signed: dict[str, str] = field(default_factory=dict)  # path to sha256, from the statement
    predicate: dict[str, Any] = field(default_factory=dict)
    revoked: dict[str, dict[str, Any]] = field(default_factory=dict)  # row_id to what a signed notice says of it
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # row_id to record
    shards: dict[str, str] = field(default_factory=dict)  # row_id to the shard that has its record
    attested: dict[str, dict[str, Any]] = field(default_factory=dict)  # basis id to what the ledger says of it

    def text(self, path: str) -> str:
        """UTF-8 on every system, with the line ends that were signed: read_text would make each of them LF."""
        try:
            return (self.folder / path).read_bytes().decode()
        except (OSError, UnicodeDecodeError) as error:
            raise Wrong(f"{path}: cannot be read ({error})") from error

    def shard_paths(self, form: str) -> dict[str, str]:
        """Shard to the path of its file in a form. Wrong if any other file is in the form's folder."""
        found = {}
        for path in sorted(path for path in self.sums if path.startswith(folder_of(form))):
            shard = Path(path).stem
            if path != PATHS[form].format(shard):
                raise Wrong(f"{path}: {folder_of(form)} holds files named {PATHS[form].format('SHARD')} only")
            found[shard] = path
        return found

    def lines(self, path: str) -> list[Any]:
        """What a .jsonl file holds."""
        return [json.loads(line) for line in self.text(path).splitlines()]
