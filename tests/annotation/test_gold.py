"""Gold answers, records, pauses, rejections, and what the quality page says."""

import datetime
import re
from html import unescape
from itertools import count

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from annotation import gold
from annotation.agreement import agreement, by_control, most_disputed, work_of_annotators
from annotation.handout_models import ImageView
from annotation.intake import record_annotation
from annotation.models import Annotation, Campaign, Earning, LabelTask
from annotation.quality_forms import NONE
from annotation.quality_models import GoldAnswer, Pause, Rejection
from annotation.selection import accepted_annotations
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.annotation.factories import (
    BYTES,
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
_users = count(500)


@pytest.fixture
def reviewer(client):
    user = make_user("reviewer@example.org", "reviewer")
    client.force_login(user)
    return user


def said(campaign):
    return accepted_annotations(campaign, timezone.now())


def make_labelled(images=1, said=(), **fields):
    """A campaign whose images are pushed and labelled by a person for each of `said`, functions of its place."""
    campaign = make_campaign(images=images, **{"overlap": len(said) or 1, "gold_percent": 100, **fields})
    Campaign.objects.filter(pk=campaign.pk).update(reserved=campaign.task_cost * images)
    people = [make_annotator(next(_users)) for _ in said]
    for place, task in enumerate(campaign.tasks.order_by("pk")):
        LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=place + 1, pushed_at=timezone.now())
        for person, says in zip(people, said, strict=True):
            made_at = timezone.now() + datetime.timedelta(seconds=place)
            record_annotation(task=task, remote=remote(person.label_studio_user, result=says(place), made_at=made_at))
    campaign.refresh_from_db()
    return campaign, people


def stars(number):
    return lambda place: good_result(number)


def answer_all(campaign, user, number=5):
    for task in gold.awaiting_answer(campaign):
        gold.answer_gold(task=task, result=[rating(number)], user=user)


# --- Gold ----------------------------------------------------------------------------------------


def test_gold_tasks_are_drawn_by_the_share_that_the_campaign_asks_for():
    assert make_campaign(images=4, gold_percent=100).tasks.filter(is_gold=True).count() == 4
    assert not make_campaign(gold_percent=0).tasks.filter(is_gold=True).exists()


def test_a_gold_task_waits_until_all_its_annotations_are_there(reviewer):
    campaign, _ = make_labelled(2, [stars(4), stars(5)])
    assert gold.awaiting_answer(campaign).count() == 2
    Campaign.objects.filter(pk=campaign.pk).update(overlap=3)
    assert gold.awaiting_answer(campaign).count() == 0


def test_a_gold_answer_is_given_once_and_stays(reviewer):
    campaign, people = make_labelled(1, [stars(4)])
    task = campaign.tasks.get()
    with pytest.raises(Refused, match="labelled this photograph yourself"):
        gold.answer_gold(task=task, result=[rating(4)], user=people[0].user)
    with pytest.raises(Refused, match="at least one thing"):
        gold.answer_gold(task=task, result=[], user=reviewer)
    gold.answer_gold(task=task, result=[rating(4)], user=reviewer)
    with pytest.raises(Refused, match="Somebody else"):
        gold.answer_gold(task=task, result=[rating(5)], user=make_user())
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        GoldAnswer.objects.update(result=[])


def test_a_reviewer_is_led_past_what_they_labelled_and_what_they_cannot_judge(client, reviewer):
    campaign, (ann,) = make_labelled(3, [stars(4)])
    assert not gold.awaiting_answer(campaign, ann.user).exists()
    first, second, third = gold.awaiting_answer(campaign).order_by("pk")
    for task, following in ((first, second), (second, third), (third, first)):
        assert address(campaign, following) in client.get(address(campaign, task)).content.decode()


def test_no_photograph_of_somebody_who_withdrew_waits_for_an_answer(reviewer):
    campaign, _ = make_labelled(1, [stars(4)])
    withdraw(consent=campaign.tasks.get().image.consent)
    assert not gold.awaiting_answer(campaign).exists()


def test_right_is_the_same_about_everything_that_the_reviewer_answered():
    assert gold.is_right(good_result(4), [rating(5), box()])
    assert not gold.is_right(good_result(4), [rating(1)])
    assert not gold.is_right([rating(4)], [rating(4), choices("glasses")])
    assert not gold.is_right(good_result(4), [box(x=60, width=5)])


def test_none_of_these_is_an_answer_to_several_choices():
    none = choices()
    assert gold.is_right([rating(4), box()], [none])
    assert not gold.is_right([choices("glasses")], [none])
    assert gold.is_right([choices("glasses")], [rating(4)]) is False  # saying nothing of a rating is no answer to it


