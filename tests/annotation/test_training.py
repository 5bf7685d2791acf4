"""Training: photographs with known answers, paid, passed before the campaign that asks for it."""

import datetime
from decimal import Decimal
from itertools import count

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation import gold, reconcile
from annotation.access import is_handed_to
from annotation.handouts import hand_out
from annotation.intake import record_annotation
from annotation.joining_models import TrainingResult, TrainingSet
from annotation.models import Annotator, Campaign, Earning, LabelProject, LabelTask
from annotation.services import change_campaign, plan_tasks
from annotation.training import make_training, standing
from consent.refusals import Refused
from consent.withdrawals import withdraw
from exports.forms import DatasetForm
from tests.annotation.factories import (
    box,
    choices,
    good_result,
    make_annotator,
    make_campaign,
    make_image,
    make_user,
    open_to,
    rating,
    remote,
)
from tests.annotation.test_views import campaign_fields

pytestmark = pytest.mark.django_db
_users = count(8000)
_tasks = count(100)
RIGHT, WRONG = good_result(5), good_result(1)


@pytest.fixture
def manager(client):
    user = make_user("manager@example.org", "data manager")
    client.force_login(user)
    return user


def make_answered(images):
    """A campaign whose gold is all answered: five stars each."""
    campaign = make_campaign(images=images, overlap=1, gold_percent=100, sample_size=images)
    Campaign.objects.filter(pk=campaign.pk).update(reserved=campaign.task_cost * images)
    first = make_annotator(next(_users))
    reviewer = make_user("", "reviewer")
    for task in push(campaign):
        record_annotation(task=task, remote=remote(first.label_studio_user, result=RIGHT))
        gold.answer_gold(task=task, result=RIGHT, user=reviewer)
    return campaign


def push(campaign):
    """Its tasks as if Label Studio had them."""
    for task in campaign.tasks.all():
        LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=next(_tasks), pushed_at=timezone.now())
    return list(campaign.tasks.order_by("pk"))


def make_trained(images=4, *, size=2, attempts=2, pass_percent=100, places=3):
    """A training that is pushed, and a campaign that asks for it."""
    pilot = make_answered(images)
    training = make_training(
        answers_from=pilot, size=size, attempts=attempts, pass_percent=pass_percent, places=places, user=make_user()
    )
    plan_tasks(campaign=training.campaign)
    tasks = push(training.campaign)
    Campaign.objects.filter(pk=training.pk).update(reserved=training.campaign.task_cost * len(tasks))
    change_campaign(campaign=pilot, action="close")
    campaign = make_campaign(training=training)
    return campaign, training, tasks


def answer(person, tasks, *said):
    """The person's answers to these tasks, recorded one after the other."""
    return [
        record_annotation(task=task, remote=remote(person.label_studio_user, result=result, made_at=timezone.now()))
        for task, result in zip(tasks, said, strict=True)
    ]


# --- Making --------------------------------------------------------------------------------------


def test_a_training_is_made_of_answered_gold_and_reserves_what_it_may_cost():
    pilot = make_answered(4)
    make = {"answers_from": pilot, "pass_percent": 80, "places": 3, "user": make_user()}
    with pytest.raises(Refused, match="take 6 known answers, and there are 4"):
        make_training(**make, size=3, attempts=2)
    training = make_training(**make, size=2, attempts=2)
    campaign = training.campaign
    assert campaign.budget == Decimal("0.10") * 2 * 2 * 3
    assert (campaign.rate, campaign.overlap, campaign.state) == (pilot.rate, 3, "running")
    make_campaign(images=2)  # other photographs, whose answers nobody knows
    assert plan_tasks(campaign=campaign) == 4
    assert set(campaign.tasks.values_list("image")) == set(pilot.tasks.values_list("image"))
    assert not campaign.tasks.filter(is_gold=True).exists()
    with pytest.raises(Refused, match="a training itself"):
        make_training(**make | {"answers_from": campaign}, size=1, attempts=1)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        TrainingSet.objects.update(pass_percent=1)


def test_a_form_that_is_sent_twice_makes_one_training():
    """Each would be sent to Label Studio, with a budget of its own."""
    make = {"answers_from": make_answered(2), "size": 2, "attempts": 1, "pass_percent": 80, "user": make_user()}
    make_training(**make, places=3)
    with pytest.raises(Refused, match="a moment ago"):
        make_training(**make, places=3)
    make_training(**make, places=4)
    assert TrainingSet.objects.count() == 2


def test_who_withdrew_trains_nobody():
    pilot = make_answered(2)
    withdraw(consent=pilot.tasks.first().image.consent)
    with pytest.raises(Refused, match="there are 0"):
        make_training(answers_from=pilot, size=1, attempts=1, pass_percent=80, places=1, user=make_user())


