"""The real Label Studio: push, label, pull, pay, withdraw; with answers lost and processes dying in between."""

import threading
import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from annotation import labelstudio
from annotation.accounts import account_of, ensure_account
from annotation.labelstudio import LabelStudioError
from annotation.lease import importer_lease, renew
from annotation.models import Annotation, Annotator, Campaign, Earning, Hint, ImporterLease, LabelProject, LabelTask
from annotation.pull import fetch_ahead, pull_hinted, sweep_updated
from annotation.push import claim_pending, ensure_project, push_pending
from annotation.retract import retract_withdrawn
from annotation.services import change_campaign, note_hint
from consent.withdrawals import withdraw
from tests.annotation.factories import good_result, make_annotator, make_campaign, make_image, rating
from tests.annotation.proxy import lossy_proxy
from tests.label_studio import Labeller

# Transactions are real here: the services commit between their calls to Label Studio.
pytestmark = pytest.mark.django_db(transaction=True)


def settle_now():
    """As if the time that doubtful tasks are left alone had passed."""
    LabelTask.objects.filter(state="pushing").update(next_attempt_at=timezone.now())


def there(campaign):
    """What Label Studio has of the campaign, by asset_id."""
    project = LabelProject.objects.get(campaign=campaign).external_id
    asset_ids = list(campaign.tasks.values_list("pk", flat=True))
    return sorted(ref.asset_id for ref in labelstudio.find_tasks(project=project, asset_ids=asset_ids))


def assert_each_task_there_once(campaign):
    assert not campaign.tasks.exclude(state="pushed").exists()
    assert there(campaign) == sorted(campaign.tasks.values_list("pk", flat=True))
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.task_cost * campaign.tasks.count()


@pytest.fixture
def labellers(studio):
    """Makes annotators who have an account in Label Studio; their connections are closed in the end."""
    made = []

    def make(annotator=True):
        made.append(Labeller(studio))
        if annotator:
            make_annotator(made[-1].id)
        return made[-1]

    yield make
    for labeller in made:
        labeller.http.close()


# --- Push ----------------------------------------------------------------------------------------


def test_push_sends_each_image_once_and_nothing_personal(studio):
    campaign = make_campaign(images=3)
    assert push_pending(campaign=campaign) == 3
    assert push_pending(campaign=campaign) == 0
    assert_each_task_there_once(campaign)
    with studio.api() as api:
        for task in campaign.tasks.all():
            data = api.get(f"/api/tasks/{task.external_id}/").json()["data"]
            assert data == {
                "image": f"http://localhost:8001/images/{task.view_key}/",
                "asset_id": str(task.asset_id),
            }


def test_a_lost_answer_makes_no_second_task(studio, settings):
    campaign = make_campaign(images=5)
    ensure_project(campaign=campaign)
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.lose = b"/import"
        assert push_pending(campaign=campaign) == 5
        assert proxy.lost == 1
    settings.LABEL_STUDIO_URL = studio.url
    assert_each_task_there_once(campaign)


def test_a_lost_answer_and_then_silence(studio, settings):
    """Even the look-up fails: the tasks stay PUSHING and are found later, not sent again."""
    campaign = make_campaign(images=5)
    ensure_project(campaign=campaign)
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.lose = b"/api/"
        with pytest.raises(LabelStudioError) as caught:
            push_pending(campaign=campaign)
        assert caught.value.retry
    settings.LABEL_STUDIO_URL = studio.url
    assert campaign.tasks.filter(state="pushing").count() == 5
    assert push_pending(campaign=campaign) == 0  # too early to judge
    settle_now()
    assert push_pending(campaign=campaign) == 5
    assert_each_task_there_once(campaign)


def test_killed_before_the_import(studio):
    campaign = make_campaign(images=3)
    claim_pending(campaign=campaign, project=ensure_project(campaign=campaign))
    settle_now()
    assert push_pending(campaign=campaign) == 3
    assert_each_task_there_once(campaign)


