"""`python -m tests.library_killer FOLDER LICENCE N`: the real import, dead by SIGKILL at the N-th file it wrote."""

import os
import signal
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import execute_from_command_line

from collection import library, storage


def main(folder: str, licence: str, die_at: str) -> None:
    library.BATCH = 10
    left, write_once = int(die_at), storage.write_once

    def writing(*words: object) -> None:
        nonlocal left
        write_once(*words)  # type: ignore[arg-type]
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    storage.write_once = writing
    execute_from_command_line(["manage.py", "import_library", folder, "--licence", licence])


if __name__ == "__main__":
    main(*sys.argv[1:])
