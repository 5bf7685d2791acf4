"""What was erased is in none of SQLite's files, also while other processes keep their connections (promise 5)."""

import threading
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction

from consent.models import User
from consent.sqlite_log import empty_log

pytestmark = pytest.mark.django_db(transaction=True)
MARK = "erased-and-not-to-be-found"


def files_with_mark() -> list[str]:
    """Those of the database's files that hold the mark; of a server's we see none."""
    if connection.vendor != "sqlite":
        return []
    name = Path(connection.settings_dict["NAME"])
    return [file.name for file in name.parent.glob(f"{name.name}*") if MARK.encode() in file.read_bytes()]


def test_what_was_erased_is_in_no_file_while_others_are_connected():
    connected, over = threading.Event(), threading.Event()

    def stay_connected():
        User.objects.exists()
        connected.set()
        over.wait()
        connection.close()

    other = threading.Thread(target=stay_connected)
    other.start()
    try:
        assert connected.wait(30)
        User.objects.create_user(f"{MARK}@example.org", "a password of theirs")
        User.objects.all().delete()
        connection.close()  # not the last one: the log stays
        assert files_with_mark() or connection.vendor != "sqlite"
        empty_log()
        assert files_with_mark() == []
    finally:
        over.set()
        other.join()


def test_whoever_writes_is_not_waited_for_and_later_statements_wait_again():
    ready, over = threading.Event(), threading.Event()

    def write_on():
        with transaction.atomic():
            User.objects.create_user("now@example.org", "a password of theirs")
            ready.set()
            over.wait()
        connection.close()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        assert ready.wait(30)
        assert empty_log() == (connection.vendor != "sqlite")
    finally:
        over.set()
        writer.join()
    assert empty_log()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            waits = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        assert waits == settings.DATABASES["default"]["OPTIONS"]["timeout"] * 1000
