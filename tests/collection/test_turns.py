"""Photographs that arrive at once wait for each other, and pages wait for none of them."""

import threading

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from collection.models import Image, Upload
from collection.turns import AT_ONCE, turn
from tests.collection.factories import make_call
from tests.collection.pictures import jpeg
from tests.collection.test_tus import announce
from tests.consent.factories import make_consent

PHOTO = jpeg(2, 2)


def test_no_more_are_in_at_once_than_may_be():
    inside, most, leave, arrived = [], [], threading.Semaphore(0), threading.Barrier(3 * AT_ONCE + 1)

    def enter() -> None:
        arrived.wait()
        with turn():
            inside.append(1)
            most.append(len(inside))
            assert leave.acquire(timeout=30)
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(3 * AT_ONCE)]
    for thread in threads:
        thread.start()
    arrived.wait()
    threads[0].join(timeout=0.5)  # nobody leaves: whoever is not kept out has come in by then
    leave.release(len(threads))
    for thread in threads:
        thread.join()
    assert max(most) == AT_ONCE


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["tus", "form"])
def test_while_others_are_taken_in_an_upload_waits_and_a_page_does_not(way):
    consent = make_consent()
    call = make_call(form=consent.text.form)
    client = Client()
    client.force_login(consent.contributor.user)
    leave, taken = threading.Event(), threading.Barrier(AT_ONCE + 1)

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
    assert Client().get("/calls/").status_code == 200
    sender.join(timeout=1)  # whoever is not kept waiting is through by then
    assert (sender.is_alive(), Upload.objects.count(), Image.objects.count()) == (True, 0, 0)
    leave.set()
    for thread in [sender, *holders]:
        thread.join()
    assert Image.objects.count() == 1
