"""`make test`: the whole suite on SQLite and, beside it, what touches a database on PostgreSQL if there is one."""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

import psycopg

GET_POSTGRES = """\
SKIPPED: the suite on PostgreSQL: no server answers at 127.0.0.1:5432. To get it:
    sudo apt-get install postgresql && sudo -u postgres createuser --createdb "$USER"
or name one (its user must be allowed to create databases): TEST_POSTGRES_URL=postgres://user:password@host:5432/postgres"""


def main() -> int:
    """Both at once: each run waits for its servers and browser much of the time. One is shown after the other."""
    url = os.environ.get("TEST_POSTGRES_URL") or local_postgres()
    with tempfile.TemporaryFile() as shown_later:
        runs = [begin_pytest([], {})]
        if url:
            asked, elsewhere = ["-m", "not without_database"], {"DATABASE_URL": url}
            runs.append(begin_pytest(asked, elsewhere, stdout=shown_later, stderr=subprocess.STDOUT))
        try:
            print("--- The suite on SQLite", flush=True)
            runs[0].wait()
            if url:
                print("--- The suite on PostgreSQL", flush=True)
                runs[1].wait()
                shown_later.seek(0)
                shutil.copyfileobj(shown_later, sys.stdout.buffer)
            else:
                print(GET_POSTGRES)
        finally:
            for run in runs:  # after Ctrl-C they end by themselves
                run.wait()
    return max(abs(run.returncode) for run in runs)


def begin_pytest(asked: list[str], extra: dict[str, str], **streams: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-q", *asked, *sys.argv[1:]]
    return subprocess.Popen(command, env=os.environ | extra, **streams)


def local_postgres() -> str:
    """The address of a server on this machine that lets this user in, else nothing."""
    for host in ("127.0.0.1:5432", "%2Fvar%2Frun%2Fpostgresql"):
        url = f"postgres://{getpass.getuser()}@{host}/postgres"
        try:
            psycopg.connect(url, connect_timeout=3).close()
        except psycopg.OperationalError:
            continue
        return url
    return ""


if __name__ == "__main__":
    sys.exit(main())
