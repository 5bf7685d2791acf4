"""Nothing that was earned is paid twice, nothing is lost, and two people look at every run (promise 6)."""

import json
import random
import threading
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.core.management import call_command
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.utils import timezone

from annotation.balances import Balance, balances
from annotation.bank_files import write_pain001
from annotation.checks import payer_is_whole
from annotation.payout_models import (
    Adjustment,
    LeftOut,
    Payee,
    Payment,
    PaymentChange,
    PaymentDetails,
    PaymentState,
    PayoutRun,
)
from annotation.payouts import (
    adjust_pay,
    approve_run,
    bank_order,
    discard_run,
    forget_bank_details,
    give_payee,
    prepare_run,
    record_outcome,
    remove_payee,
    settle_run,
)
from consent import ledger
from consent.models import LedgerEntry, User
from consent.refusals import Refused
from tests.annotation.factories import make_annotator
from tests.annotation.payout_factories import (
    IBAN,
    OTHER_IBAN,
    PAYER,
    details,
    earn,
    give,
    make_earner,
    make_manager,
    make_run,
    payee_of,
    prepare,
)
from tests.crash import KillableWorker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _payer(settings):
    settings.PAYER = PAYER


def balance(annotator, currency="EUR") -> Decimal:
    return balances(annotators=[annotator]).get((annotator.pk, currency), Balance()).total


def states() -> list[str]:
    return sorted(Payment.objects.with_state().values_list("state", flat=True))


# --- Bank details --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "iban", ["IE29AIBK93115212345679", "DE8937040044053201300", "XX12", "", "IE29 AIBK", "GB82WEST1234569876543"]
)
def test_an_iban_that_cannot_be_right_is_refused(iban):
    with pytest.raises(Refused, match="no IBAN"):
        give_payee(annotator=make_annotator(), details=details(iban=iban))
    assert not Payee.objects.exists()


def test_an_iban_is_kept_without_spaces_and_a_later_one_takes_its_place():
    annotator = make_annotator()
    give_payee(annotator=annotator, details=details(iban="ie29 aibk 9311 5212 3456 78", bic="aibkie2d"))
    assert (payee_of(annotator).iban, payee_of(annotator).bic) == (IBAN, "AIBKIE2D")
    give_payee(annotator=annotator, details=details(iban=OTHER_IBAN))
    assert payee_of(annotator).iban == OTHER_IBAN
    with pytest.raises(Refused, match="BIC"):
        give_payee(annotator=annotator, details=details(bic="NOTABIC"))
    remove_payee(annotator=annotator)
    assert not Payee.objects.exists()


def test_the_ledger_knows_amounts_and_no_accounts():
    annotator = make_earner()
    give(annotator, "-1.5", reason="Ada was paid for a test")
    make_run()
    told = [json.loads(entry.payload) for entry in LedgerEntry.objects.order_by("pk")]
    kinds = [entry["kind"] for entry in told if entry.get("annotator") == str(annotator.pk)]
    assert kinds == ["earning.recorded", "adjustment.made", "payment.changed", "payment.changed"]
    assert [entry["state"] for entry in told if entry["kind"] == "payment.changed"] == ["prepared", "sent"]
    assert {entry["amount"] for entry in told if entry["kind"] == "payment.changed"} == {"28.50"}
    for secret in (IBAN, "Bhriain", "Ada", annotator.user.email):
        assert secret not in json.dumps(told, ensure_ascii=False)


def test_who_pays_is_what_the_run_was_prepared_with(settings):
    make_earner()
    run = make_run()
    before = write_pain001(bank_order(run=run))
    settings.PAYER = {**PAYER, "name": "Another Foundation", "iban": "IE29AIBK93115212345678"}
    run.refresh_from_db()
    assert bank_order(run=run).payer.name == PAYER["name"]
    assert write_pain001(bank_order(run=run)) == before
    settings.PAYER = dict.fromkeys(PAYER, "")
    assert write_pain001(bank_order(run=run)) == before
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        PayoutRun.objects.update(payer=None)


# --- Balances ------------------------------------------------------------------------------------


def test_a_balance_is_earnings_and_adjustments_less_payments_that_stand():
    annotator = make_earner("30.1234")
    give(annotator, "0.5")
    give(annotator, "-0.3")
    assert balance(annotator) == Decimal("30.3234")
    run = make_run()
    assert balance(annotator) == Decimal("0.0034")
    record_outcome(
        payment=run.payments.get(), new="failed", reason="Account closed", user=make_manager(), agreed_by=make_manager()
    )
    assert balance(annotator) == Decimal("30.3234")


