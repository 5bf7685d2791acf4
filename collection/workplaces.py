"""Folders that long work needs for itself, in our temporary folder. Of work that was killed they go at once.

A lock on a file beside the folder says that somebody is at work. The system opens it when the last process that holds
it ends, however it ends.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

logger = logging.getLogger(__name__)
OURS, LOCK = "likeness-", ".lock"  # before the name of a folder, and after it that of its lock


@contextmanager
def at_work(what: str) -> Iterator[tuple[Path, int]]:
    """A new folder for this work and the file descriptor of its lock, for child processes that work there as well.

    Afterwards both are gone.
    """
    descriptor, name = tempfile.mkstemp(LOCK, f"{OURS}{what}-", settings.FILE_UPLOAD_TEMP_DIR)
    lock = Path(name)
    folder = lock.with_suffix("")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder.mkdir(mode=0o700)  # the lock is held before: a folder with a lock that nobody holds is nobody's
        yield folder, descriptor
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():  # else whoever looks for what was left tries again
            lock.unlink(missing_ok=True)
        os.close(descriptor)


def remove_left() -> int:
    """Delete the folders of whoever was killed; how many.

    Others' files may lie beside them, for they may be in the system's own folder: those have no lock of ours.
    """
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR or tempfile.gettempdir())
    return sum(_remove_left(lock) for lock in list(folder.glob(f"{OURS}*{LOCK}")))


def is_held(path: Path) -> bool:
    """Whether somebody is at work in this folder, or holds this lock."""
    lock = path if path.suffix == LOCK else path.with_name(path.name + LOCK)
    try:
        with lock.open("r+b") as file:
            return not _take(file)
    except OSError:  # there is none
        return False


def _remove_left(lock: Path) -> bool:
    folder = lock.with_suffix("")
    try:
        with lock.open("r+b") as file:
            if not _take(file) or not folder.is_dir():  # somebody works there, or is about to make it
                return False
            shutil.rmtree(folder)
            lock.unlink()
    except OSError as error:  # its owner was faster, or it is nobody's that we may delete
        logger.warning("the temporary folder %s stays: %s", folder, error)
        return False
    logger.info("the temporary folder %s of a process that was killed is deleted", folder)
    return True


def _take(file: BinaryIO) -> bool:
    """Whether nobody else has the lock; it is ours until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
