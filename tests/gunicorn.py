"""A web server as an installation has it, in a process of its own, on the database of the tests."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time

from django.db import connection

from tests.crash import ROOT, database_url

DEADLINE = 60.0


class Gunicorn:
    """A real server on a port of its own, which can be killed and started again."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self.start()

    def start(self) -> None:
        words = f"config.wsgi --bind {self.address} -k gthread -w 1 --threads 8 --log-level critical"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *words.split()],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url(), **self.settings},
            start_new_session=True,
        )
        wait_until(self.answers, "gunicorn does not answer")

    def answers(self) -> bool:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            connection.request("GET", "/keys/signing.pem")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def wait_until(condition, what: str, within: float = DEADLINE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def connections_to_the_database() -> int:
    """Of others than us; none where there is no server."""
    if connection.vendor == "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])
