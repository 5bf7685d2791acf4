"""The pull command against a live server, and verify on what it leaves."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from django.core.files.storage import storages

from consent.keys import public_key
from consent.signing import public_pem
from consent.withdrawals import withdraw
from exports import notices, pull, verify
from exports.models import Acknowledgement, Download
from tests.collection.test_storage import moto_server
from tests.collection.test_storage import s3 as make_bucket
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_published,
    make_token,
    result,
    rows_of,
)

__all__ = ("moto_server",)

pytestmark = pytest.mark.django_db(transaction=True)
TRAIN = "data/train-00000.parquet"


@pytest.fixture
def release():
    return make_published(make_labelled_dataset(people=4, each=1, slug="portraits"))


@pytest.fixture
def pulling(live_server, release, tmp_path, pem):
    """Run the pull command; returns its exit code."""
    token = make_token(release.dataset)

    def run(what="portraits", *more):
        arguments = [what, str(tmp_path / "pulled"), "--server", live_server.url, "--token", token, "--key", str(pem)]
        return pull.main([*arguments, *more])

    return run


@pytest.fixture
def target(tmp_path):
    return tmp_path / "pulled/portraits/1.0.0"


def ids(target):
    """Row ids by form."""
    jsonl = {row["row_id"] for row in rows_of(target)}
    parquet = {row for path in target.glob("data/*") for row in pq.read_table(path)["row_id"].to_pylist()}
    assert jsonl == parquet
    return jsonl


def downloads(path):
    return Download.objects.filter(file__path=path).count()


def test_pull_and_verify(pulling, target, pem, capsys):
    assert pulling() == pull.OK
    assert capsys.readouterr().out == f"{target}\n"
    assert verify.main([str(target), "--key", str(pem)]) == 0
    before = Download.objects.count()
    assert pulling("portraits@1.0.0") == pull.OK
    assert Download.objects.count() == before + 1  # only SHA256SUMS: nothing else is fetched again


def test_it_is_one_file_that_needs_nothing_of_ours(live_server, release, tmp_path, target, pem):
    script = tmp_path / "elsewhere" / "pull.py"
    script.parent.mkdir()
    script.write_bytes(Path(pull.__file__).read_bytes())
    arguments = ["portraits", str(tmp_path / "pulled"), "--server", live_server.url, "--key", str(pem)]
    done = subprocess.run(
        [sys.executable, "-I", str(script), *arguments],
        env={"LIKENESS_TOKEN": make_token(release.dataset)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_it_waits_when_the_server_asks_it_to(pulling, target, pem, settings, monkeypatch):
    generous, waited = settings.API_PER_MINUTE, []

    def wait(seconds):
        waited.append(seconds)
        settings.API_PER_MINUTE = generous

    monkeypatch.setattr("time.sleep", wait)
    settings.API_PER_MINUTE = {**generous, "files": 3}
    assert pulling() == pull.OK
    assert waited  # by each thread that was refused
    assert all(0 < seconds <= 60 for seconds in waited)
    assert verify.main([str(target), "--key", str(pem)]) == 0


@pytest.mark.parametrize("have", [0, 1, 1000, "all", "too much"])
def test_a_killed_pull_goes_on(have, pulling, target, pem):
    assert pulling() == pull.OK
    content = (target / TRAIN).read_bytes()
    (target / TRAIN).unlink()
    (target / "SHA256SUMS").unlink()  # it is written last
    size = {"all": len(content), "too much": len(content)}.get(have, have)
    (target / f"{TRAIN}.part").write_bytes(content[:size] + (b"x" * 9 if have == "too much" else b""))
    assert pulling() == pull.OK
    assert (target / TRAIN).read_bytes() == content
    assert downloads(TRAIN) == (1 if have == "all" else 2)
    assert not list(target.rglob("*.part"))
    assert verify.main([str(target), "--key", str(pem)]) == 0


class Watching(pull.Server):
    """Remembers how the server answered."""

    def open(self, path, **more):
        answer = super().open(path, **more)
        self.answered = (answer.status, int(answer.headers["Content-Length"]))
        return answer


def test_only_what_is_missing_is_fetched(live_server, release, tmp_path):
    server = Watching(live_server.url, make_token(release.dataset))
    file = release.files.get(path=TRAIN)
    whole, rest = tmp_path / "whole", tmp_path / "rest"
    address = f"/api/datasets/portraits/1.0.0/files/{TRAIN}"
    pull.download(server, address, whole, file.sha256, file.size, threading.Event())
    assert server.answered == (200, file.size)
    (tmp_path / "rest.part").write_bytes(whole.read_bytes()[:1000])
    pull.download(server, address, rest, file.sha256, file.size, threading.Event())
    assert server.answered == (206, file.size - 1000)
    assert rest.read_bytes() == whole.read_bytes()


def test_a_part_with_wrong_bytes_is_fetched_anew(pulling, target, pem):
    assert pulling() == pull.OK
    (target / TRAIN).rename(target / f"{TRAIN}.part")
    with (target / f"{TRAIN}.part").open("r+b") as part:
        part.truncate(2000)
        part.seek(1000)
        part.write(b"garbage")
    (target / "SHA256SUMS").unlink()
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_a_damaged_file_is_mended(pulling, target, pem):
    assert pulling() == pull.OK
    (target / "README.md").write_text("oops")
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_after_a_withdrawal_exactly_its_rows_are_out(pulling, release, target, pem):
    assert pulling() == pull.OK
    before = ids(target)
    item = release.items.filter(split="train").first()
    digest = next(row["image_sha256"] for row in rows_of(target) if row["row_id"] == item.row_id)
    withdraw(consent=item.image.consent)
    notices.revoke_items()
    assert pulling() == pull.OK
    assert ids(target) == before - {item.row_id}
    assert verify.main([str(target), "--key", str(pem)]) == 0
    assert Acknowledgement.objects.get().rows_removed == 1
    for path in target.rglob("*"):
        assert path.is_dir() or digest.encode() not in path.read_bytes()
    assert pulling() == pull.OK  # and again, with nothing left to do
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_two_withdrawals_and_the_next_release(pulling, release, target, pem):
    assert pulling() == pull.OK
    for split in ("validation", "test"):
        withdraw(consent=release.items.filter(split=split).first().image.consent)
        notices.revoke_items()
        assert pulling() == pull.OK
        assert verify.main([str(target), "--key", str(pem)]) == 0
    newest = make_published(release.dataset)
    assert newest.version == "2.0.0"
    assert pulling() == pull.OK
    assert ids(target.parent / "2.0.0") == ids(target)
    assert verify.main([str(target.parent / "2.0.0"), "--key", str(pem)]) == 0
    # What was left of each shard is what the new release holds, so none of it was fetched.
    assert set(fetched(newest)) == WITHOUT_ROWS


WITHOUT_ROWS = {
    "README.md", "croissant.json", "attestations.jsonl", "checkpoint.txt", "statement.dsse.json", "SHA256SUMS",
}  # fmt: skip


def fetched(release):
    return Download.objects.filter(file__release=release).values_list("file__path", flat=True)


def test_only_what_no_other_version_has_is_fetched(pulling, release, target, pem):
    """A damaged file of the other version is fetched, and what a notice takes out of one stays in the other's file."""
    assert pulling() == pull.OK
    annotate(make_image(), release.dataset.campaign, make_annotator(), result())
    newest = make_published(release.dataset)
    old, new = target, target.parent / newest.version
    (old / "data/test-00000.parquet").write_bytes(b"oops")
    assert pulling() == pull.OK
    opened = {path for path in newest.files.values_list("path", flat=True) if path not in sums_of(release)}
    assert set(fetched(newest)) == WITHOUT_ROWS | opened | {"data/test-00000.parquet"}
    assert (old / TRAIN).samefile(new / TRAIN)
    assert verify.main([str(new), "--key", str(pem)]) == 0
    assert pulling("portraits@1.0.0") == pull.OK
    item = release.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    notices.revoke_items()
    assert pulling("portraits@1.0.0") == pull.OK
    for copy in (old, new):
        assert item.row_id not in ids(copy)
        assert verify.main([str(copy), "--key", str(pem)]) == 0


