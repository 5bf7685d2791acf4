"""R20: a real backup, real withdrawals after it, a real restore; then the replay, and nothing is left."""

import datetime
import json
import os
import secrets
import shutil
import subprocess
import sys
import uuid
from base64 import b64encode
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from annotation import about_annotators
from annotation.joining_models import AnnotatorAbout
from collection import storage
from consent import audit, demographics, erasure_list, ledger
from consent.models import Demographics, LedgerEntry, Withdrawal
from consent.signing import create_file, create_key
from consent.withdrawals import withdraw
from exports import replay
from tests.annotation.factories import make_annotator
from tests.consent.factories import make_consent

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = Path(__file__).parent / "replay_steps.py"
STORED = ("originals", "derivatives", "releases")


class Installation:
    """An installation in processes of its own, so that its database can be copied and put back like anybody's."""

    def __init__(self, folder: Path) -> None:
        self.var, self.backup = folder / "var", folder / "backup"
        self.name = f"likeness_replay_{secrets.token_hex(4)}"
        create_key(self.var / "keys" / "signing.pem")
        create_file(self.var / "keys" / "master.key", b64encode(os.urandom(32)))
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
            shutil.copytree(self.var / "storage" / name, self.backup / name)
        self.back_up_database()

    def restore_files(self) -> None:
        for name in STORED:
            shutil.rmtree(self.var / "storage" / name)
            shutil.copytree(self.backup / name, self.var / "storage" / name)

    def back_up_database(self) -> None:
        raise NotImplementedError

    def restore_database(self) -> None:
        raise NotImplementedError

    def holds(self, words: list[str]) -> list[str]:
        """Those of the words that stand anywhere in the database's own files, deleted rows included."""
        return []

    def close(self) -> None:
        """Nothing outside the folder."""


class OnFiles(Installation):
    def back_up_database(self) -> None:
        for path in self.var.glob("likeness.sqlite3*"):
            shutil.copy(path, self.backup / path.name)

    def restore_database(self) -> None:
        for path in self.var.glob("likeness.sqlite3*"):
            path.unlink()
        for path in self.backup.glob("likeness.sqlite3*"):
            shutil.copy(path, self.var / path.name)

    def holds(self, words: list[str]) -> list[str]:
        content = b"".join(path.read_bytes() for path in self.var.glob("likeness.sqlite3*"))
        return [word for word in words if word.encode() in content]


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

    def back_up_database(self) -> None:
        self._execute(f"CREATE DATABASE {self.name}_backup TEMPLATE {self.name}")

    def restore_database(self) -> None:
        self._execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        self._execute(f"CREATE DATABASE {self.name} TEMPLATE {self.name}_backup")

    def close(self) -> None:
        for name in (self.name, f"{self.name}_backup"):
            self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(f"{self.server}/postgres", autocommit=True) as server:
            server.execute(statement)


@pytest.fixture
def installation(db, tmp_path):
    """On the kind of database that this run is on. `db` says that it is one of the tests that both runs have."""
    made = OnFiles(tmp_path) if connection.vendor == "sqlite" else OnPostgres(tmp_path)
    yield made
    made.close()


GONE = {"status": 200, "files": 0, "rows": 0, "account": False, "answers": False}


def test_r20_a_restored_backup_forgets_again_before_it_serves_anything(installation):
    assert installation.run("manage.py", "migrate", "--no-input").returncode == 0
    here = installation.step("fill")
    images = here["hashes"]
    there = {"status": 200, "files": 8, "rows": 4, "account": True, "answers": True}
    assert installation.step("look", *images) == there
    assert installation.step("readable", *images) == 4
    installation.back_up()

    done = installation.step("take_back", here["withdrawn"], here["image"], here["deleted"], here["told"])
    assert done["files"]
    gone = [*images, *done["files"]]
    assert installation.step("look", *gone) == GONE
    assert installation.holds(images) == []

    installation.restore_database()
    installation.restore_files()
    back = installation.step("look", *gone)  # all of it is there again, and not served
    assert back == there | {"status": 503, "files": 8 + len(done["files"])}
    assert installation.step("readable", *images) == 0  # no backup has the keys, and nothing brings them back
    worker = installation.run("-m", "celery", "-A", "config", "worker", "--pool", "solo")
    assert worker.returncode != 0
    assert "replay_erasures" in worker.stderr + worker.stdout

    replayed = installation.run("manage.py", "replay_erasures")
    assert replayed.returncode == 0, replayed.stderr[-3000:]
    # Two withdrawals (one by the deletion), a removal, an account, answers, a purpose; and one of somebody unknown.
    assert "6 events applied again, 1 about people" in replayed.stdout
    assert "safe to serve" in replayed.stdout
    assert installation.step("look", *gone) == GONE
    assert installation.holds(images) == []
    assert installation.step("times") == done["times"]  # when it was taken back, not when it was replayed
    again = installation.run("manage.py", "replay_erasures")
    assert "0 events applied again" in again.stdout
    sound = installation.run("manage.py", "verify_ledger")
    assert sound.returncode == 0, sound.stderr[-2000:]

    # Only the storages come back from a backup: no note is missing, and what the rows call erased goes again.
    installation.restore_files()
    assert installation.step("look", *gone)["files"] == len(gone)
    replayed = installation.run("manage.py", "replay_erasures")
    assert replayed.returncode == 0, replayed.stderr[-3000:]
    assert installation.step("look", *gone) == GONE


