"""A real Label Studio for tests: one per run, on a free port of its own, gone when the run ends however it ends.

Use it by naming the fixture `label_studio`; a module that wants it says `from tests.label_studio import label_studio`.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotation import labelstudio
from annotation.models import LabelTask
from demo.stack import LABEL_STUDIO_QUIET, empty_label_studio
from tests.annotation.factories import good_result

HOME = Path(__file__).resolve().parent.parent / "var" / "label-studio"
PROGRAM = HOME / "venv" / "bin" / "label-studio"
PRISTINE = HOME / "pristine"  # a data folder after its migrations: the first start takes 34 s, a copy of this one 4 s
ABSENT = "Label Studio is not installed here. Get it with: make label-studio"
OWNER = "owner@labels.test"
PASSWORD = "owner-of-test-labels-1"
TOKEN = "5c0ffee0" * 5
START_SECONDS = 180
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class LabelStudioServer:
    """Where it answers, and the token of its owner."""

    url: str
    token: str
    data: Path

    def api(self, token: str = "") -> httpx.Client:
        """A client of the HTTP API, as the owner or as whoever `token` belongs to."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Token {token or self.token}"}, timeout=60)


class Labeller:
    """Somebody with an account in Label Studio who labels past our gateway, as whoever runs Label Studio could."""

    def __init__(self, studio: LabelStudioServer) -> None:
        account = labelstudio.make_account(email=f"{uuid.uuid4().hex}@labels.test", password="labelling-is-fun-1")
        self.id = account.user
        self.http = studio.api(account.token)

    def __enter__(self) -> "Labeller":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def label(self, task: LabelTask, result: list[dict[str, Any]] | None = None) -> int:
        body = {"result": good_result() if result is None else result, "lead_time": 4.5}
        answer = self.http.post(f"/api/tasks/{task.external_id}/annotations/", json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def edit(self, annotation: int, result: list[dict[str, Any]]) -> None:
        assert self.http.patch(f"/api/annotations/{annotation}/", json={"result": result}).is_success


def environment(data: Path) -> dict[str, str]:
    """Everything Label Studio needs to start unattended and to call nobody but us."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(data),
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_USERNAME": OWNER,
        "LABEL_STUDIO_PASSWORD": PASSWORD,
        "LABEL_STUDIO_USER_TOKEN": TOKEN,
        **LABEL_STUDIO_QUIET,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Linux ends the server when the test run ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    tick = 0.2
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"Label Studio ended while starting:\n{log.read_text(errors='replace')[-3000:]}")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(tick)
    raise RuntimeError(f"No answer within {START_SECONDS} s:\n{log.read_text(errors='replace')[-3000:]}")


@contextlib.contextmanager
def running(data: Path) -> Iterator[LabelStudioServer]:
    """Label Studio on `data` for as long as the block lasts."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = data / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(PROGRAM), "start", "-b", "--internal-host", "127.0.0.1", "-p", str(port)],
            env=environment(data),
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        wait_until_healthy(process, url, log)
        yield LabelStudioServer(url=url, token=TOKEN, data=data)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pristine() -> Path:
    """A migrated, empty data folder: the one that `make demo` made, or one made now."""
    if empty_label_studio().exists():
        return empty_label_studio()
    if not PRISTINE.exists():
        make_pristine()
    return PRISTINE


def make_pristine() -> None:
    """Let Label Studio migrate an empty data folder once; whoever is first to rename wins."""
    fresh = Path(tempfile.mkdtemp(prefix="pristine-", dir=HOME))
    try:
        with running(fresh):
            pass
        with contextlib.suppress(OSError):
            fresh.rename(PRISTINE)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    if not PROGRAM.exists():
        pytest.skip(ABSENT)
    data = tmp_path_factory.mktemp("label-studio") / "data"
    shutil.copytree(pristine(), data)
    with running(data) as server:
        yield server
