"""What the demo calls gone it has looked for by the database's hashes: in our storage everything is sealed."""

import hashlib
import io
import sqlite3
import uuid

import pytest

from collection import storage
from collection.sealing import seal
from demo.records import Records
from demo.withdrawal import Target, files_left, hashes_only_of, needles_of
from tests.collection.pictures import jpeg

MINE, OTHER = "ab" * 16, "cd" * 16
ORIGINAL, CLEAN, PREVIEW, SHARED = (jpeg(number, number) for number in range(4))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "likeness.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE collection_image (id, sha256, clean_sha256, preview_key)")
        rows = [
            (MINE, sha(ORIGINAL), sha(CLEAN), storage.key_for(uuid.UUID(MINE), sha(PREVIEW), "preview.jpg")),
            ("ef" * 16, sha(SHARED), "", ""),  # mine too, and somebody else's, who stays
            (OTHER, sha(SHARED), sha(SHARED), ""),
        ]
        connection.executemany("INSERT INTO collection_image VALUES (?, ?, ?, ?)", rows)
    return Records(path)


@pytest.fixture
def target(records):
    hashes = hashes_only_of(records, [MINE, "ef" * 16])
    return Target(images=[MINE], hashes=hashes, needles=needles_of(hashes), assets=set(), tasks=[])


def test_hashes_come_from_the_database_without_what_others_gave(target):
    assert target.hashes == {sha(content) for content in (ORIGINAL, CLEAN, PREVIEW)}


@pytest.mark.parametrize("content", [ORIGINAL, CLEAN, PREVIEW])
@pytest.mark.parametrize("form", ["sealed", "plain", "row"])
def test_it_is_found_sealed_plain_and_by_name_inside_others(tmp_path, target, content, form):
    key = f"{OTHER}/elsewhere.jpg"  # not under its own id: only what is in the file can tell
    left = {
        "sealed": b"".join(seal(bytes(32), key, sha(content), io.BytesIO(content))),
        "plain": content,
        "row": b'{"original_sha256": "%b"}' % sha(content).encode(),
    }
    for name, bytes_ in (("left", left[form]), ("shared", SHARED), ("other", jpeg(9, 9))):
        (tmp_path / f"{name}.bin").write_bytes(bytes_)
    assert files_left(tmp_path.glob("*.bin"), target) == [tmp_path / "left.bin"]
