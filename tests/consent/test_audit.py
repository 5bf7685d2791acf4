"""What verify_ledger finds and names (R39), what proofs show, and copies that nobody can change."""

import datetime
import json

import boto3
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from moto import mock_aws

from consent import anchors, audit, ledger, merkle
from consent.models import Checkpoint, CheckpointCopy, ConsentPurpose, LedgerEntry, LedgerLeaf, LedgerTile
from tests.consent.factories import make_consent, make_licence, make_purpose
from tests.consent.test_ledger import append, without_triggers  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def execute(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)


# --- Proofs over tiles ---------------------------------------------------------------------------


@pytest.fixture
def big(monkeypatch):
    """A ledger of 700 entries, sealed in three uneven parts: two whole tiles and a piece."""
    entries = []
    for count in (300, 211, 189):
        entries += append(count)
        assert ledger.seal().tree_size == len(entries)
    return entries


def test_sealing_goes_on_from_the_peaks_and_keeps_tiles(big):
    hashes = [merkle.leaf_hash(entry.payload.encode()) for entry in big]
    head = ledger.latest_checkpoint()
    assert head.root_hash == merkle.root_hash(hashes).hex()
    assert [tile.root_hash for tile in LedgerTile.objects.order_by("index")] == [
        merkle.root_hash(hashes[begin : begin + 256]).hex() for begin in (0, 256)
    ]
    assert list(audit.problems()) == []


@pytest.mark.parametrize("size", [300, 511, 700])
def test_proofs_from_tiles_are_those_of_the_whole_tree(big, size):
    hashes = [merkle.leaf_hash(entry.payload.encode()) for entry in big]
    chosen = [0, 255, 256, 299]
    plain = merkle.inclusion_proofs(hashes[:size], chosen)
    told = ledger.inclusion([big[index] for index in chosen], Checkpoint.objects.get(pk=size))
    assert [one["proof"] for one in told] == [[step.hex() for step in proof] for proof in plain]


@pytest.mark.parametrize(("first", "second"), [(1, 700), (256, 700), (300, 511), (511, 700), (512, 513), (700, 700)])
def test_consistency_from_tiles_verifies(big, first, second):
    hashes = [merkle.leaf_hash(entry.payload.encode()) for entry in big]
    proof = [bytes.fromhex(step) for step in ledger.consistency(first, second)]
    assert merkle.verify_consistency(
        first, second, merkle.root_hash(hashes[:first]), merkle.root_hash(hashes[:second]), proof
    )


def test_a_ledger_sealed_before_tiles_and_peaks_were_kept_goes_on(big, without_triggers):  # noqa: F811
    LedgerTile.objects.all().delete()
    Checkpoint.objects.update(peaks="")
    told = ledger.inclusion([big[299]], Checkpoint.objects.get(pk=511))
    assert len(told[0]["proof"]) == 9
    append(1)
    assert ledger.seal().tree_size == 701
    assert LedgerTile.objects.count() == 2
    assert list(audit.problems()) == []


def test_an_entry_whose_transaction_ended_late_is_sealed_next():
    entries = append(3)
    ledger.seal()
    late = LedgerEntry.objects.create(pk=entries[0].pk - 1, payload=ledger.payload_text({"kind": "late"}))
    assert ledger.sealed_head().tree_size == 4
    assert late.leaf.index == 3


def test_sealing_takes_a_batch_at_a_time_and_late_entries_later(monkeypatch):
    monkeypatch.setattr(ledger, "BATCH", 10)
    entries = append(25)
    assert [ledger.seal().tree_size for _ in range(3)] == [10, 20, 25]
    late = LedgerEntry.objects.create(pk=entries[0].pk - 1_000_000, payload=ledger.payload_text({"kind": "late"}))
    assert ledger.seal() is None  # too far back for the ordinary sweep
    assert ledger.seal(look_back=None).tree_size == 26
    assert late.leaf.index == 25


# --- R39: what is found --------------------------------------------------------------------------