def test_rejecting_wrong_answers_makes_nobodys_record_better(reviewer):
    campaign, (weak,) = make_labelled(5, [lambda place: good_result(5 if place < 3 else 1)])
    answer_all(campaign, reviewer)
    before = gold.records(campaign)[weak.pk]
    for annotation in Annotation.objects.all():
        if annotation.result[0]["value"]["rating"] == 1:
            gold.reject_annotation(annotation=annotation, reason="Wrong.", user=reviewer)
    assert gold.records(campaign)[weak.pk] == before == gold.GoldRecord(right=3, of=5)
    assert len(said(campaign)) == 3  # of datasets they are gone


# --- Pauses --------------------------------------------------------------------------------------


def test_who_agrees_with_too_little_gold_is_paused_and_told(reviewer):
    campaign, (_, weak) = make_labelled(5, [stars(5), lambda place: good_result(5 if place < 3 else 1)])
    answer_all(campaign, reviewer)
    assert gold.records(campaign)[weak.pk] == gold.GoldRecord(right=3, of=5)
    assert gold.pause_weak(campaign=campaign) == 1
    assert gold.pause_weak(campaign=campaign) == 0  # once
    pause = Pause.objects.get()
    assert pause.annotator == weak
    [letter] = mail.outbox
    assert letter.to == [weak.user.email]
    assert "3 of your last 5" in letter.body
    assert "70 %" in letter.body
    assert Earning.objects.filter(annotator=weak).count() == 5  # pay stays
    gold.lift_pause(pause=pause, user=reviewer)
    with pytest.raises(Refused, match="lifted already"):
        gold.lift_pause(pause=pause, user=reviewer)


def test_after_a_pause_was_lifted_the_record_begins_anew(reviewer):
    campaign, _ = make_labelled(5, [stars(1)])
    answer_all(campaign, reviewer)
    assert gold.pause_weak(campaign=campaign) == 1
    gold.lift_pause(pause=Pause.objects.get(), user=reviewer)
    Pause.objects.update(lifted_at=timezone.now() + datetime.timedelta(minutes=1))
    assert gold.records(campaign) == {}
    assert gold.pause_weak(campaign=campaign) == 0


def test_nobody_lifts_their_own_pause(reviewer):
    campaign, (ann,) = make_labelled(1, [stars(1)])
    gold.pause_annotator(annotator=ann, campaign=campaign, reason="Every box is empty.")
    with pytest.raises(Refused, match="your own pause"):
        gold.lift_pause(pause=Pause.objects.get(), user=ann.user)
    assert Pause.objects.get().lifted_at is None


@pytest.mark.parametrize(("images", "asked"), [(4, 70), (5, None), (5, 0)])
def test_nobody_is_paused_for_little_or_where_it_is_not_wanted(reviewer, images, asked):
    campaign, _ = make_labelled(images, [stars(1)], gold_pass_percent=asked)
    answer_all(campaign, reviewer)
    assert gold.pause_weak(campaign=campaign) == 0


def test_a_paused_annotator_reads_why_on_their_page(client, reviewer):
    campaign, (weak,) = make_labelled(1, [stars(1)])
    gold.pause_annotator(annotator=weak, campaign=campaign, reason="Every box is empty.")
    client.force_login(weak.user)
    page = client.get("/work/").content.decode()
    assert "Every box is empty." in page


# --- Rejections ----------------------------------------------------------------------------------


def test_a_rejected_annotation_is_in_no_dataset_and_its_pay_stays(reviewer):
    campaign, (ann, _) = make_labelled(1, [stars(4), stars(1)])
    annotation = Annotation.objects.get(annotator=ann)
    before = timezone.now()
    gold.reject_annotation(annotation=annotation, reason="The box is around a hand.", user=reviewer)
    assert [one.annotator_id for one in said(campaign)] != [ann.pk]
    assert len(said(campaign)) == 1
    assert len(accepted_annotations(campaign, before)) == 2  # a snapshot stays what it was
    assert Earning.objects.filter(annotator=ann).exists()
    with pytest.raises(Refused, match="rejected already"):
        gold.reject_annotation(annotation=annotation, reason="Again.", user=reviewer)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Rejection.objects.all().delete()


def test_an_edit_does_not_bring_a_rejected_answer_back(reviewer):
    campaign, (ann,) = make_labelled(1, [stars(4)])
    first = Annotation.objects.get()
    gold.reject_annotation(annotation=first, reason="A hand.", user=reviewer)
    edit = remote(
        ann.label_studio_user,
        unique_id=first.unique_id,
        result=good_result(2),
        made_at=first.made_at + datetime.timedelta(minutes=1),
    )
    assert record_annotation(task=first.task, remote=edit).version == 2
    assert said(campaign) == []


