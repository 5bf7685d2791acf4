"""What the person in front of the terminal sees while the demo runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator


class Progress:
    """Prints lines with the elapsed time and keeps the seconds of each stage."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.seconds: dict[str, float] = {}
        self.watch: Callable[[], None] = lambda: None  # asked while waiting; raises if a service is gone

    def say(self, line: str) -> None:
        print(f"[{time.monotonic() - self.begun:6.1f} s] {line}", flush=True)

    @contextlib.contextmanager
    def stage(self, name: str, title: str) -> Iterator[None]:
        self.say(title)
        begun = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - begun, 1)

    def wait(
        self, until: Callable[[], bool], what: str, timeout: float, note: Callable[[], str] | None = None
    ) -> float:
        """Wait until `until()`, with a line every ten seconds; the seconds it took. TimeoutError names `what`."""
        begun = said = time.monotonic()
        while not until():
            self.watch()
            now = time.monotonic()
            if now - begun > timeout:
                raise TimeoutError(f"{what}: not within {timeout:.0f} s{f' ({note()})' if note else ''}")
            if now - said > 10:
                said = now
                self.say(f"  … {what}{f': {note()}' if note else ''}")
            time.sleep(0.1 + (now - begun) / 100)  # what takes long is asked less often
        return time.monotonic() - begun


class Counter:
    """Counts what several threads have done."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.value += 1
