"""The tus endpoint, request by request: what the protocol asks, whose upload it is, how many, how large, how long."""

import base64
import datetime
import hashlib
import uuid

import pytest
from django.test import Client
from django.utils import timezone

from collection import parts, uploads
from collection.models import Image, Upload
from collection.storage import open_original
from consent.withdrawals import withdraw
from tests.collection.factories import make_call, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor

pytestmark = pytest.mark.django_db
BODY = "application/offset+octet-stream"
PHOTO = jpeg(3, 3)
SIZE = len(PHOTO)
MOST_STATEMENTS = 27


@pytest.fixture
def consent(client):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    return consent


@pytest.fixture
def call(consent):
    return make_call(form=consent.text.form)


def told(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def announce(client, call, length=SIZE, body=None, **headers):
    sent = {"tus-resumable": "1.0.0", "upload-length": str(length), "upload-metadata": told(filename="me.jpg")}
    content = {"data": body, "content_type": BODY} if body is not None else {}
    return client.post(f"/calls/{call.slug}/uploads/", headers={**sent, **headers}, **content)


def at(client, call, **headers) -> str:
    return announce(client, call, **headers)["Location"]


def patch(client, address, body, offset=0, **headers):
    sent = {"tus-resumable": "1.0.0", "upload-offset": str(offset), **headers}
    return client.patch(address, body, headers=sent, content_type=sent.pop("content-type", BODY))


def head(client, address):
    return client.head(address, headers={"tus-resumable": "1.0.0"})


# --- The protocol --------------------------------------------------------------------------------


def test_options_says_what_the_server_can(client, call):
    answer = Client().options(f"/calls/{call.slug}/uploads/")
    assert (answer.status_code, answer["Tus-Resumable"], answer["Tus-Version"]) == (204, "1.0.0", "1.0.0")
    assert answer["Tus-Extension"].split(",") == [
        "creation", "creation-with-upload", "expiration", "checksum", "termination",
    ]  # fmt: skip
    assert answer["Tus-Max-Size"] == str(60 * 1024 * 1024)
    assert "sha1" in answer["Tus-Checksum-Algorithm"].split(",")


def test_a_photograph_arrives_in_pieces_and_becomes_one_image(client, call):
    answer = announce(client, call)
    assert (answer.status_code, answer["Upload-Offset"], answer["Tus-Resumable"]) == (201, "0", "1.0.0")
    address = answer["Location"]
    assert patch(client, address, PHOTO[:1000])["Upload-Offset"] == "1000"
    looked = head(client, address)
    assert (looked["Upload-Offset"], looked["Upload-Length"]) == ("1000", str(len(PHOTO)))
    assert looked["Cache-Control"] == "no-store"
    assert not Image.objects.exists()
    last = patch(client, address, PHOTO[1000:], 1000)
    assert (last.status_code, last["Upload-Offset"]) == (204, str(len(PHOTO)))
    image = Image.objects.get()
    assert (image.sha256, image.client_name) == (hashlib.sha256(PHOTO).hexdigest(), "me.jpg")
    with open_original(image) as file:
        assert file.read() == PHOTO
    assert parts.size(Upload.objects.get().pk) is None


def test_all_of_it_with_the_announcement(client, call):
    answer = announce(client, call, body=PHOTO)
    assert (answer.status_code, answer["Upload-Offset"]) == (201, str(len(PHOTO)))
    assert str(Image.objects.get().pk) in answer["Location"]


def test_an_upload_asks_the_database_few_times(client, call, django_assert_max_num_queries):
    """Both transactions are counted with two savepoints, and three are for whose session it is; 40 before."""
    announce(client, call, body=jpeg(4, 4), length=len(jpeg(4, 4)))  # the person's first: their key is made
    said = {"upload-metadata": told(filename="me.jpg", reference="a1")}
    with django_assert_max_num_queries(MOST_STATEMENTS):
        assert announce(client, call, body=PHOTO, **said)["Upload-Offset"] == str(SIZE)


def test_another_version_of_the_protocol_is_told_ours(client, call):
    answer = announce(client, call, **{"tus-resumable": "0.2.2"})
    assert (answer.status_code, answer["Tus-Version"]) == (412, "1.0.0")
    assert not Upload.objects.exists()


@pytest.mark.parametrize("offset", [1, 999, 5000])
def test_bytes_for_another_offset_conflict_and_change_nothing(client, call, offset):
    address = at(client, call)
    patch(client, address, PHOTO[:1000])
    assert patch(client, address, b"x" * 10, offset).status_code == 409
    assert head(client, address)["Upload-Offset"] == "1000"


def test_more_than_was_announced_is_refused_whole(client, call):
    address = at(client, call, length=1000)
    assert patch(client, address, b"x" * 1001).status_code == 413
    assert head(client, address)["Upload-Offset"] == "0"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "image/jpeg"}, 415), ({"upload-offset": "minus one"}, 400), ({"upload-offset": ""}, 400)],
)
def test_a_patch_that_is_not_one(client, call, headers, status):
    assert patch(client, at(client, call), b"x", **headers).status_code == status


