"""Whose photographs a call takes: groups by self-report alone, never more than the goal, and honest words."""

import datetime
import threading

import pytest
import time_machine
from django.core.files.storage import storages
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from collection import pipeline, services, targets
from collection.models import Call, Image, ImageStatus, Target
from consent import demographics
from consent.models import PREFER_NOT_TO_SAY, Demographics
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_call, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_text

pytestmark = pytest.mark.django_db
PICTURE = jpeg(size=(700, 700))


@pytest.fixture
def call():
    return make_call(form=make_text(slug="faces").form, max_per_person=10)


def signer(call: Call, **answers: str):
    """A consent under the call's form, of somebody who said this about themselves."""
    consent = make_consent(make_contributor(), text=call.form.texts.get())
    if answers:
        demographics.save_answers(contributor=consent.contributor, **answers)
    return consent


def send(consent, call: Call) -> Image:
    return receive(consent, PICTURE, call=call)


def want(call: Call, people: int | None = None, photographs: int | None = None, **asks: str) -> Target:
    return Target.objects.create(call=call, people=people, photographs=photographs, **asks)


def refusal(consent, call: Call) -> str:
    return targets.standing(contributor=consent.contributor, call=call).refusal


def a_minute_later():
    return time_machine.travel(timezone.now() + targets.RECOUNTED + datetime.timedelta(seconds=1))


# --- A group that is full -----------------------------------------------------------------------


def test_a_full_group_is_told_so_and_others_are_not(call):
    want(call, photographs=2, gender="woman", country="IE")
    want(call, photographs=9, gender="man")
    first, second = (signer(call, gender="woman", country="IE") for _ in range(2))
    send(first, call)
    send(second, call)
    with pytest.raises(Refused, match="enough photographs of people of your gender and country at the moment"):
        send(second, call)
    assert "stays welcome" in refusal(first, call)
    assert refusal(signer(call, gender="man", country="IE"), call) == ""
    assert Image.objects.count() == 2


def upload_page(client, consent, call: Call) -> str:
    client.force_login(consent.contributor.user)
    return client.get(f"/calls/{call.slug}/upload/").content.decode()


def test_who_is_refused_sees_why_and_what_to_do_in_place_of_the_form(client, call):
    want(call, photographs=1, gender="woman")
    full = signer(call, gender="woman")
    assert 'type="file"' in upload_page(client, full, call)
    send(full, call)
    page = upload_page(client, full, call)
    assert "We have enough photographs of people of your gender at the moment" in page
    assert 'href="/calls/"' in page
    assert 'href="/me/photos/"' in page
    for part in ('type="file"', "data-uploads", "uploads.js", "multipart/form-data"):
        assert part not in page


def test_who_has_not_said_what_a_call_asks_for_is_led_there_in_place_of_the_form(client, call):
    Call.objects.filter(pk=call.pk).update(open_to_unsaid=False)
    want(call, photographs=1, gender="woman")
    page = upload_page(client, signer(call), call)
    assert f"/me/about-me/?next=%2Fcalls%2F{call.slug}%2Fupload%2F" in page
    assert 'type="file"' not in page
    open_to = upload_page(client, signer(call, gender="woman"), call)
    assert 'type="file"' in open_to
    assert "data-uploads" in open_to


def test_a_goal_of_people_lets_those_go_on_who_began(call):
    want(call, people=5, gender="woman")
    began = [signer(call, gender="woman") for _ in range(5)]
    for consent in began:
        send(consent, call)
    send(began[0], call)
    with pytest.raises(Refused, match="people of your gender"):
        send(signer(call, gender="woman"), call)


def test_everyone_has_a_target_with_nothing_in_it(call):
    want(call, photographs=1)
    send(signer(call), call)
    with pytest.raises(Refused, match="enough photographs of everybody"):
        send(signer(call, gender="woman"), call)


@pytest.mark.parametrize("status", [ImageStatus.REJECTED, ImageStatus.DUPLICATE])
def test_what_is_turned_down_gives_its_place_back(call, status):
    want(call, photographs=1, gender="man")
    image = send(signer(call, gender="man"), call)
    assert refusal(signer(call, gender="man"), call)
    Image.objects.filter(pk=image.pk).update(status=status)
    with a_minute_later():
        assert refusal(signer(call, gender="man"), call) == ""


def test_a_withdrawal_gives_the_place_back_before_any_sweep(call):
    want(call, photographs=1, gender="man")
    consent = signer(call, gender="man")
    send(consent, call)
    assert refusal(signer(call, gender="man"), call)
    withdraw(consent=consent)
    with a_minute_later():
        assert refusal(signer(call, gender="man"), call) == ""


def test_a_change_of_mind_about_oneself_counts_at_once(call):
    want(call, photographs=2, gender="woman")
    first, second = signer(call, gender="woman"), signer(call)
    send(first, call)
    send(second, call)
    assert refusal(first, call) == ""
    demographics.save_answers(contributor=second.contributor, gender="woman")
    assert "enough photographs" in refusal(first, call)
    assert Target.objects.get().held_people == 2