def sums_of(release):
    return set(release.files.values_list("path", flat=True))


def test_from_s3_by_an_address_that_holds_for_a_moment(pulling, release, target, pem, client, settings, moto_server):
    """The rights check comes first, the token stays with us, and a part is gone on with."""
    bucket = make_bucket(moto_server, "distinct", "keys")
    for file in release.files.all():
        with storages["releases"].open(file.key) as content:
            bucket.save(file.key, content)
    names = ("bucket_name", "endpoint_url", "access_key", "secret_key", "region_name")
    options = {name: getattr(bucket, name) for name in names}
    settings.STORAGES = settings.STORAGES | {
        "releases": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    }
    asked = client.get(f"/api/datasets/portraits/1.0.0/files/{TRAIN}", headers=bearer(release))
    assert asked.status_code == 302
    assert "X-Amz-Expires=30&" in asked["Location"]
    assert asked["Cache-Control"] == "no-store"
    some = httpx.get(asked["Location"], headers={"Range": "bytes=4-9"})
    with bucket.open(release.files.get(path=TRAIN).key) as content:
        whole = content.read()
    assert (some.status_code, some.content) == (206, whole[4:10])
    part = target / f"{TRAIN}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(whole[:100])
    assert pulling() == pull.OK
    assert verify.main([str(target), "--key", str(pem)]) == 0
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    refused = client.get(f"/api/datasets/portraits/1.0.0/files/{TRAIN}", headers=bearer(release))
    assert refused.status_code == 410


