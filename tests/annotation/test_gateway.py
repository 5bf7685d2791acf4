"""The gateway in front of a real Label Studio: what annotators may do, and what nobody may do through it."""

import json
import os
import re
import subprocess
from datetime import timedelta
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.core.signals import request_started
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from annotation import gateway_calls, tasks
from annotation.accounts import account_of
from annotation.gateway import CLOSED, PARAMETERS, STYLE
from annotation.gateway_views import AWAY
from annotation.gold import answer_gold, pause_annotator
from annotation.handout_models import Handout
from annotation.handouts import hand_out
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelProject, LabelTask
from annotation.pull import sweep_updated
from annotation.push import push_pending
from annotation.services import change_campaign
from annotation.training import make_training
from consent.withdrawals import withdraw
from tests.annotation.factories import box, choices, good_result, make_annotator, make_campaign, make_user, rating
from tests.annotation.gate import AtGateway, at_nginx
from tests.annotation.nginx import nginx
from tests.annotation.proxy import http_answer, lossy_proxy
from tests.label_studio import PROGRAM

pytestmark = pytest.mark.django_db(transaction=True)
LISTER = Path(__file__).parent / "label_studio_urls.py"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture
def campaign(studio):
    """A running campaign with two photographs, pushed."""
    campaign = make_campaign(images=2)
    assert push_pending(campaign=campaign) == 2
    return campaign


@pytest.fixture
def project(campaign):
    return LabelProject.objects.get(campaign=campaign).external_id


@pytest.fixture
def ann(campaign):
    return AtGateway().join()


@pytest.fixture
def bob(campaign):
    return AtGateway().join()


def refused(answer, words):
    return answer.status_code == 403 and words in answer.content.decode()


# --- Labelling -----------------------------------------------------------------------------------


def test_what_is_labelled_comes_back_as_theirs_whatever_they_claim(ann, bob, project):
    task = ann.next(project).json()
    other = bob.annotator.label_studio_user
    answer = ann.annotate(task["id"], completed_by=other, ground_truth=True, updated_by=other)
    assert answer.status_code == 201
    assert answer.json()["completed_by"] == ann.annotator.label_studio_user
    assert not answer.json()["ground_truth"]
    sweep_updated(project=LabelProject.objects.get())
    annotation = Annotation.objects.get()
    assert annotation.annotator == ann.annotator
    assert annotation.verdict == "accepted"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "not in Label Studio's format"),
        ([], "“quality” is required and was left empty"),
        ([rating(4)], "“face” is required and was left empty"),
        ([rating(9), box()], "“quality” must be a whole number from 1 to 5"),
        ([rating(4), box(x=90)], "The box of “face” reaches beyond the photograph"),
        ([*good_result(), choices("the moon")], "“attributes” has no choice “the moon”"),
        ([*good_result(), {**rating(4), "from_name": "beauty"}], "The campaign has no control “beauty”"),
    ],
)
def test_what_intake_would_refuse_reaches_nobody_and_keeps_no_place(ann, bob, project, studio, result, words):
    task = ann.next(project).json()["id"]
    soon = timezone.now() + timedelta(seconds=30)
    Handout.objects.update(place_until=soon)
    answer = ann.annotate(task, result=result)
    assert refused(answer, words)
    assert answer.json()["display_context"] == {"reason": "PAUSED"}  # or the page says only that it was not saved
    assert Handout.objects.get().place_until == soon
    with studio.api() as owner:
        assert owner.get(f"/api/tasks/{task}/").json()["annotations"] == []
    draft = {"result": result or [], "lead_time": 1}  # what is being worked on is judged by nobody
    assert ann.ask("POST", f"/api/tasks/{task}/drafts", draft).status_code == 201
    made = ann.annotate(task).json()["id"]
    Handout.objects.update(place_until=soon)
    change = {"result": result, "lead_time": 1}
    assert refused(ann.ask("PATCH", f"/api/annotations/{made}", change), words)
    assert Handout.objects.get().place_until == soon
    with studio.api() as owner:
        assert owner.get(f"/api/annotations/{made}/").json()["result"] == good_result()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("lead_time", "Infinity", "a number of seconds"),  # Label Studio keeps it, and then shows the task to nobody
        ("lead_time", "NaN", "a number of seconds"),
        ("lead_time", 10**400, "a number of seconds"),
        ("lead_time", True, "a number of seconds"),
        ("draft_id", "abc", "named by its number"),
        ("draft_id", 2**63, "named by its number"),
        ("unique_id", "zzz", "named by a UUID"),
        ("was_cancelled", "false", "true or false"),
    ],
)
def test_fields_that_label_studio_would_fail_at_are_refused(ann, project, studio, field, value, words):
    task = ann.next(project).json()["id"]
    assert refused(ann.annotate(task, **{field: value}), words)
    assert ann.ask("GET", f"/api/tasks/{task}/").json()["annotations"] == []