RAW = {
    "deleted": ("DELETE FROM consent_withdrawal", "the row that it tells of is gone"),
    "added past the services": (
        "INSERT INTO consent_consentpurpose (consent_id, purpose_id) SELECT id, 'resale' FROM consent_consent",
        "not as the ledger says",
    ),
    "a text's purpose added": (
        "INSERT INTO consent_formtextpurpose (text_id, purpose_id) SELECT id, 'resale' FROM consent_formtext",
        "not as the ledger says",
    ),
    "a licence's purpose added": (
        "INSERT INTO consent_licencepurpose (licence_id, purpose_id) SELECT id, 'resale' FROM consent_licence",
        "not as the ledger says",
    ),
    "peaks replaced": (f"UPDATE consent_checkpoint SET peaks = '{'0' * 64}' WHERE tree_size = 4", "peaks are not"),
    "a tile replaced": (f"UPDATE consent_ledgertile SET root_hash = '{'0' * 64}'", "tile 0"),
}


@pytest.mark.parametrize("what", RAW)
def test_r39_what_raw_sql_does_is_found_and_named(without_triggers, what):  # noqa: F811
    from consent.withdrawals import withdraw

    make_purpose("resale")
    withdraw(consent=make_consent())
    make_licence()
    ledger.seal()
    append(260)
    ledger.seal()
    assert list(audit.problems()) == []
    statement, words = RAW[what]
    execute(statement)
    assert any(words in problem for problem in audit.problems()), list(audit.problems())


def test_r39_reordering_is_found_even_when_the_leaves_are_made_to_fit(without_triggers):  # noqa: F811
    append(4)
    ledger.seal()
    append(4)
    ledger.seal()
    one, two = LedgerLeaf.objects.get(index=5), LedgerLeaf.objects.get(index=6)
    entries, hashes = (one.entry_id, two.entry_id), (one.leaf_hash, two.leaf_hash)
    LedgerLeaf.objects.filter(index__in=(5, 6)).delete()
    LedgerLeaf.objects.create(index=5, entry_id=entries[1], leaf_hash=hashes[1])
    LedgerLeaf.objects.create(index=6, entry_id=entries[0], leaf_hash=hashes[0])
    found = list(audit.problems())
    assert any("root is not the root of the entries (entries 4 to 7)" in problem for problem in found), found


@pytest.mark.parametrize(("days", "words"), [(-3, "back-dated"), (3, "post-dated")])
def test_r39_an_entry_with_a_false_time_is_found(days, words):
    append(1)
    ledger.seal()
    ledger.append("test.event", at=timezone.now() + days * DAY)
    ledger.seal()
    assert [problem.rsplit(": ", 1)[1] for problem in audit.problems()] == [words]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE consent_ledgerentry SET created_at = '2020-01-01 00:00:00+00:00'", "does not fit its place"),
        ("UPDATE consent_ledgerentry SET created_at = '2199-01-01 00:00:00+00:00'", "does not fit its place"),
        (
            "UPDATE consent_checkpoint SET created_at = '2020-01-01 00:00:00+00:00' WHERE tree_size = 4",
            "before that of the one that it follows",
        ),
        (
            "UPDATE consent_checkpoint SET created_at = '2199-01-01 00:00:00+00:00' WHERE tree_size = 2",
            "does not fit its place",
        ),
    ],
)
def test_r39_times_that_the_tree_does_not_cover_are_checked_too(without_triggers, statement, words):  # noqa: F811
    for _ in range(2):
        append(2)
        ledger.seal()
    execute(statement)
    assert any(words in problem for problem in audit.problems()), list(audit.problems())


def test_r39_a_ledger_that_was_cut_short_is_found_by_who_kept_a_checkpoint(without_triggers, tmp_path):  # noqa: F811
    append(3)
    ledger.seal()
    append(3)
    kept = tmp_path / "checkpoint"
    kept.write_text(ledger.seal().note)
    call_command("verify_ledger", since=kept)
    execute("DELETE FROM consent_checkpoint WHERE tree_size = 6")
    execute('DELETE FROM consent_ledgerleaf WHERE "index" >= 3')
    assert list(audit.problems()) == []  # by itself it looks whole
    with pytest.raises(CommandError, match="no checkpoint of 6 entries"):
        call_command("verify_ledger", since=kept)


