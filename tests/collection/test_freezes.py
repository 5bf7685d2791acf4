"""The desk's photographs: frozen on receipt, looked at by the desk alone, lifted or erased; and suspected minors."""

import datetime
import json
import threading

import pytest
from django.db import connection, connections
from django.utils import timezone

from annotation.models import LabelTask
from annotation.retract import mark_lost
from annotation.services import may_be_seen, plan_tasks
from collection import erasure, freezes, pipeline, services
from collection.models import Freeze, Image, ImageStatus, Removal
from consent import desk
from consent.models import LedgerEntry, RightsRequest
from consent.refusals import Refused
from consent.roles import DATA_MANAGER, PROTECTION_OFFICER, REVIEWER
from tests.annotation.factories import make_campaign
from tests.collection.factories import make_image, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_licence, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(client):
    officer = make_user("dpo@example.org", PROTECTION_OFFICER)
    client.force_login(officer)
    return officer


def ask(kind="depicted", **fields):
    return desk.open_request(kind=kind, email="a@example.org", **fields)


def ask_about(image, kind="depicted"):
    request = ask(kind)
    freezes.freeze_images(images=[image.pk], request=request)
    return request


def act(client, request, action, **fields):
    return client.post(f"/staff/desk/{request.pk}/", {"action": action, **fields}, follow=True)


def live(image):
    return Image.objects.with_live_basis().filter(pk=image.pk).exists()


def said(kind):
    found = [json.loads(entry.payload) for entry in LedgerEntry.objects.order_by("pk")]
    return [facts for facts in found if facts["kind"] == kind]


# --- Freezing and lifting ------------------------------------------------------------------------


def test_freezing_twice_is_once_and_lifting_twice_too():
    image, request = make_image(), ask()
    assert len(freezes.freeze_images(images=[image.pk], request=request)) == 1
    assert freezes.freeze_images(images=[image.pk], request=request) == []
    assert not live(image)
    assert freezes.lift_freezes(request=request, images=[image.pk]) == 1
    assert freezes.lift_freezes(request=request, images=[image.pk]) == 0
    assert live(image)
    assert len(freezes.freeze_images(images=[image.pk], request=request)) == 1  # lifted by mistake
    assert not live(image)
    assert [facts["image"] for facts in said("image.frozen")] == [str(image.pk)] * 2
    assert len(said("image.freeze_lifted")) == 1


def test_what_two_requests_hold_stays_frozen_until_both_let_go():
    image = make_image()
    first, second = ask_about(image), ask_about(image)
    freezes.lift_freezes(request=first, images=[image.pk])
    assert not live(image)
    freezes.lift_freezes(request=second, images=[image.pk])
    assert live(image)


def test_a_frozen_image_stands_still_in_the_pipeline_and_goes_on_afterwards():
    image = receive(make_consent(), jpeg(person=71))
    request = ask_about(image)
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.RECEIVED
    assert not Image.objects.with_live_basis().due().filter(pk=image.pk).exists()
    freezes.lift_freezes(request=request, images=[image.pk])
    assert Image.objects.with_live_basis().due().filter(pk=image.pk).exists()  # the sweep finds it
    pipeline.advance(image.pk)
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED


def test_a_freeze_retracts_no_label_task_and_everything_is_served_again():
    campaign = make_campaign()
    image = make_image()
    plan_tasks(campaign=campaign)
    task = LabelTask.objects.get(image=image)
    LabelTask.objects.filter(pk=task.pk).update(state="pushing")
    request = ask_about(image)
    mark_lost(campaign=campaign)
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert image.status == ImageStatus.ACCEPTED
    assert LabelTask.objects.get(pk=task.pk).state == "pushing"
    assert not may_be_seen(task=task)
    freezes.lift_freezes(request=request, images=[image.pk])
    assert may_be_seen(task=task)


def test_nothing_of_an_answered_request_changes_and_nothing_open_is_answered():
    image, officer = make_image(), make_user()
    request = ask_about(image)
    answer = {"request": request, "outcome": "done", "answer": "It is you.", "user": officer}
    with pytest.raises(Refused, match="1 wait"):
        freezes.close_request(**answer)
    freezes.lift_freezes(request=request, images=[image.pk])
    freezes.close_request(**answer)
    with pytest.raises(Refused, match="answered before"):
        freezes.freeze_images(images=[image.pk], request=request)
    assert live(image)


