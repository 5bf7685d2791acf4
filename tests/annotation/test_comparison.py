"""Both sides compared: a Label Studio that lost, doubled, renumbered or brought back what it had."""

import shutil
import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from annotation import labelstudio, reconcile
from annotation.accounts import account_of, ensure_account, forget_lost_accounts
from annotation.comparison import compare_project, due_projects
from annotation.comparison_models import Comparison, Difference
from annotation.handouts import hand_out
from annotation.intake import record_annotation
from annotation.labelstudio import LabelStudioError
from annotation.models import Annotation, Annotator, Earning, FormerAccount, LabelProject, LabelTask
from annotation.pull import sweep_updated
from annotation.push import claim_pending, ensure_project, push_pending
from annotation.retract import retract_withdrawn
from annotation.services import change_campaign
from consent.withdrawals import withdraw
from tests.annotation.factories import good_result, make_annotator, make_campaign, make_image, remote
from tests.annotation.proxy import http_answer, lossy_proxy
from tests.consent.factories import make_user
from tests.label_studio import Labeller, pristine, running

# Transactions are real here: the services commit between their calls to Label Studio.
pytestmark = pytest.mark.django_db(transaction=True)


def compare():
    """Compare the one project and push; the differences by kind."""
    project = LabelProject.objects.get()
    made = compare_project(project=project)
    push_pending(campaign=project.campaign)
    return dict(Counter(made.differences.values_list("kind", flat=True)))


def answers_there():
    """What Label Studio has: unique ids and who, by asset id."""
    project = LabelProject.objects.get().external_id
    ids = [task.external_id for task in labelstudio.list_tasks(project=project)]
    fetched = labelstudio.fetch_tasks(project=project, task_ids=ids)
    assert len({task.ref.asset_id for task in fetched}) == len(fetched)
    return {task.ref.asset_id: {(one.unique_id, one.user) for one in task.annotations} for task in fetched}


@pytest.fixture
def people(studio):
    """Two annotators with accounts."""
    made = [Labeller(studio) for _ in range(2)]
    for labeller in made:
        make_annotator(labeller.id)
    yield made
    for labeller in made:
        labeller.http.close()


@pytest.fixture
def labelled(people):
    """A campaign of three photographs; both annotators labelled the first, one the second, and all was fetched."""
    campaign = make_campaign(images=3)
    push_pending(campaign=campaign)
    ann, bob = people
    first, second, _ = campaign.tasks.order_by("external_id")
    for labeller, task in ((ann, first), (bob, first), (ann, second)):
        labeller.label(task)
    sweep_updated(project=LabelProject.objects.get())
    assert Earning.objects.count() == 3
    return campaign


def test_what_agrees_is_left_alone(labelled):
    before = answers_there()
    assert compare() == {}
    assert answers_there() == before
    assert Comparison.objects.get().tasks == 3
    assert not due_projects().exists()
    Comparison.objects.update(ended_at=timezone.now() - timedelta(days=1, minutes=1))
    assert due_projects().exists()


def test_a_comparison_that_was_cut_off_is_due_again(labelled, settings):
    address, settings.LABEL_STUDIO_URL = settings.LABEL_STUDIO_URL, "http://127.0.0.1:9"
    with pytest.raises(LabelStudioError):
        compare_project(project=LabelProject.objects.get())
    settings.LABEL_STUDIO_URL = address
    assert due_projects().exists()


def test_what_label_studio_lost_is_sent_again_with_what_was_said(labelled, people):
    before = answers_there()
    project = LabelProject.objects.get()
    lost = [task.external_id for task in labelstudio.list_tasks(project=project.external_id)]
    labelstudio.delete_tasks(project=project.external_id, task_ids=lost)
    told_before(project)
    assert compare() == {"lost": 3}
    assert due_projects().exists()  # without waiting for a day
    assert compare() == {"forgotten": 2}
    assert answers_there() == before
    assert compare() == {}
    assert not due_projects().exists()
    sweep_updated(project=project)
    assert Annotation.objects.count() == Earning.objects.count() == 3  # nothing is told twice
    # Nobody is asked again for what they answered, and what is still wanted is asked for.
    offered = {labeller.id: offers(labeller, project) for labeller in people}
    first, second, third = (task.pk for task in sorted(LabelTask.objects.all(), key=lambda task: -len(before[task.pk])))
    assert offered == {people[0].id: {third}, people[1].id: {second, third}}
    assert first in before
    labelled.refresh_from_db()
    assert labelled.reserved == labelled.task_cost * 3


