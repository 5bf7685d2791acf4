"""Fixtures for every test. Storage, keys and the broker live in a temporary folder; nothing reaches a network."""

import functools
import os
import shutil
import tempfile
from pathlib import Path

VAR = Path(tempfile.mkdtemp(prefix="likeness-tests-"))
os.environ["LIKENESS_VAR"] = str(VAR)
# Here and not in pyproject.toml: pytest-django would read the settings before this file has set their variables.
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ.setdefault("SECRET_KEY", "tests only")
os.environ.setdefault("EMAIL_URL", "memorymail://")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{VAR / 'db.sqlite3'}")
os.environ.setdefault("BROKER_URL", "memory://")
os.environ.setdefault("STAFF_MFA", "0")  # tests/consent/test_accounts_security.py turns it on

import django
import pytest
from django.conf import settings

django.setup()
# Nobody guesses passwords here, and hashing them well would take longer than the tests.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files as they lie in the apps: tests do without collectstatic and its manifest.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
settings.STATIC_ROOT.mkdir()

from django.db import connection, transaction
from django.test import TransactionTestCase

from consent import append_only
from consent.keys import create_master_key
from consent.signing import create_key

create_key(VAR / "keys" / "signing.pem")
create_master_key()


@functools.cache
def append_only_tables() -> list[tuple[str, str]]:
    """(table, condition) of every AppendOnly operation in our migrations."""
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(None)
    found = {
        operation.table: operation.when
        for migration in loader.disk_migrations.values()
        for operation in migration.operations
        if isinstance(operation, append_only.AppendOnly)
    }
    return list(found.items())


@pytest.fixture(scope="session")
def django_db_modify_db_settings():
    """SQLite in a file: threads and forked workers must meet in one database."""
    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(VAR / "test.sqlite3")


@pytest.fixture(autouse=True)
def _no_erasures_of_other_tests():
    """The erasure list outlives the database on purpose; each test begins with an empty database."""
    shutil.rmtree(settings.STORAGE_DIRS["erasures"], ignore_errors=True)


# What `migrate` itself writes, and nobody changes.
KEPT = {"django_content_type", "auth_permission"}


@functools.cache
def tables_to_empty() -> list[str]:
    return sorted(set(connection.introspection.django_table_names(only_existing=True, include_views=False)) - KEPT)


def empty_tables(case: TransactionTestCase) -> None:
    """Let transactional tests clean up, past the triggers that refuse just that.

    In place of `flush`: it truncates every table and fills in permissions again, which takes longer than most tests.
    Few tables hold anything after one, and DELETE of few rows is quick.
    """
    holds_rows = " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {table})" for table in tables_to_empty()
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(holds_rows)
        full = {table for (table,) in cursor.fetchall()}
        guards = [(table, when) for table, when in append_only_tables() if table in full]
        for table, _ in guards:
            for statement in append_only.drop_sql(connection.vendor, table):
                cursor.execute(statement)
        for table in full:
            cursor.execute(f"DELETE FROM {table}")
        connection.check_constraints()  # now: PostgreSQL alters no table that still has some to check
        for table, when in guards:
            for statement in append_only.create_sql(connection.vendor, table, when):
                cursor.execute(statement)


# Not by a fixture: the clean-up runs after the last fixture of a test is gone.
TransactionTestCase._fixture_teardown = empty_tables


def pytest_sessionfinish(session, exitstatus):
    """With FAIL_ON_SKIP=1 (CI) a skipped test fails the run: every part is supposed to be there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("FAIL_ON_SKIP") == "1" and reporter.stats.get("skipped") and exitstatus == 0:
        session.exitstatus = 1
        reporter.write_line("FAIL_ON_SKIP=1: tests were skipped, see above", red=True)
