"""manifest.csv of a library, read as a stream: it may have millions of lines."""

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from collection.library_sources import BROKEN, Library
from consent.demographics import ATTRIBUTES
from consent.refusals import Refused

MANIFEST = "manifest.csv"
COLUMNS = ("path", "subject", "model_release")
RELEASE = "release"  # path of the signed release of the person depicted
CHUNK = 1 << 16  # bytes
LONGEST_LINE = 1 << 16  # bytes; no column is nearly as long, and a line is all that is ever held
LONGEST_ROW = 1 << 16  # characters: in quotation marks a row may go over many lines
MOST_ROWS = 10_000_000


@dataclass(frozen=True)
class Row:
    """One line of the manifest. `said` holds the columns of consent.demographics.ATTRIBUTES that are not empty."""

    line: int
    path: str
    subject: str
    model_release: str
    release: str = ""
    said: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """What a manifest is as a whole: how many rows, of what bytes, with which columns about people."""

    rows: int
    sha256: str
    attributes: tuple[str, ...]


def check_header(library: Library) -> None:
    """Refused unless there is a manifest with the columns that it needs."""
    for _ in read_rows(library):
        return


def survey(library: Library) -> Survey:
    """Read all of the manifest once. Refused names what is wrong with it, before anything is taken in."""
    digest, columns = hashlib.sha256(), list[str]()
    count = sum(1 for _ in _records(library, columns.extend, digest.update))
    return Survey(count, digest.hexdigest(), tuple(name for name in ATTRIBUTES if name in columns))


def read_rows(library: Library, *, after: int = 0) -> Iterator[Row]:
    """The rows behind the first `after`. Refused as by `survey`."""
    columns: list[str] = []
    for number, (line, values) in enumerate(_records(library, columns.extend)):
        if number >= after:
            yield _row(line, dict(zip(columns, values, strict=False)))


def _row(line: int, cells: dict[str, str]) -> Row:
    words = {name: cells.get(name, "").strip() for name in (*COLUMNS, RELEASE)}
    words["path"] = words["path"] and str(PurePosixPath(words["path"]))  # a.jpg and ./a.jpg are one photograph
    said = {name: value for name in ATTRIBUTES if (value := cells.get(name, "").strip())}
    return Row(line=line, **words, said=said)


# --- Lines and records ---------------------------------------------------------------------------


def _records(
    library: Library, header: Callable[[list[str]], None], note: Callable[[bytes], object] = len
) -> Iterator[tuple[int, list[str]]]:
    """(line, values) of each row that is not empty. `header` hears the columns, `note` every byte."""
    try:
        with library.open(MANIFEST) as file:
            row = _RowLength()
            table = csv.reader(row.bounded(_lines(file, note)))
            columns = [name.strip() for name in next(table, [])]
            if missing := set(COLUMNS) - set(columns):
                raise Refused(f"manifest.csv lacks the column {', '.join(sorted(missing))}.")
            header(columns)
            count = 0
            for values in table:
                row.length = 0
                if values:
                    count += 1
                    yield table.line_num, values
                if count > MOST_ROWS:
                    raise Refused(f"manifest.csv has more than {MOST_ROWS:,} rows. Please split the library.")
    except KeyError:
        raise Refused(
            "The library has no manifest.csv. It needs one with the columns path, subject, model_release."
        ) from None
    except Refused:  # a ValueError, as some of the next are
        raise
    except UnicodeDecodeError:
        raise Refused("manifest.csv is not UTF-8 text. Please save it as UTF-8.") from None
    except csv.Error as error:
        raise Refused(f"manifest.csv is not a table in CSV form: {error}.") from None
    except BROKEN:
        raise Refused("manifest.csv cannot be read: the file is damaged. Please make it again.") from None


class _RowLength:
    """How long the row that is being read has become."""

    length = 0

    def bounded(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self.length += len(line)
            if self.length > LONGEST_ROW:
                raise csv.Error(f"a row has more than {LONGEST_ROW:,} characters; is a quotation mark left open?")
            yield line


def _lines(file: IO[bytes], note: Callable[[bytes], object]) -> Iterator[str]:
    """Decoded lines, with their ends. Holds one chunk and one line, whatever the file says."""
    rest, first = b"", True
    while chunk := file.read(CHUNK):
        note(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield _text(line + b"\n", first)
            first = False
        if len(rest) > LONGEST_LINE:
            raise csv.Error(f"a line has more than {LONGEST_LINE:,} bytes")
    if rest:
        yield _text(rest, first)


def _text(line: bytes, first: bool) -> str:
    text = line.decode("utf-8-sig" if first else "utf-8")
    if "\0" in text:  # PostgreSQL keeps none
        raise Refused("manifest.csv holds NUL characters. Please save it as plain UTF-8 text.")
    return text
