"""What is accepted, what is refused and why, and that nothing is paid twice (promise 6)."""

import json
import math
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, close_old_connections, connection, transaction
from django.utils import timezone

from annotation.intake import record_annotation, record_annotations
from annotation.models import Annotation, Campaign, Earning, LabelTask
from annotation.selection import accepted_annotations
from consent.models import LedgerEntry
from tests.annotation.factories import box, good_result, make_annotator, make_campaign, make_pushed_task, rating, remote

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(db):
    return make_pushed_task()


def test_a_valid_annotation_is_accepted_and_earns_once(task):
    annotator = make_annotator(7)
    told = remote(7)
    first = record_annotation(task=task, remote=told)
    again = record_annotation(task=task, remote=told)
    assert first == again
    assert (first.verdict, first.annotator, first.refusal) == ("accepted", annotator, "")
    earning = Earning.objects.get()
    assert (earning.amount, earning.currency, earning.annotation) == (Decimal("0.10"), "EUR", first)


def test_the_ledger_hears_of_the_earning_without_identity(task):
    annotator = make_annotator(7)
    annotation = record_annotation(task=task, remote=remote(7))
    entries = [json.loads(entry.payload) for entry in LedgerEntry.objects.order_by("pk")]
    (entry,) = [entry for entry in entries if entry["kind"] == "earning.recorded"]
    assert entry["annotation"] == str(annotation.pk)
    assert entry["annotator"] == str(annotator.pk)
    assert Decimal(entry["amount"]) == Decimal("0.10")
    assert annotator.user.email not in json.dumps(entry)


def test_an_earning_without_its_ledger_entry_is_no_earning(task):
    """One transaction: the ledger fails, and annotation and earning go with it."""
    make_annotator(7)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE consent_ledgerentry RENAME TO gone")
    with pytest.raises(DatabaseError), transaction.atomic():
        record_annotation(task=task, remote=remote(7))
    assert not Annotation.objects.exists()
    assert not Earning.objects.exists()


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"user": None}, "not one of our annotators"),
        ({"user": 99}, "not one of our annotators"),
        ({"result": [rating(9), box()]}, "from 1 to 5"),
        ({"result": []}, "is required"),
        ({"skipped": True}, "Skipped"),
    ],
)
def test_refused_with_a_reason_and_unpaid(task, told, says):
    make_annotator(7)
    annotation = record_annotation(task=task, remote=remote(**{"user": 7, **told}))
    assert annotation.verdict == "refused"
    assert says in annotation.refusal
    assert not Earning.objects.exists()


def test_a_second_annotation_by_the_same_person_is_refused(task):
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    second = record_annotation(task=task, remote=remote(7))
    assert "second annotation by the same person" in second.refusal
    assert Earning.objects.count() == 1


def test_over_the_overlap_is_refused(task):
    for user in (7, 8, 9):
        make_annotator(user)
    verdicts = [record_annotation(task=task, remote=remote(user)).verdict for user in (7, 8, 9)]
    assert verdicts == ["accepted", "accepted", "refused"]
    assert "all 2 annotations" in Annotation.objects.get(verdict="refused").refusal
    assert Earning.objects.count() == 2


def test_after_the_retraction_nothing_is_paid(task):
    make_annotator(7)
    LabelTask.objects.update(state="retracted", retracted_at=timezone.now())
    assert "withdrawn" in record_annotation(task=task, remote=remote(7)).refusal


def test_an_edit_is_a_further_version_and_paid_no_second_time(task):
    make_annotator(7)
    told = remote(7)
    first = record_annotation(task=task, remote=told)
    edited = remote(7, unique_id=told.unique_id, result=good_result(2), made_at=told.made_at + timedelta(minutes=1))
    second = record_annotation(task=task, remote=edited)
    back = remote(7, unique_id=told.unique_id, made_at=told.made_at + timedelta(minutes=2))
    third = record_annotation(task=task, remote=back)
    late = record_annotation(task=task, remote=edited)  # an answer that was overtaken
    assert [first.version, second.version, third.version, late.version] == [1, 2, 3, 3]
    assert third.result == good_result()
    assert Earning.objects.count() == 1
    (accepted,) = accepted_annotations(task.campaign, timezone.now())
    assert accepted.id == third.pk
    assert accepted.amount == Decimal("0.10")


def test_a_refused_annotation_that_is_mended_earns(task):
    make_annotator(7)
    told = remote(7, result=[rating()])
    assert record_annotation(task=task, remote=told).verdict == "refused"
    mended = remote(7, unique_id=told.unique_id, made_at=told.made_at + timedelta(minutes=1))
    assert record_annotation(task=task, remote=mended).verdict == "accepted"
    assert Earning.objects.count() == 1


def test_an_accepted_annotation_that_is_spoiled_is_no_label_any_more(task):
    make_annotator(7)
    told = remote(7)
    record_annotation(task=task, remote=told)
    spoiled = remote(7, unique_id=told.unique_id, result=[], made_at=told.made_at + timedelta(minutes=1))
    assert record_annotation(task=task, remote=spoiled).verdict == "refused"
    assert accepted_annotations(task.campaign, timezone.now()) == []
    assert Earning.objects.count() == 1  # what was earned stays


def test_the_database_refuses_to_change_history(task):
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    for rows, change in ((Annotation.objects, {"verdict": "refused"}), (Earning.objects, {"amount": 5})):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.update(**change)
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.all()._raw_delete(rows.db)