def test_a_draft_takes_no_endless_time_either(ann, project):
    task = ann.next(project).json()["id"]
    assert refused(ann.ask("POST", f"/api/tasks/{task}/drafts", {"result": [], "lead_time": "Infinity"}), "seconds")


def test_an_answer_without_labels_is_judged_too(ann, project):
    task = ann.next(project).json()["id"]
    path = f"/api/tasks/{task}/annotations"
    assert refused(ann.ask("POST", path, {"lead_time": 1}), "not in Label Studio's format")
    skipped = ann.annotate(task, result=[], was_cancelled=True).json()["id"]
    assert refused(ann.ask("PATCH", f"/api/annotations/{skipped}", {"was_cancelled": False}), "“quality” is required")


def test_two_get_the_same_task_and_see_nothing_of_each_other(ann, bob, project, studio):
    first, second = ann.next(project).json()["id"], bob.next(project).json()["id"]
    ann.annotate(first)
    ann.ask("POST", f"/api/tasks/{first}/drafts", {"result": good_result(1)})
    while second != first:
        bob.annotate(second)
        second = bob.next(project).json()["id"]
    with studio.api() as owner:
        assert len(owner.get(f"/api/tasks/{first}/").json()["annotations"]) == 1
    told = bob.ask("GET", f"/api/tasks/{first}?interaction=labelstream&project={project}").json()
    assert (told["annotations"], told["drafts"]) == ([], [])
    assert not {"annotators", "total_annotations", "annotations_results", "updated_by"} & set(told)
    mine = ann.ask("GET", f"/api/tasks/{first}?interaction=labelstream&project={project}").json()
    assert (len(mine["annotations"]), len(mine["drafts"])) == (1, 1)


def test_only_ones_own_annotation_and_draft_can_be_changed(ann, bob, project):
    task = ann.next(project).json()["id"]
    made = ann.annotate(task).json()["id"]
    draft = ann.ask("POST", f"/api/tasks/{task}/annotations/{made}/drafts", {"result": good_result(3)}).json()["id"]
    Handout.objects.create(annotator=bob.annotator, task=Handout.objects.get().task)  # the same task is theirs as well
    words = gateway_calls.NOT_YOUR_ANSWER
    assert refused(bob.ask("PATCH", f"/api/annotations/{made}", {"result": []}), words)
    assert refused(bob.ask("POST", f"/api/tasks/{task}/annotations/{made}/drafts", {"result": []}), words)
    assert refused(bob.ask("PATCH", f"/api/drafts/{draft}", {"result": []}), words)
    assert refused(bob.ask("DELETE", f"/api/drafts/{draft}"), words)
    assert refused(bob.ask("PATCH", "/api/annotations/99999", {"result": []}), words)
    assert ann.ask("PATCH", f"/api/drafts/{draft}", {"result": good_result(5)}).status_code == 200
    assert ann.ask("DELETE", f"/api/drafts/{draft}").status_code == 204
    assert ann.ask("PATCH", f"/api/annotations/{made}", {"result": good_result(2)}).status_code == 200


