"""How many people hold a photograph: never more than are paid for it, however many ask at once (promise 6)."""

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from annotation.handout_models import Handout
from annotation.handouts import ANSWER_KEPT, PLACE_KEPT, hand_out, hand_out_another, keep_place, let_go, note_answer
from annotation.intake import record_annotation
from annotation.models import Annotation, LabelProject, LabelTask
from tests.annotation.factories import make_annotator, make_campaign, make_pushed_task, rating, remote


@pytest.mark.django_db(transaction=True)
def test_of_many_who_ask_at_once_as_many_get_it_as_are_paid():
    """Some ask anew and some answer after their place had run out; two of the twelve have a place, in any case."""
    task = make_pushed_task()
    annotators = [make_annotator() for _ in range(12)]
    for late in annotators[::2]:
        Handout.objects.create(annotator=late, task=task, place_until=timezone.now() - PLACE_KEPT)
    ready, given = threading.Barrier(len(annotators)), []

    def ask(call):
        ready.wait()
        try:
            given.append(call())
        finally:
            connection.close()

    answering = [partial(keep_place, one, task=task.pk) for one in annotators[::2]]
    asking = [partial(hand_out, one, task=task) for one in annotators[1::2]]
    threads = [threading.Thread(target=ask, args=[call]) for call in answering + asking]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(given), sum(given)) == (12, task.campaign.overlap)


@pytest.mark.django_db
def test_a_place_is_taken_until_it_runs_out_and_a_label_has_it_for_good():
    task = make_pushed_task()  # two annotations are wanted
    ann, bob, cid = (make_annotator(number) for number in (1, 2, 3))
    assert hand_out(ann, task=task)
    assert hand_out(bob, task=task)
    assert hand_out(ann, task=task)  # theirs already
    assert not hand_out(cid, task=task)
    Handout.objects.filter(annotator=bob).update(place_until=timezone.now() - timedelta(seconds=1))
    assert hand_out(cid, task=task)
    assert not keep_place(bob, task=task.pk)
    assert keep_place(cid, task=task.pk)
    record_annotation(task=task, remote=remote(1))
    note_answer(cid, task=task.pk, skipped=False)
    left = Handout.objects.get(annotator=cid).place_until - timezone.now()
    assert ANSWER_KEPT - timedelta(minutes=1) < left <= ANSWER_KEPT  # what is on its way here keeps its place
    record_annotation(task=task, remote=remote(3))
    assert not Handout.objects.exclude(place_until=None, answered_at__isnull=False).exclude(annotator=bob).exists()
    assert [hand_out(one, task=task) for one in (ann, bob, cid)] == [False] * 3
    assert keep_place(ann, task=task.pk)  # an edit of what is paid
    assert set(Annotation.objects.values_list("verdict", flat=True)) == {"accepted"}


@pytest.mark.django_db
def test_what_was_refused_or_skipped_frees_its_place_and_takes_nobody_elses():
    task = make_pushed_task()
    ann, bob, cid = (make_annotator(number) for number in (1, 2, 3))
    for one in (ann, bob):
        assert hand_out(one, task=task)
    record_annotation(task=task, remote=remote(1, result=[rating(9)]))
    note_answer(bob, task=task.pk, skipped=True)
    assert hand_out(cid, task=task)
    assert keep_place(ann, task=task.pk)  # to mend it
    record_annotation(task=task, remote=remote(2, skipped=True))  # Ann's place is not Bob's to lose
    assert not hand_out(bob, task=task)


@pytest.mark.django_db
def test_another_photograph_is_one_with_a_place_and_goes_back_if_it_cannot_be_shown():
    campaign = make_campaign(images=2)
    project = LabelProject.objects.create(campaign=campaign, external_id=7)
    for number, task in enumerate(campaign.tasks.all()):
        LabelTask.objects.filter(pk=task.pk).update(
            state="pushed", external_id=number + 1, pushed_at=timezone.now(), project=project
        )
    full, free = campaign.tasks.order_by("external_id")
    ann, bob, cid = (make_annotator(number) for number in (1, 2, 3))
    for one in (ann, bob):
        assert hand_out(one, task=full)
    for _ in range(2):
        assert hand_out_another(cid, project=7) == free
        assert hand_out_another(cid, project=7) is None  # they have it already
        let_go(cid, task=free)
    record_annotation(task=full, remote=remote(1))  # Ann's place is her label's now, and only that: one is Bob's
    assert hand_out_another(cid, project=7) == free
    note_answer(bob, task=full.pk, skipped=True)
    assert hand_out_another(cid, project=7) == full