def test_the_database_refuses_to_pay_twice(task):
    annotator = make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    other = record_annotation(task=task, remote=remote(7))
    with pytest.raises(IntegrityError), transaction.atomic():
        Earning.objects.create(annotation=other, task=task, annotator=annotator, amount=1, currency="EUR")


def test_the_database_refuses_to_reserve_more_than_the_budget(task):
    with pytest.raises(IntegrityError), transaction.atomic():
        Campaign.objects.update(reserved=Decimal("100.0001"))


@pytest.mark.django_db(transaction=True)
def test_one_annotation_told_by_many_at_once_is_recorded_once():
    task = make_pushed_task()
    make_annotator(7)
    told, seconds = remote(7), [remote(7) for _ in range(3)]
    ready = threading.Barrier(8)

    def tell(remote_annotation):
        ready.wait()
        try:
            record_annotation(task=task, remote=remote_annotation)
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=tell, args=(one,)) for one in [told] * 5 + seconds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Annotation.objects.count() == 4
    assert Annotation.objects.filter(verdict="accepted").count() == 1
    assert Earning.objects.count() == 1


def test_reserving_and_releasing_leaves_nothing_over():
    """Added as floats these would end at -5.6e-17, below what the CHECK allows."""
    campaign = make_campaign()
    for amount in ("0.1", "0.2", "-0.3"):
        Campaign.objects.change_reserved(campaign.pk, Decimal(amount))
    campaign.refresh_from_db()
    assert campaign.reserved == 0


HOSTILE = {
    "a lone surrogate": [rating(), {"from_name": "\ud800"}],
    "a NUL": [{**rating(), "note": "\x00"}, box()],
    "not a number": [rating(), {**box(), "note": float("nan")}],
    "a number without end": [rating(), box(x=10**5000)],
    "a number that no float holds": [rating(), box(x=10**400)],
    "no list": {"a": 1},
    "nothing": None,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_labels_are_refused_and_hold_up_nothing(task, name):
    make_annotator(7)
    assert record_annotation(task=task, remote=remote(7, result=HOSTILE[name])).verdict == "refused"
    assert not Earning.objects.exists()


def test_who_takes_anothers_unique_id_is_not_paid_as_if_it_were_an_edit(task):
    """Label Studio lets a client choose the unique_id once the first annotation was deleted there."""
    for user in (7, 8, 9, 10):
        make_annotator(user)
    first = remote(7)
    record_annotation(task=task, remote=first)
    for minutes, user in enumerate((8, 9, 10), start=1):
        later = first.made_at + timedelta(minutes=minutes)
        told = remote(user, unique_id=first.unique_id, result=good_result(minutes), made_at=later)
        assert record_annotation(task=task, remote=told).annotator.label_studio_user == 7
    assert Earning.objects.count() == 1
    (accepted,) = accepted_annotations(task.campaign, timezone.now())
    assert accepted.result == first.result


# --- Many at once --------------------------------------------------------------------------------


def test_many_told_at_once_are_judged_as_one_after_the_other(task):
    """Overlap 2: Ann, an edit of hers, a second one of hers, Bob, and Cat who comes too late."""
    ann, bob, cat = (make_annotator(number) for number in (71, 72, 73))
    first = remote(71)
    edited = replace(first, result=good_result(2), made_at=first.made_at + timedelta(minutes=1))
    told = [first, edited, remote(71), remote(72), remote(73), first]
    standing = record_annotations(told=[(task.pk, one) for one in told])
    assert [(one.annotator, one.version, one.refusal[:8]) for one in standing] == [
        (ann, 1, ""),
        (ann, 2, ""),
        (ann, 1, "A second"),
        (bob, 1, ""),
        (cat, 1, "The phot"),
        (ann, 2, ""),  # told before: what stands is the edit
    ]
    assert Annotation.objects.count() == 5
    assert {earning.annotator for earning in Earning.objects.all()} == {ann, bob}
    assert LedgerEntry.objects.filter(payload__contains="earning.recorded").count() == 2
    record_annotations(told=[(task.pk, one) for one in reversed(told)])
    assert (Annotation.objects.count(), Earning.objects.count()) == (5, 2)


def test_labels_nested_deeply_are_refused_however_deep(task):
    """How deep json goes depends on who asks: what the check let pass would stop all that was told with it."""
    make_annotator(7)
    for deep in range(850, 1000, 2):
        nested = "face"
        for _ in range(deep):
            nested = [nested]
        annotation = record_annotation(task=task, remote=remote(7, result=[{**rating(), "value": nested}]))
        assert annotation.refusal == "The labels hold characters or numbers that cannot be kept."


@pytest.mark.parametrize("claimed", [math.inf, -math.inf, math.nan, 1e308, -1.0])
def test_a_time_that_cannot_be_added_up_is_not_kept(task, claimed):
    """A browser may claim anything; what it claimed is added up on the pages about pay."""
    make_annotator(7)
    annotation = record_annotation(task=task, remote=remote(7, lead_seconds=claimed))
    assert (annotation.verdict, annotation.lead_seconds) == ("accepted", None)


def test_an_annotation_that_is_edited_without_end_holds_up_nothing(task):
    make_annotator(7)
    told = remote(7)
    Annotation.objects.create(
        task=task, unique_id=told.unique_id, version=32_767, result=[], result_sha256="0" * 64,
        made_at=told.made_at - timedelta(days=1), verdict="refused", refusal="Skipped.",
    )  # fmt: skip
    standing = record_annotations(told=[(task.pk, told), (task.pk, remote(7))])
    assert [one.version for one in standing] == [32_767, 1]
