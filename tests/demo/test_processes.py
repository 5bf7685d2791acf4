"""No process outlives the command, however it ends."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A service that starts a child of its own and then sleeps; every process of it holds the pipe `tell` open.
SERVICE = "import os, time; os.fork(); os.write({fd}, b'x'); time.sleep(600)"
COMMAND = """
import sys, time
from pathlib import Path
from demo.processes import processes
with processes(Path(sys.argv[1])) as held:
    held.start("service", [sys.executable, "-c", {service!r}], dict(), inherit=({fd},))
    {then}
"""


def start(tmp_path, then):
    """A command with one service of two processes: (command, pipe that ends when all of them are gone)."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    program = COMMAND.format(service=SERVICE.format(fd=writing), fd=writing, then=then)
    command = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, pass_fds=[writing]
    )
    os.close(writing)
    wait_for_both(reading)
    return command, reading


def wait_for_both(reading):
    for _ in range(2):
        assert os.read(reading, 1) == b"x", "the service did not start"


def assert_all_end(reading):
    ready, _, _ = select.select([reading], [], [], 20)
    assert ready, "a process is still alive"
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_services_end_with_a_command_that_is_killed(tmp_path, how):
    command, reading = start(tmp_path, "time.sleep(600)")
    command.send_signal(how)
    assert command.wait(20) != 0
    command.stdin.close()
    assert_all_end(reading)


@pytest.mark.parametrize("then", ["", "raise ValueError('on purpose')"])
def test_services_end_with_the_block(tmp_path, then):
    command, reading = start(tmp_path, f"sys.stdin.readline(); {then}")
    command.communicate(b"go on\n", timeout=20)
    assert_all_end(reading)


def test_the_command_ends_with_make(tmp_path):
    """kill -9 of the process that started the command, as make is."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    program = COMMAND.format(service=SERVICE.format(fd=writing), fd=writing, then="time.sleep(600)")
    words = f"[sys.executable, '-c', {program!r}, {str(tmp_path)!r}]"
    outer = f"import subprocess, sys; subprocess.run({words}, close_fds=False)"
    make = subprocess.Popen([sys.executable, "-c", outer], cwd=ROOT, pass_fds=[writing])
    os.close(writing)
    wait_for_both(reading)
    make.kill()
    make.wait(20)
    assert_all_end(reading)
