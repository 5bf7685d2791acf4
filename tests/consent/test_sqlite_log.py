"""What was erased is in none of SQLite's files, also while other processes keep their connections (promise 5)."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


@contextmanager
def somebody(does: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """A thread with a connection of its own, which stays in what it `does` until the block is over."""
    ready, over = threading.Event(), threading.Event()

    def stay():
        with does():
            ready.set()
            over.wait()
        connection.close()

    other = threading.Thread(target=stay)
    other.start()
    try:
        assert ready.wait(30)
        yield
    finally:
        over.set()
        other.join()


@contextmanager
def connected() -> Iterator[None]:
    User.objects.exists()
    yield


@contextmanager
def writing() -> Iterator[None]:
    with transaction.atomic():
        User.objects.create_user("now@example.org", "a password of theirs")
        yield


def test_what_was_erased_is_in_no_file_while_others_are_connected():
    with somebody(connected):
        User.objects.create_user(f"{MARK}@example.org", "a password of theirs")
        User.objects.all().delete()
        connection.close()  # not the last one: the log stays
        assert files_with_mark() or connection.vendor != "sqlite"
        empty_log()
        assert files_with_mark() == []


def test_whoever_writes_is_not_waited_for_and_later_statements_wait_again():
    with somebody(writing):
        assert empty_log() == (connection.vendor != "sqlite")
    assert empty_log()
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            waits = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        assert waits == settings.DATABASES["default"]["OPTIONS"]["timeout"] * 1000