@pytest.mark.parametrize("length", ["", "-5", "1e3", "9" * 40])
def test_a_length_that_is_none(client, call, length):
    assert announce(client, call, length=length).status_code == 400


def test_metadata_that_is_not_base64(client, call):
    assert announce(client, call, **{"upload-metadata": "filename §§§"}).status_code == 400


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_checksum_that_is_wrong_keeps_nothing(client, call, algorithm):
    address = at(client, call)
    right = base64.b64encode(hashlib.new(algorithm, PHOTO[:1000]).digest()).decode()
    assert patch(client, address, PHOTO[1:1001], **{"upload-checksum": f"{algorithm} {right}"}).status_code == 460
    assert head(client, address)["Upload-Offset"] == "0"
    assert patch(client, address, PHOTO[:1000], **{"upload-checksum": f"{algorithm} {right}"}).status_code == 204
    assert head(client, address)["Upload-Offset"] == "1000"


def test_a_checksum_nobody_knows(client, call):
    assert patch(client, at(client, call), b"x", **{"upload-checksum": "crc7 AA=="}).status_code == 400


def test_terminated_nothing_of_it_is_left(client, call):
    address = at(client, call)
    patch(client, address, PHOTO[:1000])
    upload = Upload.objects.get()
    assert client.delete(address, headers={"tus-resumable": "1.0.0"}).status_code == 204
    assert head(client, address).status_code == 404
    assert parts.size(upload.pk) is None
    assert patch(client, address, PHOTO[1000:], 1000).status_code == 404


def test_what_has_been_taken_in_is_not_terminated_by_it(client, call):
    address = announce(client, call, body=PHOTO)["Location"]
    client.delete(address, headers={"tus-resumable": "1.0.0"})
    assert Image.objects.count() == 1
    assert head(client, address)["Upload-Offset"] == str(len(PHOTO))


def test_what_is_being_taken_in_is_not_terminated_under_whoever_does_it(client, call):
    address = at(client, call)
    parts.append(Upload.objects.get().pk, 0, [PHOTO])
    Upload.objects.update(claimed_until=timezone.now() + datetime.timedelta(seconds=5))
    answer = client.delete(address, headers={"tus-resumable": "1.0.0"})
    assert (answer.status_code, "My photos" in answer.content.decode()) == (423, True)
    assert parts.size(Upload.objects.get().pk) == SIZE
    Upload.objects.update(claimed_until=timezone.now())
    assert client.delete(address, headers={"tus-resumable": "1.0.0"}).status_code == 204
    assert not Upload.objects.exists()


def test_methods_that_a_proxy_does_not_let_through(client, call):
    address = at(client, call)
    sent = {"tus-resumable": "1.0.0", "upload-offset": "0", "x-http-method-override": "PATCH"}
    assert client.post(address, PHOTO, content_type=BODY, headers=sent).status_code == 204
    assert Image.objects.count() == 1


def test_methods_it_does_not_know(client, call):
    assert client.put(at(client, call), headers={"tus-resumable": "1.0.0"}).status_code == 405
    assert client.get(f"/calls/{call.slug}/uploads/").status_code == 405


def test_it_expires(client, call):
    answer = announce(client, call)
    assert answer["Upload-Expires"].endswith("GMT")
    upload = Upload.objects.get()
    assert upload.expires_at - upload.begun_at == datetime.timedelta(days=2)
    patch(client, answer["Location"], PHOTO[:1000])
    uploads.settle_uploads(clock=upload.expires_at - datetime.timedelta(seconds=1))
    assert parts.size(upload.pk) == 1000
    Upload.objects.update(begun_at=timezone.now() - datetime.timedelta(days=3), expires_at=timezone.now())
    assert head(client, answer["Location"]).status_code == 410
    assert patch(client, answer["Location"], PHOTO[1000:], 1000).status_code == 410
    uploads.settle_uploads()
    assert parts.size(upload.pk) is None
    assert not Upload.objects.exists()
    assert head(client, answer["Location"]).status_code == 404


def test_whatever_is_answered_the_body_was_read_to_its_end(client, call):
    """An answer in the middle of it is a broken connection to a browser on a slow line."""
    said = {"upload-metadata": told(filename="me.jpg", reference="a1")}
    address = announce(client, call, body=PHOTO, **said)["Location"]
    answers = {
        "sent again, taken in before": announce(client, call, body=PHOTO, **said),
        "another offset": patch(client, address, PHOTO, 5),
        "more than was announced": announce(client, call, length=10, body=PHOTO),
        "another version": patch(client, address, PHOTO, **{"tus-resumable": "0.2"}),
        "no such upload": patch(client, f"/me/uploads/{uuid.uuid4()}/", PHOTO),
        "a stranger": patch(Client(), address, PHOTO),
    }
    assert [answer.status_code for answer in answers.values()] == [201, 409, 413, 412, 404, 401]
    assert {why: len(answer.wsgi_request.read()) for why, answer in answers.items()} == dict.fromkeys(answers, 0)


