"""Uploads beneath HTTP: taken in exactly once whatever is killed; nothing of them outlives photograph or consent."""

import contextlib
import datetime
import threading
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import IntegrityError, connection
from django.utils import timezone

from collection import erasure, parts, pipeline, screening, services, storage, uploads
from collection.models import Image, ImageStatus, Upload
from consent.accounts import delete_account
from consent.refusals import Refused
from consent.signing import sha256_hex
from consent.withdrawals import withdraw
from tests.collection import monk
from tests.collection.factories import make_call, receive
from tests.collection.pictures import encoded, jpeg
from tests.consent.factories import make_consent, make_user

pytestmark = pytest.mark.django_db
PHOTO = jpeg(6, 6)
LATER = datetime.timedelta(minutes=2)


def begin(consent=None, content=PHOTO, arrived=True, **said) -> Upload:
    consent = consent or make_consent()
    call = make_call(form=consent.text.form)
    upload = uploads.begin_upload(
        contributor=consent.contributor,
        consent=consent,
        call=call,
        byte_length=len(content),
        client_name="Ada at home.jpg",
        **said,
    )
    parts.append(upload.pk, 0, [content if arrived else content[:1000]])
    return upload


def minutes_pass() -> None:
    """The sweep's turn to look has come, and every lease is over."""
    past = timezone.now() - LATER
    Upload.objects.update(look_at=past, claimed_until=past)


def on_disk(upload: Upload, where: str = "uploads") -> list[Path]:
    folder = settings.VAR_DIR / "storage" / where
    return [path for path in folder.rglob("*") if upload.pk.hex in str(path) and path.is_file()]


# --- Exactly once --------------------------------------------------------------------------------


def test_finished_twice_it_is_one_image():
    upload = begin()
    assert uploads.finish_upload(upload=upload)
    minutes_pass()
    assert not uploads.finish_upload(upload=upload)
    assert [image.pk for image in Image.objects.all()] == [upload.pk]


def test_killed_before_it_was_taken_in_the_sweep_does_it():
    upload = begin()
    assert uploads.settle_uploads() == []  # its sender may still be at it
    minutes_pass()
    assert uploads.settle_uploads() == [upload.pk]
    assert Image.objects.get().client_name == "Ada at home.jpg"
    assert on_disk(upload) == []


class Killed(BaseException):
    pass


def kill(*_args, **_keywords):
    raise Killed


@pytest.mark.parametrize("before", ["image", "note", "bytes"])
def test_killed_at_any_step_of_taking_in_it_is_one_image(before, monkeypatch):
    upload = begin()
    step = {"image": (Image.objects, "create"), "note": (uploads, "_note"), "bytes": (parts, "delete")}[before]
    with monkeypatch.context() as patched:
        patched.setattr(*step, kill)
        with pytest.raises(Killed):
            uploads.finish_upload(upload=upload)
    minutes_pass()
    uploads.settle_uploads()
    assert [image.pk for image in Image.objects.all()] == [upload.pk]
    assert Upload.objects.get().settled_at is not None
    if before == "bytes":
        erasure.remove_orphans(age=datetime.timedelta(0))
    assert on_disk(upload) == []


def test_dropped_under_a_worker_whose_lease_was_over_it_makes_no_image(monkeypatch):
    upload = begin()

    def slowly(**said):
        minutes_pass()
        assert uploads.drop_upload(Upload.objects.get())
        return services.receive_image(**said)

    monkeypatch.setattr(uploads, "receive_image", slowly)
    uploads.finish_upload(upload=upload)
    assert not Image.objects.exists()
    assert [path for where in ("uploads", "originals", "keys") for path in on_disk(upload, where)] == []


def test_what_is_settled_while_it_is_dropped_stays(monkeypatch):
    """Its lease was over, and it was taken in all the same: nobody reads that it was dropped."""
    upload = begin()
    minutes_pass()
    deletes = uploads._discard

    def meanwhile(pk):
        deletes(pk)
        Upload.objects.filter(pk=pk).update(settled_at=timezone.now())

    monkeypatch.setattr(uploads, "_discard", meanwhile)
    assert not uploads.drop_upload(upload)
    assert Upload.objects.get().settled_at is not None