def test_a_campaign_opens_once_its_training_is_passed(studio, campaign, ann, bob, project):
    """The training itself is labelled in Label Studio, paid, and closed to whoever passed it."""
    reviewer = make_user("", "reviewer")
    for gold in campaign.tasks.all():
        LabelTask.objects.filter(pk=gold.pk).update(is_gold=True)
        answer_gold(task=LabelTask.objects.get(pk=gold.pk), result=good_result(4), user=reviewer)
    training = make_training(
        answers_from=campaign, size=2, attempts=1, pass_percent=100, places=5, user=reviewer
    ).campaign
    change_campaign(campaign=campaign, action="pause")
    asking = make_campaign(training=training.training_set)
    tasks.push_running()
    first, then = (LabelProject.objects.get(campaign=one).external_id for one in (training, asking))
    for who, stars in ((ann, 4), (bob, 1)):
        assert refused(who.next(then), gateway_calls.NOT_YOUR_CAMPAIGN)
        for _ in range(2):
            answer = who.next(first)
            assert answer.status_code == 200
            assert who.annotate(answer.json()["id"], result=good_result(stars)).status_code == 201
    tasks.sweep_updated()
    assert ann.next(then).status_code == 200
    assert refused(ann.next(first), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(bob.next(then), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(bob.next(first), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert Earning.objects.filter(task__campaign=training).count() == 4


def test_whoever_holds_as_many_as_one_may_gets_those_again_first(ann, bob, project, settings):
    settings.HELD_AT_ONCE = 1
    first = ann.next(project).json()["id"]
    with_draft = {"result": good_result(), "was_postponed": True}
    assert ann.ask("POST", f"/api/tasks/{first}/drafts", with_draft).status_code == 201
    for _ in range(2):
        assert ann.next(project).json()["id"] == first
    assert Handout.objects.filter(annotator=ann.annotator).count() == 1
    assert bob.next(project).status_code == 200  # what somebody holds is theirs
    assert ann.annotate(first).status_code == 201
    second = ann.next(project).json()["id"]  # at once, before anything was fetched
    assert second != first
    assert ann.annotate(second, was_cancelled=True).status_code == 201
    assert ann.next(project).status_code == 404  # none is left
    assert not Handout.objects.filter(annotator=ann.annotator, answered_at=None).exists()


def test_nobody_is_handed_a_photograph_whose_places_others_have(studio, ann, bob):
    """Label Studio forgets who has what: it knows nothing of the places that are kept here for Bob."""
    few = make_campaign(overlap=1)  # of the two photographs that there are
    tasks.push_running()
    project = LabelProject.objects.get(campaign=few).external_id
    first, second = few.tasks.order_by("external_id")  # the order in which Label Studio gives them
    assert hand_out(bob.annotator, task=first)
    assert ann.next(project).json()["id"] == second.external_id
    assert ann.annotate(second.external_id).status_code == 201
    assert ann.next(project).json()["detail"] == gateway_calls.NOT_JUST_NOW
    Handout.objects.filter(annotator=bob.annotator).update(place_until=timezone.now())  # Bob went away
    assert ann.next(project).json()["id"] == first.external_id
    assert refused(bob.annotate(first.external_id), "others have given all annotations")
    assert ann.annotate(first.external_id).status_code == 201
    tasks.sweep_updated()
    told = Annotation.objects.filter(task__campaign=few)
    assert list(told.values_list("annotator", "verdict")) == [(ann.annotator.pk, "accepted")] * 2
    assert ann.annotate(first.external_id).status_code == 201  # theirs and paid: saying it again harms nobody


def test_what_was_skipped_somebody_else_gets_at_once(studio, ann, bob):
    one = make_campaign(overlap=1, sample_size=1)
    tasks.push_running()
    project = LabelProject.objects.get(campaign=one).external_id
    task = ann.next(project).json()["id"]
    skipped = ann.annotate(task, result=[], was_cancelled=True).json()["id"]
    tasks.sweep_updated()
    assert ann.ask("PATCH", f"/api/annotations/{skipped}", {"lead_time": 1}).status_code == 200  # no answer: no place
    assert bob.next(project).json()["id"] == task
    change = {"result": good_result(), "was_cancelled": False}
    assert refused(
        ann.ask("PATCH", f"/api/annotations/{skipped}", change | {"was_cancelled": "false"}), "true or false"
    )
    assert refused(ann.ask("PATCH", f"/api/annotations/{skipped}", change), "others have given all annotations")
    assert bob.annotate(task).status_code == 201


def test_a_campaign_with_nothing_left_for_somebody_is_not_offered_to_them(ann, bob, project, campaign):
    way, words = f"/projects/{project}/data?labeling=1", "nothing left for you at the moment"

    def page(who):
        return who.client.get("/work/", headers={"host": "testserver"}).content.decode()

    assert way in page(ann)
    assert ann.annotate(ann.next(project).json()["id"]).status_code == 201
    second = ann.next(project).json()["id"]
    assert way in page(ann)  # to finish the one that they hold
    assert ann.annotate(second, was_cancelled=True).status_code == 201
    assert way not in page(ann)
    assert words in page(ann)
    assert way in page(bob)
    others = [make_annotator() for _ in range(2)]
    for task in campaign.tasks.all():
        for other in others:
            hand_out(other, task=task)  # one place of the first, both of the second
    assert way not in page(bob)
    with CaptureQueriesContext(connection) as asked:
        page(bob)
    more = make_campaign()
    push_pending(campaign=more)
    way = f"/projects/{more.projects.get().external_id}/data"
    with CaptureQueriesContext(connection) as again:
        assert way in page(bob)
    assert len(again) == len(asked)  # one for all campaigns


def test_a_call_asks_the_database_few_times(ann, project, django_assert_max_num_queries):
    """Two are for whose session it is. To hand out takes a transaction, which is two."""
    ann.annotate(ann.next(project).json()["id"])
    with django_assert_max_num_queries(3):
        assert ann.ask("GET", f"/api/dm/project?project={project}").status_code == 200
    with django_assert_max_num_queries(10):
        task = ann.next(project).json()["id"]
    with django_assert_max_num_queries(4):
        assert ann.ask("GET", f"/api/tasks/{task}?project={project}").status_code == 200
    with django_assert_max_num_queries(5):
        made = ann.ask("POST", f"/api/tasks/{task}/annotations?project={project}", {"result": good_result()})
    with django_assert_max_num_queries(7):
        change = {"result": good_result(2)}
        assert ann.ask("PATCH", f"/api/annotations/{made.json()['id']}?project={project}", change).status_code == 200


def test_a_task_goes_with_its_own_project_only(ann, project, campaign):
    """Both have to be theirs, also where the page names a project that is not the task's."""
    task = ann.next(project).json()["id"]
    other = make_campaign()
    tasks.push_running()
    elsewhere = LabelProject.objects.get(campaign=other).external_id
    Campaign.objects.filter(pk=other.pk).update(state="closed")
    assert ann.ask("GET", f"/api/tasks/{task}?project={project}").status_code == 200
    assert refused(ann.ask("GET", f"/api/tasks/{task}?project={elsewhere}"), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(ann.ask("GET", f"/api/tasks/{task + 99}?project={project}"), gateway_calls.NOT_YOUR_TASK)


def test_what_is_held_elsewhere_is_named(ann, project, campaign, settings):
    settings.HELD_AT_ONCE = 1
    other = make_campaign()
    tasks.push_running()
    assert ann.next(project).status_code == 200
    elsewhere = LabelProject.objects.get(campaign=other).external_id
    assert refused(ann.next(elsewhere), f"Answer or skip those of “{campaign.name}” first")


def test_only_a_skip_can_be_taken_back(ann, project):
    """Taking an annotation back deletes it in Label Studio, and it is paid."""
    task = ann.next(project).json()["id"]
    made = ann.annotate(task).json()["id"]
    assert refused(ann.ask("POST", f"/api/annotations/{made}/convert-to-draft"), gateway_calls.NOT_YOUR_ANSWER)
    task = ann.next(project).json()["id"]
    skipped = ann.annotate(task, result=[], was_cancelled=True).json()["id"]
    answer = ann.ask("POST", f"/api/annotations/{skipped}/convert-to-draft?project={project}")
    assert answer.status_code in {200, 201}


def test_a_task_that_was_not_given_is_not_shown_and_takes_no_answer(ann, bob, project):
    task = ann.next(project).json()["id"]
    words = gateway_calls.NOT_YOUR_TASK
    assert refused(bob.ask("GET", f"/api/tasks/{task}"), words)
    assert refused(bob.annotate(task), words)
    assert refused(bob.ask("POST", f"/api/tasks/{task}/drafts", {"result": []}), words)
    assert refused(ann.annotate(task + 1), words)


def test_a_closed_campaign_is_closed(ann, project):
    task = ann.next(project).json()["id"]
    Campaign.objects.update(state="closed")
    assert refused(ann.next(project), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(ann.ask("GET", f"/api/projects/{project}"), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(ann.ask("GET", f"/projects/{project}/data?labeling=1"), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(ann.annotate(task), gateway_calls.NOT_YOUR_TASK)


@pytest.mark.parametrize("ends", ["the campaign is paused", "its last day is over", "a day's limit", "they are paused"])
def test_nothing_new_and_what_is_held_may_be_finished(ann, project, campaign, ends):
    task = ann.next(project).json()["id"]
    if ends == "the campaign is paused":
        Campaign.objects.update(state="paused")
    elif ends == "its last day is over":
        Campaign.objects.update(ends_on=timezone.localdate() - timedelta(days=1))
    elif ends == "a day's limit":
        Campaign.objects.update(daily_annotations=0)
    else:
        pause_annotator(annotator=ann.annotator, campaign=campaign, reason="Too many boxes are empty.")
    assert refused(ann.next(project), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert refused(ann.ask("GET", f"/projects/{project}/data?labeling=1"), gateway_calls.NOT_YOUR_CAMPAIGN)
    assert ann.annotate(task).status_code == 201


def test_without_a_project_nothing_is_told_of_the_first_one(ann, project):
    """Label Studio takes its first project where none is named, whosever it is."""
    Campaign.objects.update(state="closed")
    for path in ("/api/dm/project", "/api/dm/columns", "/api/dm/project/?interaction=timer"):
        assert refused(ann.ask("GET", path), PARAMETERS), path
    assert refused(ann.ask("POST", "/api/dm/actions?id=next_task&tabID=1", {}), PARAMETERS)


def test_nobody_collects_photographs_and_goes_on_after_a_pause(ann, project, campaign):
    for _ in range(2):
        task = ann.next(project).json()["id"]
        ann.ask("POST", f"/api/tasks/{task}/drafts", {"result": [], "was_postponed": True})
    pause_annotator(annotator=ann.annotator, campaign=campaign, reason="Too fast.")
    held = Handout.objects.order_by("at").values_list("task__external_id", flat=True)
    assert [ann.annotate(task).status_code for task in held] == [403, 201]


def test_whose_account_is_not_known_there_gets_another_and_what_they_did_stays_theirs(ann, project, studio):
    task = ann.next(project).json()["id"]
    assert ann.annotate(task).status_code == 201
    before = ann.annotator.label_studio_user
    with studio.api(account_of(ann.annotator).token) as theirs:  # another token takes the place of ours
        assert theirs.post("/api/current-user/reset-token/").status_code == 201
    assert refused(ann.next(project), "Begin again at")
    ann.join()
    assert ann.annotator.label_studio_user != before
    assert ann.next(project).status_code == 200
    sweep_updated(project=LabelProject.objects.get())
    assert Annotation.objects.get().annotator == ann.annotator
    assert Earning.objects.get().annotator == ann.annotator


def test_a_project_that_is_not_ours_is_closed(ann, studio):
    with studio.api() as owner:
        other = owner.post("/api/projects/", json={"title": "Somebody else's"}).json()["id"]
    assert refused(ann.next(other), gateway_calls.NOT_YOUR_CAMPAIGN)


def test_a_withdrawn_photograph_is_not_given_and_takes_no_answer(ann, project, campaign):
    task = ann.next(project).json()["id"]
    withdraw(consent=campaign.tasks.first().image.consent)
    assert refused(ann.annotate(task), gateway_calls.NOT_YOUR_TASK)
    assert refused(ann.ask("GET", f"/api/tasks/{task}"), gateway_calls.NOT_YOUR_TASK)
    answer = ann.next(project)
    assert (answer.status_code, answer.json()) == (404, {"detail": gateway_calls.NOT_JUST_NOW})
    tasks.retract_withdrawn()
    assert "no tasks" in ann.next(project).json()["detail"]


# --- What the page learns ------------------------------------------------------------------------


def test_the_page_learns_nothing_of_other_people(ann, bob, project, studio):
    asked = [
        "/api/users?project={}", "/api/projects/{}", "/api/dm/project?project={}", "/api/dm/columns?project={}",
        "/api/dm/views?project={}", "/api/tasks?page=1&page_size=30&view=1&project={}", "/api/current-user/whoami",
        "/api/projects/{}/label-stream-history?project={}", "/projects/{}/data?labeling=1",
    ]  # fmt: skip
    bob.annotate(bob.next(project).json()["id"])
    bobs, anns = account_of(bob.annotator), account_of(ann.annotator)
    for path in asked:
        answer = ann.ask("GET", path.format(project, project))
        text = answer.content.decode()
        assert answer.status_code == 200, path
        assert answer["Cache-Control"] == "no-store"
        assert not answer.cookies
        for secret in (bobs.email, "owner@labels.test", bobs.token, anns.token, anns.password, studio.token):
            assert secret not in text, path
    assert ann.ask("GET", f"/api/users?project={project}").json() == []
    assert "schema" not in ann.ask("GET", f"/api/dm/columns?project={project}").content.decode()


def test_files_stream_and_are_cached_as_label_studio_says(ann):
    answer = ann.ask("GET", "/react-app/main.js?v=1")
    assert answer.streaming
    assert len(b"".join(answer.streaming_content)) > 10_000
    assert answer["Content-Type"] == "application/javascript"
    again = ann.client.get("/react-app/main.js?v=1", headers={"if-modified-since": answer["Last-Modified"]})
    assert (again.status_code, b"".join(again.streaming_content), dict(again.cookies)) == (304, b"", {})


# --- Who is let in -------------------------------------------------------------------------------


def test_only_annotators_are_let_in(ann, project, client):
    Annotator.objects.filter(pk=make_annotator().pk).update(user=None)  # their account is deleted: nobody is them
    client.force_login(make_user("manager@example.org", "data manager"))
    for browser in (client, type(client)()):
        here = {"host": "localhost:8001"}
        page = browser.get(f"/projects/{project}/data?labeling=1", headers=here)
        assert page["Location"] == "http://localhost:8000/work/"
        assert refused(browser.get("/api/version", headers=here), "Sign in as an annotator")
        assert refused(browser.get(f"/api/projects/{project}", headers=here), "Sign in as an annotator")
        assert browser.get("/", headers=here)["Location"] == "http://localhost:8000/work/"


def test_whoever_has_no_account_there_is_sent_to_their_page(campaign, project):
    assert refused(AtGateway().next(project), "Begin at your own page")


def test_a_closed_account_is_let_in_no_more(ann, project):
    ann.annotator.user.is_active = False
    ann.annotator.user.save()
    assert refused(ann.next(project), "Sign in as an annotator")


@pytest.mark.parametrize("origin", ["", "http://localhost:8000", "null", "http://evil.example"])
def test_other_sites_cannot_send_answers(ann, project, origin):
    task = ann.next(project).json()["id"]
    for method, path in (("POST", f"/api/tasks/{task}/annotations"), ("DELETE", "/api/drafts/1")):
        assert refused(ann.ask(method, path, {"result": []}, origin=origin), "Only the labelling page itself")


def test_answers_are_json(ann, project):
    task = ann.next(project).json()["id"]
    path, headers = f"/api/tasks/{task}/annotations", {"origin": "http://localhost:8001"}
    assert refused(ann.client.post(path, {"completed_by": 1}, headers=headers), "sent as JSON")
    wrong = ann.client.post(path, "{", content_type="application/json", headers=headers)
    assert refused(wrong, "not JSON")
    for_label_studio = ann.ask("POST", f"/api/tasks/{task}/drafts", {"result": [], "was_postponed": "perhaps"})
    assert (for_label_studio.status_code, for_label_studio.json()) == (400, {"detail": "Validation error"})


@pytest.mark.parametrize(
    "inside", ["NaN", "1e400", '"\\ud800"', '"\\u0000"', "[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000]
)
def test_what_cannot_be_kept_is_refused_in_words(ann, project, inside):
    task = ann.next(project).json()["id"]
    headers = {"origin": "http://localhost:8001"}
    text = f'{{"result": [{inside}]}}'
    for kind in ("annotations", "drafts"):
        answer = ann.client.post(f"/api/tasks/{task}/{kind}", text, content_type="application/json", headers=headers)
        assert answer.status_code == 403, kind


def test_what_is_too_large_is_refused_in_words(ann, project, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    answer = ann.annotate(ann.next(project).json()["id"], result=["x" * 1000])
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain")


def test_an_answer_that_is_no_json_is_no_error_of_ours(ann):
    """With a slash at its end Label Studio has no such address, and says so with a page."""
    answer = ann.ask("GET", "/api/current-user/whoami/")
    assert (answer.status_code, answer.content.decode().strip()) == (502, AWAY)


@pytest.mark.parametrize("number", [2**63, 10**400, -1])
def test_a_number_that_is_no_id_is_an_answer_that_cannot_be_read(ann, project, settings, number):
    """SQLite could not even be asked about it."""
    told = {"id": number, "data": {"asset_id": str(LabelTask.objects.first().pk)}}
    annotation = {"id": 1, "task": number, "completed_by": ann.annotator.label_studio_user}
    with lossy_proxy(settings.LABEL_STUDIO_URL) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.instead[b"/next"] = http_answer("200 OK", json.dumps(told).encode())
        proxy.instead[b"/api/annotations/1/"] = http_answer("200 OK", json.dumps(annotation).encode())
        for answer in (ann.next(project), ann.ask("PATCH", "/api/annotations/1", {"result": good_result()})):
            assert (answer.status_code, answer.content.decode().strip()) == (502, AWAY)


def test_our_pages_are_not_there_and_label_studios_are_not_here(ann):
    assert refused(ann.ask("GET", "/me/"), CLOSED)
    assert ann.client.get("/api/version", headers={"host": "testserver"}).status_code == 404


def test_label_studio_away(settings, client):
    settings.LABEL_STUDIO_URL = "http://127.0.0.1:9"
    ann = AtGateway(make_annotator())
    answer = ann.ask("GET", "/api/version")
    assert (answer.status_code, answer.content.decode().strip()) == (502, AWAY)


def test_refusals_are_logged_by_pseudonym(ann, caplog):
    ann.ask("DELETE", "/api/projects/1")
    assert f"refused DELETE '/api/projects/1' to annotator {ann.annotator.pk}" in caplog.text
    assert ann.annotator.user.email not in caplog.text


# --- Every address of Label Studio ---------------------------------------------------------------

# The only ones that answer, of some 340 addresses by seven methods; ids filled in as below.
OPEN = {
    ("GET", "/"), ("GET", "/projects/"), ("GET", "/projects/1/"), ("GET", "/user/login/"), ("GET", "/logout/"),
    ("GET", "/api/version/"), ("GET", "/static/fonts/roboto/roboto.css"),
    ("GET", "/projects/1/data/"), ("GET", "/api/current-user/whoami"), ("GET", "/api/projects/1/"),
    ("GET", "/api/ml/"), ("GET", "/api/users/"), ("GET", "/api/dm/views/"),
    ("GET", "/api/label_links/"), ("GET", "/api/tasks/"), ("GET", "/api/projects/1/label-stream-history/"),
    ("GET", "/api/tasks/1/"), ("POST", "/api/tasks/1/annotations/"), ("POST", "/api/tasks/1/drafts"),
    ("POST", "/api/tasks/1/annotations/1/drafts"), ("PATCH", "/api/annotations/1/"),
    ("POST", "/api/annotations/1/convert-to-draft"), ("PATCH", "/api/drafts/1/"), ("DELETE", "/api/drafts/1/"),
}  # fmt: skip


@pytest.fixture(scope="session")
def addresses(label_studio):
    """Every address that this Label Studio has a view for, told by its own code."""
    python = PROGRAM.parent / "python"
    env = {"PATH": os.environ["PATH"], "LABEL_STUDIO_BASE_DATA_DIR": str(label_studio.data), "SENTRY_DSN": ""}
    told = subprocess.run([python, LISTER], env=env, capture_output=True, text=True, check=True)
    found = json.loads(told.stdout.strip().splitlines()[-1])
    assert len(found) > 300
    return found


@pytest.fixture(params=["python", "nginx"])
def carried(request, ann, settings, tmp_path):
    """An annotator before each of the two carriers."""
    if request.param == "python":
        yield ann
        return
    likeness = urlsplit(request.getfixturevalue("live_server").url).netloc
    with nginx(tmp_path, likeness=likeness, label_studio=urlsplit(settings.LABEL_STUDIO_URL).netloc) as url:
        settings.LABELLING_URL = url
        with at_nginx(ann, url) as before:
            yield before


def test_no_address_of_label_studio_answers_outside_the_table(carried, project, addresses):
    """As an annotator who has a task, with the ids of what exists and is theirs wherever an id stands."""
    ids = {"project": project, "task": carried.next(project).json()["id"]}
    calls = list(product(METHODS, addresses))
    answers = carried.ask_all([(method, with_ids(address, ids)) for method, address in calls])
    answered = {
        call
        for call, (status, text) in zip(calls, answers, strict=True)
        if status != 403 or (text and not any(words in text for words in (CLOSED, PARAMETERS)))
    }
    assert answered == OPEN


def test_one_labels_through_either_carrier(carried, project):
    """Files by way of nginx, everything in one's name by us; of Label Studio's cookies nothing is seen."""
    file = carried.ask("GET", "/react-app/main.js?v=1")
    page = carried.ask("GET", f"/projects/{project}/data?labeling=1")
    assert file.headers["Content-Type"] == "application/javascript"
    assert "react-app" in page.content.decode()
    assert f"{STYLE}</head>" in page.content.decode()
    task = carried.next(project).json()["id"]
    made = carried.annotate(task, completed_by=1)
    assert made.json()["completed_by"] == carried.annotator.label_studio_user
    assert refused(carried.annotate(task + 1), gateway_calls.NOT_YOUR_TASK)
    assert refused(carried.ask("DELETE", "/api/drafts/1", origin="http://evil.example"), "labelling page itself")
    for answer in (file, page, made):
        assert "Set-Cookie" not in answer.headers
        assert not answer.cookies


@pytest.mark.parametrize(
    "path", ["/react-app/..%2f..%2fapi/projects", "/react-app/%2e%2e/api/projects", "/api/version%2f..%2fprojects"]
)
def test_no_address_is_read_in_two_ways(carried, path):
    assert carried.ask("GET", path).status_code in {400, 403}


def test_nginx_carries_nothing_for_strangers_or_without_us(ann, settings, tmp_path, live_server):
    """Whoever nginx cannot ask about is answered by nobody."""
    studio = urlsplit(settings.LABEL_STUDIO_URL).netloc
    with nginx(tmp_path, likeness=urlsplit(live_server.url).netloc, label_studio=studio) as url:
        settings.LABELLING_URL = url
        assert httpx.get(f"{url}/react-app/main.js").status_code == 403
        assert httpx.get(f"{url}/gateway/carrier").status_code == 404
    with nginx(tmp_path, likeness="127.0.0.1:9", label_studio=studio) as url, at_nginx(ann, url) as before:
        assert before.ask("GET", "/react-app/main.js").status_code == 500


def test_nginx_asks_about_files_only(ann, project, settings, tmp_path, live_server):
    """We carry everything else, so whoever asks about it asks twice."""
    asked = []
    request_started.connect(note := lambda environ, **_: asked.append(environ["PATH_INFO"]))
    studio = urlsplit(settings.LABEL_STUDIO_URL).netloc
    try:
        with nginx(tmp_path, likeness=urlsplit(live_server.url).netloc, label_studio=studio) as url:
            settings.LABELLING_URL = url
            with at_nginx(ann, url) as before:
                asked.clear()
                assert before.ask("GET", "/react-app/main.js").status_code == 200
                assert before.ask("GET", f"/api/dm/project?project={project}").status_code == 200
    finally:
        request_started.disconnect(note)
    assert asked == ["/gateway/carrier", "/api/dm/project"]


def with_ids(address, ids):
    kind = re.search(r"(project|task)s/1", address)
    return address.replace("/1", f"/{ids[kind[1]]}", 1) if kind else address
