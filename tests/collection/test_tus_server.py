"""tus over real connections: tuspy as client, a gunicorn that is killed, connections that hang or break off."""

import base64
import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.test import Client
from tusclient.client import TusClient

from collection import parts
from collection.models import Image, Upload
from collection.tus_bodies import PIECE
from consent.signing import sha256_hex
from tests.collection.factories import make_call
from tests.collection.pictures import encoded, portrait
from tests.consent.factories import make_consent
from tests.gunicorn import Gunicorn, connections_to_the_database, wait_until

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a" * 32
PHOTO = encoded(portrait(7, 7, (800, 1000)), "PNG", compress_level=0)
HALF = 16 * PIECE


class Sender:
    """A signed-in contributor with a call to send to, and raw HTTP."""

    def __init__(self) -> None:
        consent = make_consent()
        client = Client()
        client.force_login(consent.contributor.user)
        self.call = make_call(form=consent.text.form)
        cookies = f"likeness_session={client.cookies['likeness_session'].value}; likeness_csrf={TOKEN}"
        self.headers = {"Cookie": cookies, "X-CSRFToken": TOKEN, "Tus-Resumable": "1.0.0"}
        self.path = f"/calls/{self.call.slug}/uploads/"

    def ask(self, server: str, method: str, path: str, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**self.headers, **named})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def announce(self, server: str) -> str:
        return str(self.ask(server, "POST", self.path, Upload_Length=str(len(PHOTO))).headers["Location"])

    def offset(self, server: str, path: str) -> int:
        return int(self.ask(server, "HEAD", path).headers["Upload-Offset"])

    def patch(self, server: str, path: str, offset: int) -> int:
        kind = "application/offset+octet-stream"
        body = PHOTO[offset:]
        return self.ask(server, "PATCH", path, body, Content_Type=kind, Upload_Offset=str(offset)).status

    def half_a_patch(self, server: str, path: str) -> socket.socket:
        """A connection that announced all bytes and sent half of them."""
        return self.begun(server, "PATCH", path, PHOTO[:HALF], Upload_Offset="0")

    def begun(self, server: str, method: str, path: str, body: bytes, **headers: str) -> socket.socket:
        """A connection on which a request with the whole photograph began, and so much of its `body` was sent."""
        address = urlsplit(server)
        connection = socket.create_connection((address.hostname, address.port), timeout=30)
        lines = {
            **self.headers,
            "Host": address.netloc,
            "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(len(PHOTO)),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return connection


@pytest.fixture
def sender() -> Sender:
    return Sender()


@pytest.fixture
def gunicorn() -> Iterator[Gunicorn]:
    server = Gunicorn()
    yield server
    server.kill()


def half_has_arrived() -> bool:
    return parts.size(Upload.objects.get().pk) == HALF


def the_only_image() -> Image:
    image = Image.objects.get()
    assert image.sha256 == sha256_hex(PHOTO)
    return image


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tuspy leaves its files open
def test_tuspy_sends_in_pieces_with_checksums_and_resumes(live_server, sender, tmp_path):
    path = tmp_path / "me.png"
    path.write_bytes(PHOTO)
    client = TusClient(f"{live_server.url}{sender.path}", headers=sender.headers)
    uploader = client.uploader(str(path), chunk_size=300_000, metadata={"filename": "me.png"}, upload_checksum=True)
    uploader.upload(stop_at=600_000)
    assert not Image.objects.exists()
    again = client.uploader(str(path), chunk_size=300_000, url=uploader.url, upload_checksum=True)
    assert again.offset == 600_000
    again.upload()
    assert the_only_image().client_name == "me.png"
    assert client.uploader(str(path), url=uploader.url).offset == len(PHOTO)


def test_a_server_that_is_killed_keeps_what_it_had(gunicorn, sender):
    path = sender.announce(gunicorn.url)
    connection = sender.half_a_patch(gunicorn.url, path)
    wait_until(half_has_arrived, "half of it did not arrive")
    gunicorn.kill()
    connection.close()
    gunicorn.start()
    offset = sender.offset(gunicorn.url, path)
    assert offset == HALF
    assert sender.patch(gunicorn.url, path, offset) == 204
    the_only_image()
    assert sender.offset(gunicorn.url, path) == len(PHOTO)


def test_a_connection_that_breaks_off_keeps_what_it_brought(gunicorn, sender):
    path = sender.announce(gunicorn.url)
    sender.half_a_patch(gunicorn.url, path).close()
    wait_until(half_has_arrived, "half of it did not arrive")
    assert sender.patch(gunicorn.url, path, sender.offset(gunicorn.url, path)) == 204
    the_only_image()


def test_a_repeated_announcement_with_its_bytes_is_read_on_from_where_the_first_broke_off(gunicorn, sender):
    """A slow line: the answer comes after the last byte, or a browser would not hear it."""
    said = {"Upload_Length": str(len(PHOTO)), "Upload_Metadata": f"reference {base64.b64encode(b'a1').decode()}"}
    sender.begun(gunicorn.url, "POST", sender.path, PHOTO[:HALF], **said).close()
    wait_until(lambda: Upload.objects.exists() and half_has_arrived(), "half of it did not arrive")
    again = sender.begun(gunicorn.url, "POST", sender.path, PHOTO[: HALF + PIECE], **said)
    wait_until(lambda: parts.size(Upload.objects.get().pk) == HALF + PIECE, "it does not read on")
    again.sendall(PHOTO[HALF + PIECE :])
    answer = http.client.HTTPResponse(again)
    answer.begin()
    assert (answer.status, answer.headers["Upload-Offset"]) == (201, str(len(PHOTO)))
    again.close()
    the_only_image()


def test_a_connection_that_hangs_bars_nobody(gunicorn, sender):
    """The phone has another network now; the server does not know that the old connection is dead."""
    path = sender.announce(gunicorn.url)
    hanging = sender.half_a_patch(gunicorn.url, path)
    wait_until(half_has_arrived, "half of it did not arrive")
    assert sender.patch(gunicorn.url, path, sender.offset(gunicorn.url, path)) == 204
    the_only_image()
    hanging.sendall(PHOTO[HALF:])  # it was not dead after all
    assert b" 404 " in hanging.recv(200)  # its file is gone: it has become an image
    hanging.close()
    the_only_image()


def test_whoever_waits_for_bytes_keeps_no_connection_to_the_database(sender):
    """Six of eight threads wait for phones, and two connections are enough for everybody."""
    server = Gunicorn(DATABASE_POOL="2")
    try:
        paths = [sender.announce(server.url) for _ in range(6)]
        slow = [sender.half_a_patch(server.url, path) for path in paths]
        wait_until(lambda: all(parts.size(one.pk) == HALF for one in Upload.objects.all()), "the halves did not arrive")
        assert connections_to_the_database() <= 2
        assert sender.offset(server.url, paths[0]) == HALF
        for waiting in slow:
            waiting.sendall(PHOTO[HALF:])
        answers = [waiting.recv(200) for waiting in slow]
        for waiting in slow:
            waiting.close()
        assert [b" 204 " in answer for answer in answers] == [True] * 6
    finally:
        server.kill()