def test_what_was_taken_in_by_somebody_who_died_is_not_dropped():
    upload = begin()
    services.receive_image(
        contributor=upload.contributor,
        consent=upload.consent,
        call=upload.call,
        file=ContentFile(PHOTO, name="me.jpg"),
        image_id=upload.pk,
    )
    assert not uploads.drop_upload(upload)
    assert Upload.objects.get().settled_at is not None
    assert on_disk(upload) == []


@pytest.mark.django_db(transaction=True)
def test_taken_in_by_many_at_once_it_is_one_image():
    upload = begin()
    ready = threading.Barrier(6)

    def finish():
        ready.wait()
        uploads.finish_upload(upload=Upload.objects.get(pk=upload.pk))
        connection.close()

    threads = [threading.Thread(target=finish) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Image.objects.count() == 1
    assert Upload.objects.get().refusal == ""


@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_a_second_image_of_an_upload():
    upload = begin()
    uploads.finish_upload(upload=upload)
    Upload.objects.update(settled_at=None)  # as a slow worker sees it whose lease is over
    minutes_pass()
    parts.create(upload.pk)
    parts.append(upload.pk, 0, [PHOTO])
    Image.objects.update(sha256="0" * 64)  # so that it is not found as an own copy before
    with pytest.raises(IntegrityError):
        services.receive_image(
            contributor=upload.contributor,
            consent=upload.consent,
            call=upload.call,
            file=ContentFile(PHOTO),
            image_id=upload.pk,
        )
    uploads._take_in(upload)
    upload.refresh_from_db()
    assert (upload.settled_at is not None, upload.refusal, Image.objects.count()) == (True, "", 1)


def test_two_writers_one_is_told_to_look_again():
    upload = begin(arrived=False)
    assert parts.append(upload.pk, 1000, [PHOTO[1000:1500]]) == 1500
    with pytest.raises(parts.Moved):
        parts.append(upload.pk, 1000, [PHOTO[1000:2000]])
    assert parts.size(upload.pk) == 1500


def test_many_writers_leave_the_bytes_that_were_sent():
    content = bytes(range(256)) * 400
    upload = begin(content=content, arrived=False)

    def write():
        offset = parts.size(upload.pk) or 0
        while offset < len(content):
            with contextlib.suppress(parts.Moved):
                parts.append(upload.pk, offset, [content[offset : offset + 700]])
            offset = parts.size(upload.pk) or 0

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with storage.uploads().open(parts.key_of(upload.pk)) as file:
        assert file.read() == content


# --- What a person hears -------------------------------------------------------------------------


THURSDAY = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(("days", "day"), [(0, "earlier today"), (2, "on Tuesday"), (40, "on 17 October 2026")])
@time_machine.travel(THURSDAY, tick=False)
def test_an_own_copy_is_named_with_its_day(days, day):
    consent = make_consent()
    receive(consent, PHOTO)
    Image.objects.update(received_at=timezone.now() - datetime.timedelta(days=days, minutes=5))
    upload = begin(consent)
    uploads.finish_upload(upload=upload)
    upload.refresh_from_db()
    assert upload.refusal.startswith(f"You sent this one {day}.")
    assert Image.objects.count() == 1
    assert on_disk(upload) == []


def test_somebody_elses_copy_is_nobodys_business():
    receive(make_consent(), PHOTO)
    upload = begin()
    uploads.finish_upload(upload=upload)
    upload.refresh_from_db()
    assert (upload.refusal, Image.objects.count()) == ("", 2)


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"Dear all, this is a text.", "not a picture"), (PHOTO[:-1] + b"x", "damaged on")],
)
def test_what_cannot_be_taken_is_said_in_words(content, says):
    announced = sha256_hex(PHOTO) if content.startswith(PHOTO[:8]) else ""
    upload = begin(content=content, sha256=announced)
    uploads.finish_upload(upload=upload)
    upload.refresh_from_db()
    told = uploads.outcome(upload=upload)
    assert (told.state, says in told.message) == ("refused", True)
    assert on_disk(upload) == []
    assert not Image.objects.exists()


def test_a_withdrawal_while_it_arrives_is_a_refusal():
    upload = begin()
    withdraw(consent=upload.consent)
    uploads.finish_upload(upload=upload)
    upload.refresh_from_db()
    assert "no longer in force" in upload.refusal
    assert not Image.objects.exists()


# --- Nothing is left -----------------------------------------------------------------------------


