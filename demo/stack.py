"""The stack of the embedded default: gunicorn, one Celery worker with beat, a real Label Studio, all on loopback."""

import contextlib
import fcntl
import os
import secrets
import shutil
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote as quote_word
from urllib.parse import quote

import httpx

from demo.processes import ROOT, Processes, Stopped, processes
from demo.progress import Progress

VAR = ROOT / "var"
LABEL_STUDIO = VAR / "label-studio"
LABEL_STUDIO_OWNER = "owner@label-studio.example"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")  # of the caller's environment; the rest could mislead


@dataclass
class Stack:
    """The running services and where to find them. `var` is wiped at each start."""

    var: Path
    held: Processes
    web: str = ""
    labelling: str = ""  # where annotators reach Label Studio: web again, under another port
    label_studio: str = ""
    label_studio_token: str = field(default_factory=lambda: secrets.token_hex(20))
    label_studio_password: str = field(default_factory=lambda: secrets.token_urlsafe(15))
    env: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)  # settings of this one installation

    @property
    def mail(self) -> Path:
        return self.var / "mail"

    @property
    def database(self) -> Path:
        return self.var / "likeness.sqlite3"

    def manage(self, *words: str) -> None:
        """Run one management command to its end; Stopped shows what it said if it failed."""
        self.manage_at_once([words])

    def manage_at_once(self, commands: Sequence[tuple[str, ...]], **extra: str) -> None:
        """Run several management commands side by side."""
        names = [f"manage-{words[0]}-{number}" for number, words in enumerate(commands)]
        for name, words in zip(names, commands, strict=True):
            self.held.start(name, [sys.executable, "manage.py", *words], self.env | extra)
        for name in names:
            self.held.wait(name)

    def check(self) -> None:
        """Raise Stopped if a service that was started is no longer there."""
        for name in ("web", "worker", "label-studio"):
            if name in self.held.running:
                self.held.check(name)

    def bare_env(self) -> dict[str, str]:
        """An environment that knows nothing of us."""
        return base_env(self.var / "home", self.var / "tmp")

    def tool(self, module: str, *words: str | Path, key: str = "") -> tuple[int, str]:
        """Run one of the commands that outsiders use, with nothing of ours in its environment: exit status, output."""
        name = f"{module.replace('.', '-')}{key}"
        return self.held.run(name, [sys.executable, "-m", module, *words], self.bare_env())

    def start_worker(self) -> None:
        words = "-A config worker -B -Q ingest,label,export,build -c 2 -l INFO --without-gossip --without-mingle"
        pidless = ["-s", str(self.var / "celerybeat-schedule")]
        self.held.start("worker", [sys.executable, "-m", "celery", *words.split(), *pidless], self.env)

    def kill_worker(self) -> None:
        """kill -9 the worker and its children, as the out-of-memory killer would."""
        self.held.kill("worker")