def test_no_dataset_is_made_of_a_training():
    _, training, _ = make_trained()
    offered = set(DatasetForm().fields["campaign"].queryset)
    assert training.campaign not in offered
    assert training.answers_from in offered


# --- Passing -------------------------------------------------------------------------------------


def test_the_campaign_is_open_once_the_training_is_passed_and_the_training_then_is_not():
    campaign, training, tasks = make_trained()
    person = make_annotator(next(_users))
    assert open_to(person) == {training.campaign}
    answer(person, tasks[:1], RIGHT)
    assert not TrainingResult.objects.exists()  # half an attempt
    answer(person, tasks[1:2], RIGHT)
    result = TrainingResult.objects.get()
    assert (result.attempt, result.right, result.of, result.passed) == (1, 2, 2, True)
    assert open_to(person) == {campaign}
    assert open_to(make_annotator()) == {training.campaign}
    assert Earning.objects.filter(annotator=person).count() == 2  # training is paid
    assert list(reconcile.differences()) == []
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        TrainingResult.objects.update(passed=False)


@pytest.mark.parametrize(("pass_percent", "passed"), [(50, True), (51, False)])
def test_the_mark_counts_to_the_percent(pass_percent, passed):
    _, _, tasks = make_trained(pass_percent=pass_percent)
    answer(make_annotator(next(_users)), tasks[:2], RIGHT, WRONG)
    assert TrainingResult.objects.get().passed is passed


def test_one_may_try_again_with_other_photographs_and_not_for_ever():
    _, training, tasks = make_trained()
    person = make_annotator(next(_users))
    answer(person, tasks[:2], WRONG, RIGHT)
    assert training.campaign in open_to(person)
    assert standing(person, training).attempts_left == 1
    answer(person, tasks[2:], RIGHT, WRONG)
    assert list(TrainingResult.objects.order_by("attempt").values_list("attempt", "right")) == [(1, 1), (2, 1)]
    assert open_to(person) == set()
    assert standing(person, training).attempts_left == 0


def test_passed_at_the_second_attempt_is_passed():
    campaign, _, tasks = make_trained()
    person = make_annotator(next(_users))
    answer(person, tasks, WRONG, WRONG, RIGHT, RIGHT)
    assert open_to(person) == {campaign}


def test_what_was_changed_after_the_result_changes_no_result():
    _, training, tasks = make_trained()
    person = make_annotator(next(_users))
    first, _ = answer(person, tasks[:2], WRONG, RIGHT)
    mended = remote(
        person.label_studio_user,
        result=RIGHT,
        unique_id=first.unique_id,
        made_at=timezone.now() + datetime.timedelta(minutes=1),
    )
    assert record_annotation(task=tasks[0], remote=mended).version == 2
    assert TrainingResult.objects.get().right == 1
    assert not standing(person, training).passed


def test_an_answer_that_the_config_refuses_counts_for_no_attempt():
    _, training, tasks = make_trained()
    person = make_annotator(next(_users))
    answer(person, tasks[:2], RIGHT, [rating(9)])
    assert not TrainingResult.objects.exists()
    assert standing(person, training).begun == 1


def test_a_training_that_nothing_asks_for_is_handed_to_nobody():
    campaign, _, _ = make_trained()
    change_campaign(campaign=campaign, action="pause")
    assert open_to(make_annotator()) == set()


def test_what_one_was_trained_with_one_may_look_at_again_while_it_runs():
    _, training, tasks = make_trained()
    person = make_annotator(next(_users))
    for task in tasks[:3]:
        hand_out(person, task=task)
    answer(person, tasks[:2], RIGHT, RIGHT)
    assert is_handed_to(person, task=tasks[0])
    change_campaign(campaign=training.campaign, action="close")
    assert not is_handed_to(person, task=tasks[0])


# --- Pages ---------------------------------------------------------------------------------------


def test_a_data_manager_makes_a_training_and_asks_for_it(client, manager):
    pilot = make_answered(4)
    assert (
        f"/staff/campaigns/{pilot.pk}/training/" in client.get(f"/staff/campaigns/{pilot.pk}/quality/").content.decode()
    )
    address = f"/staff/campaigns/{pilot.pk}/training/"
    page = client.post(address, {"size": "9", "pass_percent": "80", "attempts": "2", "places": "3"}).content.decode()
    assert "take 18 known answers" in page
    page = client.post(
        address, {"size": "2", "pass_percent": "80", "attempts": "2", "places": "3"}, follow=True
    ).content.decode()
    assert "The training is made and runs" in page
    training = TrainingSet.objects.get()
    fields = campaign_fields(training=training.pk, languages=["ga", "de"])
    client.post("/staff/campaigns/new/", fields)
    campaign = Campaign.objects.get(training=training)
    page = client.get(f"/staff/campaigns/{campaign.pk}/").content.decode()
    assert "know German (Deutsch) or Irish (Gaeilge) and passed" in page
    other = fields | {"config": '<View><Image name="image" value="$image"/><Rating name="r" toName="image"/></View>'}
    assert "It asks for other things" in client.post("/staff/campaigns/new/", other).content.decode()
    assert Campaign.objects.filter(training=training).count() == 1


