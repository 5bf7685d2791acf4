"""manage.py reconcile_pay: what was altered past the triggers is found and named."""

import io
import threading
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from annotation.payout_models import PaymentChange
from annotation.payouts import approve_run, discard_run, record_outcome
from annotation.reconcile import differences, one_moment
from consent.append_only import drop_sql
from tests.annotation.payout_factories import PAYER, earn, give, make_earner, make_manager, make_run, prepare
from tests.conftest import append_only_tables

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _payer(settings):
    settings.PAYER = PAYER


@pytest.fixture
def paid():
    """Something of everything that pay can be."""
    first, second = make_earner("30.1234"), make_earner("40")
    make_earner("3")
    earn(first, "55.5", "CHF")
    give(first, "2")
    give(second, "-1.5")
    run = make_run()
    payment = run.payments.get(annotator=second)
    record_outcome(
        payment=payment, new="failed", reason="Account closed", user=make_manager(), agreed_by=make_manager()
    )
    discard_run(run=prepare(), reason="Wrong day", user=make_manager())
    approve_run(run=prepare(), user=make_manager())
    return first


def alter(statement: str) -> int:
    """Raw SQL, past the triggers; how many rows it changed."""
    with connection.cursor() as cursor:
        for table, _ in append_only_tables():
            for drop in drop_sql(connection.vendor, table):
                cursor.execute(drop)
        cursor.execute(statement)
        return cursor.rowcount


def test_what_services_did_adds_up(paid):
    said = io.StringIO()
    call_command("reconcile_pay", stdout=said)
    assert said.getvalue().splitlines() == [
        "good: the sums of 3 annotators agree",
        "CHF: earned 55.5000, corrections 0, paid 0, owed 55.5000",
        "EUR: earned 73.1234, corrections 0.5000, paid 70.6200, owed 3.0034",
    ]


def test_nothing_adds_up_to_nothing():
    assert list(differences()) == []


FIRST_EARNING = "(SELECT MIN(id) FROM annotation_earning)"
LAST_PAYMENT = "(SELECT payment_id FROM annotation_paymentchange ORDER BY id DESC LIMIT 1)"
CHANGE = "annotation_paymentchange"
OF_FAILED = f"(SELECT payment_id FROM {CHANGE} WHERE old = 'sent' AND new = 'failed')"
ALTERED = {
    "an earning": (f"UPDATE annotation_earning SET amount = amount + 1 WHERE id = {FIRST_EARNING}", "earnings of"),
    "all earnings": ("UPDATE annotation_earning SET amount = amount * 3", "were earned of"),
    "an earning's owner": (
        "UPDATE annotation_earning SET annotator_id = (SELECT annotator_id FROM annotation_earning ORDER BY id "
        f"LIMIT 1 OFFSET 1) WHERE id = {FIRST_EARNING}",
        "is not that of its annotation",
    ),
    "an earning's currency": (f"UPDATE annotation_earning SET currency = 'USD' WHERE id = {FIRST_EARNING}", "currency"),
    "no earning": (f"DELETE FROM annotation_earning WHERE id = {FIRST_EARNING}", "was accepted and earned nothing"),
    "a reservation": ("UPDATE annotation_campaign SET reserved = reserved - 0.0001", "are reserved, but 1 open tasks"),
    "a payment": ("UPDATE annotation_payment SET amount = amount + 1", "was paid of a balance of"),
    "a payment's currency": ("UPDATE annotation_payment SET currency = 'USD'", "its run is in EUR"),
    "a payment's number": ("UPDATE annotation_payment SET number = number + 7", "of its annotator"),
    "a step's state": (
        f"UPDATE {CHANGE} SET old = 'sent', new = 'settled' WHERE new = 'sent' AND payment_id NOT IN {OF_FAILED}",
        "“sent” → “settled” cannot follow",
    ),
    "a step between": (
        f"DELETE FROM {CHANGE} WHERE new = 'sent' AND payment_id IN {OF_FAILED}",
        "“sent” → “failed” cannot follow “prepared”",
    ),
    "a last step": (f"DELETE FROM {CHANGE} WHERE new = 'failed' AND old = 'sent' OR new = 'sent'", "it was not sent"),
    "all steps": (f"DELETE FROM {CHANGE} WHERE payment_id = {LAST_PAYMENT}", "nothing says what became of it"),
    "a failure": (f"DELETE FROM {CHANGE} WHERE new = 'failed'", "were paid, but only"),
    "an approval": (
        "UPDATE annotation_payoutrun SET approved_by_id = NULL, approved_at = NULL",
        "it was sent, against",
    ),
    "an adjustment": ("UPDATE annotation_adjustment SET amount = amount + 1", "adjustments of"),
    "an adjustment that is gone": ("DELETE FROM annotation_adjustment WHERE amount < 0", "the ledger was told of 1"),
    "what the ledger was told of an earning": (
        "DELETE FROM consent_ledgerentry WHERE payload LIKE '%earning.recorded%'",
        "earnings of",
    ),
    "what the ledger was told of a payment": (
        "DELETE FROM consent_ledgerentry WHERE payload LIKE '%payment.changed%' AND payload LIKE '%\"prepared\"%'",
        "payments of",
    ),
    "what the ledger was told of a failure": (
        "UPDATE consent_ledgerentry SET payload = REPLACE(payload, '\"failed\"', '\"settled\"')",
        "returned payments of",
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_past_the_triggers_is_named(paid, what):
    statement, says = ALTERED[what]
    assert alter(statement)
    with pytest.raises(CommandError, match=says) as told:
        call_command("reconcile_pay", stdout=io.StringIO())
    assert told.value.returncode == 1
    assert "Pay does not add up" in str(told.value)


def test_a_correction_that_takes_back_what_was_paid_is_no_difference(paid):
    give(paid, "-500")
    assert list(differences()) == []


@pytest.mark.django_db(transaction=True)
def test_what_is_earned_and_paid_meanwhile_is_no_difference():
    """On SQLite whoever writes waits until the sums are added up."""
    annotator = make_earner()
    with one_moment():
        looking = differences()
        assert next(looking, None) is None
        meanwhile = threading.Thread(target=_pay_again, args=(annotator,))
        meanwhile.start()
        if connection.vendor == "postgresql":
            meanwhile.join()
            assert PaymentChange.objects.count() == 0
        assert list(differences()) == []
    meanwhile.join()
    assert PaymentChange.objects.count() == 2
    assert list(differences()) == []


def _pay_again(annotator):
    try:
        give(annotator, "5")
        assert make_run().payments.get().amount == Decimal(35)
    finally:
        connection.close()