def test_payments_are_whole_cents_and_the_rest_stays():
    annotator = make_earner("20.0099")
    payment = prepare().payments.get()
    assert payment.amount == Decimal("20.00")
    assert balance(annotator) == payment.left == Decimal("0.0099")
    earn(annotator, "20.0001")
    assert prepare().payments.get().amount == Decimal("20.01")
    assert balance(annotator) == 0


def test_many_small_amounts_leave_nothing_over(settings):
    """Added as floats a thousand times 0.1 would be 99.9999999999986."""
    settings.ADJUSTED_ALONE = 100
    annotator = make_earner("0.1")
    user = make_manager()
    for slip in range(999):
        adjust_pay(annotator=annotator, amount=Decimal("0.1"), currency="EUR", reason=f"Slip {slip}", user=user)
    assert prepare().payments.get().amount == 100
    assert balance(annotator) == 0


def test_currencies_are_kept_apart():
    annotator = make_earner("25", "EUR")
    earn(annotator, "40", "CHF")
    assert prepare(currency="CHF").payments.get().amount == 40
    assert (balance(annotator, "EUR"), balance(annotator, "CHF")) == (25, 0)


@pytest.mark.parametrize("amount", ["0", "0.00001"])
def test_an_adjustment_changes_something_exact(amount):
    with pytest.raises(Refused, match="four decimal places"):
        give(make_annotator(), amount)


def test_an_adjustment_has_a_reason_and_is_not_ones_own():
    annotator = make_annotator()
    with pytest.raises(Refused, match="Say why"):
        give(annotator, "1", reason=" ")
    with pytest.raises(Refused, match="your own pay"):
        adjust_pay(annotator=annotator, amount=Decimal(1), currency="EUR", reason="Me", user=annotator.user)
    assert not Adjustment.objects.exists()


def test_nobody_writes_down_what_became_of_their_own_payment():
    earner = make_earner("20")
    run = prepare("20")
    approve_run(run=run, user=make_manager())
    with pytest.raises(Refused, match="own payment"):
        record_outcome(
            payment=run.payments.get(), new="failed", reason="Again, please", user=earner.user, agreed_by=make_manager()
        )
    assert balance(earner) == 0


def test_a_form_that_is_sent_twice_corrects_once():
    annotator, user = make_earner("30"), make_manager()
    adjustment = {"annotator": annotator, "amount": Decimal(5), "currency": "EUR", "reason": "A slip", "user": user}
    adjust_pay(**adjustment)
    with pytest.raises(Refused, match="a moment ago"):
        adjust_pay(**adjustment)
    adjust_pay(**{**adjustment, "reason": "Another slip"})
    assert balance(annotator) == 40


# --- Runs ----------------------------------------------------------------------------------------


def test_a_run_pays_whoever_is_owed_enough_and_says_who_is_left_out_and_why():
    paid, small, nowhere = make_earner("20"), make_earner("19.9999"), make_earner("50", with_details=False)
    make_annotator()  # is owed nothing
    run = prepare("20")
    assert [(payment.annotator, payment.amount) for payment in run.payments.all()] == [(paid, Decimal(20))]
    left = {row.annotator: (row.reason, row.balance) for row in run.left_out.all()}
    assert left == {small: ("below_minimum", Decimal("19.9999")), nowhere: ("no_details", Decimal(50))}


def test_without_anybody_to_pay_there_is_no_run():
    make_earner("5")
    make_earner("50", with_details=False)
    with pytest.raises(Refused, match="1 is owed less than the minimum, 1 has given no bank details"):
        prepare()
    assert not PayoutRun.objects.exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [({}, "not ready"), ({**PAYER, "iban": "IE00"}, "PAYER_IBAN"), ({**PAYER, "town": ""}, "PAYER_TOWN is missing")],
)
def test_without_an_account_to_pay_from_there_is_no_run(settings, change, says):
    settings.PAYER = change or dict.fromkeys(PAYER, "")
    make_earner()
    with pytest.raises(Refused, match=says):
        prepare()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, []),
        (dict.fromkeys(PAYER, ""), []),
        ({"building": ""}, []),
        ({"bic": ""}, ["PAYER_BIC is missing."]),
        (
            {"iban": "ie64 ircE 9205 0112 3456 78"},
            ["PAYER_IBAN is not valid, or not in capitals without spaces."],
        ),
        ({"country": "Ireland"}, ["PAYER_COUNTRY is not valid, or not in capitals without spaces."]),
    ],
)
def test_a_system_check_wants_the_account_to_pay_from_whole_or_not_at_all(settings, change, says):
    settings.PAYER = {**PAYER, **change}
    assert [error.msg for error in payer_is_whole()] == says


