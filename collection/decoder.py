"""The processes that open strangers' files for this one: started once, used again, killed and replaced.

A decoder is `collection.decoder_process`, a fresh interpreter: it inherits no memory, no environment and no open file,
and lives by limits that it cannot raise. Standard library only.
"""

import atexit
import fcntl
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import IO, Any

from collection.boxes import Box

ROOT = str(Path(__file__).resolve().parent.parent)
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from collection.decoder_process import main; main()"
STARTING = 60.0  # seconds a decoder may take to get ready on a busy machine
PIECE = 1 << 20
PIPE_BYTES = 1 << 20
BEAT = 2.0  # seconds of waiting between two calls of `beat`
MOST_ANSWERS = 500  # then it is replaced: what a decoder leaks does not add up
BIG = 300 << 10  # kilobytes of memory: one that grew so far is replaced too

PAGE_KB = os.sysconf("SC_PAGE_SIZE") >> 10

Answer = tuple[dict[str, Any], list[bytes]]


class Lost(Exception):  # no error of ours: the file did it
    """The decoder died or had to be killed while it had the file."""


@dataclass(frozen=True)
class Limits:
    """What one file may cost: seconds on the clock (half of them of processor time), megabytes of address space."""

    seconds: float
    megabytes: int


def _nothing() -> None: ...


class Decoder:
    """One decoder process, for one caller at a time."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.answers = 0
        self._beat: Callable[[], object] = _nothing
        words = [ROOT, str(os.getpid()), str(limits.seconds), str(limits.megabytes)]
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and code
            [sys.executable, "-I", "-c", BOOT, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            bufsize=0,
            start_new_session=True,  # a Ctrl-C in the terminal is for whoever started us
        )
        self._in, self._out = (pipe.fileno() for pipe in self._pipes())
        for pipe in self._pipes():
            os.set_blocking(pipe.fileno(), False)
            _widen(pipe.fileno())
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        try:
            self._receive(1, time.monotonic() + STARTING)
        except Lost as lost:
            self.kill()
            raise OSError(f"the decoder does not start: {lost}") from lost

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(
        self,
        data: bytes,
        covers: Sequence[Box] = (),
        beat: Callable[[], object] = _nothing,
        side: int = 0,
    ) -> Answer:
        """Have `data` decoded, with these rectangles of it painted over, and a preview of at most `side` pixels (0: as
        usual). `beat` is called every BEAT that it takes.

        Lost, and dead, if it does not answer in time; whatever interrupts us kills it too.
        """
        self._beat = beat
        deadline = time.monotonic() + self.limits.seconds
        try:
            asked = json.dumps({"covers": [astuple(box) for box in covers], "side": side}).encode()
            self._send(len(asked).to_bytes(4, "big") + asked + len(data).to_bytes(8, "big"), deadline)
            self._send(data, deadline)
            answer = json.loads(self._receive(int.from_bytes(self._receive(4, deadline), "big"), deadline))
            blobs = [self._receive(size, deadline) for size in answer.pop("sizes")]
        except BaseException:
            self.kill()  # or the next file would get what is left of this one's answer
            raise
        self.answers += 1
        if self.memory() > BIG or answer.get("reason") == "too_demanding" or self.answers >= MOST_ANSWERS:
            self.kill()
        return answer, blobs

    def memory(self) -> int:
        """Kilobytes that it holds at present. (Its own ru_maxrss would begin with ours: exec hands that on.)"""
        with suppress(OSError):
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE_KB
        return 0

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it now; nothing of it stays."""
        self._process.kill()
        self._process.wait()
        self._let_go()

    def disown(self) -> None:
        """It belongs to the process that we were forked from: let go of our ends of its pipes."""
        self._process.returncode = 0
        self._let_go()

    def _pipes(self) -> list[IO[bytes]]:
        return [pipe for pipe in (self._process.stdin, self._process.stdout) if pipe]

    def _let_go(self) -> None:
        for pipe in self._pipes():
            pipe.close()

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._in, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._in, left[:PIECE]) :]
            except BrokenPipeError:
                raise self._lost() from None

    def _receive(self, size: int, deadline: float) -> bytes:
        pieces = []
        while size:
            self._wait(self._out, select.POLLIN, deadline)
            piece = os.read(self._out, min(size, PIECE))
            if not piece:
                raise self._lost()
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _wait(self, pipe: int, what: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, what)
        while not poll.poll(1000 * max(0.0, min(BEAT, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise Lost(f"no answer after {self.limits.seconds:g} seconds")
            self._beat()

    def _lost(self) -> Lost:
        return Lost(f"the decoder ended with {self._process.wait()}")


def _widen(pipe: int) -> None:
    """A pipe that takes a photograph in few pieces, where the system lets us (else it takes more)."""
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


# --- This process's decoders ---------------------------------------------------------------------


class Idle:
    """Decoders that wait for the next file. As many may work at once as there are processors."""

    def __init__(self) -> None:
        self.turns = threading.BoundedSemaphore(os.cpu_count() or 1)
        self.waiting: list[Decoder] = []

    def take(self, limits: Limits) -> Decoder:
        with suppress(IndexError):
            while one := self.waiting.pop():
                if one.limits == limits and one.is_alive():
                    return one
                one.kill()
        return Decoder(limits)

    def end(self) -> None:
        while self.waiting:
            self.waiting.pop().kill()


_idle = Idle()


def ask(
    data: bytes, limits: Limits, covers: Sequence[Box] = (), beat: Callable[[], object] = _nothing, side: int = 0
) -> Answer:
    """Have `data` decoded by a decoder of this process, as Decoder.ask does. OSError if there can be none."""
    pool = _idle
    with pool.turns:
        one = pool.take(limits)
        answer = one.ask(data, covers, beat, side)
        if one.is_alive():
            pool.waiting.append(one)
    return answer


def _start_afresh() -> None:
    """After a fork: the decoders are our parent's."""
    global _idle  # a process has one pool
    for one in _idle.waiting:
        one.disown()
    _idle = Idle()


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(lambda: _idle.end())
