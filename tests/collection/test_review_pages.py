"""The pages of the review desk as a browser without JavaScript sees them: start, decide, next, undo, wrong people."""

import csv
import io
import re

import pytest

from collection import claims, review, review_times, tasks
from collection.models import Image, ImageStatus, ReviewDecision, ReviewOutcome
from consent import desk
from consent.models import User
from consent.withdrawals import withdraw
from tests.collection.test_review import decide, hold, hold_copy, later, settle, turn_down_first
from tests.consent.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client) -> User:
    user = make_user("ann@example.org", "reviewer")
    client.force_login(user)
    return user


def test_start_decide_and_the_next_case_comes_at_once(client, ann):
    first, second = hold(), hold()
    answer = client.post("/staff/review/queues/held/start/")
    assert answer["Location"] == f"/staff/review/{first.pk}/"
    page = client.get(answer["Location"]).content.decode()
    assert "Yours until" in page
    assert "1 more free for you" in page
    answer = client.post(answer["Location"], {"decision": "reject", "reason": "bad_light"})
    assert answer["Location"] == f"/staff/review/{second.pk}/"
    page = client.get(answer["Location"]).content.decode()
    assert "Your last one: <strong>turned down" in page
    answer = client.post(answer["Location"], {"decision": "accept"})
    assert answer["Location"] == "/staff/review/queues/held/"
    assert "Nothing waits" in client.get(answer["Location"]).content.decode()
    with later():
        client.get("/staff/review/")  # the next page of the desk lets them take effect; no sweep needed
    assert Image.objects.get(pk=first.pk).status == ImageStatus.REJECTED
    assert Image.objects.get(pk=second.pk).status == ImageStatus.SCREENED


def test_undo_leads_back_to_the_case(client, ann):
    image = hold()
    decision = decide(image, ann)
    page = client.get("/staff/review/queues/held/").content.decode()
    [address] = re.findall(r'action="(/staff/review/undo/\d+/)"', page)
    answer = client.post(address)
    assert answer["Location"] == f"/staff/review/{image.pk}/"
    assert "Undone" in client.get(answer["Location"]).content.decode()
    assert ReviewOutcome.objects.get(decision=decision).kind == "undone"
    assert "cannot be undone" in client.post(address, follow=True).content.decode()


def test_what_it_resembled_was_taken_back_and_the_page_says_so(client, ann):
    """Else somebody's photograph, withdrawn by them, is accepted from whoever copied it."""
    image = hold_copy()
    claims.take_case(image_id=image.pk, reviewer=ann)
    address = f"/staff/review/{image.pk}/"
    assert "was taken back" not in client.get(address).content.decode()
    withdraw(consent=image.resembles.get().original.consent)
    assert "was taken back" in client.get(address).content.decode()


def test_sent_twice_it_is_one_decision_and_goes_on(client, ann):
    image = hold()
    client.post(f"/staff/review/{image.pk}/take/")
    for _ in range(2):
        answer = client.post(f"/staff/review/{image.pk}/", {"decision": "accept"})
        assert answer.status_code == 302
    assert ReviewDecision.objects.count() == 1


def test_a_case_in_other_hands_is_shown_with_its_time_and_cannot_be_decided(client, ann):
    image = hold()
    claims.take_case(image_id=image.pk, reviewer=make_user("", "reviewer"))
    address = f"/staff/review/{image.pk}/"
    page = client.get(address).content.decode()
    assert re.search(r"Another reviewer has this photograph until \d\d:\d\d:\d\d UTC", page)
    assert 'name="decision"' not in page
    said = client.post(address, {"decision": "accept"}, follow=True).content.decode()
    assert "Another reviewer has this photograph" in said
    assert client.post(f"{address}beat/").status_code == 409
    assert "held until" in client.get("/staff/review/").content.decode()
    assert not ReviewDecision.objects.exists()


def test_who_comes_too_late_is_told_so_kindly(client, ann):
    image = hold()
    client.post(f"/staff/review/{image.pk}/take/")
    assert client.post(f"/staff/review/{image.pk}/beat/").json()["until"]
    with later(301):
        decide(image, make_user("", "reviewer"))
        page = client.post(f"/staff/review/{image.pk}/", {"decision": "accept"}, follow=True)
    assert "A colleague decided about this photograph a moment ago" in page.content.decode()


def test_opening_a_page_takes_nothing(client, ann):
    image = hold()
    assert "Nobody has this case" in client.get(f"/staff/review/{image.pk}/").content.decode()
    assert claims.take_next(reviewer=make_user("", "reviewer")) == image.pk


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Choose what to do"),
        ({"decision": "burn"}, "Choose what to do"),
        ({"decision": "reject"}, "Choose a reason"),
        ({"decision": "confirm"}, "Choose a reason"),
        ({"decision": "accept", "note": "x" * 301}, "under 300"),
        ({"decision": ""}, "Choose what to do"),
    ],
)
def test_what_makes_no_sense_is_answered_with_what_to_do(client, ann, sent, said):
    image = hold()
    client.post(f"/staff/review/{image.pk}/take/")
    assert said in client.post(f"/staff/review/{image.pk}/", sent, follow=True).content.decode()
    assert not ReviewDecision.objects.exists()


