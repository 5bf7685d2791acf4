"""The pages, the webhook and the address that serves photographs."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from annotation.config import TEMPLATES, parse_config, starter_config
from annotation.handout_models import ImageView
from annotation.handouts import hand_out
from annotation.intake import record_annotation
from annotation.models import Annotator, Campaign, Hint, Invitation, LabelProject, LabelTask
from annotation.terms import newest_terms
from consent.withdrawals import withdraw
from tests.annotation.conftest import SECRET
from tests.annotation.factories import (
    BYTES,
    make_annotator,
    make_campaign,
    make_image,
    make_purpose,
    make_pushed_task,
    make_user,
    remote,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def manager(client):
    user = make_user("manager@example.org", "data manager")
    client.force_login(user)
    return user


def image_url(task):
    return reverse("task_image", args=[task.view_key])


# --- Photographs ---------------------------------------------------------------------------------


@pytest.fixture
def task():
    return make_pushed_task()


@pytest.fixture
def holder(client, task):
    """Somebody signed in whom the task was given to."""
    annotator = make_annotator()
    assert hand_out(annotator, task=task)
    client.force_login(annotator.user)
    return annotator


def test_whoever_was_given_the_task_sees_the_photograph(client, task, holder):
    response = client.get(image_url(task))
    assert b"".join(response.streaming_content) == BYTES
    assert response["Content-Type"] == "image/jpeg"
    assert response["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response
    view = ImageView.objects.get()
    assert view.served
    assert view.annotator == holder


def test_nobody_else_does(client, task, holder):
    client.logout()
    assert client.get(image_url(task)).status_code == 403
    other = make_annotator()
    client.force_login(other.user)
    assert client.get(image_url(task)).status_code == 403
    client.force_login(make_user("manager@example.org", "data manager"))
    assert client.get(image_url(task)).status_code == 403
    assert list(ImageView.objects.order_by("pk").values_list("annotator", "served")) == [
        (None, False), (other.pk, False), (None, False),
    ]  # fmt: skip


def test_nor_the_holder_when_the_campaign_is_closed(client, task, holder):
    Campaign.objects.update(state="closed")
    assert client.get(image_url(task)).status_code == 403


def test_a_pause_takes_nothing_off_the_holders_screen(client, task, holder):
    Campaign.objects.update(state="paused")
    assert b"".join(client.get(image_url(task)).streaming_content) == BYTES


def test_after_a_withdrawal_it_is_gone_at_once(client, task, holder):
    withdraw(consent=task.image.consent)
    response = client.get(image_url(task))
    assert response.status_code == 410
    assert response["Cache-Control"] == "no-store"
    assert not ImageView.objects.get().served


def test_withdrawing_only_the_campaigns_purpose_is_enough(client, task, holder):
    withdraw(consent=task.image.consent, purpose="research")
    assert client.get(image_url(task)).status_code == 410


@pytest.mark.parametrize("state", ["pending", "retracting", "retracted"])
def test_only_tasks_in_label_studio_are_served(client, task, holder, state):
    LabelTask.objects.update(state=state, retracted_at=timezone.now())
    assert client.get(image_url(task)).status_code == 410


def test_bytes_that_are_gone_already(client, task, holder):
    task.image.__class__.objects.update(clean_key="aa/missing.jpg")
    assert client.get(image_url(task)).status_code == 410


def test_a_guessed_address(client):
    assert client.get("/images/nobody-knows-this/").status_code == 404
    assert client.get("/images/nobody-knows-this/", headers={"host": "localhost:8001"}).status_code == 404


# --- Webhook -------------------------------------------------------------------------------------


def post_hook(client, payload, secret=SECRET):
    body = payload if isinstance(payload, str) else json.dumps(payload)
    headers = {"X-Likeness-Secret": secret} if secret is not None else {}
    return client.post("/hooks/label-studio/", body, content_type="application/json", headers=headers)


def created(project, task=5):
    return {"action": "ANNOTATION_CREATED", "project": {"id": project}, "task": {"id": task}, "annotation": {"id": 1}}


def test_a_webhook_leaves_a_hint(client):
    project = LabelProject.objects.create(campaign=make_campaign(), external_id=3)
    assert post_hook(client, created(3)).status_code == 204
    hint = Hint.objects.get()
    assert (hint.project, hint.task_external_id, hint.action) == (project, 5, "ANNOTATION_CREATED")


@pytest.mark.parametrize("secret", [None, "", "wrong", "what only Label Studio know\u00e9"])
def test_a_webhook_without_the_secret_is_refused(client, secret):
    LabelProject.objects.create(campaign=make_campaign(), external_id=3)
    assert post_hook(client, created(3), secret and secret.encode().decode("latin-1")).status_code == 403
    assert not Hint.objects.exists()


def test_no_secret_set_means_nobody_knows_it(client, settings):
    settings.LABEL_STUDIO_WEBHOOK_SECRET = ""
    assert post_hook(client, created(3), "").status_code == 403


@pytest.mark.parametrize("payload", ["", "{", "[]", "null", "{}", {"project": {"id": "x"}, "task": {"id": 1}}])
def test_a_webhook_with_a_strange_body(client, payload):
    assert post_hook(client, payload).status_code == 400


def test_a_webhook_of_somebody_elses_project_is_answered_and_forgotten(client):
    assert post_hook(client, created(3)).status_code == 204
    assert not Hint.objects.exists()


def test_webhooks_are_posted(client):
    assert client.get("/hooks/label-studio/").status_code == 405


# --- Campaigns -----------------------------------------------------------------------------------


def campaign_fields(**changes):
    make_purpose("research")
    return {
        "name": "Portraits",
        "purpose": "research",
        "config": starter_config(),
        "overlap": "3",
        "rate": "0.05",
        "currency": "EUR",
        "budget": "50",
        "basis": "any",
        "gold_percent": "5",
        **changes,
    }


def test_a_data_manager_adds_and_runs_a_campaign(client, manager):
    assert "RectangleLabels" in client.get("/staff/campaigns/new/").content.decode()
    response = client.post("/staff/campaigns/new/", campaign_fields())
    campaign = Campaign.objects.get()
    assert response["Location"] == f"/staff/campaigns/{campaign.pk}/"
    assert campaign.created_by == manager
    assert campaign.rate == Decimal("0.05")
    for action, state in (("start", "running"), ("pause", "paused"), ("start", "running"), ("close", "closed")):
        client.post(f"/staff/campaigns/{campaign.pk}/", {"action": action})
        campaign.refresh_from_db()
        assert campaign.state == state
    page = client.post(f"/staff/campaigns/{campaign.pk}/", {"action": "start"}, follow=True).content.decode()
    assert "The campaign is closed, so it cannot start." in page


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("config", "<View/>", "exactly one image"),
        ("rate", "0", "more than zero"),
        ("rate", "-1", "more than zero"),
        ("overlap", "0", "at least one"),
        ("budget", "0.14", "One photograph costs 0.15"),
        ("currency", "euro", "three"),
        ("name", "ab", "at least 3"),
        ("purpose", "conquest", "Select a valid choice"),
        ("basis", "rumour", "Select a valid choice"),
        ("strata", "gender", "how many photographs"),
        ("sample_size", "0", "greater than or equal to 1"),
        ("gold_percent", "101", "less than or equal to 100"),
        ("daily_cost", "0.04", "One annotation costs 0.05"),
        ("ends_on", "yesterday", "valid date"),
    ],
)
def test_bad_campaigns_are_sent_back_with_a_reason(client, manager, field, value, says):
    response = client.post("/staff/campaigns/new/", campaign_fields(**{field: value}))
    assert response.status_code == 200
    assert says in response.content.decode()
    assert not Campaign.objects.exists()


def test_the_last_day_is_not_before_the_first(client, manager):
    response = client.post("/staff/campaigns/new/", campaign_fields(starts_on="2026-03-02", ends_on="2026-03-01"))
    assert "The last day is before the first." in response.content.decode()


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_can_be_saved_as_it_is(client, manager, template):
    form = client.get(f"/staff/campaigns/new/?template={template}").context["form"]
    client.post("/staff/campaigns/new/", campaign_fields(config=form["config"].value()))
    campaign = Campaign.objects.get()
    page = client.get(f"/staff/campaigns/{campaign.pk}/").content.decode()
    assert all(str(control) in unescape(page) for control in parse_config(campaign.config).values())


def test_a_data_manager_adds_to_the_budget(client, manager):
    campaign = make_campaign(budget=Decimal(10))
    address = f"/staff/campaigns/{campaign.pk}/"
    page = client.post(address, {"action": "top up", "amount": "2.50"}, follow=True).content.decode()
    assert "The budget is 12.50 EUR now." in page
    assert "2.50 EUR by manager@example.org" in page
    page = client.post(address, {"action": "top up", "amount": "-3"}).content.decode()
    assert "greater than or equal to 0.01" in page
    campaign.refresh_from_db()
    assert campaign.budget == Decimal("12.50")


def test_the_campaign_page_says_why_it_rests(client, manager):
    campaign = make_campaign(ends_on=timezone.localdate() - timedelta(days=1))
    assert "nobody gets new photographs of it" in client.get(f"/staff/campaigns/{campaign.pk}/").content.decode()


def test_the_campaign_page_counts(client, manager):
    campaign = make_campaign(images=3, budget=Decimal("0.40"))
    task = campaign.tasks.first()
    Campaign.objects.update(reserved=campaign.task_cost)
    LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=1, pushed_at=timezone.now())
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    page = client.get(f"/staff/campaigns/{campaign.pk}/").content.decode()
    assert "0.10 EUR" in page
    assert "1 photograph waits" in page


@pytest.mark.parametrize("path", ["/staff/campaigns/new/", "/staff/campaigns/1/", "/staff/annotators/"])
def test_staff_pages_are_for_data_managers(client, path):
    assert client.get(path).status_code == 302
    client.force_login(make_user("reviewer@example.org", "reviewer"))
    assert client.get(path).status_code == 403


# --- Annotators ----------------------------------------------------------------------------------


def invite(client, email="Ann@Example.org"):
    client.post("/staff/annotators/", {"email": email})
    link = re.search(r"http://localhost:8000(/work/join/\S+)", mail.outbox[-1].body)
    return link[1]


def agreed():
    """What the form sends of whoever agreed to the terms that it showed."""
    return {"agree": "on", "terms": newest_terms().sha256}


def test_an_invited_person_joins(client, manager):
    path = invite(client)
    assert mail.outbox[-1].to == ["ann@example.org"]
    client.logout()
    assert "what you agree to" in client.get(path).content.decode()
    response = client.post(path, {"password1": "a very long phrase 7", **agreed()})
    assert response["Location"] == "/work/languages/"
    annotator = Annotator.objects.get()
    assert annotator.user.email == "ann@example.org"
    assert annotator.user.emailaddress_set.get().verified
    assert client.get("/work/").status_code == 200
    assert client.get(path).status_code == 410  # a link works once


@pytest.mark.parametrize(
    ("posted", "says"),
    [
        ({"password1": "a very long phrase 7"}, "This field is required"),
        ({"agree": "on"}, "This field is required"),
        ({"password1": "12345", "agree": "on"}, "too short"),
        ({"password1": "ann@example.org", "agree": "on"}, "too similar"),
        ({"password1": "a very long phrase 7", "agree": "on", "terms": "0" * 64}, "changed a moment ago"),
    ],
)
def test_joining_needs_the_agreement_and_a_password(client, manager, posted, says):
    path = invite(client)
    client.logout()
    assert says in client.post(path, {"terms": newest_terms().sha256, **posted}).content.decode()
    assert not Annotator.objects.exists()


def test_who_has_an_account_signs_in_first(client, manager):
    user = make_user("ann@example.org")
    path = invite(client)
    client.logout()
    page = client.post(path, {"password1": "a very long phrase 7", **agreed()}).content.decode()
    assert "Sign in with it and open the invitation again" in page
    client.force_login(user)
    assert client.post(path, agreed())["Location"] == "/work/languages/"
    assert Annotator.objects.get().user == user


def test_somebody_else_signed_in_cannot_take_the_invitation_for_an_account(client, manager):
    make_user("ann@example.org")
    path = invite(client)
    client.force_login(make_user("eve@example.org"))
    assert "Sign in with it" in client.post(path, agreed()).content.decode()
    assert not Annotator.objects.exists()


def test_old_invitations_end(client, manager):
    first = invite(client)
    second = invite(client)
    assert client.get(first).status_code == 410
    Invitation.objects.update(expires_at=timezone.now())
    assert client.get(second).status_code == 410
    assert client.get("/work/join/made-up/").status_code == 410


def test_the_list_of_annotators_adds_no_two_currencies(client, manager):
    task = make_pushed_task()
    other = make_pushed_task(make_campaign(currency="CHF"))
    make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    record_annotation(task=other, remote=remote(7))
    page = client.get("/staff/annotators/").content.decode()
    assert "0.10 CHF" in page
    assert "0.10 EUR" in page


def test_annotators_are_not_invited_again(client, manager):
    make_annotator(user=make_user("ann@example.org"))
    page = client.post("/staff/annotators/", {"email": "ann@example.org"}).content.decode()
    assert "is an annotator already" in page
    assert not mail.outbox


def test_the_pay_page_shows_each_annotation_and_why(client):
    task = make_pushed_task()
    annotator = make_annotator(7)
    record_annotation(task=task, remote=remote(7))
    record_annotation(task=task, remote=remote(7))
    client.force_login(annotator.user)
    page = client.get("/work/").content.decode()
    assert "0.10 EUR" in page
    assert "A second annotation by the same person" in page


def test_the_pay_page_without_label_studio(client):
    client.force_login(make_annotator().user)
    assert "cannot be reached right now" in client.get("/work/").content.decode()


def test_the_pay_page_is_for_annotators(client):
    assert client.get("/work/").status_code == 302
    client.force_login(make_image().consent.contributor.user)
    assert client.get("/work/").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"project": {"id": 1e400}, "task": {"id": 1}}',
        b'{"project": {"id": 5}, "task": {"id": 1180591620717411303424}}',
        b'{"project": {"id": 5}, "task": {"id": -4}}',
        b'{"project": {"id": 5}, "task": {"id": 1}, "action": "\\ud800\\u0000"}',
    ],
)
def test_no_webhook_body_is_an_error_of_ours(client, body):
    LabelProject.objects.create(campaign=make_campaign(), external_id=5)
    headers = {"X-Likeness-Secret": SECRET}
    answer = client.post("/hooks/label-studio/", body, content_type="application/json", headers=headers)
    assert answer.status_code in {204, 400}


def test_an_invitation_makes_no_account_for_somebody_who_is_signed_in_as_another(client, manager):
    client.post(reverse("annotators"), {"email": "new@example.org"})
    link = re.search(r"/work/join/\S+", mail.outbox[0].body)[0]
    client.force_login(make_user("other@example.org"))
    page = client.post(link, {"agree": "on"})
    assert "Sign out" in page.content.decode()
    assert not Annotator.objects.exists()
    assert Invitation.objects.get().accepted_at is None


def test_the_list_of_campaigns_is_where_one_looks_for_it(client, manager):
    campaign = make_campaign()
    page = client.get("/staff/campaigns/", follow=True)
    assert (page.status_code, reverse("campaign", args=[campaign.pk]) in page.content.decode()) == (200, True)


def test_staff_pages_stay_in_no_cache(client, manager):
    assert "no-store" in client.get(reverse("annotators"))["Cache-Control"]