def test_killed_in_the_middle_with_some_there_and_one_twice(studio):
    campaign = make_campaign(images=3)
    project = ensure_project(campaign=campaign)
    first, second, _ = claim_pending(campaign=campaign, project=project)
    data = [{"image": "http://x/", "asset_id": str(task.asset_id)} for task in (first, second, second)]
    labelstudio.import_batch(project=project.external_id, data=data)
    settle_now()
    assert push_pending(campaign=campaign) == 3
    assert_each_task_there_once(campaign)


def test_killed_before_the_project_was_noted(studio):
    campaign = make_campaign(images=1)
    first = ensure_project(campaign=campaign).external_id
    LabelProject.objects.all().delete()
    assert ensure_project(campaign=campaign).external_id == first
    with studio.api() as api:
        (hook,) = api.get("/api/webhooks/", params={"project": first}).json()
    assert hook["url"] == "http://localhost:8000/hooks/label-studio/"
    assert hook["actions"] == ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"]


def test_a_refused_import_gives_the_budget_back(studio, settings):
    campaign = make_campaign(images=2)
    ensure_project(campaign=campaign)
    settings.LABEL_STUDIO_TOKEN = "wrong"
    with pytest.raises(LabelStudioError, match="401"):
        push_pending(campaign=campaign)
    campaign.refresh_from_db()
    assert campaign.reserved == 0
    assert set(campaign.tasks.values_list("state", flat=True)) == {"pending"}
    assert "401" in campaign.tasks.first().last_error


def test_a_task_whose_image_was_withdrawn_while_it_was_sent_is_taken_back(studio):
    campaign = make_campaign(images=1)
    project = ensure_project(campaign=campaign)
    (task,) = claim_pending(campaign=campaign, project=project)
    withdraw(consent=task.image.consent)
    retract_withdrawn()
    data = [{"image": "http://x/", "asset_id": str(task.asset_id)}]
    labelstudio.import_batch(project=project.external_id, data=data)  # the import that was on its way
    sweep_updated(project=project)
    assert there(campaign) == []
    campaign.refresh_from_db()
    assert campaign.reserved == 0


def test_what_waits_longest_is_pushed_first(studio):
    """Where the budget is for one of two, and whatever their ids are."""
    campaign = make_campaign(images=2, budget=Decimal("0.20"))
    longest = campaign.tasks.order_by("-pk").first()
    LabelTask.objects.filter(pk=longest.pk).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    assert push_pending(campaign=campaign) == 1
    assert campaign.tasks.get(state="pushed") == longest


def test_withdrawn_images_are_not_pushed(studio):
    campaign = make_campaign(images=2)
    withdraw(consent=campaign.tasks.first().image.consent)
    assert push_pending(campaign=campaign) == 0
    assert there(campaign) == []


# --- Budget and lease ----------------------------------------------------------------------------


def test_the_budget_bounds_what_is_pushed(studio):
    campaign = make_campaign(images=5, budget=Decimal("0.70"))  # 0.20 each
    assert push_pending(campaign=campaign) == 3
    campaign.refresh_from_db()
    assert campaign.reserved == Decimal("0.60")


def in_threads(*calls):
    failures = []

    def run(call):
        try:
            call()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_large_campaign_has_several_projects(studio, monkeypatch):
    monkeypatch.setattr(labelstudio, "MAX_PROJECT", 2)
    campaign = make_campaign(images=5)
    assert push_pending(campaign=campaign) == 5
    assert [project.tasks.count() for project in campaign.projects.order_by("pk")] == [2, 2, 1]
    assert len(set(campaign.projects.values_list("external_id", flat=True))) == 3
    assert push_pending(campaign=campaign) == 0


def test_closing_takes_everything_back_and_pay_stays(studio, labellers):
    campaign = make_campaign(images=2)
    push_pending(campaign=campaign)
    project = campaign.projects.get()
    task = campaign.tasks.first()
    labellers().label(task)
    change_campaign(campaign=campaign, action="close")
    assert retract_withdrawn() == 2
    campaign.refresh_from_db()
    assert campaign.reserved == campaign.rate  # what was earned
    assert Earning.objects.get().task == task
    assert not labelstudio.find_tasks(
        project=project.external_id, asset_ids=list(campaign.tasks.values_list("pk", flat=True))
    )