def test_nobody_rejects_their_own_work_or_without_a_reason(reviewer):
    _, (ann,) = make_labelled(1, [stars(4)])
    annotation = Annotation.objects.get(annotator=ann)
    with pytest.raises(Refused, match="yourself"):
        gold.reject_annotation(annotation=annotation, reason="No.", user=ann.user)
    with pytest.raises(Refused, match="Say why"):
        gold.reject_annotation(annotation=annotation, reason="  ", user=reviewer)


# --- Agreement -----------------------------------------------------------------------------------


def test_agreement_per_control():
    campaign, _ = make_labelled(4, [lambda place: good_result(place + 1), lambda place: good_result(place + 1)])
    found = {one.control.name: one for one in (agreement(*item) for item in by_control(said(campaign)).items())}
    assert found["quality"].alpha == 1
    assert found["quality"].verdict() == "reliable"
    assert found["quality"].units == 4
    assert found["face"].overlap == pytest.approx(1)
    assert found["attributes"].alpha is None  # everybody said the same of all: nothing to tell


def test_work_and_disputes():
    campaign, (ann, bob, cat) = make_labelled(
        3, [stars(5), stars(5), lambda place: [rating(1 if place == 0 else 5), choices("glasses"), box(x=0, y=0)]]
    )
    first = campaign.tasks.order_by("pk").first()
    [worst, *_] = most_disputed(campaign, said(campaign), 9)
    assert worst.task == first.pk
    assert "quality" in worst.controls
    work = work_of_annotators(campaign, said(campaign))
    assert work[0].annotator == cat
    assert {one.annotator for one in work} == {ann, bob, cat}
    assert work[0].same_as_others < work[1].same_as_others
    assert work[0].seconds == 12.5
    assert work[1].annotations == 3


def test_nothing_is_said_of_a_photograph_that_was_withdrawn():
    campaign, _ = make_labelled(2, [stars(5), stars(1)])
    assert len(most_disputed(campaign, said(campaign), 9)) == 2
    withdraw(consent=campaign.tasks.first().image.consent)
    assert most_disputed(campaign, said(campaign), 9) == []


# --- Pages ---------------------------------------------------------------------------------------


def address(campaign, task=None):
    return f"/staff/campaigns/{campaign.pk}/" + (f"tasks/{task.pk}/" if task else "quality/")


def test_a_reviewer_answers_gold_and_is_led_to_the_next(client, reviewer):
    campaign, _ = make_labelled(2, [stars(4)])
    first, second = gold.awaiting_answer(campaign).order_by("pk")
    page = client.get(address(campaign, first)).content.decode()
    assert "What is right?" in page
    box_of = Annotation.objects.get(task=first).pk
    posted = {"action": "gold", "quality": "5", "attributes": ["glasses", "hat or headscarf"], "face": box_of}
    response = client.post(address(campaign, first), posted)
    assert response["Location"] == address(campaign, second)
    assert GoldAnswer.objects.get().result == [rating(5), choices("glasses", "hat or headscarf"), box()]
    response = client.post(address(campaign, second), {"action": "gold", "quality": "4"})
    assert response["Location"] == address(campaign)
    page = client.get(address(campaign)).content.decode()
    assert "2 photographs drawn, 2 answered" in page
    assert "1 of 2" in page


def test_a_reviewer_is_asked_what_the_annotators_were_asked(client, reviewer):
    campaign, _ = make_labelled(said=[stars(4)])
    page = unescape(client.get(reverse("label_review", args=[campaign.pk, campaign.tasks.get().pk])).content.decode())
    for question in (
        "How good is this photograph? 1: unusable, 5: sharp and well lit",
        "What is to be seen? Tick all that apply",
        "Choose “face” here, then draw a box around the face",
    ):
        assert page.count(question) == 1


def test_a_reviewer_says_that_nothing_of_a_list_is_to_be_seen(client, reviewer):
    campaign, _ = make_labelled(1, [lambda place: [rating(5), box()]])
    task = campaign.tasks.get()
    both = {"action": "gold", "attributes": ["glasses", NONE]}
    assert "not both" in client.post(address(campaign, task), both).content.decode()
    client.post(address(campaign, task), {"action": "gold", "attributes": [NONE]})
    assert GoldAnswer.objects.get().result == [choices()]
    assert list(gold.records(campaign).values()) == [gold.GoldRecord(right=1, of=1)]