def test_the_second_person_reads_the_first_ones_reason_and_confirms(client, ann):
    image = hold()
    turn_down_first(image, make_user("", "reviewer"), "somebody_elses")
    assert "needs a second person" in client.get("/staff/review/queues/held/").content.decode()
    client.post("/staff/review/queues/held/start/")
    page = client.get(f"/staff/review/{image.pk}/").content.decode()
    assert "A colleague turned this down: “This is somebody else&#x27;s photograph”" in page
    assert "“another face”" in page
    client.post(f"/staff/review/{image.pk}/", {"decision": "confirm"})
    assert settle(image) == ImageStatus.REJECTED
    assert Image.objects.get(pk=image.pk).latest_reason().says.startswith("seems to be a photograph that somebody")


def test_a_possible_minor_is_frozen_at_once_and_counted(client, ann):
    image, other = hold(), hold()
    client.post(f"/staff/review/{image.pk}/take/")
    answer = client.post(f"/staff/review/{image.pk}/", {"decision": "minor"})
    assert answer["Location"] == f"/staff/review/{other.pk}/"
    assert client.get(f"/staff/review/{image.pk}/").status_code == 404
    assert ReviewDecision.objects.get().outcome.kind == "applied"


def test_takedowns_are_counted_and_led_to_the_rights_desk(client, ann):
    desk.open_request(kind="depicted", name="Somebody", email="somebody@example.org", details="That is me.")
    page = client.get("/staff/review/").content.decode()
    assert "<strong>1</strong> waits." in page
    assert 'href="/staff/desk/"' not in page  # not theirs to open
    client.force_login(make_user("", "reviewer", "data-protection officer"))
    assert 'href="/staff/desk/"' in client.get("/staff/review/").content.decode()


def test_pages_of_a_queue_count_and_say_how_old(client, ann):
    hold("age")
    hold()
    page = client.get("/staff/review/queues/age/").content.decode()
    assert "<strong>1</strong> waits, the oldest for 0" in page
    assert page.count("<figure>") == 1
    assert client.get("/staff/review/queues/nonsense/").status_code == 404
    assert client.post("/staff/review/queues/nonsense/start/").status_code == 404


def test_a_mirrored_match_is_marked_for_the_overlay(client, ann):
    image = hold_copy()
    image.resembles.update(kind="mirrored")
    assert "data-mirrored" in client.get(f"/staff/review/{image.pk}/").content.decode()


def test_the_full_size_ends_with_the_permission(client, ann):
    image = hold()
    answer = client.get(f"/staff/review/{image.pk}/full")
    assert answer["Content-Type"] == "image/jpeg"
    assert "no-store" in answer["Cache-Control"]
    assert answer.content.startswith(b"\xff\xd8")
    withdraw(consent=image.consent)
    assert client.get(f"/staff/review/{image.pk}/full").status_code == 404
    assert client.post(f"/staff/review/{image.pk}/take/")["Location"] == "/staff/review/"


@pytest.mark.parametrize("role", ["", "data manager"])
def test_only_reviewers_work_at_the_desk(client, role):
    image = hold()
    decision = decide(image, make_user("", "reviewer"))
    client.force_login(make_user("", *([role] if role else [])))
    for address in ("", "queues/held/", f"{image.pk}/", f"{image.pk}/full"):
        assert client.get(f"/staff/review/{address}").status_code == 403
    for address in (
        "queues/held/start/", f"{image.pk}/", f"{image.pk}/take/", f"{image.pk}/leave/", f"{image.pk}/beat/",
        f"undo/{decision.pk}/",
    ):  # fmt: skip
        assert client.post(f"/staff/review/{address}", {"decision": "accept"}).status_code == 403


# --- Time ----------------------------------------------------------------------------------------


def test_time_is_told_by_reviewer_and_queue(client, ann):
    ben = make_user("=ben@example.org", "reviewer")
    for kind in ("accept", "accept", "reject"):
        image = hold()
        claims.take_case(image_id=image.pk, reviewer=ann)
        with later(20 if kind == "accept" else 40):
            review.decide(image_id=image.pk, reviewer=ann, kind=kind, reason="unsuitable" if kind == "reject" else "")
    undone = decide(hold(), ann)
    review.undo(decision_id=undone.pk, reviewer=ann)
    image = hold("age")
    turn_down_first(image, ben)
    decide(image, ann)
    settle(image)
    rows = {(row.reviewer, row.queue): row for row in review_times.count_times(days=30)}
    held = rows["ann@example.org", "held"]
    assert (held.cases, held.median_seconds, held.kinds["accept"], held.kinds["reject"]) == (3, 20, 2, 1)
    assert (held.overruled, rows["=ben@example.org", "age"].overruled) == (None, 1.0)
    client.force_login(make_user("", "data manager"))
    page = client.get("/staff/review/times/?days=7").content.decode()
    assert "20 s" in page
    assert "100 %" in page
    sheet = list(csv.DictReader(io.StringIO(client.get("/staff/review/times.csv").content.decode())))
    assert [(line["reviewer"], line["queue"], line["cases"]) for line in sheet] == [
        ("'=ben@example.org", "age", "1"), ("ann@example.org", "age", "1"), ("ann@example.org", "held", "3"),
    ]  # fmt: skip
    assert client.get("/staff/review/times/?days=nonsense").status_code == 200
    client.force_login(ann)
    assert client.get("/staff/review/times/").status_code == 403
    assert client.get("/staff/review/times.csv").status_code == 403


def test_the_sweep_is_planned(settings):
    assert tasks.apply_reviews.name in settings.CELERY_BEAT_SCHEDULE
