"""Whose processor time it was, in seconds: of a service with its children, and of PostgreSQL for one database."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def of_service(pid: int) -> float:
    """Of a process and its children that run still."""
    return sum(_seconds(one) for one in [pid, *_children(pid)])


def of_postgresql(database: str) -> float:
    """Of the server's processes that work for connections to this database now; 0 if there is none here."""
    return sum(_seconds(int(folder.name)) for folder in Path("/proc").glob("[0-9]*") if _serves(folder, database))


def _serves(folder: Path, database: str) -> bool:
    try:
        title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:  # it has ended
        return False
    return title.startswith("postgres: ") and f" {database} " in title


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _seconds(pid: int) -> float:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / TICK