def test_a_reading_since_a_checkpoint_finds_what_came_after(without_triggers, tmp_path, capsys):  # noqa: F811
    append(3)
    kept = tmp_path / "checkpoint"
    kept.write_text(ledger.seal().note)
    consent = make_consent()
    ledger.seal()
    call_command("verify_ledger", since=kept, json=True)
    assert json.loads(capsys.readouterr().out)["sound"] is True
    ConsentPurpose.objects.create(consent=consent, purpose=make_purpose("resale"))
    with pytest.raises(CommandError, match="not sound"):
        call_command("verify_ledger", since=kept)


@pytest.mark.parametrize("content", [b"", b"likeness\n3\nAAAA\n\nno signature\n", b"\xff\xfe"])
def test_what_is_no_checkpoint_is_refused_in_words(tmp_path, content):
    kept = tmp_path / "checkpoint"
    kept.write_bytes(content)
    with pytest.raises(CommandError, match="is not a checkpoint of this ledger"):
        call_command("verify_ledger", since=kept)


# --- Addresses -----------------------------------------------------------------------------------


def test_anybody_may_ask_for_proofs(client, big):
    answer = client.get("/ledger/consistency?from=300&to=700").json()
    assert answer == {"from": 300, "to": 700, "proof": ledger.consistency(300, 700)}
    leaf = merkle.leaf_hash(big[7].payload.encode())
    told = client.get(f"/ledger/inclusion?leaf={leaf.hex()}&size=511").json()
    steps = [bytes.fromhex(step) for step in told["proof"]]
    root = bytes.fromhex(Checkpoint.objects.get(pk=511).root_hash)
    assert merkle.verify_inclusion(leaf, told["index"], 511, steps, root)


@pytest.mark.parametrize(
    "question",
    [
        "consistency", "consistency?from=0&to=3", "consistency?from=5&to=3", "consistency?from=1&to=99",
        "consistency?from=x&to=y", "inclusion", "inclusion?leaf=zz&size=3", "inclusion?leaf=" + "0" * 64 + "&size=3",
        "inclusion?leaf=&size=", "consistency?from=1&to=" + "9" * 30,
    ],
)  # fmt: skip
def test_a_question_without_an_answer_says_why(client, question):
    append(3)
    ledger.seal()
    answer = client.get(f"/ledger/{question}")
    assert answer.status_code in (400, 404)
    assert answer.json()["detail"]


# --- Copies --------------------------------------------------------------------------------------


@pytest.fixture
def locked_bucket(settings, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    settings.CHECKPOINT_BUCKET, settings.S3_ENDPOINT_URL = "checkpoints", ""
    anchors.client.cache_clear()
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="checkpoints", ObjectLockEnabledForBucket=True)
        yield s3
    anchors.client.cache_clear()


def test_checkpoints_are_copied_under_a_lock_once(locked_bucket):
    append(2)
    ledger.seal()
    append(1)
    head = ledger.seal()
    assert anchors.copy_checkpoint().checkpoint == head  # the newest covers the earlier one
    assert anchors.copy_checkpoint() is None
    found = locked_bucket.get_object(Bucket="checkpoints", Key="checkpoints/000000000003")
    assert found["Body"].read().decode() == head.note
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["ObjectLockRetainUntilDate"] > timezone.now() + 3000 * DAY
    assert list(anchors.problems()) == []


def test_another_history_does_not_agree_with_the_copies(locked_bucket, without_triggers, tmp_path):  # noqa: F811
    append(3)
    ledger.seal()
    anchors.copy_checkpoint()
    for table in ("checkpointcopy", "checkpoint", "ledgerleaf", "ledgerentry"):
        execute(f"DELETE FROM consent_{table}")
    ledger.append("test.event", number=99)
    append(2)
    ledger.seal()  # the key's holder signs another history of the same size
    assert list(audit.problems()) == []
    assert "not those that the checkpoint was signed over" in next(anchors.problems())
    with pytest.raises(CommandError, match="not sound"):
        call_command("verify_ledger", anchors=True)


def test_a_copy_that_is_gone_is_named(locked_bucket):
    append(1)
    CheckpointCopy.objects.create(checkpoint=ledger.seal())
    assert list(anchors.problems()) == ["the copy of checkpoint 1 is gone from the bucket"]


def test_without_a_bucket_nothing_is_copied(settings):
    append(1)
    ledger.seal()
    assert anchors.copy_checkpoint() is None
    assert not CheckpointCopy.objects.exists()
