"""Changes of pay that take two people: nothing counts before a second one agreed, and then it counts once."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from annotation import payouts, proposals
from annotation.balances import balances
from annotation.payout_models import Adjustment, Payment, PaymentChange
from annotation.proposal_models import Proposal, ProposalDecision
from annotation.reconcile import differences
from annotation.templatetags.rates import rate
from consent.refusals import Refused
from tests.annotation.payout_factories import PAYER, earn, make_earner, make_manager, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _payer(settings):
    settings.PAYER = PAYER
    settings.ADJUSTED_ALONE = Decimal(50)


@pytest.fixture
def earner():
    return make_earner()


def balance(annotator):
    return balances(annotators=[annotator])[annotator.pk, "EUR"].total


def alone(annotator, amount, user=None, **more):
    said = {"currency": "EUR", "reason": f"A slip of {amount}", **more}
    return payouts.adjust_pay(annotator=annotator, amount=Decimal(amount), user=user or make_manager(), **said)


def propose(annotator, amount="-60", user=None):
    said = {"annotator": annotator, "amount": Decimal(amount), "currency": "EUR", "reason": "Paid for another"}
    return proposals.propose_adjustment(**said, user=user or make_manager())


# --- Corrections ---------------------------------------------------------------------------------


def test_above_the_limit_nobody_corrects_alone(earner):
    for amount in ("50.0001", "-50.0001"):
        with pytest.raises(Refused, match="takes a second person"):
            alone(earner, amount)
    alone(earner, "-50")
    assert balance(earner) == -20


def test_nor_in_pieces_nor_in_turns(earner):
    alone(earner, "30")
    with pytest.raises(Refused, match="takes a second person"):
        alone(earner, "20.01")
    with pytest.raises(Refused, match="takes a second person"):
        alone(earner, "-20.01")
    earn(earner, currency="CHF")
    alone(earner, "50", currency="CHF")


def test_nor_in_a_currency_that_they_earn_nothing_in(earner):
    """Or the limit could be had once in each currency there is."""
    for amount in ("1", "-1"):
        with pytest.raises(Refused, match="takes a second person"):
            alone(earner, amount, currency="USD")
    proposals.propose_adjustment(
        annotator=earner, amount=Decimal(1), currency="USD", reason="A bonus", user=make_manager()
    )


def test_what_was_corrected_long_ago_or_by_two_does_not_count(earner):
    long_ago = timezone.now() - timedelta(days=payouts.ALONE_DAYS)
    for amount, two, at in ((40, None, long_ago), (90, make_manager(), timezone.now())):
        said = {"annotator": earner, "currency": "EUR", "reason": "Earlier", "made_by": make_manager()}
        Adjustment.objects.create(**said, amount=amount, agreed_by=two, made_at=at)
    before = balance(earner)
    alone(earner, "50")
    assert balance(earner) == before + 50


def test_a_second_person_is_another_one(earner):
    user = make_manager()
    with pytest.raises(Refused, match="takes a second person"):
        alone(earner, "60", user, agreed_by=user)
    with pytest.raises(IntegrityError), transaction.atomic():
        Adjustment.objects.create(
            annotator=earner, amount=1, currency="EUR", reason="Me and me", made_by=user, agreed_by=user
        )


def test_a_proposal_counts_once_a_second_person_agrees_and_once_only(earner):
    first, second = make_manager(), make_manager()
    proposal = propose(earner, user=first)
    assert balance(earner) == 30
    for user, words in ((first, "You proposed this"), (earner.user, "your own pay")):
        with pytest.raises(Refused, match=words):
            proposals.decide_proposal(proposal=proposal, outcome="agreed", user=user)
    proposals.decide_proposal(proposal=proposal, outcome="agreed", user=second)
    assert balance(earner) == -30
    made = Adjustment.objects.get()
    assert (made.made_by, made.agreed_by) == (first, second)
    with pytest.raises(Refused, match="decided this meanwhile"):
        proposals.decide_proposal(proposal=proposal, outcome="agreed", user=make_manager())
    assert list(differences()) == []
    for rows, change in ((Proposal.objects, {"amount": 1}), (ProposalDecision.objects, {"outcome": "declined"})):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.update(**change)


def test_a_declined_proposal_changes_nothing(earner):
    proposals.decide_proposal(proposal=propose(earner), outcome="declined", user=make_manager())
    assert balance(earner) == 30
    assert not proposals.waiting().exists()
    propose(earner)  # it may be proposed again


def test_what_waits_is_not_proposed_again(earner):
    propose(earner)
    with pytest.raises(Refused, match="waits for a second person already"):
        propose(earner)
    with pytest.raises(Refused, match="own pay"):
        propose(earner, user=earner.user)


# --- Payments that came back ---------------------------------------------------------------------


def test_nobody_says_alone_that_a_payment_failed(earner):
    payment, first = make_run().payments.get(), make_manager()
    for agreed_by in (None, first):
        with pytest.raises(Refused, match="takes a second person"):
            payouts.record_outcome(payment=payment, new="failed", reason="Closed", user=first, agreed_by=agreed_by)
    proposal = proposals.propose_return(payment=payment, new="failed", reason="Account closed", user=first)
    assert balance(earner) == 0
    second = make_manager()
    proposals.decide_proposal(proposal=proposal, outcome="agreed", user=second)
    assert balance(earner) == 30
    change = PaymentChange.objects.get(new="failed")
    assert (change.made_by, change.agreed_by, change.reason) == (first, second, "Account closed")
    assert list(differences()) == []


def test_what_cannot_be_carried_out_any_more_is_not_decided(earner):
    run = make_run()
    proposal = proposals.propose_return(
        payment=run.payments.get(), new="failed", reason="Account closed", user=make_manager()
    )
    payouts.settle_run(run=run, user=make_manager())
    with pytest.raises(Refused, match="settled already"):
        proposals.decide_proposal(proposal=proposal, outcome="agreed", user=make_manager())
    assert not ProposalDecision.objects.exists()
    proposals.decide_proposal(proposal=proposal, outcome="declined", user=make_manager())


@pytest.mark.parametrize("wrong", [{"new": "reversed"}, {"reason": " "}])
def test_what_the_bank_cannot_have_said_is_not_proposed(earner, wrong):
    said = {"payment": make_run().payments.get(), "new": "failed", "reason": "Closed", "user": make_manager()}
    with pytest.raises(Refused):
        proposals.propose_return(**said | wrong)


def test_the_database_knows_no_proposal_of_both_kinds(earner):
    said = {"payment": make_run().payments.get(), "annotator": earner, "reason": "x", "made_by": make_manager()}
    for wrong in ({"new": "settled"}, {"new": "failed", "amount": 1, "currency": "EUR"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Proposal.objects.create(**said, **wrong)


# --- Pages ---------------------------------------------------------------------------------------


def test_two_data_managers_correct_a_larger_amount(client, earner):
    first, second = make_manager(), make_manager()
    client.force_login(first)
    page = reverse("annotator_pay", args=[earner.pk])
    sent = {"amount": "-60", "currency": "EUR", "reason": "Paid for another"}
    assert "takes a second person" in client.post(page, sent, follow=True).content.decode()
    assert not Adjustment.objects.exists()
    queue = reverse("pay_proposals")
    shown = client.get(queue).content.decode()
    assert "You proposed this" in shown
    assert 'value="agreed"' not in shown
    assert "1 change" in client.get(reverse("payout_runs")).content.decode()
    client.force_login(second)
    shown = client.get(queue).content.decode()
    assert "Paid for another" in shown
    assert f"<dt>Balance now</dt><dd>{rate(balance(earner))} EUR</dd>" in shown
    decision = {"proposal": Proposal.objects.get().pk, "outcome": "agreed"}
    assert "It counts from now on" in client.post(queue, decision, follow=True).content.decode()
    assert Adjustment.objects.get().agreed_by == second
    shown = client.post(queue, decision, follow=True).content.decode()
    assert "decided this meanwhile" in shown
    assert f"agreed by {second.email}" in shown
    assert "one of those that wait" in client.post(queue, {"proposal": "x"}, follow=True).content.decode()


def test_balances_are_asked_for_once_however_many_wait(client, earner, django_assert_max_num_queries):
    queue = reverse("pay_proposals")
    client.force_login(make_manager())
    propose(earner)
    with CaptureQueriesContext(connection) as one:
        client.get(queue)
    others = [make_earner(amount) for amount in ("71.00", "82.00", "94.00")]
    for other in others:
        propose(other)
    with django_assert_max_num_queries(len(one)):
        shown = client.get(queue).content.decode()
    told = re.findall(r"<dt>Balance now</dt><dd>(.*?) EUR</dd>", shown)
    assert told == [str(rate(balance(who))) for who in (earner, *others)]
    assert len(set(told)) == 4


def test_two_data_managers_write_down_that_a_payment_failed(client, earner):
    payment = make_run().payments.get()
    page = reverse("payment", args=[payment.pk])
    client.force_login(make_manager())
    client.post(page, {"new": "failed", "reason": "Account closed"})
    assert "waits for a second person" in client.get(page).content.decode()
    assert Payment.objects.with_state().get().state == "sent"
    client.force_login(make_manager())
    client.post(reverse("pay_proposals"), {"proposal": Proposal.objects.get().pk, "outcome": "agreed"})
    assert Payment.objects.with_state().get().state == "failed"
    client.force_login(earner.user)
    assert client.get(reverse("pay_proposals")).status_code == 403