def bearer(release):
    return {"Authorization": f"Bearer {make_token(release.dataset)}"}


class Pointing(BaseHTTPRequestHandler):
    """Sends everybody on to /elsewhere or to what `to` says, and notes what it was asked with."""

    to, seen = "/elsewhere", []

    def do_GET(self):
        self.seen.append((self.path, self.headers.get("Authorization")))
        self.send_response(302 if self.path.startswith("/api") else 200)
        self.send_header("Location", self.to)
        self.end_headers()


def test_the_token_goes_to_nobody_else_and_no_address_is_less_safe(monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Pointing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reading = pull.Server(f"http://127.0.0.1:{server.server_port}", "secret")
        assert reading.open("/api/x").status == 200
        assert Pointing.seen == [("/api/x", "Bearer secret"), ("/elsewhere", None)]
        monkeypatch.setattr(Pointing, "to", "file:///etc/passwd")
        with pytest.raises(pull.Trouble, match="less safe"):
            reading.open("/api/x")
        server.shutdown()


@pytest.mark.parametrize("step", range(8))
def test_applying_a_notice_may_be_killed_anywhere(step, pulling, release, target, pem, monkeypatch):
    assert pulling() == pull.OK
    item = release.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    notices.revoke_items()
    done = []
    replace = Path.replace

    def replace_or_die(self, other):
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(self)
        return replace(self, other)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_or_die)
        with pytest.raises(KeyboardInterrupt):
            pulling()
    assert pulling() == pull.OK
    assert item.row_id not in ids(target)
    assert verify.main([str(target), "--key", str(pem)]) == 0


def test_a_withdrawn_version_cannot_be_pulled_anew(pulling, release, target, capsys):
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    assert pulling() == pull.WITHDRAWN  # before the sweep
    assert not target.exists()
    notices.revoke_items()
    assert pulling() == pull.WITHDRAWN
    assert not target.exists()
    assert "may no longer be used" in capsys.readouterr().err
    assert make_published(release.dataset).version == "2.0.0"
    assert pulling() == pull.OK


def test_an_unfinished_copy_is_dropped_after_a_withdrawal(pulling, release, target):
    assert pulling() == pull.OK
    (target / "SHA256SUMS").unlink()
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    notices.revoke_items()
    assert pulling() == pull.WITHDRAWN
    assert not target.exists()


def test_a_forged_notice_changes_nothing(pulling, release, target, pem, tmp_path, monkeypatch, capsys):
    assert pulling() == pull.OK
    before = ids(target)
    withdraw(consent=release.items.filter(split="train").first().image.consent)
    sign = notices.sign_dsse
    monkeypatch.setattr(notices, "sign_dsse", lambda payload, kind, key: sign(payload, "other/type", key))
    notices.revoke_items()
    assert pulling() == pull.BAD
    assert "notice" in capsys.readouterr().err
    assert ids(target) == before


