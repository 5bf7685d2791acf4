"""Reads the stack's SQLite file, never writes to it: waits for work to be done, and takes copies for the auditor."""

import sqlite3
from pathlib import Path
from typing import Any


class Records:
    """A read-only view of a database file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def one(self, sql: str, *values: Any) -> Any:
        """The first column of the first row."""
        return self.rows(sql, *values)[0][0]

    def counts(self, sql: str, *values: Any) -> dict[str, int]:
        """Two columns as a dict."""
        return dict(self.rows(sql, *values))

    def copy(self, to: Path) -> Path:
        """A consistent copy of the whole file, on which an auditor may try what must be impossible."""
        source = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True, timeout=20)
        target = sqlite3.connect(to)
        with source, target:
            source.backup(target)
        source.close()
        target.close()
        return to