@pytest.mark.parametrize("posted", [{"quality": "6"}, {"face": "Q"}, {"attributes": "monocle"}])
def test_a_gold_answer_that_the_config_does_not_know(client, reviewer, posted):
    campaign, _ = make_labelled(1, [stars(4)])
    response = client.post(address(campaign, campaign.tasks.get()), {"action": "gold", **posted})
    assert response.status_code == 200
    assert "Select a valid choice" in response.content.decode()
    assert not GoldAnswer.objects.exists()


def test_what_was_changed_meanwhile_is_not_taken_for_what_the_reviewer_saw(client, reviewer):
    campaign, (ann,) = make_labelled(1, [stars(4)])
    task, seen = campaign.tasks.get(), Annotation.objects.get()
    changed = remote(
        ann.label_studio_user,
        result=[*good_result()[:2], box(x=1)],
        unique_id=seen.unique_id,
        made_at=timezone.now() + datetime.timedelta(minutes=1),
    )
    assert record_annotation(task=task, remote=changed).version == 2
    response = client.post(address(campaign, task), {"action": "gold", "face": seen.pk})
    assert "Select a valid choice" in response.content.decode()
    assert not GoldAnswer.objects.exists()


def test_a_reviewer_rejects_with_a_reason_that_the_annotator_reads(client, reviewer):
    campaign, (ann,) = make_labelled(1, [stars(4)])
    task, annotation = campaign.tasks.get(), Annotation.objects.get()
    client.post(address(campaign, task), {"action": "reject", "annotation": annotation.pk, "reason": ""})
    assert not Rejection.objects.exists()
    client.post(address(campaign, task), {"action": "reject", "annotation": annotation.pk, "reason": "A hand."})
    assert Rejection.objects.get().made_by == reviewer
    assert "Rejected: A hand." in client.get(address(campaign, task)).content.decode()
    client.force_login(ann.user)
    assert "Not used, but paid: A hand." in client.get("/work/").content.decode()


def test_a_reviewer_pauses_and_lets_go_on(client, reviewer):
    campaign, (ann,) = make_labelled(1, [stars(4)])
    client.post(address(campaign), {"action": "pause", "annotator": ann.pk, "reason": ""})
    assert not Pause.objects.exists()
    client.post(address(campaign), {"action": "pause", "annotator": ann.pk, "reason": "Too fast."})
    assert "Too fast." in client.get(address(campaign)).content.decode()
    client.post(address(campaign), {"action": "lift", "annotator": ann.pk})
    assert Pause.objects.get().lifted_by == reviewer
    assert client.post(address(campaign), {"action": "lift", "annotator": "x"}).status_code == 404


def test_the_photograph_beside_the_labels_asks_for_the_right_to_it(client, reviewer):
    campaign, _ = make_labelled(1, [stars(4)])
    task = campaign.tasks.get()
    response = client.get(address(campaign, task) + "photograph/")
    assert response.content == BYTES
    assert "no-store" in response["Cache-Control"]
    assert ImageView.objects.get().served
    withdraw(consent=task.image.consent)
    assert client.get(address(campaign, task) + "photograph/").status_code == 404
    assert client.get(address(campaign, task)).status_code == 404


def test_the_quality_page_counts_refusals_by_annotator_and_reason(client, reviewer):
    task, ann = make_pushed_task(), make_annotator(1)
    for number in range(2):
        record_annotation(task=task, remote=remote(1, result=[rating(9 + number)]))
    record_annotation(task=task, remote=remote(1, skipped=True))
    record_annotation(task=task, remote=remote(99))
    record_annotation(task=task, remote=remote(1))
    make_labelled(said=[lambda place: []])  # in another campaign
    client.force_login(reviewer)
    page = client.get(f"/staff/campaigns/{task.campaign.pk}/quality/").content.decode()
    table = page.split('aria-label="Refused annotations"')[1].split("</table>")[0]
    rows = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td class="number">(\d+)</td>', table)
    assert rows == [
        (ann.user.email, "“quality” must be a whole number from 1 to 5.", "2"),
        ("unknown", "Made by somebody who is not one of our annotators.", "1"),
        (ann.user.email, "Skipped.", "1"),
    ]


def test_annotators_see_no_page_about_quality(client):
    campaign, (ann,) = make_labelled(1, [stars(4)])
    client.force_login(ann.user)
    task = campaign.tasks.get()
    for path in (address(campaign), address(campaign, task), address(campaign, task) + "photograph/"):
        assert client.get(path).status_code == 403
