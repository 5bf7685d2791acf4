"""Makes the virtual environments from the lock files: `python3 -m demo.install likeness label-studio`, or `dev`.

Standard library only, because it runs before anything is installed. A stamp file names the lock that an environment was
made from, so that a second run has nothing to do.
"""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from demo.guard import die_with_parent, kill_group

ROOT = Path(__file__).resolve().parent.parent
NO_VENV = """\
{python} cannot make a virtual environment. On Debian and Ubuntu that part is a package of its own:
    sudo apt-get install python3-venv
(or point make at another Python: make demo PYTHON=/path/to/python3.12)"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, the lock file it is made from, and the stamp that says so."""

    name: str
    folder: Path
    lock: Path
    stamp: str = "likeness.sha256"

    def wanted(self) -> str:
        return hashlib.sha256(self.lock.read_bytes() + sys.version.encode()).hexdigest()

    def is_ready(self) -> bool:
        stamp = self.folder / self.stamp
        return stamp.exists() and stamp.read_text() == self.wanted()

    def packages(self) -> int:
        return len(re.findall(r"^[a-z0-9].*==", self.lock.read_text(), re.MULTILINE))

    def installed(self) -> int:
        return len(list(self.folder.glob("lib/python3*/site-packages/*.dist-info")))


ENVIRONMENTS = {
    "likeness": Environment("Likeness", ROOT / ".venv", ROOT / "requirements" / "likeness.lock"),
    "dev": Environment("Likeness and its tools", ROOT / ".venv", ROOT / "requirements" / "dev.lock", "dev.sha256"),
    "label-studio": Environment(
        "Label Studio", ROOT / "var" / "label-studio" / "venv", ROOT / "requirements" / "label-studio.lock"
    ),
}


def main(names: list[str]) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # this file is what tells whoever has an older one
        fail(f"Likeness needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.")
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, lambda number, _frame: sys.exit(128 + number))
    die_with_parent(signal.SIGTERM)
    todo = [ENVIRONMENTS[name] for name in names if not is_ready(name)]
    running: dict[Environment, subprocess.Popen[bytes]] = {}
    try:
        for environment in todo:
            make_venv(environment)
            running[environment] = start_pip(environment)
        watch(running)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        for process in running.values():
            kill_group(process.pid)


def is_ready(name: str) -> bool:
    """Whether there is nothing to install; the developers' environment holds all of Likeness's."""
    return ENVIRONMENTS[name].is_ready() or (name == "likeness" and ENVIRONMENTS["dev"].is_ready())


def make_venv(environment: Environment) -> None:
    if (environment.folder / "bin" / "pip").exists():
        return
    shutil.rmtree(environment.folder, ignore_errors=True)  # half made by an earlier, interrupted run
    made = subprocess.run([sys.executable, "-m", "venv", environment.folder], capture_output=True, text=True)
    if made.returncode:
        shutil.rmtree(environment.folder, ignore_errors=True)
        fail(NO_VENV.format(python=sys.executable))


def start_pip(environment: Environment) -> subprocess.Popen[bytes]:
    (environment.folder / environment.stamp).unlink(missing_ok=True)
    words = "install --require-hashes --no-deps --no-input --disable-pip-version-check --progress-bar off -r"
    with log_of(environment).open("wb") as log:
        return subprocess.Popen(
            [environment.folder / "bin" / "python", "-m", "pip", *words.split(), environment.lock],
            env=os.environ | {"PIP_REQUIRE_VIRTUALENV": "true"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


def log_of(environment: Environment) -> Path:
    folder = ROOT / "var" / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"install-{environment.folder.parent.name}-{environment.lock.stem}.log"


def watch(running: dict[Environment, subprocess.Popen[bytes]]) -> None:
    """Print how far each one is every ten seconds until all are done; leave with a clear message if one fails."""
    begun = printed = time.monotonic()
    waiting = dict(running)
    for environment in waiting:
        print(
            f"Installing {environment.name}: {environment.packages()} packages (once; later runs skip this)", flush=True
        )
    while waiting:
        time.sleep(0.2)
        for environment, process in list(waiting.items()):
            if process.poll() is not None:
                del waiting[environment]
                finish(environment, process.returncode, time.monotonic() - begun)
        if waiting and time.monotonic() - printed >= 10:
            printed = time.monotonic()
            state = ", ".join(f"{e.name} {progress(e)}" for e in waiting)
            print(f"[{printed - begun:5.0f} s] {state}", flush=True)


def progress(environment: Environment) -> str:
    installed = environment.installed()
    return f"{installed} installed" if installed > 2 else "downloading"


def finish(environment: Environment, code: int, seconds: float) -> None:
    if code:
        end = "\n".join(log_of(environment).read_text(errors="replace").splitlines()[-12:])
        fail(f"Installing {environment.name} failed. pip said:\n{end}\n(all of it: {log_of(environment)})")
    (environment.folder / environment.stamp).write_text(environment.wanted())
    print(f"[{seconds:5.0f} s] {environment.name} is installed", flush=True)


def fail(message: str) -> NoReturn:
    sys.exit(message)


if __name__ == "__main__":
    main(sys.argv[1:])
