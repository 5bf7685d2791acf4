"""One byte range of a file."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exports.ranges import BeyondTheEnd, Part, PartOfFile, asked_part


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-", Part(0, 10)),
        ("bytes=3-5", Part(3, 6)),
        ("bytes=3-99", Part(3, 10)),
        ("bytes=-4", Part(6, 10)),
        ("bytes=-99", Part(0, 10)),
        ("", None),
        ("bytes=-", None),
        ("bytes=5-3", None),
        ("bytes=0-1,4-5", None),
        ("bytes=٣-", None),
        ("items=0-1", None),
    ],
)
def test_what_a_header_asks_for(header, part):
    assert asked_part(header, 10) == part


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-12", "bytes=-0"])
def test_what_lies_beyond_the_end(header):
    with pytest.raises(BeyondTheEnd):
        asked_part(header, 10)


@given(st.binary(max_size=50), st.integers(0, 60), st.integers(0, 60), st.integers(1, 7))
def test_a_part_is_those_bytes(content, start, end, step):
    file = io.BytesIO(content)
    file.seek(start)
    part = PartOfFile(file, max(0, end - start))
    assert b"".join(iter(lambda: part.read(step), b"")) == content[start:end]
