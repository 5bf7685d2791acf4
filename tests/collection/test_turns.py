"""Photographs that arrive at once wait for each other, and pages wait for none of them."""

import threading
from contextlib import ExitStack

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from collection import turns
from collection.models import Image, Upload
from collection.turns import AT_ONCE, turn
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg
from tests.collection.test_tus import announce
from tests.consent.factories import make_consent

PHOTO = jpeg(2, 2)
SOON = 0.5  # seconds in which whoever nobody keeps out would have come in


def test_no_more_are_in_at_once_than_may_be():
    came, leave = threading.Semaphore(0), threading.Semaphore(0)

    def enter() -> None:
        with turn():
            came.release()
            assert leave.acquire(timeout=30)

    threads = [threading.Thread(target=enter) for _ in range(3 * AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(AT_ONCE):
            assert came.acquire(timeout=10)
        assert not came.acquire(timeout=SOON)
        leave.release()
        assert came.acquire(timeout=10)
        assert not came.acquire(timeout=SOON)
    finally:
        leave.release(len(threads))
        for thread in threads:
            thread.join()


def test_whoever_waited_long_goes_in_all_the_same(monkeypatch):
    """Those before them may hang, at a bucket or at a broker."""
    monkeypatch.setattr(turns, "LONGEST_WAIT", 0.01)
    went_in = threading.Event()

    def enter() -> None:
        with turn(), turn():
            went_in.set()

    with ExitStack() as hanging:
        for _ in range(AT_ONCE):
            hanging.enter_context(turn())
        threading.Thread(target=enter, daemon=True).start()
        assert went_in.wait(10)
    monkeypatch.undo()
    test_no_more_are_in_at_once_than_may_be()  # who took no turn gave none back


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["tus", "form"])
def test_while_others_are_taken_in_an_upload_waits_and_a_page_does_not(way):
    consent = make_consent()
    call = make_call(form=consent.text.form)
    client = Client()
    client.force_login(consent.contributor.user)
    leave, taken = threading.Event(), threading.Barrier(AT_ONCE + 1, timeout=30)

    def hold() -> None:
        with turn():
            taken.wait()
            assert leave.wait(30)

    def send() -> None:
        if way == "tus":
            announce(client, call, body=PHOTO, length=len(PHOTO))
        else:
            sent = {"photos": SimpleUploadedFile("me.jpg", PHOTO, "image/jpeg")}
            client.post(f"/calls/{call.slug}/upload/", sent, headers={"accept": "application/json"})
        connection.close()

    holders = [threading.Thread(target=hold) for _ in range(AT_ONCE)]
    for holder in holders:
        holder.start()
    taken.wait()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert Client().get("/calls/").status_code == 200
        sender.join(timeout=1)  # whoever is not kept waiting is through by then
        assert (sender.is_alive(), Upload.objects.count(), Image.objects.count()) == (True, 0, 0)
    finally:
        leave.set()
        for thread in [sender, *holders]:
            thread.join()
    assert Image.objects.count() == 1