def test_an_annotator_reads_how_it_went_and_goes_on(client):
    _, training, tasks = make_trained()
    LabelProject.objects.create(campaign=training.campaign, external_id=77)
    person = make_annotator(next(_users))
    client.force_login(person.user)
    address = f"/work/training/{training.pk}/"
    assert address in client.get("/work/").content.decode()
    page = client.get(address).content.decode()
    assert "/projects/77/data?labeling=1" in page
    assert "Begin" in page
    answer(person, tasks[:2], RIGHT, [rating(1), choices("glasses"), box()])
    page = client.get(address).content.decode()
    assert "Attempt 1: 1 of 2 right" in page
    assert "You: 1. The reviewer: 5" in page
    assert "1 attempt left" in page
    answer(person, tasks[2:], RIGHT, RIGHT)
    page = client.get(address).content.decode()
    assert "You passed on" in page
    client.force_login(make_annotator().user)
    assert "Attempt 1" not in client.get(address).content.decode()  # others' attempts are theirs


def test_when_too_few_photographs_are_left_both_sides_read_it_and_what_mends_it(client, manager):
    pilot = make_answered(4)
    unanswered = LabelTask.objects.create(campaign=pilot, image=make_image(), is_gold=True, view_key="later")
    Campaign.objects.filter(pk=pilot.pk).update(sample_size=5, reserved=pilot.task_cost * 5)
    for task in push(pilot):
        if task == unanswered:
            record_annotation(task=task, remote=remote(Annotator.objects.get().label_studio_user))
    training = make_training(
        answers_from=pilot, size=3, attempts=1, pass_percent=100, places=3, user=make_user()
    ).campaign
    here, work = f"/staff/campaigns/{training.pk}/", f"/work/training/{training.pk}/"
    assert "may not be used any more" not in client.get(here).content.decode()  # they are on their way
    plan_tasks(campaign=training)
    tasks = push(training)
    make_campaign(training=training.training_set)
    LabelProject.objects.create(campaign=training, external_id=77)
    person = make_annotator(next(_users))
    answer(person, tasks[:1], WRONG)
    page = client.get(here).content.decode()
    assert "may not be used any more" not in page
    assert f"{pilot.name}</a>, those that a reviewer answered" in page
    withdraw(consent=tasks[0].image.consent)
    page = client.get(here).content.decode()
    assert "0 of the 3 photographs that 1 attempt takes are left" in page
    assert "Nobody new can finish an attempt" in page
    assert f'<a href="/staff/campaigns/{pilot.pk}/quality/">Have reviewers answer more gold</a> (1 waits)' in page
    client.force_login(person.user)
    page = client.get(work).content.decode()
    assert "too few are left to finish an attempt" in page
    assert "/projects/77/data" not in page
    gold.answer_gold(task=unanswered, result=RIGHT, user=make_user("", "reviewer"))
    training.tasks.update(state="retracted", retracted_at=timezone.now())
    assert plan_tasks(campaign=training) == 1  # it comes in by itself
    client.force_login(manager)
    page = client.get(here).content.decode()
    assert "1 of the 3 photographs that 1 attempt takes is left" in page
    assert f'<a href="/staff/campaigns/{pilot.pk}/training/">Make a new training</a>' in page


def test_who_used_all_attempts_is_told_what_helps_and_so_is_the_manager(client, manager):
    _, training, tasks = make_trained(size=2, attempts=1, images=2)
    person = make_annotator(next(_users))
    answer(person, tasks, WRONG, WRONG)
    assert (
        "1 person used all attempts without passing" in client.get(f"/staff/campaigns/{training.pk}/").content.decode()
    )
    client.force_login(person.user)
    page = client.get(f"/work/training/{training.pk}/").content.decode()
    assert "takes a new training with other photographs" in page


def test_no_training_of_a_campaign_that_is_closed_to_one(client):
    campaign, training, _ = make_trained()
    change_campaign(campaign=campaign, action="close")
    client.force_login(make_annotator().user)
    assert client.get(f"/work/training/{training.pk}/")["Location"] == "/work/"
