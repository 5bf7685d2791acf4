"""Disputes: once, in time, decided by somebody else, and what is granted is paid once and within the budget."""

import datetime
import threading
from decimal import Decimal
from itertools import count

import pytest
from django.core import mail
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import gold, reconcile
from annotation.dispute_models import Dispute, DisputeDecision, DisputeWords
from annotation.disputes import decide_dispute, disputable, dispute_annotation, forget_words, waiting
from annotation.forecast import forecast
from annotation.intake import record_annotation
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelProject, LabelTask
from annotation.retract import _finish, mark_lost
from annotation.selection import accepted_annotations
from annotation.services import change_campaign, top_up
from consent.models import LedgerEntry
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.annotation.factories import (
    box,
    choices,
    good_result,
    make_annotator,
    make_campaign,
    make_pushed_task,
    make_user,
    rating,
    remote,
)

pytestmark = pytest.mark.django_db
_users = count(9000)
WORDS = "The box is around the face: look at the upper left."


@pytest.fixture
def reviewer():
    return make_user("reviewer@example.org", "reviewer")


def make_refused(campaign=None, **said):
    """An annotation that was refused, and so not paid."""
    task = make_pushed_task(campaign)
    annotator = make_annotator(next(_users))
    told = {"result": [rating(9)], "made_at": timezone.now(), **said}
    return record_annotation(task=task, remote=remote(annotator.label_studio_user, **told))


def make_rejected(by=None):
    """An annotation that was accepted and paid, and then taken out of datasets."""
    task = make_pushed_task()
    annotator = make_annotator(next(_users))
    annotation = record_annotation(task=task, remote=remote(annotator.label_studio_user))
    gold.reject_annotation(annotation=annotation, reason="A hand.", user=by or make_user("", "reviewer"))
    return Annotation.objects.get(pk=annotation.pk)


def disputed(annotation, words=WORDS):
    return dispute_annotation(annotation=annotation, annotator=annotation.annotator, words=words)


def sums_agree():
    assert list(reconcile.differences()) == []


# --- Disputing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_refused, make_rejected])
def test_what_was_refused_or_rejected_can_be_disputed_once(make):
    annotation = make()
    assert disputable([annotation]) == {annotation.pk}
    assert disputed(annotation).said.words == WORDS
    assert disputable([annotation]) == set()
    with pytest.raises(Refused, match="disputed this already"):
        disputed(annotation)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Dispute.objects.update(at=timezone.now())


def test_another_version_of_it_cannot_be_disputed_again():
    first = make_refused()
    disputed(first)
    later = first.made_at + datetime.timedelta(minutes=1)
    told = remote(first.annotator.label_studio_user, unique_id=first.unique_id, result=[rating(8)], made_at=later)
    second = record_annotation(task=first.task, remote=told)
    assert second.version == 2
    with pytest.raises(Refused, match="disputed this already"):
        disputed(second)


def test_what_there_is_nothing_to_dispute_about():
    task, annotator = make_pushed_task(), make_annotator(next(_users))
    accepted = record_annotation(task=task, remote=remote(annotator.label_studio_user))
    again = record_annotation(task=task, remote=remote(annotator.label_studio_user))
    assert disputable([accepted, again]) == set()
    for annotation, words in ((accepted, "nothing to dispute"), (again, "paid for this")):
        with pytest.raises(Refused, match=words):
            disputed(annotation)


def test_nor_about_what_was_skipped_or_is_somebody_elses_or_without_words():
    with pytest.raises(Refused, match="you skipped"):
        disputed(make_refused(skipped=True))
    refused = record_annotation(
        task=LabelTask.objects.get(), remote=remote(make_annotator(1).label_studio_user, result=[])
    )
    with pytest.raises(Refused, match="not your work"):
        dispute_annotation(annotation=refused, annotator=make_annotator(), words=WORDS)
    with pytest.raises(Refused, match="Say why"):
        disputed(refused, "  ")


def test_after_its_days_it_is_too_late(settings):
    annotation = make_rejected()
    settings.DISPUTE_DAYS = 0
    assert disputable([annotation]) == set()
    with pytest.raises(Refused, match="0 days ago"):
        disputed(annotation)


# --- Who decides ---------------------------------------------------------------------------------


def test_neither_who_rejected_nor_who_labelled_decides(reviewer):
    dispute = disputed(make_rejected(by=reviewer))
    for user, words in ((reviewer, "rejected this annotation yourself"), (dispute.annotation.annotator.user, "own")):
        with pytest.raises(Refused, match=words):
            decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=user)
    colleague = make_annotator(next(_users))
    record_annotation(task=dispute.annotation.task, remote=remote(colleague.label_studio_user))
    refused = make_annotator(next(_users))  # who was paid nothing answered it all the same
    record_annotation(task=dispute.annotation.task, remote=remote(refused.label_studio_user, result=[rating(9)]))
    for one in (colleague, refused):
        with pytest.raises(Refused, match="labelled this photograph yourself"):
            decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=one.user)
    assert list(waiting()) == [dispute]


