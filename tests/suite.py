"""`make test`: the whole suite on SQLite, then on PostgreSQL if there is one."""

import getpass
import os
import subprocess
import sys

import psycopg

GET_POSTGRES = """\
SKIPPED: the suite on PostgreSQL: no server answers at 127.0.0.1:5432. To get it:
    sudo apt-get install postgresql && sudo -u postgres createuser --createdb "$USER"
or name one (its user must be allowed to create databases): TEST_POSTGRES_URL=postgres://user:password@host:5432/postgres"""


def main() -> int:
    print("--- The suite on SQLite", flush=True)
    code = run_pytest({})
    url = os.environ.get("TEST_POSTGRES_URL") or local_postgres()
    if not url:
        print(GET_POSTGRES)
        return code
    print("--- The suite on PostgreSQL", flush=True)
    return run_pytest({"DATABASE_URL": url}) or code


def run_pytest(extra: dict[str, str]) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *sys.argv[1:]], env=os.environ | extra).returncode


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
