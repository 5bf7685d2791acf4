"""Tables in which the database itself refuses UPDATE and DELETE (promise 3).

A migration says `AppendOnly("consent_consent")`. PostgreSQL gets row and TRUNCATE triggers with ENABLE ALWAYS, so that
neither TRUNCATE nor a replica session slips by; SQLite gets row triggers (settings turn on recursive_triggers, or
REPLACE would delete past them). `when` narrows the rule to rows for which the SQL condition on OLD holds.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

MESSAGE = "is append-only"
FIND = {
    "sqlite": "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE tbl_name || '_no_%'",
    "postgresql": "SELECT tgrelid::regclass::text FROM pg_trigger "
    "WHERE tgenabled = 'A' AND tgname = tgrelid::regclass::text || '_no_change'",
}


def create_sql(vendor: str, table: str, when: str = "") -> list[str]:
    """The statements that make `table` append-only on `vendor` ("sqlite" or "postgresql")."""
    condition = f"WHEN ({when})" if when else ""
    if vendor == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} {condition} "
            f"BEGIN SELECT RAISE(ABORT, '{table} {MESSAGE}'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    function = f"{table}_refuse"
    statements = [
        f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} {MESSAGE}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
        f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {condition} "
        f"EXECUTE FUNCTION {function}()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {function}()",
    ]
    return statements + [
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_{name}" for name in ("no_change", "no_truncate")
    ]


def drop_sql(vendor: str, table: str) -> list[str]:
    """The statements that undo `create_sql`."""
    if vendor == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {table}_no_{verb}" for verb in ("update", "delete")]
    return [f"DROP FUNCTION IF EXISTS {table}_refuse() CASCADE"]


class AppendOnly(Operation):
    """Migration operation: refuse UPDATE and DELETE (and TRUNCATE) on one table."""

    reversible = True

    def __init__(self, table: str, when: str = "") -> None:
        self.table, self.when = table, when

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Models do not change."""

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for statement in create_sql(schema_editor.connection.vendor, self.table, self.when):
            schema_editor.execute(statement, params=None)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: Any, to_state: Any
    ) -> None:
        for statement in drop_sql(schema_editor.connection.vendor, self.table):
            schema_editor.execute(statement, params=None)

    def describe(self) -> str:
        return f"Make {self.table} append-only"


class Thaw(AppendOnly):
    """Migration operation: let go of one table, so that the next operations may alter it; AppendOnly ends that.

    SQLite alters a table by making it anew, which would lose its triggers without a word.
    """

    database_forwards = AppendOnly.database_backwards
    database_backwards = AppendOnly.database_forwards

    def describe(self) -> str:
        return f"Let {self.table} be altered"


def guarded_tables(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables that this database refuses to change now, by its own triggers."""
    with connection.cursor() as cursor:
        cursor.execute(FIND[connection.vendor])
        return sorted({table for (table,) in cursor.fetchall()})
