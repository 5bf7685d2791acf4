"""R20: a real backup, real withdrawals after it, a real restore; then the replay, and nothing is left."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from consent.signing import create_key

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = Path(__file__).parent / "replay_steps.py"
STORED = ("originals", "derivatives", "releases")


class Installation:
    """An installation in processes of its own, so that its database can be copied and put back like anybody's."""

    def __init__(self, folder: Path) -> None:
        self.var, self.backup = folder / "var", folder / "backup"
        self.name = f"likeness_replay_{secrets.token_hex(4)}"
        create_key(self.var / "keys" / "signing.pem")
        self.env = {
            "PATH": os.environ["PATH"], "LIKENESS_VAR": str(self.var), "SECRET_KEY": "tests only", "STAFF_MFA": "0",
            "EMAIL_URL": "memorymail://", "BROKER_URL": "memory://", "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT), "LOG_LEVEL": "ERROR",
        }  # fmt: skip

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, *words]
        return subprocess.run(run, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120)

    def step(self, name: str, *words: str):
        done = self.run(str(STEPS), name, *words)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    def back_up(self) -> None:
        for name in STORED:
            if (self.var / "storage" / name).exists():
                shutil.copytree(self.var / "storage" / name, self.backup / name)

    def restore(self) -> None:
        for name in STORED:
            shutil.rmtree(self.var / "storage" / name, ignore_errors=True)
            if (self.backup / name).exists():
                shutil.copytree(self.backup / name, self.var / "storage" / name)

    def close(self) -> None:
        """Nothing outside the folder."""


class OnFiles(Installation):
    def back_up(self) -> None:
        super().back_up()
        for path in self.var.glob("likeness.sqlite3*"):
            shutil.copy(path, self.backup / path.name)

    def restore(self) -> None:
        super().restore()
        for path in self.var.glob("likeness.sqlite3*"):
            path.unlink()
        for path in self.backup.glob("likeness.sqlite3*"):
            shutil.copy(path, self.var / path.name)


class OnPostgres(Installation):
    """CREATE DATABASE … TEMPLATE copies a database as it lies there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        now = settings.DATABASES["default"]
        address = f"{now['HOST']}:{now['PORT'] or 5432}"
        user = f"{now['USER']}:{now['PASSWORD']}" if now["PASSWORD"] else now["USER"]
        self.server = f"postgres://{user}@{address}"
        self.env["DATABASE_URL"] = f"{self.server}/{self.name}"
        self._execute(f"CREATE DATABASE {self.name}")

    def back_up(self) -> None:
        super().back_up()
        self._execute(f"CREATE DATABASE {self.name}_backup TEMPLATE {self.name}")

    def restore(self) -> None:
        super().restore()
        self._execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        self._execute(f"CREATE DATABASE {self.name} TEMPLATE {self.name}_backup")

    def close(self) -> None:
        for name in (self.name, f"{self.name}_backup"):
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as server:
            server.execute(statement)


@pytest.fixture
def installation(tmp_path):
    made = OnFiles(tmp_path) if connection.vendor == "sqlite" else OnPostgres(tmp_path)
    yield made
    made.close()


def test_r20_a_restored_backup_forgets_again_before_it_serves_anything(installation):
    assert installation.run("manage.py", "migrate", "--no-input").returncode == 0
    here = installation.step("fill")
    assert installation.step("look", *here["hashes"]) == {"status": 200, "files": 6, "rows": 3, "account": True}
    installation.back_up()

    times = installation.step("take_back", here["withdrawn"], here["image"], here["deleted"])
    gone = {"status": 200, "files": 0, "rows": 0, "account": False}
    assert installation.step("look", *here["hashes"]) == gone

    installation.restore()
    back = installation.step("look", *here["hashes"])
    assert back == {"status": 503, "files": 6, "rows": 3, "account": True}  # all of it is there again, and not served

    done = installation.run("manage.py", "replay_erasures")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "4 events applied again" in done.stdout
    assert "safe to serve" in done.stdout
    assert installation.step("look", *here["hashes"]) == gone
    assert installation.step("times") == times  # when it was taken back, not when it was replayed
    again = installation.run("manage.py", "replay_erasures")
    assert "0 events applied again" in again.stdout
    sound = installation.run("manage.py", "verify_ledger")
    assert sound.returncode == 0, sound.stderr[-2000:]