def test_refusals_are_sentences(pulling, live_server, release, tmp_path, capsys):
    folder = str(tmp_path / "other")
    token = make_token(release.dataset)
    cases = [
        (
            ["portraits", folder, "--server", live_server.url, "--token", "nonsense"],
            pull.REFUSED,
            "token is unknown",
        ),
        (["others", folder, "--server", live_server.url, "--token", token], pull.REFUSED, "answered 404"),
        (["portraits@9.0.0", folder, "--server", live_server.url, "--token", token], pull.REFUSED, "no version 9.0.0"),
        (["portraits", folder, "--server", "http://127.0.0.1:9", "--token", token], pull.REFUSED, "cannot be reached"),
        (["portraits", folder, "--server", "file:///etc", "--token", token], pull.USAGE, "must begin with https"),
        (
            ["portraits", folder, "--server", live_server.url, "--token", token, "--key", folder],
            pull.USAGE,
            "no key file",
        ),
    ]
    for arguments, code, message in cases:
        if "9.0.0" in arguments[0]:
            arguments += ["--key", str(_key(tmp_path))]
        assert pull.main(arguments) == code
        assert message in capsys.readouterr().err
    empty = make_token(make_dataset(slug="empty"))
    arguments = ["empty", folder, "--server", live_server.url, "--token", empty, "--key", str(_key(tmp_path))]
    assert pull.main(arguments) == pull.REFUSED
    assert "no published version" in capsys.readouterr().err


def _key(tmp_path):
    path = tmp_path / "again.pem"
    path.write_text(public_pem(public_key()))
    return path


def test_paths_that_leave_the_folder_are_refused():
    for path in ("../x", "/etc/passwd", "a/../../x", ".hidden", "a//b", ""):
        with pytest.raises(pull.Trouble):
            pull.parse_sums(f"{'0' * 64}  {path}\n")


def test_without_a_key_the_first_one_is_kept(live_server, release, tmp_path, capsys):
    token = make_token(release.dataset)
    arguments = ["portraits", str(tmp_path / "pulled"), "--server", live_server.url, "--token", token]
    assert pull.main(arguments) == pull.OK, capsys.readouterr().err
    kept = tmp_path / "pulled/portraits/signing.pem"
    assert kept.read_text() == public_pem(public_key())


class Endless:
    """An answer of as many pieces as are asked for."""

    status = 200

    def __init__(self, read):
        self.read = read

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_a_server_that_sends_without_end_fills_no_disk(tmp_path):
    class Server:
        def open(self, path, **more):
            return Endless(lambda most: b"x" * most)

    part = tmp_path / "README.md.part"
    pull._receive(Server(), "/README.md", part, 3_000_000, threading.Event())
    assert part.stat().st_size == 3_000_001


def test_the_first_trouble_ends_what_the_other_threads_fetch(tmp_path):
    begun = threading.Event()

    def ten_bytes(most):
        if begun.is_set():
            files.stopped.wait(20)
        begun.set()
        return b"x" * 10

    class Server:
        def open(self, path, **more):
            if path.endswith("large"):
                return Endless(ten_bytes)
            begun.wait(20)
            raise pull.Trouble(pull.BAD, "the other file is wrong")

    about = [{"path": path, "size": 100, "gone": False} for path in ("large", "small")]
    files = pull.Fetch(Server(), "/files/", tmp_path / "1.0.0", about)
    with pytest.raises(pull.Trouble, match="the other file is wrong"):
        files.all({"large": "0" * 64, "small": "0" * 64})
    assert (tmp_path / "1.0.0/large.part").stat().st_size == 10


class Cutting(BaseHTTPRequestHandler):
    """Goes away before all is said."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"{}")


def test_an_answer_that_is_cut_off_is_a_sentence(tmp_path, capsys):
    with ThreadingHTTPServer(("127.0.0.1", 0), Cutting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert pull.main(["portraits", str(tmp_path), "--server", url, "--token", "t"]) == pull.REFUSED
        server.shutdown()
    assert f"pull: {url}/api/datasets/portraits/notices/ was cut off" in capsys.readouterr().err


def test_another_releases_signed_files_are_refused(copy, tmp_path):
    """All is signed, but it was asked for 2.0.0: an old release must not come back under a new number."""
    sums = pull.local_sums(copy)
    key = public_key()
    statement = (copy / pull.STATEMENT).read_text()
    pull.check_statement(statement, copy, sums, key)
    with pytest.raises(pull.Trouble, match=r"is about portraits 1\.0\.0"):
        pull.check_statement(statement, copy.parent / "2.0.0", sums, key)