def test_a_decision_is_made_once_with_an_answer_and_the_annotator_is_told(reviewer):
    dispute = disputed(make_rejected())
    with pytest.raises(Refused, match="Say why"):
        decide_dispute(dispute=dispute, outcome="upheld", answer=" ", user=reviewer)
    decide_dispute(dispute=dispute, outcome="upheld", answer="It is a hand.", user=reviewer)
    [letter] = mail.outbox
    assert letter.to == [dispute.annotation.annotator.user.email]
    assert "It stays as it was judged. It is a hand." in letter.body
    with pytest.raises(Refused, match="Somebody else decided"):
        decide_dispute(dispute=dispute, outcome="granted", answer="No.", user=make_user())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        DisputeDecision.objects.update(outcome="granted")
    assert not waiting().exists()


# --- What follows --------------------------------------------------------------------------------


def test_a_label_that_was_rejected_wrongly_is_used_again_from_then_on(reviewer):
    dispute = disputed(make_rejected())
    campaign, before = dispute.annotation.task.campaign, timezone.now()
    decide_dispute(dispute=dispute, outcome="granted", answer="It is the face.", user=reviewer)
    assert [one.id for one in accepted_annotations(campaign, timezone.now())] == [dispute.pk]
    assert accepted_annotations(campaign, before) == []  # a snapshot stays what it was
    assert Earning.objects.count() == 1
    sums_agree()


def test_a_rejection_that_is_upheld_stands(reviewer):
    dispute = disputed(make_rejected())
    decide_dispute(dispute=dispute, outcome="upheld", answer="A hand.", user=reviewer)
    assert accepted_annotations(dispute.annotation.task.campaign, timezone.now()) == []


def test_what_was_refused_wrongly_is_paid_once_and_is_no_label(reviewer):
    dispute = disputed(make_refused())
    campaign = Campaign.objects.get()
    decide_dispute(dispute=dispute, outcome="granted", answer="It was our fault.", user=reviewer)
    earning = Earning.objects.get()
    assert (earning.annotation, earning.amount) == (dispute.annotation, campaign.rate)
    assert LedgerEntry.objects.filter(payload__contains='"kind":"earning.recorded"').count() == 1
    assert accepted_annotations(campaign, timezone.now()) == []
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.task_cost + campaign.rate
    assert forecast(campaign).left == campaign.overlap
    sums_agree()


def test_it_takes_nobodys_place_on_the_photograph(reviewer):
    dispute = disputed(make_refused())
    decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    for _ in range(dispute.annotation.task.campaign.overlap):
        told = remote(make_annotator(next(_users)).label_studio_user)
        assert record_annotation(task=dispute.annotation.task, remote=told).verdict == "accepted"
    sums_agree()


def test_whoever_mends_it_after_it_was_paid_is_not_paid_twice(reviewer):
    first = make_refused()
    dispute = disputed(first)
    decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    mended = remote(
        first.annotator.label_studio_user,
        unique_id=first.unique_id,
        made_at=first.made_at + datetime.timedelta(minutes=1),
    )
    assert record_annotation(task=first.task, remote=mended).verdict == "accepted"
    assert Earning.objects.count() == 1
    sums_agree()


def test_whoever_was_paid_meanwhile_is_not_paid_again(reviewer):
    first = make_refused()
    dispute = disputed(first)
    assert record_annotation(task=first.task, remote=remote(first.annotator.label_studio_user)).verdict == "accepted"
    with pytest.raises(Refused, match="paid for this photograph by now"):
        decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    assert not DisputeDecision.objects.exists()
    assert Earning.objects.count() == 1


def test_a_budget_that_is_used_up_pays_nothing_until_somebody_adds_to_it(reviewer):
    campaign = make_campaign(images=1, budget=Decimal("0.20"))
    dispute = disputed(make_refused(campaign))
    with pytest.raises(Refused, match="is used up"):
        decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    assert not Earning.objects.exists()
    assert not DisputeDecision.objects.exists()
    top_up(campaign=campaign, amount=Decimal("0.10"), user=make_user())
    decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.budget
    sums_agree()


def close_and_retract(campaign):
    change_campaign(campaign=campaign, action="close")
    mark_lost(campaign=campaign)
    task = campaign.tasks.get()
    assert task.state == LabelTask.State.RETRACTING
    assert _finish(LabelProject.objects.create(campaign=campaign, external_id=1), [task]) == 1


def test_a_closed_campaign_pays_from_what_it_freed(reviewer):
    campaign = make_campaign(images=1, budget=Decimal("0.20"))
    dispute = disputed(make_refused(campaign))
    close_and_retract(campaign)
    campaign.refresh_from_db()
    assert campaign.reserved == 0
    decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.rate
    sums_agree()


def test_what_was_granted_stays_reserved_when_the_photograph_goes(reviewer):
    campaign = make_campaign(images=1)
    dispute = disputed(make_refused(campaign))
    decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=reviewer)
    close_and_retract(campaign)
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.rate
    sums_agree()


