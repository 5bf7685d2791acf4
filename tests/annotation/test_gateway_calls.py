"""How the gateway speaks to Label Studio, which is here a server that answers when it is told to."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from annotation import gateway_calls
from annotation.gateway import Allow, decide
from annotation.labelstudio import Account

ANN = Account(user=7, email="ann@example.org", password="p", token="t")
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
    path = "/api/current-user/whoami"
    allowed = decide(method="GET", path=path, query="")
    assert isinstance(allowed, Allow)
    return gateway_calls.ask(annotator=None, account=ANN, allowed=allowed, held=None, path=path, body=None)


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
