import base64
import threading

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from consent import append_only, audit, ledger, merkle, texts, withdrawals
from consent.keys import public_key
from consent.models import Checkpoint, LedgerEntry, LedgerLeaf
from consent.signing import BadSignature, open_note
from tests.conftest import append_only_tables
from tests.consent.factories import make_consent, make_licence


def append(count):
    return [ledger.append("test.event", number=number) for number in range(count)]


@pytest.fixture
def without_triggers(db):
    """Somebody with full power over the database."""
    with connection.cursor() as cursor:
        for table, _ in append_only_tables():
            for statement in append_only.drop_sql(connection.vendor, table):
                cursor.execute(statement)


@pytest.mark.django_db
def test_sealing_orders_and_signs_what_is_pending():
    append(3)
    head = ledger.seal()
    assert head.tree_size == 3
    assert list(LedgerLeaf.objects.order_by("index").values_list("index", flat=True)) == [0, 1, 2]
    text = open_note(head.note, settings.LEDGER_ORIGIN, public_key())
    origin, size, root = text.splitlines()
    assert (origin, size) == (settings.LEDGER_ORIGIN, "3")
    assert base64.b64decode(root).hex() == head.root_hash
    assert ledger.seal() is None
    assert ledger.latest_checkpoint() == head


@pytest.mark.django_db
def test_an_event_costs_one_statement_and_a_seal_few_however_much_it_seals(
    django_assert_num_queries, django_assert_max_num_queries
):
    with transaction.atomic(), django_assert_num_queries(1):
        ledger.append("test", number=1)
    with CaptureQueriesContext(connection) as few:
        assert ledger.seal().tree_size == 1
    append(400)
    with django_assert_max_num_queries(len(few) + 3):  # and the tile that is full: two to write it, one to read of it
        assert ledger.seal().tree_size == 401
    assert len(few) <= 9


@pytest.mark.django_db
def test_a_checkpoint_with_another_size_does_not_verify():
    append(1)
    note = ledger.seal().note.replace("\n1\n", "\n2\n")
    with pytest.raises(BadSignature):
        open_note(note, settings.LEDGER_ORIGIN, public_key())


@pytest.mark.django_db
def test_inclusion_proofs_verify_under_each_later_checkpoint():
    entries = append(5)
    ledger.seal()
    entries += append(8)
    head = ledger.seal()
    root = bytes.fromhex(head.root_hash)
    proofs = ledger.inclusion(entries[3:9], head)
    assert [proof["leaf"] for proof in proofs] == [entry.payload for entry in entries[3:9]]
    for proof in proofs:
        steps = [bytes.fromhex(step) for step in proof["proof"]]
        leaf = merkle.leaf_hash(proof["leaf"].encode())
        assert merkle.verify_inclusion(leaf, proof["index"], head.tree_size, steps, root)
        changed = merkle.leaf_hash(proof["leaf"].replace("test", "best").encode())
        assert not merkle.verify_inclusion(changed, proof["index"], head.tree_size, steps, root)


@pytest.mark.django_db
def test_what_is_not_sealed_has_no_proof():
    append(1)
    head = ledger.seal()
    with pytest.raises(ValueError, match="not sealed"):
        ledger.inclusion(append(1), head)


@pytest.mark.django_db
def test_sealed_head_covers_everything():
    append(2)
    first = ledger.sealed_head()
    assert ledger.sealed_head() == first
    append(1)
    assert ledger.sealed_head().tree_size == 3


@pytest.mark.django_db
def test_an_event_that_is_rolled_back_leaves_no_entry():
    with transaction.atomic():
        append(1)
        transaction.set_rollback(True)
    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db
def test_a_sound_ledger_has_no_problems(capsys):
    withdrawals.withdraw(consent=make_consent(purposes=["research", "training"]), purpose="training")
    make_licence()
    ledger.seal()
    append(3)
    ledger.seal()
    assert list(audit.problems()) == []
    call_command("verify_ledger")
    assert capsys.readouterr().out.startswith("good: 7 entries")


TAMPERING = {
    "an entry's payload": ("UPDATE consent_ledgerentry SET payload = '{}' WHERE payload LIKE '%%granted%%'", "entry"),
    "a leaf removed": ('DELETE FROM consent_ledgerleaf WHERE "index" = 1', "leaf 1 is missing"),
    "the last leaf removed": ('DELETE FROM consent_ledgerleaf WHERE "index" = 4', "covers leaves that are missing"),
    "a root": (f"UPDATE consent_checkpoint SET root_hash = '{'0' * 64}'", "root is not the root"),
    "a signature": ("UPDATE consent_checkpoint SET note = replace(note, '— ', '— not')", "no signature"),
    "a consent's term": ("UPDATE consent_consent SET expires_at = '2199-01-01 00:00:00+00:00'", "not as the ledger"),
    "a purpose granted": ("UPDATE consent_consentpurpose SET purpose_id = 'resale'", "not as the ledger says"),
    "a withdrawal moved": ("UPDATE consent_withdrawal SET made_at = '2199-01-01 00:00:00+00:00'", "withdrawal"),
    "a licence's territory": ("UPDATE consent_licence SET territory = 'IE'", "not as the ledger says"),
    "the words of a text": ("UPDATE consent_formtext SET html = 'anything'", "words are not those"),
    "the evidence": ("UPDATE consent_signatureevidence SET signer_name = 'Eve'", "evidence of its signature"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_past_the_triggers_is_found_and_named(without_triggers, what, capsys):
    texts.add_purpose(code="resale", name="Resale", description="x")
    withdrawals.withdraw(consent=make_consent())
    make_licence()
    append(1)
    ledger.seal()
    assert list(audit.problems()) == []
    statement, words = TAMPERING[what]
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("%%", "%"))
    assert any(words in problem for problem in audit.problems()), list(audit.problems())
    with pytest.raises(CommandError, match="not sound"):
        call_command("verify_ledger")
    assert words in capsys.readouterr().err


@pytest.mark.django_db(transaction=True)
def test_many_append_and_seal_at_once():
    errors = []

    def work():
        try:
            for number in range(8):
                with transaction.atomic():
                    ledger.append("test.event", number=number)
                ledger.seal()
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.seal()
    assert errors == []
    assert LedgerEntry.objects.count() == LedgerLeaf.objects.count() == 40
    assert Checkpoint.objects.order_by("-tree_size").first().tree_size == 40
    assert list(audit.problems()) == []
