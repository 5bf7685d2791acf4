"""SQLite's write-ahead log: a second file, which holds pages as they were before something in them was erased."""

from django.db import connection


def empty_log() -> bool:
    """Bring everything into the database itself and leave an empty log; False while somebody still reads of it, who
    is not waited for. Web processes keep their connections open, so SQLite would do it only when it has grown large."""
    if connection.vendor != "sqlite":
        return True  # others keep no log that belongs to the data
    waits = connection.settings_dict["OPTIONS"]["timeout"] * 1000
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")  # whoever writes would have to wait with us
        try:
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {waits}")
    return not busy
