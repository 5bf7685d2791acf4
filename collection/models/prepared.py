"""What depends on a few values only: the ORM writes its text once, and then only these are filled in.

Django takes 4.5 ms to write the rights check and the database 0.1 to run it; taking in a photograph asks it four times,
and every call of the labelling page once.
"""

import datetime
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import psycopg
from django.db import connection, models
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import RawSQL
from django.db.transaction import TransactionManagementError

STAND_IN = datetime.datetime(1234, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)  # for the time, while the text is written
Text = tuple[str, list[Any]]  # with a place for each value, and the values


class _Written(ABC):
    """Something whose text is written once for each kind of database, when it is asked for first."""

    def __init__(self) -> None:
        self._texts: dict[str, Text] = {}

    def _text(self) -> Text:
        if connection.vendor not in self._texts:
            self._texts[connection.vendor] = self._write()
        return self._texts[connection.vendor]

    @abstractmethod
    def _write(self) -> Text: ...


class Prepared(_Written):
    """What `rows` selects at a time, as a condition on the same table.

    Its text names the table as such: use it on the rows that a statement is about, never inside a subquery.
    """

    def __init__(self, rows: Callable[[datetime.datetime], models.QuerySet[Any]]) -> None:
        super().__init__()
        self._rows = rows

    def at(self, time: datetime.datetime) -> RawSQL:
        """True of the rows that `rows(time)` selects."""
        text, values = self._text()
        return RawSQL(text, _filled(values, [(STAND_IN, time)]), models.BooleanField())  # noqa: S611  # Django wrote it

    def _write(self) -> Text:
        query = self._rows(STAND_IN).query
        text, values = query.where.as_sql(query.get_compiler(connection=connection), connection)
        return text, list(values)


class Question(_Written):
    """A whole query that depends on values with names.

    `rows` is called once for each kind of database, with a stand-in for each value: it may neither look at them nor ask
    the database itself. A stand-in is of the value's type, and like nothing else in the query.
    """

    def __init__(self, rows: Callable[..., models.QuerySet[Any, Any]], **stand_ins: Any) -> None:
        super().__init__()
        self._rows = rows
        self._stand_ins = stand_ins
        self._locks = False

    def ask(self, **values: Any) -> list[tuple[Any, ...]]:
        """What `rows(**values)` finds, as the database tells it: select numbers and texts, and truth is 1 on SQLite."""
        text, written = self._text()
        if self._locks and not connection.in_atomic_block:  # the ORM looks only while it writes the text
            raise TransactionManagementError("rows are locked until the transaction ends, and there is none")
        meant = _filled(written, [(old, values[name]) for name, old in self._stand_ins.items()])
        with _cursor() as cursor:
            cursor.execute(text, meant)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def _write(self) -> Text:
        query = self._rows(**self._stand_ins).query
        self._locks = query.select_for_update
        text, values = query.sql_with_params()
        return text, list(values)


def _cursor() -> CursorWrapper:
    """On PostgreSQL one that leaves the values to the server: it plans what it is asked often only once for a
    connection (`prepare_threshold`), and planning the rights check takes it three times as long as running it. Where
    statements are noted (DEBUG, tests) Django's own: of a kept plan it could not say what was asked."""
    cursor = connection.cursor()
    if connection.vendor == "postgresql" and not connection.queries_logged:
        cursor.cursor = psycopg.Cursor(connection.connection)
    return cursor


def _filled(written: Iterable[Any], meant: Iterable[tuple[Any, Any]]) -> list[Any]:
    """The values of a text, with those in place of the stand-ins that are `meant`."""
    new_of: Mapping[Any, Any] = {
        form: new for old, new_value in meant for form, new in zip(_forms_of(old), _forms_of(new_value), strict=True)
    }
    return [new_of.get(value, value) for value in written]


def _forms_of(value: Any) -> tuple[Any, ...]:
    """As the database gets it; of a time also its day."""
    if isinstance(value, datetime.datetime):
        ops = connection.ops
        return ops.adapt_datetimefield_value(value), ops.adapt_datefield_value(value.date())
    if isinstance(value, datetime.date):
        return (connection.ops.adapt_datefield_value(value),)
    if isinstance(value, uuid.UUID):
        return (value if connection.features.has_native_uuid_field else value.hex,)
    return (value,)
