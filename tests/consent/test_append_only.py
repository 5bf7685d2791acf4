"""Promise 3 for this app's tables: the database itself refuses to change or delete rows that are proof."""

import datetime

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from consent import ledger, withdrawals
from consent.models import CheckpointCopy, LedgerTile, PurposeEnd, PurposeWording
from tests.conftest import append_only_tables
from tests.consent.factories import make_consent, make_licence, make_purpose

TABLES = sorted(table for table, _ in append_only_tables() if table.startswith("consent_"))
PROOF = {
    "Purpose", "FormText", "FormTextPurpose", "Consent", "ConsentPurpose", "Withdrawal", "Licence", "LicencePurpose",
    "LedgerEntry", "LedgerLeaf", "Checkpoint", "PurposeWording", "PurposeEnd", "CheckpointCopy",
    "LedgerTile",
}  # fmt: skip


@pytest.fixture
def rows(db):
    """A row in every append-only table."""
    withdrawals.withdraw(consent=make_consent())
    make_licence()
    CheckpointCopy.objects.create(checkpoint=ledger.seal())
    LedgerTile.objects.create(index=0, root_hash="0" * 64)
    purpose = make_purpose("over")
    PurposeWording.objects.create(purpose=purpose, language="de", name="Vorbei", description="Vorbei.")
    PurposeEnd.objects.create(purpose=purpose, reason="The project is over.")


def execute(statement):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def count(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def primary_key(table):
    return next(m._meta.pk.column for m in apps.get_models() if m._meta.db_table == table)


def test_every_kind_of_proof_is_covered():
    assert {apps.get_model("consent", name)._meta.db_table for name in PROOF} == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_changes_are_refused(rows, table):
    column = primary_key(table)
    before = count(table)
    assert before
    for statement in (f'UPDATE {table} SET "{column}" = "{column}"', f"DELETE FROM {table}"):
        with pytest.raises(IntegrityError, match="is append-only"):
            execute(statement)
    assert count(table) == before


@pytest.mark.parametrize("table", TABLES)
def test_the_ways_around_are_closed(rows, table):
    """TRUNCATE and a replica session on PostgreSQL, REPLACE on SQLite."""
    if connection.vendor == "postgresql":
        execute("SET CONSTRAINTS ALL IMMEDIATE")
        for role in ("origin", "replica"):
            for verb in ("TRUNCATE", "DELETE FROM"):
                cascade = " CASCADE" if verb == "TRUNCATE" else ""
                with pytest.raises(IntegrityError, match="is append-only"):
                    execute(f"SET LOCAL session_replication_role = {role}; {verb} {table}{cascade}")
    else:
        with pytest.raises(IntegrityError, match="is append-only"):
            execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_the_orm_is_refused_too(rows):
    consent = make_consent()
    consent.expires_at += datetime.timedelta(days=1)
    with pytest.raises(IntegrityError, match="is append-only"), transaction.atomic():
        consent.save()
