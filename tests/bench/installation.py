"""A whole installation for a benchmark: web, worker, Label Studio if wanted, on SQLite or on a scratch PostgreSQL."""

import contextlib
import json
import os
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg

from demo.progress import Progress
from demo.stack import Stack, bare_stack, choose_addresses, start, start_web
from tests.suite import local_postgres

POSTGRES = os.environ.get("TEST_POSTGRES_URL") or local_postgres()
# One for each checkout: two that measure at once do not take each other's database away.
SCRATCH = f"likeness_bench_{zlib.crc32(str(Path(__file__).parent).encode())}"


def databases() -> list[str]:
    """The databases that this machine offers: "sqlite", and "postgresql" when there is a server."""
    return ["sqlite", "postgresql"] if POSTGRES else ["sqlite"]


@contextlib.contextmanager
def installation(
    database: str, *, label_studio: bool = False, web: bool = True, settings: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A stack on an empty database, running as far as is asked for; everything of it is gone after the block."""
    with contextlib.ExitStack() as opened:
        url = opened.enter_context(_scratch_database()) if database == "postgresql" else ""
        stack = opened.enter_context(bare_stack("bench"))
        stack.extra |= (
            {"STAFF_MFA": "0", "LOG_LEVEL": "WARNING"} | ({"DATABASE_URL": url} if url else {}) | (settings or {})
        )
        if label_studio:
            start(stack, Progress())
        else:
            choose_addresses(stack)
            if web:
                start_web(stack)
            else:
                stack.manage("migrate", "--no-input")
                stack.manage("create_signing_key")
        yield stack


@contextlib.contextmanager
def _scratch_database() -> Iterator[str]:
    server = POSTGRES.rsplit("/", 1)[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {SCRATCH}")
        yield f"{server}/{SCRATCH}"
        connection.execute(f"DROP DATABASE {SCRATCH} WITH (FORCE)")


def inside(stack: Stack, function: str, *words: object, module: str = "seeds") -> Any:
    """Call a function of tests.bench.`module` inside the installation; what it returned, by way of JSON."""
    run = [sys.executable, "-m", f"tests.bench.{module}", function, *(str(word) for word in words)]
    status, output = stack.held.run(f"seed-{function}", run, stack.env, timeout=1200)
    if status:
        raise RuntimeError(output[-2000:])
    return json.loads(output.strip().splitlines()[-1])