# --- Whose it is ---------------------------------------------------------------------------------


def test_strangers_are_told_to_sign_in(call):
    assert announce(Client(), call).status_code == 401


def test_somebody_elses_upload_is_not_there(client, call):
    address = at(client, call)
    patch(client, address, PHOTO[:1000])
    other = Client()
    other.force_login(make_contributor().user)
    answers = [
        head(other, address),
        patch(other, address, PHOTO[1000:], 1000),
        other.delete(address, headers={"tus-resumable": "1.0.0"}),
        other.get(address),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert head(client, address)["Upload-Offset"] == "1000"


def test_without_the_token_of_the_page_nothing_changes(client, call, consent):
    address = at(client, call)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(consent.contributor.user)
    assert announce(strict, call).status_code == 403
    assert patch(strict, address, PHOTO).status_code == 403
    assert strict.delete(address, headers={"tus-resumable": "1.0.0"}).status_code == 403
    assert Upload.objects.count() == 1
    strict.get(f"/calls/{call.slug}/upload/")
    token = strict.cookies["likeness_csrf"].value
    assert patch(strict, address, PHOTO, **{"x-csrftoken": token}).status_code == 204


def test_without_a_signature_nothing_is_announced(client, consent):
    answer = announce(client, make_call())
    assert answer.status_code == 403
    assert "read and sign" in answer.content.decode()


def test_after_a_withdrawal_no_more_bytes_are_taken(client, call, consent):
    address = at(client, call)
    patch(client, address, PHOTO[:1000])
    withdraw(consent=consent)
    answer = patch(client, address, PHOTO[1000:], 1000)
    assert answer.status_code == 403
    assert "sign again" in answer.content.decode()
    assert parts.size(Upload.objects.get().pk) == 1000
    assert not Image.objects.exists()


# --- How many, how large -------------------------------------------------------------------------


def test_too_large_is_said_before_a_byte_is_sent(client, call, settings):
    settings.UPLOAD_MAX_BYTES = 10_000
    answer = announce(client, call, length=10_001)
    assert (answer.status_code, "too large" in answer.content.decode()) == (413, True)
    assert "empty" in announce(client, call, length=0).content.decode()
    assert not Upload.objects.exists()


def test_unfinished_uploads_are_limited_per_person(client, call, settings):
    settings.UPLOADS_UNFINISHED = 2
    first = at(client, call)
    at(client, call)
    assert announce(client, call).status_code == 403
    client.delete(first, headers={"tus-resumable": "1.0.0"})
    assert announce(client, call).status_code == 201


def test_unfinished_bytes_are_limited_per_person(client, call, settings):
    settings.UPLOADS_UNFINISHED_BYTES = 1500
    assert announce(client, call, length=1000).status_code == 201
    assert announce(client, call, length=501).status_code == 403
    assert announce(client, call, length=500).status_code == 201


def test_a_call_takes_no_more_than_it_says_counting_those_on_their_way(client, consent):
    call = make_call(form=consent.text.form, max_per_person=2)
    receive(consent, jpeg(8, 8), call=call)
    assert announce(client, call).status_code == 201
    answer = announce(client, call)
    assert (answer.status_code, "as many as it takes" in answer.content.decode()) == (403, True)


def test_the_same_reference_is_the_same_upload(client, call):
    said = {"upload-metadata": told(filename="me.jpg", reference="a1")}
    first = announce(client, call, **said)
    patch(client, first["Location"], PHOTO[:1000])
    again = announce(client, call, body=PHOTO, **said)  # what is there of it is read past
    assert (again["Location"], again["Upload-Offset"]) == (first["Location"], str(SIZE))
    assert Image.objects.get().sha256 == hashlib.sha256(PHOTO).hexdigest()
    assert Upload.objects.count() == 1
    assert announce(client, call, length=5, **said).status_code == 403
    uuid.UUID(first["Location"].split("/")[-2])


def test_killed_between_the_row_and_the_file_the_next_try_goes_on(client, call, monkeypatch):
    class Killed(BaseException):
        """Nothing after it runs."""

    def die(upload_id: uuid.UUID) -> None:
        raise Killed

    again = {"upload-metadata": told(filename="me.jpg", reference="one try")}
    with monkeypatch.context() as patched:
        patched.setattr(parts, "create", die)
        with pytest.raises(Killed):
            announce(client, call, **again)
    address = announce(client, call, **again)["Location"]
    assert patch(client, address, PHOTO).status_code == 204
    assert Image.objects.count() == 1