def told_before(project):
    """An old comparison with many differences: the numbers of projects, comparisons and differences do not agree."""
    old = Comparison.objects.create(project=project, ended_at=timezone.now())
    Difference.objects.bulk_create(Difference(comparison=old, kind="strange") for _ in range(1000))


def offers(labeller, project):
    """The tasks that Label Studio would still give to somebody, each skipped in turn by asking for another."""
    query = {"project": project.external_id, "fields": "all"}
    listed = labeller.http.get("/api/tasks/", params=query).json()["tasks"]
    return {
        uuid.UUID(task["data"]["asset_id"])
        for task in listed
        if not task["is_labeled"] and labeller.id not in task["annotators"]
    }


def test_an_answer_that_label_studio_lost_is_given_back(labelled, studio):
    before = answers_there()
    first = LabelTask.objects.order_by("external_id").first()
    with studio.api() as api:
        (one, _) = api.get(f"/api/tasks/{first.external_id}/").json()["annotations"]
        assert api.delete(f"/api/annotations/{one['id']}/").status_code == 204
    assert compare() == {"forgotten": 1}
    assert answers_there() == before
    sweep_updated(project=LabelProject.objects.get())
    assert Annotation.objects.count() == Earning.objects.count() == 3


def test_an_answer_that_no_sweep_told_is_fetched_and_paid(labelled, people):
    third = LabelTask.objects.order_by("external_id").last()
    people[0].label(third)
    LabelProject.objects.update(swept_until=timezone.now() + timedelta(days=1))
    assert sweep_updated(project=LabelProject.objects.get()) == 0
    assert compare() == {"untold": 1}
    assert Earning.objects.filter(task=third).count() == 1


def test_an_answer_in_the_place_of_anothers_is_found(labelled, people, studio):
    """As many as before, and not the same."""
    ann, bob = people
    second = LabelTask.objects.order_by("external_id")[1]
    with studio.api() as api:
        (one,) = api.get(f"/api/tasks/{second.external_id}/").json()["annotations"]
        assert api.delete(f"/api/annotations/{one['id']}/").status_code == 204
    bob.label(second)
    assert compare() == {"untold": 1, "forgotten": 1}
    assert {user for _, user in answers_there()[second.pk]} == {ann.id, bob.id}
    assert Earning.objects.filter(task=second).count() == 2
    assert compare() == {}


def test_second_copies_go_and_another_number_is_learnt(labelled):
    project = LabelProject.objects.get()
    before = answers_there()
    first, _, third = LabelTask.objects.order_by("external_id")
    data = [{"image": "http://x/", "asset_id": str(task.pk)} for task in (first, third)]
    _, renumbered = labelstudio.import_batch(project=project.external_id, data=data)
    labelstudio.delete_tasks(project=project.external_id, task_ids=[third.external_id])
    assert compare() == {"second": 1, "moved": 1}
    assert answers_there() == before
    third.refresh_from_db()
    assert third.external_id == renumbered


def test_what_was_taken_back_does_not_come_back(labelled, people):
    project = LabelProject.objects.get()
    task = LabelTask.objects.order_by("external_id").first()
    withdraw(consent=task.image.consent)
    retract_withdrawn()
    data = [{"image": "http://x/", "asset_id": str(task.pk)}]
    (again,) = labelstudio.import_batch(project=project.external_id, data=data)
    made = compare_project(project=project)
    assert set(made.differences.values_list("kind", "asset_id", "external_id")) == {("returned", task.pk, again)}
    assert labelstudio.list_tasks(project=project.external_id) == []
    assert Earning.objects.count() == 3


def test_tasks_that_somebody_else_made_are_told_and_left(labelled, studio):
    project = LabelProject.objects.get()
    with studio.api() as api:
        body = [{"data": {"image": "http://x/"}}, {"data": {"image": "http://x/", "asset_id": str(uuid.uuid4())}}]
        assert api.post(f"/api/projects/{project.external_id}/import", json=body).status_code == 201
    assert compare() == {"strange": 2}
    assert len(labelstudio.list_tasks(project=project.external_id)) == 5


def test_tasks_that_are_on_their_way_are_no_difference(studio):
    campaign = make_campaign(images=2)
    claim_pending(campaign=campaign, project=ensure_project(campaign=campaign))
    assert compare() == {}
    assert set(campaign.tasks.values_list("state", flat=True)) == {"pushing"}