def test_two_pushers_keep_to_the_budget(studio):
    campaign = make_campaign(images=8, budget=Decimal("1.00"))
    in_threads(*[lambda: push_pending(campaign=campaign)] * 2)
    assert campaign.tasks.filter(state="pushed").count() == 5
    assert len(there(campaign)) == 5
    campaign.refresh_from_db()
    assert campaign.reserved == Decimal("1.00")


def test_two_claims_at_once_keep_to_the_budget():
    """Without the lease: the claim itself never reserves too much."""
    campaign = make_campaign(images=8, budget=Decimal("1.00"))
    project = LabelProject.objects.create(campaign=campaign, external_id=1)
    ready = threading.Barrier(4)

    def claim():
        ready.wait()
        claim_pending(campaign=campaign, project=project)

    in_threads(*[claim] * 4)
    campaign.refresh_from_db()
    assert campaign.reserved == Decimal("1.00")
    assert campaign.tasks.filter(state="pushing").count() == 5


def test_one_importer_at_a_time(studio):
    campaign = make_campaign(images=1)
    with importer_lease() as holder:
        assert push_pending(campaign=campaign) == 0
        assert renew(holder)
        ImporterLease.objects.update(until=timezone.now() - timedelta(seconds=1))  # as after a crash
        assert push_pending(campaign=campaign) == 1
    assert_each_task_there_once(campaign)


