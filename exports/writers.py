"""The two forms in which a release carries images: Parquet (Hugging Face layout) and WebDataset tar.

The same rows give the same bytes (with the same pyarrow). Rows come one at a time, so that each photograph is read once
for all forms; a Parquet row group holds at most ROW_GROUP of them.
"""

import json
import tarfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.answers import Control
from exports.label_forms import Record
from exports.labels import Label

ROW_GROUP = 16  # photographs: at 12 megapixels some 50 MB
PARQUET_OPTIONS: dict[str, Any] = {
    "compression": "none",  # photographs do not shrink, and the rest is one per cent
    "use_dictionary": False,
    "write_statistics": True,
    "version": "2.6",
    "data_page_version": "1.0",
    "store_schema": True,
}
SIDE = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # of what lies beside a photograph in a tar
BUFFER = 256 << 10  # bytes of a tar that are written at once: small pieces take half as long again
TEXTS = ("row_id", "split", "image_sha256", "subject", "format", "basis")
NUMBERS = ("width", "height")
ARROW = {
    "rating": pa.float64(),
    "choices": pa.string(),
    "box": pa.list_(pa.float32(), 4),
    "point": pa.list_(pa.float32(), 2),
}
CODES = {pa.int32(): "i", pa.float32(): "f", pa.float64(): "d"}  # of the module `array`
FEATURES: dict[str, dict[str, Any]] = {
    "rating": {"dtype": "float64", "_type": "Value"},
    "choices": {"dtype": "string", "_type": "Value"},
    "box": {"feature": {"dtype": "float32", "_type": "Value"}, "length": 4, "_type": "List"},
    "point": {"feature": {"dtype": "float32", "_type": "Value"}, "length": 2, "_type": "List"},
}
Add = Callable[[Record, bytes], None]  # a row with its photograph


def column(control: Control) -> str:
    """The name of a control's column."""
    return f"label_{control.name}"


def values(record: Record, controls: Sequence[Control]) -> dict[str, Any]:
    """What a row carries beside its image, by column; None where nobody answered a control."""
    flat = {name: record[name] for name in (*TEXTS, *NUMBERS) if name != "basis"}
    labels = {column(control): _typed(control, record["labels"].get(control.name)) for control in controls}
    return {**flat, "basis": record["basis"]["id"], **labels}


def _typed(control: Control, label: Label | None) -> Any:
    if label is None or control.kind == "choices":
        return label
    return [float(side) for side in label] if isinstance(label, list) else float(label)


def features(controls: Sequence[Control]) -> dict[str, Any]:
    """The columns in the words of the Hugging Face `datasets` library."""
    return {
        "image": {"_type": "Image"},
        **{name: {"dtype": "string", "_type": "Value"} for name in TEXTS},
        **{name: {"dtype": "int32", "_type": "Value"} for name in NUMBERS},
        **{column(control): FEATURES[control.kind] for control in controls},
    }


def schema(controls: Sequence[Control]) -> pa.Schema:
    """The Parquet schema, with the metadata by which `datasets` knows the image column."""
    fields = [pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))]
    fields += [pa.field(name, pa.string()) for name in TEXTS]
    fields += [pa.field(name, pa.int32()) for name in NUMBERS]
    fields += [pa.field(column(control), ARROW[control.kind]) for control in controls]
    return pa.schema(fields, metadata={b"huggingface": json.dumps({"info": {"features": features(controls)}}).encode()})


