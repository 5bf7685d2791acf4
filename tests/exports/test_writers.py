"""The bytes of a shard, beside what others would write of the same rows."""

import io
import json
import tarfile

from exports import writers


def record(number):
    return {
        "row_id": f"{number:032x}", "split": "train", "image_sha256": "a" * 64, "subject": "b" * 32, "format": "jpg",
        "width": 640, "height": 480, "basis": {"id": "c" * 32}, "labels": {},
    }  # fmt: skip


def test_a_tar_is_what_tarfile_writes_of_it(tmp_path):
    rows = [(record(number), bytes([number]) * size) for number, size in enumerate((0, 1, 511, 512, 513, 300_000))]
    with writers.open_tar(tmp_path / "ours.tar", []) as add:
        for row, content in rows:
            add(row, content)
    with tarfile.open(tmp_path / "theirs.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for row, content in rows:
            side = json.dumps(writers.values(row, []), sort_keys=True, separators=(",", ":")).encode()
            for ending, held in (("json", side), ("jpg", content)):
                member = tarfile.TarInfo(f"{row['row_id']}.{ending}")
                member.size, member.mode = len(held), 0o644
                tar.addfile(member, io.BytesIO(held))
    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()