def test_while_one_batch_is_imported_the_next_is_claimed(studio, monkeypatch, settings):
    monkeypatch.setattr(labelstudio, "MAX_IMPORT", 1)
    campaign = make_campaign(images=2)
    ensure_project(campaign=campaign)
    claimed = []

    def look():
        """Label Studio works at the first batch until the second is claimed, or for very long."""
        deadline = time.monotonic() + 10
        while (pushing := campaign.tasks.filter(state="pushing").count()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        claimed.append(pushing)
        connection.close()

    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.before[b"/import"] = look
        assert push_pending(campaign=campaign) == 2
        assert claimed == [2]
        monkeypatch.setattr(labelstudio, "MAX_IMPORT", 2)  # to look both up at once
        assert_each_task_there_once(campaign)


# --- Pull ----------------------------------------------------------------------------------------


def test_while_some_labels_are_recorded_the_next_are_fetched(studio, labellers, monkeypatch, settings):
    monkeypatch.setattr(labelstudio, "MAX_FETCH", 1)
    campaign = make_campaign(images=2)
    push_pending(campaign=campaign)
    for task in campaign.tasks.all():
        labellers().label(task)
    project, asked_again = LabelProject.objects.get(), threading.Event()
    ids = sorted(campaign.tasks.values_list("external_id", flat=True))
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.before[b"/export"] = lambda: proxy.before.update({b"/export": asked_again.set})
        fetches = fetch_ahead(project, ids)
        (first,) = next(fetches)  # in our hands, and nothing of it is recorded yet
        assert asked_again.wait(30)
        ((second,),) = fetches
    assert [first.ref.external_id, second.ref.external_id] == ids


def test_labels_come_back_by_hint_and_by_sweep_and_are_paid_once(studio, labellers, monkeypatch):
    monkeypatch.setattr(labelstudio, "MAX_FETCH", 1)  # several fetches
    campaign = make_campaign(images=2)
    push_pending(campaign=campaign)
    project = LabelProject.objects.get()
    ann, bob = labellers(), labellers()
    first, second = campaign.tasks.order_by("external_id")
    ann.label(first)
    Hint.objects.create(project=project, task_external_id=first.external_id, action="ANNOTATION_CREATED")
    assert pull_hinted() == 1
    assert not Hint.objects.exists()
    assert Earning.objects.get().annotator == Annotator.objects.get(label_studio_user=ann.id)
    bob.label(first)
    ann.label(second)  # nobody hints
    sweep_updated(project=project)
    project.refresh_from_db()
    sweep_updated(project=project)
    assert Annotation.objects.count() == 3
    assert Earning.objects.count() == 3
    annotation = Annotation.objects.filter(task=first).order_by("made_at").first()
    assert annotation.result == good_result()
    assert annotation.lead_seconds == 4.5
    assert not list((studio.data / "export").glob(f"project-{project.external_id}-*"))


def test_what_is_hinted_during_a_fetch_is_asked_for_and_fetched_at_once(studio, labellers, settings):
    campaign = make_campaign(images=3)
    push_pending(campaign=campaign)
    project, ann = LabelProject.objects.get(), labellers()
    first, second, third = (task.external_id for task in campaign.tasks.order_by("external_id"))
    for task in campaign.tasks.all():
        ann.label(task)
    asked = []

    def hint_of(*tasks):
        for task in tasks:
            asked.append(note_hint(project=project.external_id, task=task, action="ANNOTATION_CREATED"))
        connection.close()

    hint_of(first)
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.before[b"/export"] = lambda: hint_of(second, third)
        assert pull_hinted() == 3
    assert asked == [True, True, False]  # the third waits together with the second
    assert not Hint.objects.exists()
    assert Earning.objects.count() == 3


def test_of_two_that_pull_at_once_each_hint_has_one(studio, labellers, settings):
    campaign = make_campaign(images=1)
    push_pending(campaign=campaign)
    project, task = LabelProject.objects.get(), campaign.tasks.get()
    labellers().label(task)
    note_hint(project=project.external_id, task=task.external_id, action="ANNOTATION_CREATED")
    meanwhile = []
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.before[b"/export"] = lambda: (meanwhile.append(pull_hinted()), connection.close())
        assert pull_hinted() == 1
    assert meanwhile == [0]


def test_label_studio_takes_anything_and_we_do_not(studio, labellers):
    campaign = make_campaign(images=1)
    push_pending(campaign=campaign)
    project, task = LabelProject.objects.get(), campaign.tasks.get()
    ann, bob, cat, stranger = labellers(), labellers(), labellers(), labellers(annotator=False)
    stranger.label(task)
    wrong = ann.label(task, [rating(99)])
    sweep_updated(project=project)
    assert Earning.objects.count() == 0
    ann.edit(wrong, good_result())  # mended: paid
    ann.label(task)  # again: not paid
    bob.label(task)
    cat.label(task)  # the third of two
    project.refresh_from_db()
    sweep_updated(project=project)
    refusals = Annotation.objects.filter(verdict="refused").order_by("made_at").values_list("refusal", flat=True)
    expected = ["not one of our", "from 1 to 5", "second annotation", "all 2 annotations"]
    assert all(words in refusal for words, refusal in zip(expected, refusals, strict=True))
    assert Earning.objects.count() == 2
    assert Annotation.objects.filter(version=2, verdict="accepted").count() == 1


def test_a_project_that_cannot_be_fetched_keeps_its_hint_and_stands_in_nobodys_way(studio, labellers):
    campaign = make_campaign(images=1)
    lost = LabelProject.objects.create(campaign=make_campaign(), external_id=1_000_000)
    Hint.objects.create(project=lost, task_external_id=1, action="ANNOTATION_CREATED")
    push_pending(campaign=campaign)
    task = campaign.tasks.get()
    labellers().label(task)
    Hint.objects.create(project=task.project, task_external_id=task.external_id, action="ANNOTATION_CREATED")
    with pytest.raises(LabelStudioError):
        pull_hinted()
    assert Hint.objects.get().project == lost
    assert Earning.objects.count() == 1


# --- Webhook -------------------------------------------------------------------------------------


def test_submitting_a_label_calls_our_webhook(studio, labellers, live_server, settings):
    settings.BASE_URL = live_server.url
    campaign = make_campaign(images=1)
    push_pending(campaign=campaign)
    task = campaign.tasks.get()
    labellers().label(task)
    hint = Hint.objects.get()  # sent inside the request: it is there when the answer is
    assert (hint.task_external_id, hint.action) == (task.external_id, "ANNOTATION_CREATED")
    pull_hinted()
    assert Earning.objects.count() == 1


def test_the_pay_page_makes_an_account_that_nobody_knows_and_leads_to_the_gateway(studio, client, settings):
    push_pending(campaign=make_campaign(images=1))
    annotator = make_annotator()
    client.force_login(annotator.user)
    page = client.get("/work/").content.decode()
    project = LabelProject.objects.get()
    assert f"{settings.LABELLING_URL}/projects/{project.external_id}/data?labeling=1" in page
    annotator.refresh_from_db()
    account = account_of(annotator)
    with studio.api(account.token) as api:
        me = api.get("/api/current-user/whoami").json()
    assert me["id"] == account.user == annotator.label_studio_user
    assert me["email"].endswith("@annotators.invalid")
    for secret in (account.token, account.password):
        assert secret not in annotator.label_studio_access
        assert secret not in page
    client.get("/work/")
    assert account_of(Annotator.objects.get()) == account  # it is kept


def test_an_account_whose_key_is_gone_is_made_anew(studio, client, settings):
    annotator = make_annotator()
    ensure_account(annotator=annotator)
    first = account_of(annotator)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a new one", [settings.SECRET_KEY]
    assert account_of(annotator) == first
    settings.SECRET_KEY_FALLBACKS = []
    assert account_of(annotator) is None
    ensure_account(annotator=annotator)
    assert account_of(annotator).user != first.user


# --- Withdrawal ----------------------------------------------------------------------------------


def test_a_withdrawal_leaves_no_task_and_pay_stays(studio, labellers, client):
    campaign = make_campaign(images=1, overlap=3, rate=Decimal("0.10"))
    push_pending(campaign=campaign)
    task = campaign.tasks.get()
    ann, bob = labellers(), labellers()
    ann.label(task)
    sweep_updated(project=LabelProject.objects.get())
    bob.label(task)  # done before the withdrawal, not fetched yet
    withdraw(consent=task.image.consent)
    assert client.get(f"/images/{task.view_key}/").status_code == 410
    with studio.api() as api:
        assert api.get(f"/api/tasks/{task.external_id}/").status_code == 200
        assert retract_withdrawn() == 1
        assert api.get(f"/api/tasks/{task.external_id}/").status_code == 404
    assert retract_withdrawn() == 0
    assert there(campaign) == []
    assert Earning.objects.count() == 2
    campaign.refresh_from_db()
    assert campaign.reserved == Decimal("0.20")  # what was earned, and no more
    assert Campaign.objects.get().tasks.get().state == "retracted"
    assert not list((studio.data / "export").glob(f"project-{LabelProject.objects.get().external_id}-*"))


def test_a_withdrawal_while_label_studio_is_away(studio, client, settings):
    campaign = make_campaign(images=1)
    push_pending(campaign=campaign)
    task = campaign.tasks.get()
    withdraw(consent=task.image.consent)
    settings.LABEL_STUDIO_URL = "http://127.0.0.1:9"
    with pytest.raises(LabelStudioError):
        retract_withdrawn()
    assert client.get(f"/images/{task.view_key}/").status_code == 410
    task.refresh_from_db()
    assert task.state == "retracting"
    assert "did not answer" in task.last_error
    settings.LABEL_STUDIO_URL = studio.url
    LabelTask.objects.update(next_attempt_at=timezone.now())
    assert retract_withdrawn() == 1
    assert there(campaign) == []


@pytest.mark.parametrize("broken", [0, 1])
def test_a_project_that_fails_keeps_no_other_photograph_in_label_studio(studio, broken):
    campaigns = []
    for _ in range(2):
        campaigns.append(make_campaign(images=1))
        push_pending(campaign=campaigns[-1])
        change_campaign(campaign=campaigns[-1], action="pause")
    other = campaigns.pop(broken)
    with studio.api() as owner:
        owner.delete(f"/api/projects/{other.projects.get().external_id}/")
    for task in LabelTask.objects.all():
        withdraw(consent=task.image.consent)
    with pytest.raises(LabelStudioError, match="404"):
        retract_withdrawn()
    assert set(campaigns[0].tasks.values_list("state", flat=True)) == {"retracted"}
    assert there(campaigns[0]) == []


def test_tasks_of_others_stay(studio):
    campaign = make_campaign(images=1)
    make_image()
    other = make_campaign(images=1, name="Other people")
    push_pending(campaign=campaign)
    push_pending(campaign=other)
    withdraw(consent=campaign.tasks.order_by("image__received_at").first().image.consent)
    retract_withdrawn()
    assert len(there(other)) == other.tasks.filter(state="pushed").count() > 0
