"""Thousands of rows put into a table at once, past Django's objects: these would take most of the time."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models, transaction

from exports.selection import in_batches


def insert_rows(
    table: type[models.Model], columns: Sequence[str], rows: Iterable[tuple[Any, ...]], *, unless_there: bool = False
) -> int:
    """Rows in the order of `columns`, with the id of an image in hex: either database takes that. How many went in.

    IntegrityError if one is there already, by any unique constraint; `unless_there`, those stay as they are.
    """
    places = ", ".join(["%s"] * len(columns))
    statement = f"INSERT INTO {table._meta.db_table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608  # our names
    statement += " ON CONFLICT DO NOTHING" if unless_there else ""
    inserted = 0
    for some in in_batches(rows):  # first, for whoever gives them may write to the database as well
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            cursor.executemany(statement, some)
            inserted += cursor.rowcount
    return inserted