def test_a_project_that_is_gone_is_made_anew_while_something_of_it_is_left_to_be_done(labelled, studio):
    before = answers_there()
    project = LabelProject.objects.get()
    delete_project(studio)
    assert compare() == {"project": 1, "lost": 3}
    assert LabelProject.objects.get().external_id != project.external_id
    assert compare() == {"forgotten": 2}
    assert answers_there() == before
    change_campaign(campaign=labelled, action="close")
    delete_project(studio)
    with pytest.raises(LabelStudioError):
        retract_withdrawn()
    assert compare_project(project=LabelProject.objects.get()).differences.count() == 1
    LabelTask.objects.update(next_attempt_at=timezone.now())
    assert retract_withdrawn() == 3
    delete_project(studio)
    assert compare() == {}


def delete_project(studio):
    with studio.api() as api:
        assert api.delete(f"/api/projects/{LabelProject.objects.get().external_id}/").status_code == 204


def test_a_project_that_got_another_description_is_the_same_one(labelled, studio, settings):
    """Somebody wrote one of their own, or this service has another address now."""
    project, before = LabelProject.objects.get(), answers_there()
    with studio.api() as api:
        body = {"description": "Faces, please!"}
        assert api.patch(f"/api/projects/{project.external_id}/", json=body).status_code == 200
    assert compare() == {}
    settings.BASE_URL = "http://nowhere.invalid"  # Label Studio makes no webhook for a name that it cannot resolve
    assert compare() == {}
    settings.BASE_URL = "http://localhost:8999"
    assert compare() == {}
    assert LabelProject.objects.get().external_id == project.external_id
    assert answers_there() == before
    assert push_pending(campaign=labelled) == 0
    with studio.api() as api:
        hooks = api.get("/api/webhooks/", params={"project": project.external_id}).json()
    assert "http://localhost:8999/hooks/label-studio/" in {hook["url"] for hook in hooks}


def test_what_was_lost_and_is_refused_keeps_the_budget_that_it_has_paid_from(labelled, studio, settings):
    project = LabelProject.objects.get()
    there = [task.external_id for task in labelstudio.list_tasks(project=project.external_id)]
    labelstudio.delete_tasks(project=project.external_id, task_ids=there)
    compare_project(project=project)
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.instead[b"/import"] = http_answer("400 Bad Request", b"{}")
        with pytest.raises(LabelStudioError):
            push_pending(campaign=labelled)
    assert list(reconcile.differences()) == []
    labelled.refresh_from_db()
    assert labelled.reserved == labelled.task_cost * 2
    settings.LABEL_STUDIO_URL = studio.url
    LabelTask.objects.update(next_attempt_at=timezone.now())
    assert push_pending(campaign=labelled) == 3
    assert compare() == {"forgotten": 2}
    assert list(reconcile.differences()) == []


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b"[]", b'{"total": 1}', b'{"total": 1, "tasks": [{"id": 1, "data": {}}]}']
)
def test_an_answer_that_makes_no_sense_is_no_answer(labelled, studio, settings, body):
    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.instead[b"/api/tasks/"] = http_answer("200 OK", body)
        with pytest.raises(LabelStudioError):
            compare_project(project=LabelProject.objects.get())
    assert set(labelled.tasks.values_list("state", flat=True)) == {"pushed"}
    assert due_projects().exists()


def test_a_number_that_was_given_again_meanwhile_is_not_deleted(labelled, studio, settings):
    """Label Studio on SQLite gives the number of its last task again once that is deleted."""
    project = LabelProject.objects.get()
    first, _, third = (task.pk for task in LabelTask.objects.order_by("external_id"))
    (second_copy,), known = import_again(project, first), external_id_of(third)

    def give_number_again():
        labelstudio.delete_tasks(project=project.external_id, task_ids=[second_copy, known])
        import_again(project, third, third)

    with lossy_proxy(studio.url) as proxy:
        settings.LABEL_STUDIO_URL = proxy.url
        proxy.before[b"/export"] = give_number_again
        compare_project(project=project)
    settings.LABEL_STUDIO_URL = studio.url
    assert second_copy in {task.external_id for task in labelstudio.list_tasks(project=project.external_id)}


def import_again(project, *asset_ids):
    data = [{"image": "http://x/", "asset_id": str(asset_id)} for asset_id in asset_ids]
    return labelstudio.import_batch(project=project.external_id, data=data)


def external_id_of(asset_id):
    return LabelTask.objects.get(pk=asset_id).external_id


