"""How the gateway speaks to Label Studio, which is here a server that answers when it is told to."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx
import pytest
from django.test import Client

from annotation import gateway_calls
from annotation.accounts import CONTEXT
from annotation.gateway import Allow, decide
from annotation.labelstudio import Account, LabelStudioError
from annotation.models import Annotator
from consent import ledger
from consent.sealed_text import seal_text
from tests.annotation.factories import make_annotator
from tests.gunicorn import Gunicorn

ANN = Account(user=7, email="ann@example.org", password="p", token="t")
WHO_AM_I = "/api/current-user/whoami"
SOON = 0.5  # seconds in which a call that nobody keeps back would have come


class Standing(BaseHTTPRequestHandler):
    """Who somebody is, and whatever happens before that."""

    protocol_version = "HTTP/1.1"

    def answer(self, status=200):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = json.dumps({"id": ANN.user}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def serving(settings, handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        settings.LABEL_STUDIO_URL = f"http://127.0.0.1:{server.server_port}"
        yield
        server.shutdown()


@pytest.fixture
def slow(settings):
    """A Label Studio that says when it is asked, and answers once it may."""
    came, may_answer = threading.Semaphore(0), threading.Semaphore(0)

    class Slow(Standing):
        def do_GET(self):
            came.release()
            may_answer.acquire()
            self.answer()

    with serving(settings, Slow):
        yield came, may_answer


@pytest.fixture
def failing(settings):
    """A Label Studio that answers with these statuses, one after the other; those that it did not get to."""
    statuses = []

    class Failing(Standing):
        def do_GET(self):
            self.answer(statuses.pop(0))

        do_POST = do_GET

    with serving(settings, Failing):
        yield statuses


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


def test_a_label_studio_that_hangs_keeps_some_threads_and_not_all(slow, monkeypatch):
    """Whoever comes when as many wait as may is told so at once."""
    came, may_answer = slow
    monkeypatch.setattr(gateway_calls, "_room", threading.BoundedSemaphore(2))
    with ThreadPoolExecutor(2) as people:
        waiting = [people.submit(who_am_i) for _ in range(2)]
        try:
            assert came.acquire(timeout=10)
            assert came.acquire(timeout=10)
            with pytest.raises(LabelStudioError, match="is not sent"):
                who_am_i()
        finally:
            may_answer.release(3)
        assert [answer.result(timeout=10).status for answer in waiting] == [200, 200]
    assert who_am_i().status == 200


def test_what_fails_at_a_question_is_asked_once_more(failing):
    """On SQLite Label Studio fails now and then: the page would show an error for it."""
    failing += [500, 200]
    assert who_am_i().status == 200
    failing += [500, 500, 200]
    with pytest.raises(LabelStudioError):
        who_am_i()
    assert failing == [200]


def test_an_answer_is_sent_once(failing):
    """It may be there although its sending failed."""
    failing += [500, 200]
    path = "/api/tasks/5/drafts"
    allowed = decide(method="POST", path=path, query="project=3")
    with pytest.raises(LabelStudioError):
        gateway_calls.ask(annotator=None, account=ANN, allowed=allowed, held=None, path=path, body={"result": []})
    assert failing == [200]


@pytest.mark.django_db(transaction=True)
def test_whoever_waits_for_label_studio_keeps_no_connection_to_the_database(slow, settings):
    """Two wait, and the one connection that there is serves a page (SQLite has one for each thread)."""
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
