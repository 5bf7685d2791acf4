"""Temporary folders of work that was killed go at once; of work that goes on, never."""

import fcntl
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from collection import erasure, workplaces

BUILDER = """
import signal, subprocess, sys
import django
from django.conf import settings
settings.configure(FILE_UPLOAD_TEMP_DIR=sys.argv[1])
from collection import workplaces
with workplaces.at_work("release") as (folder, lock):
    (folder / "clear.jpg").write_bytes(b"a photograph")
    second = subprocess.Popen(["sleep", "600"], pass_fds=[lock], stdout=subprocess.DEVNULL)
    print(folder, second.pid, flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def own(settings, tmp_path, monkeypatch):
    """Our own temporary folder; the system's is another one."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "system"))
    settings.FILE_UPLOAD_TEMP_DIR = str(tmp_path / "own")
    (tmp_path / "own").mkdir()
    (tmp_path / "system").mkdir()
    return tmp_path / "own"


@pytest.fixture
def builder(own):
    """Two processes at work, as `end` takes them, and their folder."""
    command = [sys.executable, "-c", BUILDER, str(own)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        folder, second = process.stdout.readline().split()
        pids = [os.pidfd_open(process.pid), os.pidfd_open(int(second))]
        yield *pids, Path(folder)
        for pid in pids:
            end(pid)
            os.close(pid)


def end(process):
    """Kill it, and wait until it has ended."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGKILL)
    select.select([process], [], [])


def test_a_folder_goes_once_the_last_who_works_there_was_killed(builder, own):
    first, second, folder = builder
    assert workplaces.remove_left() == 0
    end(first)
    assert workplaces.remove_left() == 0
    assert (folder / "clear.jpg").exists()
    end(second)
    assert workplaces.remove_left() == 1
    assert list(own.iterdir()) == []


def test_a_process_that_stands_still_is_at_work_however_long(builder, own):
    first, _, folder = builder
    signal.pidfd_send_signal(first, signal.SIGSTOP)
    for path in (folder / "clear.jpg", folder, Path(f"{folder}{workplaces.LOCK}")):
        os.utime(path, (1, 1))
    assert erasure.remove_temporary() == 0
    assert (folder / "clear.jpg").exists()


def test_the_hourly_sweep_does_not_wait_for_a_day(builder, own):
    for process in builder[:2]:
        end(process)
    assert erasure.remove_temporary() == 1
    assert list(own.iterdir()) == []


def test_a_folder_that_is_just_being_made_stays(own, monkeypatch):
    """Somebody looks at each step: after the lock has its name, when it is held, when the folder is there."""
    flock, mkdir, found = fcntl.flock, Path.mkdir, []

    def looking_around(step):
        def take(*args, **kwargs):
            with monkeypatch.context() as patch:
                patch.setattr(fcntl, "flock", flock)
                found.append(workplaces.remove_left())
                done = step(*args, **kwargs)
                found.append(workplaces.remove_left())
            return done

        return take

    monkeypatch.setattr(fcntl, "flock", looking_around(flock))
    monkeypatch.setattr(Path, "mkdir", looking_around(mkdir))
    with workplaces.at_work("release") as (folder, _):
        assert folder.is_dir()
        assert found == [0, 0, 0, 0]
        monkeypatch.undo()
    assert list(own.iterdir()) == []


def test_work_that_fails_leaves_nothing(own):
    with pytest.raises(ZeroDivisionError), workplaces.at_work("release") as (folder, _):
        (folder / "clear.jpg").write_bytes(bytes(1 // 0))
    assert list(own.iterdir()) == []


def test_in_the_systems_own_folder_only_ours_goes(own, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(own))
    for name in ("likeness-release-x", "somebody", "likeness-elses"):
        (own / name).mkdir()
    for name in ("likeness-release-x.lock", "somebody.lock"):
        (own / name).touch()
    assert erasure.remove_temporary() == 1
    assert sorted(path.name for path in own.iterdir()) == ["likeness-elses", "somebody", "somebody.lock"]


def test_what_cannot_be_deleted_stops_nobody(own):
    (own / "likeness-release-x").mkdir()
    (own / "likeness-release-x.lock").mkdir()
    (own / "likeness-release-y").mkdir()
    (own / "likeness-release-y.lock").touch()
    assert workplaces.remove_left() == 1
    assert (own / "likeness-release-x").is_dir()