def test_an_answer_from_an_account_that_is_gone_is_given_back_in_our_name(labelled):
    gone = make_annotator(label_studio_user=9_999)
    task = LabelTask.objects.order_by("external_id").last()
    record_annotation(task=task, remote=remote(9_999))
    assert compare() == {"forgotten": 1}
    ((unique_id, user),) = answers_there()[task.pk]
    assert unique_id == Annotation.objects.get(annotator=gone).unique_id
    assert user not in (gone.label_studio_user, None)
    sweep_updated(project=LabelProject.objects.get())
    assert Annotation.objects.count() == Earning.objects.count() == 4


def test_nobody_is_handed_what_they_or_enough_others_answered(labelled):
    """While Label Studio lacks the answers that it lost, it asks for them again."""
    ann, bob = Annotator.objects.order_by("label_studio_user")
    first, second, third = labelled.tasks.order_by("external_id")
    stranger = make_annotator()
    assert [hand_out(ann, task=task) for task in (first, second, third)] == [False, False, True]
    assert [hand_out(bob, task=task) for task in (first, second, third)] == [False, True, True]
    assert [hand_out(stranger, task=task) for task in (first, second, third)] == [False] * 3  # two have each by now


@pytest.mark.timeout(180)
def test_label_studio_restored_from_an_old_backup(settings, tmp_path, capsys):
    """Labels, tasks, a project and an account were made after the backup, and a photograph was withdrawn."""
    now, backup = tmp_path / "now", tmp_path / "backup"
    shutil.copytree(pristine(), now)
    with running(now) as studio:
        settings.LABEL_STUDIO_URL, settings.LABEL_STUDIO_TOKEN = studio.url, studio.token
        kept, gone_soon = make_image(), make_image()
        early = make_campaign()
        push_pending(campaign=early)
        old_timer = make_annotator()
        ensure_account(annotator=old_timer)
    task = early.tasks.get(image=kept)
    shutil.copytree(now, backup)

    with running(now) as studio:
        settings.LABEL_STUDIO_URL = studio.url
        newcomer = make_annotator()
        for annotator in (old_timer, newcomer):
            ensure_account(annotator=annotator)
            with studio.api(account_of(annotator).token) as api:
                answer = api.post(f"/api/tasks/{task.external_id}/annotations/", json={"result": good_result()})
                assert answer.status_code == 201
        make_image()
        late = make_campaign()
        push_pending(campaign=late)
        for project in LabelProject.objects.all():
            sweep_updated(project=project)
        withdraw(consent=gone_soon.consent)
        retract_withdrawn()
    paid = Earning.objects.count()
    known = set(Annotation.objects.values_list("unique_id", flat=True))

    with running(backup) as studio:
        settings.LABEL_STUDIO_URL = studio.url
        for _ in range(2):
            call_command("compare_label_studio")
            for campaign in (early, late):
                push_pending(campaign=campaign)
        assert set(Difference.objects.values_list("kind", flat=True)) == {"returned", "project", "lost", "forgotten"}
        for project in LabelProject.objects.all():
            ids = {one.external_id for one in labelstudio.list_tasks(project=project.external_id)}
            assert ids == set(project.tasks.filter(state="pushed").values_list("external_id", flat=True))
            sweep_updated(project=project)
        assert not LabelTask.objects.filter(state="pushing").exists()
        assert set(Annotation.objects.values_list("unique_id", flat=True)) == known
        assert Earning.objects.count() == paid
        # The newcomer's account is gone; a new person gets its number, and both labels stay with whom they belong to.
        newcomer.refresh_from_db()
        lost_number = FormerAccount.objects.get(annotator=newcomer).label_studio_user
        third = make_annotator()
        ensure_account(annotator=third)
        assert third.label_studio_user == lost_number
        assert newcomer.label_studio_access == ""
        assert forget_lost_accounts() == 0
    assert "sent again" in capsys.readouterr().out


def test_the_campaign_page_tells_what_differed(labelled, client):
    client.force_login(make_user("", "data manager"))
    page = f"/staff/campaigns/{labelled.pk}/"
    assert "compared with what should be there" not in client.get(page).content.decode()
    made = Comparison.objects.create(project=LabelProject.objects.get(), ended_at=timezone.now(), tasks=3)
    Difference.objects.create(comparison=made, kind="lost", asset_id=uuid.uuid4())
    Difference.objects.create(comparison=made, kind="strange", external_id=77)
    text = client.get(page).content.decode()
    assert "compared with what should be there" in text
    assert "Label Studio had lost the photograph: it is sent again: 1, last on" in text
    assert "In Label Studio: number 77" in text
    Comparison.objects.update(at=timezone.now() - timedelta(days=31))
    assert "lost the photograph" not in client.get(page).content.decode()