def test_r20_bytes_that_are_newer_than_a_restored_database_go(installation):
    assert installation.run("manage.py", "migrate", "--no-input").returncode == 0
    here = installation.step("fill")
    installation.back_up()
    done = installation.step("take_back", here["withdrawn"], here["image"], here["deleted"], here["told"])
    assert installation.step("look", *done["newer"])["files"] == 3
    installation.restore_database()  # without the storages: nobody's withdrawal would ever reach what is newer
    replayed = installation.run("manage.py", "replay_erasures")
    assert replayed.returncode == 0, replayed.stderr[-3000:]
    assert installation.step("look", *here["hashes"], *done["files"], *done["newer"]) == GONE


# --- Notes one by one -----------------------------------------------------------------------------


def listed_alone(kind, **facts):
    """A note that lies in the list and is not in this database."""
    one = erasure_list.note(kind, **facts)
    erasure_list.write_notes()
    one.delete()


@pytest.mark.django_db
def test_a_note_that_cannot_be_applied_is_named_the_others_are_and_the_site_stays_closed(client, capsys):
    consent = make_consent()
    listed_alone("from_the_future", at=timezone.now())
    made = timezone.now() - datetime.timedelta(days=1)
    listed_alone(
        "withdrawal", id=uuid.uuid4(), consent_id=consent.pk, purpose_id=None, made_at=made, act=uuid.uuid4(),
        cause="withdrawn", aftermath="erase",
    )  # fmt: skip
    with pytest.raises(CommandError, match="1 problems are left"):
        call_command("replay_erasures")
    said = capsys.readouterr()
    assert "1 events applied again" in said.out
    assert "safe" not in said.out
    assert "'from_the_future'" in said.err
    assert Withdrawal.objects.get().made_at == made
    assert client.get("/").status_code == 503
    assert LedgerEntry.objects.filter(payload__contains="erasure.replayed").count() == 1


@pytest.mark.django_db
def test_what_was_taken_back_again_before_the_replay_stands_and_is_told_once():
    consent = make_consent()
    first = withdraw(consent=consent)
    erasure_list.write_notes()
    listed_alone(
        "withdrawal", id=uuid.uuid4(), consent_id=consent.pk, purpose_id=None, made_at=timezone.now(),
        act=uuid.uuid4(), cause="withdrawn", aftermath="erase",
    )  # fmt: skip
    done = replay.replay()
    assert (done.applied, done.problems) == (1, [])
    assert Withdrawal.objects.get() == first
    assert LedgerEntry.objects.filter(payload__contains="consent.withdrawn").count() == 1
    ledger.seal()
    assert list(audit.problems()) == []
    assert not erasure_list.is_behind()


@pytest.mark.django_db
def test_a_replay_on_a_running_site_leaves_an_upload_alone_whose_row_is_about_to_be_written():
    key = storage.key_for(uuid.uuid4(), "0" * 64, "jpg")
    storages["originals"].save(key, ContentFile(b"on its way"))
    assert replay.replay().problems == []
    assert storages["originals"].exists(key)


@pytest.mark.django_db
def test_answers_given_after_their_deletion_stay():
    consent = make_consent()
    listed_alone("demographics", contributor=consent.contributor_id, at=timezone.now())
    demographics.save_answers(contributor=consent.contributor, gender="woman")
    assert replay.replay().unknown == 1
    assert Demographics.objects.exists()


@pytest.mark.django_db
def test_what_an_annotator_deleted_is_forgotten_again():
    annotator = make_annotator()
    about_annotators.save_answers(annotator=annotator, region="europe")
    listed_alone("annotator_about", annotator=annotator.pk, at=timezone.now())
    assert replay.replay().applied == 1
    assert not AnnotatorAbout.objects.exists()