@contextlib.contextmanager
def only_one(name: str) -> Iterator[Path]:
    """var/<name>, wiped; SystemExit if another command of this checkout is using it."""
    VAR.mkdir(exist_ok=True)
    with (VAR / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(
                f"var/{name} is in use by another command: stop it first (Ctrl-C in its window)."
            ) from None
        shutil.rmtree(VAR / name, ignore_errors=True)
        for folder in ("mail", "tmp", "home"):
            (VAR / name / folder).mkdir(parents=True)
        yield VAR / name


@contextlib.contextmanager
def bare_stack(name: str) -> Iterator[Stack]:
    """A stack with nothing started yet; whatever is started in the block is gone after it."""
    with only_one(name) as var, processes(var / "logs") as held:
        yield Stack(var, held)


# --- Starting -----------------------------------------------------------------------------------


def start(stack: Stack, progress: Progress) -> None:
    """Start everything and wait until it answers."""
    choose_addresses(stack)
    prepare_label_studio(stack, progress)
    start_label_studio(stack)
    start_web(stack)
    stack.start_worker()
    wait_until_it_answers(stack, "label-studio", f"{stack.label_studio}/health")
    token = {"Authorization": f"Token {stack.label_studio_token}"}
    if httpx.get(f"{stack.label_studio}/api/current-user/whoami", headers=token, timeout=30).status_code != 200:
        raise Stopped("Label Studio does not know its owner: " + stack.held.tail("label-studio"))


def choose_addresses(stack: Stack) -> None:
    """Free ports, and the settings that follow from them."""
    web_port = free_port(8000)
    stack.web = f"http://127.0.0.1:{web_port}"
    stack.labelling = f"http://127.0.0.1:{free_port(web_port + 1)}"
    stack.label_studio = f"http://127.0.0.1:{free_port(8180)}"
    stack.env = settings(stack)


def start_web(stack: Stack) -> None:
    """Migrate the database, and serve."""
    stack.held.start("collectstatic", [sys.executable, "manage.py", "collectstatic", "--no-input"], stack.env)
    stack.manage("migrate", "--no-input")
    stack.manage("create_signing_key")
    stack.held.wait("collectstatic")
    web, labelling = (address.removeprefix("http://") for address in (stack.web, stack.labelling))
    words = f"config.wsgi --bind {web} --bind {labelling} -k gthread -w 2 --threads 128 --timeout 120 --keep-alive 75"
    stack.held.start("web", [sys.executable, "-m", "gunicorn", *words.split()], stack.env)
    wait_until_it_answers(stack, "web", f"{stack.web}/keys/signing.pem")


def free_port(first: int) -> int:
    """The first port from `first` on that nothing on this machine listens to."""
    for port in range(first, first + 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104  # a probe: never listens
            except OSError:
                continue
        return port
    raise Stopped(f"no free port from {first} to {first + 999}")


def base_env(home: Path, tmp: Path) -> dict[str, str]:
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {"HOME": str(home), "TMPDIR": str(tmp), "PYTHONUNBUFFERED": "1"}


# Nobody's account: its IBAN is the example that the standard's registry gives.
PAYER = {
    "PAYER_NAME": "Likeness Demo Ltd.",
    "PAYER_IBAN": "IE29AIBK93115212345678",
    "PAYER_BIC": "AIBKIE2D",
    "PAYER_STREET": "Sample Street",
    "PAYER_BUILDING": "1",
    "PAYER_POSTCODE": "D01 AB12",
    "PAYER_TOWN": "Dublin",
    "PAYER_COUNTRY": "IE",
}


def settings(stack: Stack) -> dict[str, str]:
    """Everything our own processes are told, through the environment as in any installation."""
    return base_env(stack.var / "home", stack.var / "tmp") | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LIKENESS_VAR": str(stack.var),
        "SECRET_KEY": secrets.token_urlsafe(50),
        "BASE_URL": stack.web,
        "LABELLING_URL": stack.labelling,
        "EMAIL_URL": f"filemail:///{quote(str(stack.mail))}",  # django-environ takes one slash off
        "SIGNUP_RATE_LIMIT": "1000/m/ip",
        "REVIEW_UNDO_SECONDS": "2",
        "LABEL_STUDIO_URL": stack.label_studio,
        "LABEL_STUDIO_TOKEN": stack.label_studio_token,
        "LABEL_STUDIO_DATA_DIR": str(stack.var / "label-studio"),
        "LABEL_STUDIO_WEBHOOK_SECRET": secrets.token_urlsafe(30),
        **PAYER,
        **stack.extra,
    }


def write_environment(stack: Stack) -> Path:
    """The settings as a file for a shell, so that manage.py can be tried beside the services. They hold secrets."""
    path = stack.var / "environment"
    own = base_env(stack.var / "home", stack.var / "tmp")  # of the caller's shell, which has its own
    path.touch(mode=0o600)
    words = {name: quote_word(value) for name, value in stack.env.items() if name not in own}
    path.write_text("".join(f"export {name}={value}\n" for name, value in words.items()))
    return path


def wait_until_it_answers(stack: Stack, name: str, url: str, timeout: float = 180) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        stack.held.check(name)
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise Stopped(f"{name} did not answer at {url} within {timeout:.0f} s.\n{stack.held.tail(name)}")


# --- Label Studio -------------------------------------------------------------------------------


# Unattended, no outbound calls; webhooks to loopback allowed, to private networks not.
LABEL_STUDIO_QUIET = {
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LATEST_VERSION_CHECK": "false",
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "RESOLVER_PROXY_CACHE_TIMEOUT": "0",
    "USE_DEFAULT_BANNED_SUBNETS": "false",
    "USER_ADDITIONAL_BANNED_SUBNETS": "10.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16",
}


def label_studio_env(stack: Stack, data: Path) -> dict[str, str]:
    return base_env(data, stack.var / "tmp") | {
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        **LABEL_STUDIO_QUIET,
    }


def prepare_label_studio(stack: Stack, progress: Progress) -> None:
    """Make the empty, migrated database that every later start copies: migrations take half a minute, a copy none."""
    template = empty_label_studio()
    if template.exists():
        return
    waiting = LABEL_STUDIO / "empty.part"
    shutil.rmtree(waiting, ignore_errors=True)
    waiting.mkdir()
    program = LABEL_STUDIO / "venv" / "bin" / "label-studio"
    stack.held.start("label-studio-migrate", [program, "version"], label_studio_env(stack, waiting), waiting)
    progress.wait(stack.held.has_ended("label-studio-migrate"), "making Label Studio's database (once)", 300)
    stack.held.wait("label-studio-migrate")
    with contextlib.closing(sqlite3.connect(waiting / "label_studio.sqlite3")) as database:
        database.execute("PRAGMA journal_mode=WAL")  # it stays with the file; without it, readers lock writers out
    (waiting / ".env").unlink(missing_ok=True)  # Label Studio's secret key: each copy makes its own
    waiting.rename(template)


def empty_label_studio() -> Path:
    """Where the empty, migrated data folder of the locked version is kept, once it was made; tests copy it too."""
    lock = ROOT / "requirements" / "label-studio.lock"
    version = next(line for line in lock.read_text().splitlines() if line.startswith("label-studio=="))
    return LABEL_STUDIO / f"empty-{version.split('==')[1].split()[0]}"


def start_label_studio(stack: Stack) -> None:
    data = stack.var / "label-studio"
    shutil.copytree(empty_label_studio(), data)
    # No LABEL_STUDIO_HOST: its pages would name that address in every script, and annotators come by ours.
    env = label_studio_env(stack, data) | {
        "LABEL_STUDIO_USERNAME": LABEL_STUDIO_OWNER,
        "LABEL_STUDIO_PASSWORD": stack.label_studio_password,
        "LABEL_STUDIO_USER_TOKEN": stack.label_studio_token,
    }
    program = LABEL_STUDIO / "venv" / "bin" / "label-studio"
    port = stack.label_studio.rsplit(":", 1)[1]
    words = ["start", "-b", "--internal-host", "127.0.0.1", "-p", port]
    stack.held.start("label-studio", [program, *words], env, data)