def test_only_for_a_dispute_a_closed_budget_takes_more():
    campaign = make_campaign(images=1)
    refused = make_refused(campaign)
    change_campaign(campaign=campaign, action="close")
    with pytest.raises(Refused, match="is closed"):
        top_up(campaign=campaign, amount=Decimal(1), user=make_user())
    disputed(refused)
    top_up(campaign=campaign, amount=Decimal(1), user=make_user())
    campaign.refresh_from_db()
    assert campaign.budget == 101


@pytest.mark.django_db(transaction=True)
def test_of_many_who_decide_at_once_one_pays():
    dispute = disputed(make_refused())
    people = [make_user("", "reviewer") for _ in range(6)]
    won, lost = [], []

    def decide(user):
        try:
            won.append(decide_dispute(dispute=dispute, outcome="granted", answer="Yes.", user=user))
        except Refused as refused:
            lost.append(str(refused))
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=[user]) for user in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    assert Earning.objects.count() == 1
    sums_agree()


def test_words_go_with_the_account(reviewer):
    disputed(make_refused())
    assert forget_words() == 0
    Annotator.objects.update(user=None)
    assert forget_words() == 1
    assert not DisputeWords.objects.exists()
    decide_dispute(dispute=Dispute.objects.get(), outcome="upheld", answer="Too late.", user=reviewer)
    assert not mail.outbox  # nobody is there to be told


# --- Pages ---------------------------------------------------------------------------------------


def test_an_annotator_disputes_on_their_page_and_reads_the_answer(client, reviewer):
    annotation = make_refused()
    client.force_login(annotation.annotator.user)
    address = f"/work/annotations/{annotation.pk}/dispute/"
    assert address in client.get("/work/").content.decode()
    assert "must be a whole number" in client.get(address).content.decode()
    page = client.post(address, {"words": ""}).content.decode()
    assert "This field is required" in page
    page = client.post(address, {"words": WORDS}, follow=True).content.decode()
    assert "waits for a second reviewer" in page
    assert address not in page
    assert "disputed this already" in client.post(address, {"words": WORDS}).content.decode()
    client.force_login(reviewer)
    decide = f"/staff/disputes/{annotation.pk}/"
    assert decide in client.get("/staff/disputes/").content.decode()
    page = client.get(decide).content.decode()
    assert WORDS in page
    assert annotation.annotator.user.email not in page
    assert client.post(decide, {"outcome": "maybe", "answer": "x"}).status_code == 200
    page = client.post(decide, {"outcome": "granted", "answer": "You are right."}, follow=True).content.decode()
    assert "Your decision is kept" in page
    assert "You are right." in client.get(decide).content.decode()
    client.force_login(annotation.annotator.user)
    page = client.get("/work/").content.decode()
    assert "You were right.</strong> You are right." in page
    assert "0.10 EUR" in page


def test_who_rejected_it_is_told_that_another_decides(client, reviewer):
    dispute = disputed(make_rejected(by=reviewer))
    client.force_login(reviewer)
    assert "rejected this annotation yourself" in client.get("/staff/disputes/").content.decode()
    page = client.post(f"/staff/disputes/{dispute.pk}/", {"outcome": "granted", "answer": "Yes."}).content.decode()
    assert "Leave the dispute to another reviewer" in page
    assert not DisputeDecision.objects.exists()


def test_a_dispute_of_a_photograph_that_is_gone_is_decided_by_words(client, reviewer):
    dispute = disputed(make_refused(result=[rating(4), choices("monocle"), box()]))
    withdraw(consent=dispute.annotation.task.image.consent)
    client.force_login(reviewer)
    page = client.get(f"/staff/disputes/{dispute.pk}/").content.decode()
    assert "may not be looked at any more" in page
    assert "monocle" in page


def test_nobody_disputes_the_work_of_others_and_annotators_decide_nothing(client):
    annotation = make_refused()
    disputed(annotation)
    client.force_login(make_annotator().user)
    assert client.get(f"/work/annotations/{annotation.pk}/dispute/").status_code == 404
    assert client.get("/staff/disputes/").status_code == 403
    assert client.get(f"/staff/disputes/{annotation.pk}/").status_code == 403


def test_a_good_result_is_shown_in_words(client, reviewer):
    dispute = disputed(make_rejected())
    assert dispute.annotation.result == good_result()
    client.force_login(reviewer)
    page = client.get(f"/staff/disputes/{dispute.pk}/").content.decode()
    assert "glasses" in page
    assert "<rect" in page


def test_the_number_of_queries_of_the_queue_does_not_grow_with_it(client, reviewer, django_assert_max_num_queries):
    client.force_login(reviewer)
    first = make_refused()
    disputed(first)
    with CaptureQueriesContext(connection) as one:
        client.get("/staff/disputes/")
    for _ in range(2):
        told = remote(make_annotator(next(_users)).label_studio_user, result=[rating(9)], made_at=timezone.now())
        disputed(record_annotation(task=first.task, remote=told))
    with django_assert_max_num_queries(len(one)):
        assert client.get("/staff/disputes/").content.decode().count("Look at it") == 3