def test_runs_pay_in_cents_only():
    make_earner("3000", "JPY")
    with pytest.raises(Refused, match="no cents"):
        prepare(currency="JPY")


def test_a_second_person_approves():
    make_earner()
    preparer = make_manager()
    run = prepare(user=preparer)
    with pytest.raises(Refused, match="second person"):
        approve_run(run=run, user=preparer)
    assert states() == ["prepared"]
    second = make_manager()
    approve_run(run=run, user=second)
    assert (run.approved_by, states()) == (second, ["sent"])
    with pytest.raises(Refused, match="approved already"):
        approve_run(run=run, user=make_manager())
    assert PaymentChange.objects.filter(new="sent").count() == 1


def test_nobody_approves_a_run_that_pays_them():
    annotator = make_earner()
    run = prepare()
    with pytest.raises(Refused, match="pays you"):
        approve_run(run=run, user=annotator.user)


def test_the_database_refuses_one_pair_of_eyes():
    make_earner()
    run = prepare()
    with pytest.raises(IntegrityError, match="run_four_eyes"), transaction.atomic():
        PayoutRun.objects.update(approved_by=run.prepared_by, approved_at=timezone.now())


def test_what_is_approved_is_what_is_paid_whatever_the_annotator_changes():
    annotator = make_earner()
    run = prepare()
    give_payee(annotator=annotator, details=details(iban=OTHER_IBAN))
    approve_run(run=run, user=make_manager())
    assert run.payments.get().details.iban == IBAN


def test_a_discarded_run_gives_everything_back_and_is_approved_no_more():
    annotator = make_earner()
    run = prepare()
    with pytest.raises(Refused, match="Say why"):
        discard_run(run=run, reason="", user=run.prepared_by)
    discard_run(run=run, reason="Wrong month", user=run.prepared_by)
    assert balance(annotator) == 30
    with pytest.raises(Refused, match="Look at it again"):
        approve_run(run=run, user=make_manager())
    run.refresh_from_db()
    assert run.approved_at is None
    assert prepare().payments.get().amount == 30


def test_an_approved_run_cannot_be_discarded():
    make_earner()
    run = make_run()
    with pytest.raises(Refused, match="prepared any more"):
        discard_run(run=run, reason="Too late", user=make_manager())
    assert states() == ["sent"]


# --- What becomes of a payment -------------------------------------------------------------------


def test_the_banks_answer_moves_a_payment_step_by_step():
    annotator = make_earner()
    payment, user = prepare().payments.get(), make_manager()
    with pytest.raises(Refused, match="waits for approval"):
        record_outcome(payment=payment, new="settled", user=user)
    approve_run(run=payment.run, user=make_manager())
    for wrong in ("prepared", "sent", "reversed", "nonsense", ""):
        with pytest.raises(Refused, match="sent already"):
            record_outcome(payment=payment, new=wrong, reason="Because", user=user, agreed_by=make_manager())
    record_outcome(payment=payment, new="settled", user=user)
    assert balance(annotator) == 0
    with pytest.raises(Refused, match="settled already"):
        record_outcome(payment=payment, new="settled", user=user)
    with pytest.raises(Refused, match="Say why"):
        record_outcome(payment=payment, new="reversed", user=user, agreed_by=make_manager())
    record_outcome(payment=payment, new="reversed", reason="The bank sent it back", user=user, agreed_by=make_manager())
    assert balance(annotator) == 30
    for late in PaymentState.values:
        with pytest.raises(Refused):
            record_outcome(payment=payment, new=late, reason="Because", user=user, agreed_by=make_manager())


def test_nobody_says_of_their_own_payment_that_it_failed():
    """It would be owed once more, and the next run pay it."""
    annotator = make_earner()
    payment = make_run().payments.get()
    with pytest.raises(Refused, match="your own payment"):
        record_outcome(
            payment=payment, new="failed", reason="It never came", user=annotator.user, agreed_by=make_manager()
        )
    assert balance(annotator) == 0


