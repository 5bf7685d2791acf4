"""Rows keep their shard from release to release, so what did not change is stored and pulled once."""

from contextlib import closing

import pytest

from annotation.answers import Control
from consent.withdrawals import withdraw
from exports import pull, shards
from exports.models import Item
from exports.notices import revoke_items
from exports.plans import Before, Plan
from exports.writers import open_parquet, open_tar
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_published,
    result,
)


def shards_of(folder, rows, before=()):
    """By row id, where a plan puts rows of (row id, subject, side), after a release with `before`: row id to shard."""
    with closing(Plan.begin(folder / "plan.sqlite")) as plan:
        for row, subject, side in rows:
            record = {"row_id": row, "subject": subject, "split": "train", "width": side, "height": side}
            plan.add(record, image=row, clean_key="")
        plan.place(Before(row, shard, "") for row, shard in before)
        entries = list(plan.entries())
    assert len(entries) == len(rows)
    return {entry.row_id: entry.shard for entry in entries}


def test_new_rows_fill_new_shards_person_by_person(monkeypatch, tmp_path):
    monkeypatch.setattr(shards, "MOST_ROWS", 2)
    rows = [(row, person, 100) for row, person in (("a", "p2"), ("b", "p1"), ("c", "p2"), ("d", "p1"))]
    found = shards_of(tmp_path, rows, [("b", "train-00004"), ("z", "train-00007"), ("c", "test-00009")])
    assert found == {"b": "train-00004", "d": "train-00008", "a": "train-00008", "c": "train-00009"}


def test_large_photographs_make_small_shards(tmp_path):
    rows = [(row, "p", 10_000) for row in "abcde"]  # 100 megapixels each
    found = shards_of(tmp_path, [*rows, ("f", "q", 100_000)])
    assert sorted(found.values()) == [
        "train-00000", "train-00000", "train-00001", "train-00001", "train-00002", "train-00003",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("open_form", "take_out"), [(open_parquet, pull._rewrite_parquet), (open_tar, pull._rewrite_tar)]
)
def test_what_a_notice_leaves_of_a_shard_is_what_the_next_release_writes(open_form, take_out, tmp_path):
    """So nothing of it is pulled again. 40 rows are three groups of rows in Parquet."""
    records = [
        {
            "row_id": f"{number:032x}", "split": "train", "image_sha256": "0" * 64, "subject": "s", "format": "jpg",
            "basis": {"id": "b"}, "width": 64, "height": 48, "labels": {"quality": "1.5000"},
        }
        for number in range(40)
    ]  # fmt: skip

    def write(path, some):
        with open_form(path, [Control("quality", "rating")]) as add:
            for record in some:
                add(record, record["row_id"].encode() * 99)

    whole, left, rest = tmp_path / "whole", tmp_path / "left", tmp_path / "rest"
    write(whole, records)
    write(rest, [record for at, record in enumerate(records) if at not in (3, 20, 21)])
    take_out(whole, left, {records[at]["row_id"] for at in (3, 20, 21)})
    assert left.read_bytes() == rest.read_bytes()


def files(release):
    return {file.path: file for file in release.files.exclude(shard="")}


def kept(earlier, later):
    """Shards of which both releases have every file, at one place in storage."""
    before, now = files(earlier), files(later)
    same = {path for path in before.keys() & now.keys() if before[path].key == now[path].key}
    return {file.shard for path, file in now.items() if path in same} - {
        file.shard for path, file in now.items() if path not in same
    }


@pytest.mark.django_db
def test_a_later_release_writes_only_what_changed(monkeypatch):
    """More rows open new shards; a withdrawal and a new label touch the shards that hold them, and no others."""
    monkeypatch.setattr(shards, "MOST_ROWS", 4)
    dataset = make_labelled_dataset(people=24, each=1)
    first = make_published(dataset)
    old = set(first.items.values_list("shard", flat=True))
    assert len(old) >= 6
    worker = make_annotator()
    for _ in range(2):
        annotate(make_image(), dataset.campaign, worker, result())
    second = make_published(dataset)
    assert second.version == "1.1.0"
    assert kept(first, second) == old
    item = second.items.filter(shard=min(old)).first()
    annotate(item.image, dataset.campaign, make_annotator(), result(1))
    third = make_published(dataset)
    assert {one.shard for one in files(third).values()} - kept(second, third) == {item.shard}
    gone = third.items.filter(shard=max(old)).first()
    withdraw(consent=gone.image.consent)
    revoke_items()
    for release in (first, second, third):
        off = {file.shard for file in files(release).values() if hasattr(file, "purge")}
        assert off == {gone.shard}
    fourth = make_published(dataset)
    assert fourth.version == "2.0.0"
    assert {one.shard for one in files(fourth).values()} - kept(third, fourth) == {gone.shard}
    placed = Item.objects.filter(release__dataset=dataset).values_list("row_id", "shard").distinct()
    assert len(placed) == 26


@pytest.mark.django_db
def test_leaves_are_in_the_order_of_the_shards(monkeypatch):
    monkeypatch.setattr(shards, "MOST_ROWS", 1)
    dataset = make_dataset()
    for _ in range(3):
        make_image()
    make_published(dataset)
    make_image()
    rows = list(make_published(dataset).items.order_by("position").values_list("shard", "row_id"))
    assert rows == sorted(rows)
