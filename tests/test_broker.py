"""A real RabbitMQ with quorum queues: a worker killed in the middle of a task loses nothing."""

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

URL = os.environ.get("TEST_RABBITMQ_URL", "")
ROOT = Path(__file__).resolve().parent.parent

WORKER = """
import os, sys, time
from celery import Celery
from django.conf import settings
import django
django.setup()
from config.celery import app

@app.task(name="mark", acks_late=True, reject_on_worker_lost=True)
def mark(folder):
    with open(f"{folder}/starts", "a") as log:
        log.write("start\\n")
    if len(open(f"{folder}/starts").readlines()) == 1:
        os.kill(os.getppid(), 9)  # the worker dies without a word, and so does this child
        os.kill(os.getpid(), 9)
    open(f"{folder}/done", "w").close()

if sys.argv[1] == "send":
    mark.apply_async([sys.argv[3]], queue=sys.argv[2])
else:
    app.worker_main(["worker", "-Q", sys.argv[2], "-c", "1", "--without-gossip", "--without-mingle"])
"""


@pytest.mark.skipif(not URL, reason="RabbitMQ: apt-get install rabbitmq-server, then set TEST_RABBITMQ_URL=amqp://…")
def test_a_task_survives_the_death_of_its_worker(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(WORKER)
    queue = f"test-{uuid.uuid4().hex}"
    environment = {
        **os.environ,
        "BROKER_URL": URL,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PYTHONPATH": str(ROOT),
    }

    def start(*words: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, program, *words], env=environment, start_new_session=True)

    assert start("send", queue, str(tmp_path)).wait(timeout=60) == 0
    first = start("work", queue)
    assert first.wait(timeout=60) == -signal.SIGKILL
    second = start("work", queue)
    try:
        _wait_for(tmp_path / "done", second)
    finally:
        os.killpg(second.pid, signal.SIGKILL)
        second.wait(timeout=10)
    assert (tmp_path / "starts").read_text().count("start") == 2


def _wait_for(path: Path, process: subprocess.Popen) -> None:
    """Until `path` exists or the process ends; the test's own time limit is the deadline."""
    while not path.exists():
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("the worker ended before the task was done")