def test_what_failed_is_paid_by_the_next_run_and_counted_on():
    annotator = make_earner()
    first = make_run().payments.get()
    record_outcome(payment=first, new="failed", reason="Account closed", user=make_manager(), agreed_by=make_manager())
    second = make_run().payments.get()
    assert (first.number, second.number, second.paid_before, second.amount) == (1, 2, 0, 30)
    assert balance(annotator) == 0


def test_a_whole_run_is_settled_at_once_but_for_what_failed():
    for _ in range(3):
        make_earner()
    run = make_run()
    record_outcome(
        payment=run.payments.first(),
        new="failed",
        reason="Account closed",
        user=make_manager(),
        agreed_by=make_manager(),
    )
    assert settle_run(run=run, user=make_manager()) == 2
    assert states() == ["failed", "settled", "settled"]
    with pytest.raises(Refused, match="No payment of this run is sent"):
        settle_run(run=run, user=make_manager())


def test_the_database_refuses_steps_that_there_are_not():
    make_earner()
    payment, user = make_run().payments.get(), make_manager()
    for old, new in (("sent", "reversed"), ("prepared", "sent"), ("", "settled"), ("failed", "sent")):
        with pytest.raises(IntegrityError), transaction.atomic():
            PaymentChange.objects.create(payment=payment, old=old, new=new, reason="Because", made_by=user)
    with pytest.raises(IntegrityError, match="has_reason"), transaction.atomic():
        PaymentChange.objects.create(payment=payment, old="sent", new="failed", made_by=user)


def test_the_database_refuses_a_second_payment_out_of_one_balance():
    make_earner()
    payment = prepare().payments.get()
    run = PayoutRun.objects.create(currency="EUR", minimum=1, prepared_by=make_manager())
    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.create(
            run=run, annotator=payment.annotator, number=payment.number, amount=30, currency="EUR",
            earned=30, adjusted=0, paid_before=0,
        )  # fmt: skip


def test_the_database_refuses_to_change_history():
    make_earner()
    make_earner("2")
    give(make_annotator(), "1")
    make_run()
    changes = (
        (Adjustment, {"amount": 5}), (Payment, {"amount": 5}), (PaymentChange, {"new": "settled"}),
        (LeftOut, {"balance": 5}), (PayoutRun, {"minimum": 5}),
    )  # fmt: skip
    for model, change in changes:
        assert model.objects.exists()
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            model.objects.update(**change)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            model.objects.all()._raw_delete(model.objects.db)


def test_the_ledger_finds_what_was_changed_past_the_triggers():
    make_earner()
    give(make_annotator(), "1")
    make_run()
    ledger.seal()
    call_command("verify_ledger")
    for table in ("annotation_adjustment", "annotation_payment"):
        with transaction.atomic():
            thaw(table)
            with connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET amount = amount + 1")
            with pytest.raises(Exception, match="not sound"):
                call_command("verify_ledger")
            transaction.set_rollback(True)


def thaw(table):
    from consent.append_only import drop_sql

    with connection.cursor() as cursor:
        for statement in drop_sql(connection.vendor, table):
            cursor.execute(statement)


# --- At once, and killed -------------------------------------------------------------------------


def at_once(*acts):
    """Run each in a thread of its own, all from the same moment; what each answered or was refused with."""
    ready, answers = threading.Barrier(len(acts)), []

    def act(one):
        ready.wait()
        try:
            answers.append(one())
        except Refused as refusal:
            answers.append(refusal)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=act, args=(one,)) for one in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_of_many_who_prepare_at_once_one_pays():
    annotators = [make_earner() for _ in range(4)]
    managers = [make_manager() for _ in range(6)]
    answers = at_once(
        *(lambda user=user: prepare_run(currency="EUR", minimum=Decimal(1), user=user) for user in managers)
    )
    assert sum(isinstance(answer, PayoutRun) for answer in answers) == 1, answers
    assert len(answers) == 6
    assert Payment.objects.count() == 4
    assert [balance(annotator) for annotator in annotators] == [0] * 4


