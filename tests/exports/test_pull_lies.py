"""A server that has no signing key, and lies to pull."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from consent.withdrawals import withdraw
from exports import notices, pull, verify
from tests.exports.factories import make_token
from tests.exports.test_pull import TRAIN, ids, pulling, release, target

__all__ = ("pulling", "release", "target")
pytestmark = pytest.mark.django_db(transaction=True)
SUMS = "SHA256SUMS"
POISON = b"not what anybody signed"


def sha(content):
    return hashlib.sha256(content).hexdigest()


class Dishonest(BaseHTTPRequestHandler):
    """Passes on what an honest server answers, but for `lies`: contents of files of 1.0.0 by path.

    Its `sums` are sent one after the other.
    """

    base, lies, sums = "", {}, []

    def do_GET(self):
        headers = {"Authorization": self.headers["Authorization"]}
        content = httpx.get(self.base + self.path, headers=headers).content
        _, asked, path = self.path.partition("/1.0.0/files/")
        if asked:
            content = self.sums.pop(0) if path == SUMS else self.lies.get(path, content)
        elif self.path.endswith("/1.0.0/"):
            told = json.loads(content)
            told["files"] = [one for one in told["files"] if one["path"] not in self.lies]
            told["files"] += [{"path": path, "size": len(lie), "gone": False} for path, lie in self.lies.items()]
            content = json.dumps(told).encode()
        elif self.path.endswith("/portraits/"):
            told = json.loads(content)
            told["releases"][0]["sums_sha256"] = sha(self.sums[0])
            content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def dishonest(live_server, release, monkeypatch):
    """Begin to lie: returns the liar's address. Its sums name the lies."""

    def lie(lies):
        token = make_token(release.dataset)
        address = f"{live_server.url}/api/datasets/portraits/1.0.0/files/{SUMS}"
        honest = pull.parse_sums(httpx.get(address, headers={"Authorization": f"Bearer {token}"}).text)
        sums = honest | {path: sha(content) for path, content in lies.items()}
        text = "".join(f"{digest}  {path}\n" for path, digest in sums.items()).encode()
        monkeypatch.setattr(Dishonest, "lies", lies)
        monkeypatch.setattr(Dishonest, "sums", [text, lies.get(SUMS)])
        monkeypatch.setattr(Dishonest, "base", live_server.url)
        return f"http://127.0.0.1:{server.server_port}"

    with ThreadingHTTPServer(("127.0.0.1", 0), Dishonest) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield lie
        server.shutdown()


def test_nothing_that_nobody_signed_is_stored(pulling, dishonest, target, capsys):
    url = dishonest({TRAIN: POISON})
    assert pulling("portraits", "--server", url) == pull.BAD
    assert "does not name the files" in capsys.readouterr().err
    assert not target.exists()


def test_one_dishonest_answer_poisons_no_later_pull_and_hides_no_notice(pulling, dishonest, release, target, pem):
    """Were its own sums stored among the files, the honest server's notices and files would not be looked at."""
    own = {TRAIN: sha(POISON), "removed.jsonl": sha(b""), **{f"notices/{n}.dsse.json": "0" * 64 for n in range(500)}}
    text = "".join(f"{digest}  {path}\n" for path, digest in own.items()).encode()
    url = dishonest({SUMS: text, TRAIN: POISON, "removed.jsonl": b""})
    assert pulling("portraits", "--server", url) == pull.BAD
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0
    item = release.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    notices.revoke_items()
    assert pulling() == pull.OK
    assert item.row_id not in ids(target)


def test_a_dishonest_answer_takes_nothing_from_a_complete_copy(pulling, dishonest, target, pem, capsys):
    assert pulling() == pull.OK
    for lies in ({pull.STATEMENT: POISON}, {TRAIN: POISON}):
        assert pulling("portraits", "--server", dishonest(lies)) == pull.BAD
        assert verify.main([str(target), "--key", str(pem)]) == 0


@pytest.mark.parametrize("path", [SUMS, "sha256sums", "Removed.jsonl", "notices/1.dsse.json", "NOTICES/x", "notices"])
def test_a_server_names_no_file_that_is_the_recipient_s_own(path):
    lines = f"{'0' * 64}  {pull.STATEMENT}\n"
    assert pull.served_sums(lines)
    with pytest.raises(pull.Trouble, match="no file of a release"):
        pull.served_sums(f"{lines}{'0' * 64}  {path}\n")


def test_sums_that_name_no_statement_are_refused():
    with pytest.raises(pull.Trouble, match=r"does not name statement\.dsse\.json"):
        pull.served_sums(f"{'0' * 64}  README.md\n")
