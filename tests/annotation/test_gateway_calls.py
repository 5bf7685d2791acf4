"""How the gateway speaks to Label Studio, which is here a server that answers when it is told to."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest
from django.db import connection
from django.test import Client

from annotation import gateway_calls
from annotation.accounts import CONTEXT
from annotation.gateway import Allow, decide
from annotation.labelstudio import Account
from annotation.models import Annotator
from consent import ledger
from consent.sealed_text import seal_text
from tests.annotation.factories import make_annotator
from tests.gunicorn import Gunicorn

ANN = Account(user=7, email="ann@example.org", password="p", token="t")
WHO_AM_I = "/api/current-user/whoami"
SOON = 0.5  # seconds in which a call that nobody keeps back would have come


@pytest.fixture
def slow(settings):
    """A Label Studio that says when it is asked, and answers once it may."""
    came, may_answer = threading.Semaphore(0), threading.Semaphore(0)

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            came.release()
            may_answer.acquire()
            content = json.dumps({"id": ANN.user}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        settings.LABEL_STUDIO_URL = f"http://127.0.0.1:{server.server_port}"
        yield came, may_answer
        server.shutdown()


def who_am_i():
    allowed = decide(method="GET", path=WHO_AM_I, query="")
    assert isinstance(allowed, Allow)
    return gateway_calls.ask(annotator=None, account=ANN, allowed=allowed, held=None, path=WHO_AM_I, body=None)


def test_label_studio_is_asked_in_turns_and_nobody_is_refused(slow, settings):
    """Twice as many at once as it may be asked: the others wait, and all are answered."""
    came, may_answer = slow
    settings.LABEL_STUDIO_CALLS = at_once = 3
    with ThreadPoolExecutor(2 * at_once) as people:
        answers = [people.submit(who_am_i) for _ in range(2 * at_once)]
        for _ in range(at_once):
            assert came.acquire(timeout=10)
        assert not came.acquire(timeout=SOON)
        may_answer.release()  # one is answered, and the next one's turn has come
        assert came.acquire(timeout=10)
        assert not came.acquire(timeout=SOON)
        may_answer.release(2 * at_once)
        assert [answer.result(timeout=10).status for answer in answers] == [200] * (2 * at_once)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has no pool of connections")
@pytest.mark.django_db(transaction=True)
def test_whoever_waits_for_label_studio_keeps_no_connection_to_the_database(slow, settings):
    """Two wait, and the one connection that there is serves a page."""
    came, may_answer = slow
    ledger.append("tested")
    assert ledger.seal()
    annotator = make_annotator(ANN.user)
    Annotator.objects.update(label_studio_access=seal_text(json.dumps(asdict(ANN)), context=CONTEXT))
    client = Client()
    client.force_login(annotator.user)
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
    at_gateway = {"Host": urlsplit(settings.LABELLING_URL).netloc}
    server = Gunicorn(DATABASE_POOL="1", LABEL_STUDIO_URL=settings.LABEL_STUDIO_URL)
    try:
        with ThreadPoolExecutor(2) as people:
            ask = partial(httpx.get, server.url + WHO_AM_I, headers=at_gateway, cookies=cookies, timeout=30)
            answers = [people.submit(ask) for _ in range(2)]
            try:
                assert came.acquire(timeout=10)
                assert came.acquire(timeout=10)
                assert httpx.get(f"{server.url}/ledger/checkpoint", timeout=10).status_code == 200
            finally:
                may_answer.release(2)
            assert [answer.result().status_code for answer in answers] == [200, 200]
    finally:
        server.kill()