def test_an_upheld_request_removes_the_image_for_good():
    image = make_image()
    other = make_image(image.consent)
    request = ask_about(image)
    [removal] = freezes.erase_frozen(request=request, images=[image.pk])
    assert freezes.erase_frozen(request=request, images=[image.pk]) == []
    assert (removal.cause, removal.request) == ("depicted", request)
    freezes.close_request(request=request, outcome="done", answer="It is gone.", user=make_user())
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert image.status == ImageStatus.PURGED
    assert live(other)


def test_only_what_the_request_holds_is_erased():
    mine, other = make_image(), make_image()
    request = ask_about(mine)
    assert freezes.erase_frozen(request=request, images=[other.pk]) == []
    assert live(other)


@pytest.mark.django_db(transaction=True)
def test_two_presses_in_the_same_moment_freeze_once():
    image, request = make_image(), ask()
    problems = []

    def press():
        try:
            freezes.freeze_images(images=[image.pk], request=request)
        except Exception as error:
            problems.append(error)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert Freeze.objects.count() == 1
    assert connection.vendor in ("sqlite", "postgresql")


# --- The desk's pages ----------------------------------------------------------------------------


def test_the_list_shows_what_is_due_first_and_says_what_is_overdue(client, officer):
    late, soon, later = ask("access"), ask("objection"), ask("erasure")
    now = timezone.now()
    for request, days in ((late, -2), (soon, 3), (later, 20)):
        RightsRequest.objects.filter(pk=request.pk).update(
            received_at=now - datetime.timedelta(days=25), due_at=now + datetime.timedelta(days=days, hours=1)
        )
    page = client.get("/staff/desk/").content.decode()
    places = [page.index(str(request.pk)) for request in (late, soon, later)]
    assert places == sorted(places)
    assert "overdue since" in page
    assert "3 days left" in page
    assert "20 days left" in page


@pytest.mark.parametrize("role", [REVIEWER, DATA_MANAGER])
def test_the_desk_is_for_the_data_protection_officer(client, role):
    image = make_image()
    request = ask_about(image)
    client.force_login(make_user("", role))
    for page in ("", f"{request.pk}/", f"{request.pk}/{image.pk}/preview"):
        assert client.get(f"/staff/desk/{page}").status_code == 403
    assert act(client, request, "lift", image=image.pk).status_code == 403
    assert not live(image)


def test_only_the_desk_looks_at_a_frozen_image_and_only_for_its_request(client, officer):
    image, foreign = make_image(), make_image()
    request, other = ask_about(image), ask_about(foreign)
    preview = f"/staff/desk/{request.pk}/{image.pk}/preview"
    assert client.get(preview)["Content-Type"] == "image/jpeg"
    assert "no-store" in client.get(preview)["Cache-Control"]
    assert client.get(f"/staff/desk/{request.pk}/{foreign.pk}/preview").status_code == 404
    assert client.get(f"/staff/desk/{other.pk}/{image.pk}/preview").status_code == 404
    client.force_login(make_user("", REVIEWER))
    assert client.get(f"/staff/images/{image.pk}/preview").status_code == 404
    client.force_login(image.consent.contributor.user)
    assert client.get(f"/me/photos/{image.pk}/thumb").status_code == 404
    assert "held while we look into a question" in client.get("/me/photos/").content.decode()
    freezes.lift_freezes(request=request, images=[image.pk])
    client.force_login(officer)
    assert client.get(preview).status_code == 404  # no reason to look any more


def test_the_desk_freezes_more_lifts_erases_and_answers(client, officer, mailoutbox):
    first, second = make_image(), make_image()
    request = ask_about(first)
    page = act(client, request, "freeze", **{"freeze-images": f"{second.pk}\n{first.pk}"})
    assert "1 more frozen" in page.content.decode()
    assert not live(second)
    assert "not the id of a photograph" in act(client, request, "freeze", **{"freeze-images": "x"}).content.decode()
    assert "tick at least one" in act(client, request, "lift").content.decode()
    act(client, request, "lift", image=str(first.pk))
    assert live(first)
    answer = {"answer-outcome": "partly", "answer-answer": "One of them is gone."}
    assert "decide on the frozen photographs first" in act(client, request, "answer", **answer).content.decode()
    for _ in range(2):
        assert act(client, request, "erase", image=str(second.pk)).status_code == 200
    assert Removal.objects.get().image == second
    for _ in range(2):
        assert act(client, request, "answer", **answer).status_code == 200
    request.refresh_from_db()
    assert (request.outcome, request.handled_by) == ("partly", officer)
    assert "One of them is gone." in client.get(f"/staff/desk/{request.pk}/").content.decode()