@pytest.mark.django_db(transaction=True)
def test_of_approving_and_discarding_at_once_one_holds():
    annotator = make_earner()
    for turn in range(1, 6):
        run, users = prepare(), [make_manager() for _ in range(4)]
        answers = at_once(
            *(partial(approve_run, run=run, user=user) for user in users[:2]),
            *(partial(discard_run, run=run, reason="No", user=user) for user in users[2:]),
        )
        assert sum(isinstance(answer, Refused) for answer in answers) == 3, answers
        run.refresh_from_db()
        payment = run.payments.with_state().get()
        assert payment.state == ("sent" if run.approved_at else "failed")
        assert payment.number == turn
        if run.approved_at:
            record_outcome(payment=payment, new="failed", reason="Next turn", user=users[0], agreed_by=make_manager())
        assert balance(annotator) == 30


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_in_whatever_order_nobody_gets_more_than_is_theirs(seed):
    dice = random.Random(seed)
    people = [make_earner(f"{dice.randint(100, 4000)}.{dice.randint(0, 9999):04}") for _ in range(3)]
    users = [make_manager(), make_manager()]
    for _ in range(60):
        act = dice.choice(["prepare", "prepare", "approve", "discard", "settle", "outcome", "outcome", "give"])
        run = dice.choice(list(PayoutRun.objects.order_by("pk")) or [None])
        payment = dice.choice(list(Payment.objects.order_by("run", "annotator__terms_accepted_at")) or [None])
        try:
            if act == "prepare":
                prepare_run(currency="EUR", minimum=Decimal("0.01"), user=dice.choice(users))
            elif act == "give":
                give(dice.choice(people), f"{dice.randint(-50, 500)}.{dice.randint(0, 9999):04}")
            elif run and act == "approve":
                approve_run(run=run, user=dice.choice(users))
            elif run and act == "discard":
                discard_run(run=run, reason="Because", user=users[0])
            elif run and act == "settle":
                settle_run(run=run, user=users[0])
            elif payment:
                new = dice.choice(PaymentState.values)
                record_outcome(payment=payment, new=new, reason="Because", user=users[0], agreed_by=make_manager())
        except Refused:
            pass
        for person in people:
            theirs = sum(row.amount for row in (*person.earnings.all(), *person.adjustments.all()))
            held = sum(
                row.amount for row in person.payments.with_state() if row.state in ("prepared", "sent", "settled")
            )
            assert balance(person) == theirs - held
            taken_back = sum(-row.amount for row in person.adjustments.all() if row.amount < 0)
            assert held <= theirs + taken_back


def pay_everybody():
    """What the killable worker runs: a run from beginning to end, going on with what a killed one left."""
    run = PayoutRun.objects.filter(approved_at=None).order_by("pk").last()
    users = list(User.objects.filter(is_staff=True).order_by("pk")[:2])
    try:
        run = run or prepare_run(currency="EUR", minimum=Decimal(1), user=users[0])
    except Refused:
        run = PayoutRun.objects.get()
    if run.approved_at is None:
        approve_run(run=run, user=users[1])
    if run.payments.in_state("sent").exists():
        settle_run(run=run, user=users[0])


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_call_everybody_is_paid_once():
    people = [make_earner("12.3456") for _ in range(3)]
    make_manager(), make_manager()
    worker = KillableWorker({f"PAYER_{name.upper()}": value for name, value in PAYER.items()})
    kills = 0
    try:
        connection.close()
        ahead = iter(lambda: timedelta(0), None)
        for _ in worker.kill_until_done(["tests.annotation.test_payouts.pay_everybody"], 7, 12, ahead):
            kills += 1
    finally:
        worker.close()
    assert kills > 5
    assert PayoutRun.objects.count() == 1
    assert states() == ["settled"] * 3
    assert [balance(person) for person in people] == [Decimal("0.0056")] * 3
    assert PaymentChange.objects.count() == 9
    kinds = [json.loads(entry.payload)["kind"] for entry in LedgerEntry.objects.order_by("pk")]
    assert kinds.count("payment.changed") == 9


# --- Forgetting ----------------------------------------------------------------------------------


def test_accounts_are_forgotten_after_their_time_and_with_the_person(settings):
    kept, gone = make_earner(), make_earner()
    make_run()
    assert forget_bank_details() == 0
    gone.user.delete()
    assert forget_bank_details() == 1
    assert list(Payee.objects.values_list("annotator", flat=True)) == [kept.pk]
    settings.PAYMENT_DETAILS_DAYS = 0
    assert forget_bank_details() == 2
    assert not PaymentDetails.objects.exists()
    assert Payment.objects.count() == 2
