"""Starts the services and sees to it that none outlives the command, however it ends.

Three nets: leaving the `with` block stops everything; a guard process kills every group when this process is gone
(kill -9 included); each service also dies with this process by the kernel's PR_SET_PDEATHSIG, as this one with make.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from demo.guard import die_with_parent, kill_group

ROOT = Path(__file__).resolve().parent.parent


class Stopped(Exception):
    """A service ended by itself, or a command failed; the message shows the end of its log."""


class Processes:
    """The processes of one command, each in a session and process group of its own, each with a log file."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.guard = subprocess.Popen(
            [sys.executable, str(ROOT / "demo" / "guard.py")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        env: Mapping[str, str],
        cwd: Path = ROOT,
        inherit: Sequence[int] = (),
    ) -> None:
        """Start a service that inherits these descriptors. Call from the main thread: PR_SET_PDEATHSIG means whichever
        thread forks."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=inherit,
                preexec_fn=die_with_parent,  # one prctl call, loaded before the fork
            )
        self.running[name] = process
        self._tell_guard("+", process.pid)

    def wait(self, name: str, timeout: float = 300) -> None:
        """Wait for a command started as `name` to end well."""
        try:
            code = self.running[name].wait(timeout)
        except subprocess.TimeoutExpired:
            code = -1
        self.kill(name)
        if code:
            raise Stopped(f"{name} failed ({code}).\n{self.tail(name)}")

    def has_ended(self, name: str) -> Callable[[], bool]:
        """Whether a command has ended, to wait for."""
        return lambda: self.running[name].poll() is not None

    def run(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT, timeout: float = 300.0
    ) -> tuple[int, str]:
        """Run a command to its end (`timeout` in seconds): its exit status and what it said."""
        path = self.logs / f"{name}.log"
        before = path.stat().st_size if path.exists() else 0
        self.start(name, argv, env, cwd)
        code = self.running[name].wait(timeout)
        self.kill(name)
        return code, path.read_bytes()[before:].decode(errors="replace").strip()

    def check(self, name: str) -> None:
        """Raise Stopped if the service is no longer there."""
        if self.running[name].poll() is not None:
            raise Stopped(f"{name} stopped.\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 15) -> str:
        """The last lines of a log."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
        return "\n".join([*text, f"(all of it: {path})"])

    def kill(self, name: str) -> None:
        """kill -9 the whole group of a service, and reap it."""
        process = self.running.pop(name)
        kill_group(process.pid)
        process.wait()
        self._tell_guard("-", process.pid)

    def close(self, patience: float = 1.5) -> None:
        """Ask all services to stop, then kill what is left of their groups."""
        for process in self.running.values():
            kill_group(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(process.poll() is None for process in self.running.values()):
            time.sleep(0.05)
        for name in list(self.running):
            self.kill(name)
        assert self.guard.stdin is not None  # noqa: S101  # it was opened with a pipe
        self.guard.stdin.close()
        self.guard.wait()

    def _tell_guard(self, sign: str, group: int) -> None:
        assert self.guard.stdin is not None  # noqa: S101  # it was opened with a pipe
        self.guard.stdin.write(f"{sign}{group}\n".encode())
        self.guard.stdin.flush()


@contextlib.contextmanager
def processes(logs: Path) -> Iterator[Processes]:
    """Processes that are gone when the block is left, by return, exception, Ctrl-C, SIGTERM or hang-up."""
    logs.mkdir(parents=True, exist_ok=True)
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _leave)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins deaf to it
    die_with_parent(signal.SIGTERM)
    if os.getppid() == 1 and os.environ.get("MAKELEVEL"):
        raise SystemExit(143)  # make was gone before the kernel knew that we depend on it
    held = Processes(logs)
    try:
        yield held
    finally:
        for asked in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(asked, signal.SIG_IGN)  # an impatient second Ctrl-C must not cut this short
        held.close()


def _leave(asked: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + asked)