def test_r16_the_desk_extends_with_a_reason(client, officer):
    request = ask("objection")
    assert "This field is required" in act(client, request, "extend", **{"extend-reason": ""}).content.decode()
    page = act(client, request, "extend", **{"extend-reason": "Very many at once."}).content.decode()
    assert "has not been told yet" in page
    request.refresh_from_db()
    assert request.due_at == desk.months_after(request.received_at, 3)


def test_what_people_write_is_shown_as_text(client, officer):
    request = ask(name="<script>alert(1)</script>", details="<b>me</b>")
    page = client.get(f"/staff/desk/{request.pk}/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;b&gt;me&lt;/b&gt;" in page


# --- Rectification -------------------------------------------------------------------------------


def test_the_desk_corrects_a_contributor_and_the_ledger_has_no_values(client, officer):
    contributor = make_consent().contributor
    request = desk.open_request(kind="rectification", contributor=contributor, details="Born in 1991.")
    act(client, request, "correct", **{"correct-date_of_birth": "1991-05-17", "correct-country": "IE"})
    contributor.refresh_from_db()
    assert contributor.date_of_birth == datetime.date(1991, 5, 17)
    [facts] = said("contributor.corrected")
    assert facts["fields"] == ["date_of_birth"]
    assert "1991" not in json.dumps(facts).replace(facts["at"], "")
    future = act(client, request, "correct", **{"correct-date_of_birth": "2991-05-17", "correct-country": "IE"})
    assert "in the future" in future.content.decode()


def test_a_corrected_date_that_makes_a_minor_freezes_everything(client, officer):
    image = make_image()
    person = image.consent.contributor
    request = desk.open_request(kind="rectification", contributor=person, details="I am 16.")
    young = (timezone.now() - datetime.timedelta(days=16 * 366)).date().isoformat()
    for _ in range(2):
        act(client, request, "correct", **{"correct-date_of_birth": young, "correct-country": "IE"})
    assert not live(image)
    minor = RightsRequest.objects.get(kind="minor")
    assert minor.contributor == person
    assert list(freezes.held_images(minor)) == [image]


# --- Suspected minors ----------------------------------------------------------------------------


def waiting(consent, person=1):
    """An image that waits for a reviewer."""
    image = make_image(consent, picture=jpeg(person=person, size=(640, 480)))
    Image.objects.filter(pk=image.pk).update(status="needs_review")
    return image


def test_a_reviewer_freezes_everything_of_a_suspected_minor(client):
    consent = make_consent()
    image, other, somebody = waiting(consent), make_image(consent), make_image()
    client.force_login(make_user("", REVIEWER))
    for _ in range(2):  # pressed twice
        page = client.post(f"/staff/review/{image.pk}/", {"decision": "minor"}, follow=True)
        assert "are frozen" in page.content.decode()
    request = RightsRequest.objects.get()
    assert (request.kind, request.contributor) == ("minor", consent.contributor)
    assert set(freezes.held_images(request)) == {image, other}
    assert live(somebody)
    assert client.get(f"/staff/review/{image.pk}/").status_code == 404


def test_the_desk_decides_on_a_suspected_minor(client, officer):
    image = waiting(make_consent())
    request = freezes.report_minor(image=image)
    call = image.call
    upload = {"contributor": image.consent.contributor, "consent": image.consent, "call": call}
    with pytest.raises(Refused, match="may not be an adult"):
        services.receive_image(file=None, **upload)
    act(client, request, "erase", everything="on")
    assert Removal.objects.get().cause == "minor"
    act(client, request, "answer", **{"answer-outcome": "done", "answer-answer": "We erased them."})
    with pytest.raises(Refused, match="may not be an adult"):
        services.receive_image(file=None, **upload)


def test_a_lifted_suspicion_leaves_everything_as_it_was(client, officer):
    image = waiting(make_consent())
    request = freezes.report_minor(image=image)
    act(client, request, "lift", image=str(image.pk))
    act(client, request, "answer", **{"answer-outcome": "refused", "answer-answer": "They are an adult."})
    assert live(image)
    assert receive(image.consent, jpeg(person=77)).status == "received"


def test_a_licensed_person_may_be_a_minor_too():
    licence = make_licence()
    image, same, other = (make_image(licence=licence, subject=name) for name in ("x", "x", "y"))
    request = freezes.report_minor(image=image)
    assert freezes.report_minor(image=same) == request
    assert set(freezes.held_images(request)) == {image, same}
    assert live(other)