@contextmanager
def open_parquet(path: Path, controls: Sequence[Control]) -> Iterator[Add]:
    """One Parquet shard, to which rows are added one after the other."""
    layout = schema(controls)
    names = layout.names[1:]
    images: list[tuple[bytes, bytes]] = []
    group: list[dict[str, Any]] = []

    with pq.ParquetWriter(path, layout, **PARQUET_OPTIONS) as writer:

        def add(record: Record, content: bytes) -> None:
            images.append((content, f"{record['row_id']}.{record['format']}".encode()))
            group.append(values(record, controls))
            if len(group) == ROW_GROUP:
                flush()

        def flush() -> None:
            contents, paths = zip(*images, strict=True)
            parts = [_bytes_array(pa.binary(), contents), _bytes_array(pa.string(), paths)]
            columns = [pa.StructArray.from_arrays(parts, fields=list(layout.field(0).type))]
            columns += [_column(layout.field(name).type, [row[name] for row in group]) for name in names]
            writer.write_table(pa.Table.from_arrays(columns, schema=layout))
            images.clear()
            group.clear()

        yield add
        if group:
            flush()


# Arrays from buffers: `pa.array` would import pandas, half a second and 50 MB in each process that writes shards.


def _column(kind: pa.DataType, given: Sequence[Any]) -> pa.Array:
    """A column of texts, numbers, or lists of as many numbers; None for nothing."""
    if kind == pa.string():
        return _bytes_array(kind, [None if value is None else value.encode() for value in given])
    if pa.types.is_fixed_size_list(kind):
        nothing = [0.0] * kind.list_size
        flat = _column(kind.value_type, [side for place in given for side in (place or nothing)])
        return pa.Array.from_buffers(kind, len(given), [_validity(given)], children=[flat])
    numbers = array(CODES[kind], [value or 0 for value in given])
    return pa.Array.from_buffers(kind, len(given), [_validity(given), pa.py_buffer(numbers)])


def _bytes_array(kind: pa.DataType, given: Sequence[bytes | None]) -> pa.Array:
    ends = array("i", accumulate((len(value or b"") for value in given), initial=0))
    content = pa.py_buffer(b"".join(value or b"" for value in given))
    return pa.Array.from_buffers(kind, len(given), [_validity(given), pa.py_buffer(ends), content])


def _validity(given: Sequence[Any]) -> pa.Buffer | None:
    """One bit for each value that is there, the first the lowest; None if all are."""
    if None not in given:
        return None
    bits = sum(1 << place for place, value in enumerate(given) if value is not None)
    return pa.py_buffer(bits.to_bytes((len(given) + 7) // 8, "little"))


@contextmanager
def open_tar(path: Path, controls: Sequence[Control]) -> Iterator[Add]:
    """One WebDataset shard: <row_id>.json and <row_id>.<format> for each row."""
    with path.open("wb", buffering=BUFFER) as tar:

        def add(record: Record, content: bytes) -> None:
            key = record["row_id"]
            _add(tar, f"{key}.json", SIDE.encode(values(record, controls)).encode())
            _add(tar, f"{key}.{record['format']}", content)

        yield add
        tar.write(bytes(2 * tarfile.BLOCKSIZE))
        tar.write(bytes(-tar.tell() % tarfile.RECORDSIZE))


@cache
def _blank() -> tuple[bytes, int]:
    """A header without name, size and sum, and the sum of its bytes: that is taken over blanks in its own place."""
    member = tarfile.TarInfo()  # no time, no owner: nothing of this machine
    member.mode = 0o644
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = bytes(12)
    header[148:156] = b" " * 8
    return bytes(header), sum(header)


def _header(name: str, size: int) -> bytes:
    """As `tarfile` writes it; made from one that it did write, which takes a tenth of the time."""
    named, digits = name.encode("ascii"), b"%011o\x00" % size
    assert len(named) <= 100  # noqa: S101 -- a row id and a format
    blank, total = _blank()
    header = bytearray(blank)
    header[: len(named)] = named
    header[124:136] = digits
    header[148:156] = b"%06o\x00 " % (total + sum(named) + sum(digits))
    return bytes(header)


def _add(tar: IO[bytes], name: str, content: bytes) -> None:
    """A member as `tarfile` writes it, which copies what it is given in small pieces."""
    tar.write(_header(name, len(content)))
    tar.write(content)
    tar.write(bytes(-len(content) % tarfile.BLOCKSIZE))
