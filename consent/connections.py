"""Database connections of web processes, which have more threads than connections (DATABASE_POOL)."""

from django.db import connection


def give_back() -> None:
    """Let other threads have our connection while we wait for somebody's bytes. The next query takes one again.

    Only one that came from a pool, and never inside a transaction.
    """
    if connection.settings_dict["OPTIONS"].get("pool") and not connection.in_atomic_block:
        connection.close()
