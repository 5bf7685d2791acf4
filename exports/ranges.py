"""One `Range: bytes=…` of a file (RFC 9110, section 14): what is asked for, and a file that ends there. Pure."""

import re
from typing import IO, Any, NamedTuple

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Part(NamedTuple):
    """Bytes from `start` to before `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class BeyondTheEnd(Exception):
    """The range begins after the last byte."""


def asked_part(header: str, size: int) -> Part | None:
    """The part of a file of so many bytes that a Range header asks for; None for all of it.

    A header in another form, or with several ranges, is ignored, as the RFC allows.
    """
    found = RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise BeyondTheEnd
    return Part(start, end)


class PartOfFile:
    """A file, from where it stands, for so many bytes. Servers that send by descriptor find the file itself."""

    def __init__(self, file: IO[Any], size: int) -> None:
        self.file, self.left = file, size

    def read(self, size: int = -1) -> bytes:
        some: bytes = self.file.read(self.left if size < 0 else min(size, self.left))
        self.left -= len(some)
        return some

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()