def test_while_there_is_room_nothing_is_counted(call):
    """With 100,000 photographs counting takes a good part of a second: see tests/bench/targets.py."""
    want(call, photographs=9, gender="woman")
    consent = signer(call, gender="woman")
    send(consent, call)
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        targets.hold_place(contributor=consent.contributor, call=call)
    assert not [query for query in queries if "COUNT(DISTINCT" in query["sql"]]
    assert Target.objects.get().held_photographs == 2
    assert Target.objects.get().held_people == 1


# --- Only what people say themselves ------------------------------------------------------------


def test_r33_who_says_nothing_is_asked_and_taken_and_counts_in_no_group(call):
    want(call, photographs=1, gender="woman")
    for said in ({}, {"gender": PREFER_NOT_TO_SAY}, {"country": "IE"}):
        consent = signer(call, **said)
        send(consent, call)
        asks = targets.standing(contributor=consent.contributor, call=call).asks
        assert asks is ("gender" not in said)
    assert refusal(signer(call, gender="woman"), call) == ""


def test_nobody_is_asked_for_what_cannot_matter_any_more(call):
    want(call, photographs=3, gender="woman")
    want(call, photographs=3, gender="man", country="IE")

    def asks(**said: str) -> bool:
        return targets.standing(contributor=signer(call, **said).contributor, call=call).asks

    assert asks()
    assert asks(gender="man")  # may live in Ireland
    assert not asks(gender="woman")  # counted, and never among the men of Ireland
    assert asks(country="IE")
    assert asks(country="FR")  # may be a woman


def test_r33_a_call_may_be_for_those_only_who_say(call):
    want(call, photographs=1, gender="woman")
    Call.objects.filter(pk=call.pk).update(open_to_unsaid=False)
    call.refresh_from_db()
    assert "You need not tell us" in refusal(signer(call), call)
    want(call, photographs=5)  # anyone
    assert refusal(signer(call), call) == ""


def test_who_belongs_to_no_group_is_told_so_unless_anyone_may(call):
    want(call, photographs=3, gender="woman", country="IE")
    assert "other groups of people" in refusal(signer(call, gender="man"), call)
    assert refusal(signer(call, gender="woman"), call) == ""  # says no country, so may belong
    want(call, photographs=3)
    assert refusal(signer(call, gender="man"), call) == ""


def test_r29_answers_count_until_the_day_of_their_deletion_and_no_longer(call):
    want(call, photographs=1, gender="woman")
    consent = signer(call, gender="woman")
    send(consent, call)
    assert refusal(signer(call, gender="woman"), call)
    Demographics.objects.filter(contributor=consent.contributor).update(delete_on=timezone.now().date())
    with a_minute_later():
        assert refusal(signer(call, gender="woman"), call) == ""
    assert demographics.answers_in_force(consent.contributor)["gender"] == ""


def test_without_targets_nobody_is_asked_and_no_answer_is_read(call, django_assert_num_queries):
    consent = signer(call, gender="woman")
    with django_assert_num_queries(2):
        assert targets.standing(contributor=consent.contributor, call=call) == targets.Standing(sent=0)


# --- Races --------------------------------------------------------------------------------------


def at_once(*works) -> list[str]:
    """Runs all of them at one moment; what each was refused with, "" if it was not."""
    start, answers = threading.Barrier(len(works)), []

    def run(work) -> None:
        start.wait()
        try:
            work()
            answers.append("")
        except Refused as refused:
            answers.append(str(refused))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def originals() -> int:
    """How many originals lie in storage."""
    from collection.storage import image_ids, keys_of

    bucket = storages["originals"]
    return sum(len(list(keys_of(bucket, image_id))) for image_id in image_ids(bucket))


@pytest.mark.django_db(transaction=True)
def test_the_most_per_person_holds_when_all_is_sent_at_once(call):
    Call.objects.filter(pk=call.pk).update(max_per_person=3)
    call.refresh_from_db()
    consent, before = signer(call), originals()
    answers = at_once(*[lambda: send(consent, call)] * 8)
    assert answers.count("") == Image.objects.count() == 3
    assert originals() - before == 3  # the bytes of those who came too late are gone


@pytest.mark.django_db(transaction=True)
def test_a_target_is_not_exceeded_when_many_send_at_once(call):
    want(call, photographs=4, gender="woman")
    want(call, people=5, gender="man")
    women, men = ([signer(call, gender=gender) for _ in range(8)] for gender in ("woman", "man"))
    answers = at_once(*[lambda consent=consent: send(consent, call) for consent in women + men])
    assert answers.count("") == Image.objects.count() == 4 + 5
    assert Image.objects.filter(consent__in=women).count() == 4


# --- The database -------------------------------------------------------------------------------


def test_the_number_that_a_person_may_send_counts_all_but_what_was_turned_down(call):
    Call.objects.filter(pk=call.pk).update(max_per_person=1)
    call.refresh_from_db()
    consent = signer(call)
    image = receive(consent, jpeg(size=(100, 100)), call=call)
    with pytest.raises(Refused, match="as many as it takes"):
        send(consent, call)
    pipeline.advance(image.pk)
    send(consent, call)


def test_a_closed_call_takes_nothing(call):
    consent = signer(call)
    Call.objects.filter(pk=call.pk).update(closed_at=timezone.now() - datetime.timedelta(seconds=1))
    call.refresh_from_db()
    with pytest.raises(Refused, match="closed"):
        services.receive_image(contributor=consent.contributor, consent=consent, call=call, file=None)
    assert not Call.objects.open().exists()