def test_what_has_not_arrived_goes_with_the_consent():
    consent = make_consent()
    gone, other = begin(consent, arrived=False), begin(arrived=False)
    withdraw(consent=consent)
    uploads.settle_uploads()
    assert on_disk(gone) == []
    assert on_disk(other) != []
    assert [upload.pk for upload in Upload.objects.all()] == [other.pk]


@pytest.mark.parametrize("arrived", [True, False])
def test_what_is_on_its_way_goes_with_the_account(arrived):
    consent = make_consent()
    upload = begin(consent, arrived=arrived)
    if arrived:
        uploads.finish_upload(upload=upload)
    delete_account(contributor=consent.contributor)
    erasure.purge_withdrawn()
    uploads.settle_uploads()
    assert not Upload.objects.exists()
    assert on_disk(upload) == []
    assert not Image.objects.exclude(status=ImageStatus.PURGED).exists()


def test_purging_an_image_takes_its_upload_along():
    upload = begin()
    uploads.finish_upload(upload=upload)
    assert Upload.objects.get().client_name == "Ada at home.jpg"
    parts.create(upload.pk)  # as if its deletion had been lost
    withdraw(consent=upload.consent)
    erasure.purge_withdrawn()
    assert not Upload.objects.exists()
    assert on_disk(upload) == []


def test_bytes_without_a_row_are_swept():
    upload = begin(arrived=False)
    kept = begin(arrived=False)
    Upload.objects.filter(pk=upload.pk).delete()
    assert erasure.remove_orphans() == 0  # not yet: a row may be on its way
    erasure.remove_orphans(age=datetime.timedelta(0))
    assert on_disk(upload) == []
    assert on_disk(kept) != []


def test_it_is_dropped_at_its_hour_and_not_before():
    upload = begin(arrived=False)
    uploads.settle_uploads(clock=upload.expires_at - datetime.timedelta(seconds=1))
    assert Upload.objects.exists()
    uploads.settle_uploads(clock=upload.expires_at)
    assert not Upload.objects.exists()


def test_storage_that_is_away_loses_nothing(monkeypatch):
    upload = begin()
    minutes_pass()
    with monkeypatch.context() as patched:
        patched.setattr(storage, "originals", kill_softly)
        assert uploads.settle_uploads() == []
    minutes_pass()
    assert uploads.settle_uploads() == [upload.pk]


def kill_softly():
    raise OSError("the storage is away")


def test_a_reference_of_another_length_is_refused():
    consent = make_consent()
    begin(consent, reference="one")
    with pytest.raises(Refused, match="choose the file again"):
        begin(consent, content=b"other", reference="one")


# --- What the sender hears -----------------------------------------------------------------------


def taken(picture: bytes) -> Upload:
    upload = begin(content=picture)
    uploads.finish_upload(upload=upload)
    pipeline.advance(upload.pk)
    return upload


def test_that_no_face_was_found_is_said_at_once_and_turns_nothing_down(client):
    upload = taken(jpeg(1, 1))  # a drawing that the detector overlooks
    told = uploads.outcome(upload=upload)
    assert Image.objects.get().status == ImageStatus.ACCEPTED
    assert told.message.startswith("It shows no face that we could find. We often overlook one")
    client.force_login(upload.contributor.user)
    assert "shows no face that we could find" in client.get("/me/photos/").content.decode()
    assert uploads.outcome(upload=taken(encoded(monk.portrait(5), quality=90))).message == ""


def test_of_what_a_reviewer_let_pass_nothing_is_said_of_faces():
    consent = make_consent()
    call = make_call(form=consent.text.form, look_at_all=True)
    image = receive(consent, jpeg(1, 1), call=call)
    pipeline.advance(image.pk)
    assert screening.without_face([image.pk]) == {image.pk}
    image.refresh_from_db()
    services.settle_review(image=image, decision="accept", reviewer=make_user("", "reviewer"))
    pipeline.advance(image.pk)
    assert screening.without_face([image.pk]) == set()


def test_a_second_face_is_named_with_the_page_that_covers_it(client):
    upload = taken(encoded(monk.portrait(5, people=2), quality=90))
    client.force_login(upload.contributor.user)
    told = client.get(f"/me/uploads/{upload.pk}/").json()
    assert "more than one face" in told["message"]
    assert told["cover"] == f"/me/photos/{upload.pk}/faces/"
