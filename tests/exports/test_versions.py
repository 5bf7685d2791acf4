"""Which number a release gets and why, what its card says of that, and that equal bytes are stored once."""

import json

import pytest
from django.core.files.storage import storages

from consent.withdrawals import withdraw
from exports import replay, services
from exports.models import FilePurge, ReleaseFile
from exports.notices import revoke_items
from exports.release_files import storage_key
from tests.exports.factories import (
    annotate,
    make_annotator,
    make_built,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    result,
)
from tests.exports.test_build import files_of
from tests.exports.test_definitions import change

pytestmark = pytest.mark.django_db


@pytest.fixture
def first(db):
    return make_published(make_labelled_dataset(people=5, each=2))


def more(dataset):
    annotate(make_image(), dataset.campaign, make_annotator(), result())


def relabel(dataset):
    annotate(dataset.releases.first().items.first().image, dataset.campaign, make_annotator(), result(1))


def test_more_rows_are_a_minor_release(first):
    more(first.dataset)
    assert make_built(first.dataset).version == "1.1.0"


def test_other_labels_are_a_minor_release(first):
    relabel(first.dataset)
    assert make_built(first.dataset).version == "1.1.0"


def test_a_withdrawal_is_a_major_release_whatever_else_is_new(first):
    more(first.dataset)
    withdraw(consent=first.items.first().image.consent)
    assert make_built(first.dataset).version == "2.0.0"


@pytest.mark.parametrize(
    "fields", [{"controls": ["quality"]}, {"ratings": "median"}, {"longest_side": 32}, {"formats": []}]
)
def test_another_schema_is_a_major_release(first, fields):
    change(first.dataset, **fields)
    more(first.dataset)
    assert make_built(first.dataset).version == "2.0.0"


def test_only_other_words_are_a_patch(first):
    change(first.dataset, description="Portraits, told anew.")
    assert make_published(first.dataset).version == "1.0.1"
    more(first.dataset)
    assert make_published(first.dataset).version == "1.1.0"


def test_the_card_says_what_changed_and_what_the_drafter_noted(first, tmp_path):
    more(first.dataset)
    notes = "Better light.\r\n# Not a heading"  # the line ends of a browser
    release = services.draft_release(dataset=first.dataset, user=make_manager(), notes=notes)
    services.build_release(release_id=release.pk)
    release.refresh_from_db()
    card = files_of(release, tmp_path)["README.md"].decode()
    assert "Since 1.0.0: 1 rows added, 0 removed, 0 with other labels, 10 kept." in card
    assert "Notes of this release: Better light.\n\\# Not a heading\n" in card
    assert card.count("\n## ") == 7
    assert "\r" not in card


# --- The same bytes once -------------------------------------------------------------------------


def shards(release):
    return {file.path: file for file in release.files.exclude(shard="")}


@pytest.fixture
def patch(first):
    change(first.dataset, limits="Few people.")
    return make_published(first.dataset)


def test_a_patch_has_new_words_and_the_very_same_shards(first, patch, tmp_path):
    before, after = shards(first), shards(patch)
    assert {path: file.key for path, file in after.items()} == {path: file.key for path, file in before.items()}
    assert not [path for path in after if storages["releases"].exists(storage_key(patch, path))]
    files = files_of(patch, tmp_path / "patch")
    assert "Known limits: Few people." in files["README.md"].decode()
    old = files_of(first, tmp_path / "first")
    assert {name for name in files if files[name] != old[name]} == {
        "README.md", "croissant.json", "attestations.jsonl", "checkpoint.txt", "statement.dsse.json", "SHA256SUMS",
    }  # fmt: skip
    assert json.loads(files["croissant.json"])["version"] == "1.0.1"


def test_after_a_withdrawal_both_lose_what_they_share(first, patch):
    item = first.items.filter(split="train").first()
    withdraw(consent=item.image.consent)
    revoke_items()
    for release in (first, patch):
        gone = {file.path for file in release.files.filter(purge__isnull=False)}
        assert "data/train-00000.parquet" in gone
        assert "data/test-00000.parquet" not in gone
    keys = {file.key for file in ReleaseFile.objects.filter(shard="train-00000")}
    assert not [key for key in keys if storages["releases"].exists(key)]


def test_giving_up_a_draft_takes_nothing_from_what_is_published(first, tmp_path):
    change(first.dataset, limits="Few people.")
    draft = make_built(first.dataset)
    services.discard_release(release=draft, reason="a mistake")
    assert FilePurge.objects.filter(file__release=draft).count() == draft.files.count()
    replay.replay()  # deletes what purged rows name
    assert len(files_of(first, tmp_path)) == 15


def test_what_a_second_builder_left_behind_goes_with_the_rest(first, patch):
    late = storage_key(patch, "data/train-00000.parquet")
    with storages["releases"].open(shards(first)["data/train-00000.parquet"].key) as file:
        storages["releases"].save(late, file)
    withdraw(consent=first.items.filter(split="train").first().image.consent)
    revoke_items()
    assert not storages["releases"].exists(late)
