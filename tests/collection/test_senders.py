"""Who may send is one statement for nearly everybody: it lets nobody through who is refused otherwise."""

import datetime

import pytest
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from collection import services, targets
from collection.models import Call, Target
from consent.models import PurposeEnd, RightsRequest
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_call, receive
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent, make_contributor, make_text

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def end_purpose(consent, call):
    PurposeEnd.objects.create(purpose=consent.purposes.get(), reason="done")


def be_a_minor_perhaps(consent, call):
    RightsRequest.objects.create(kind="minor", contributor=consent.contributor, due_at=timezone.now() + DAY)


def publish_a_new_text(consent, call):
    make_text(["research", "commercial"], slug=call.form.slug)


def close(consent, call):
    Call.objects.filter(pk=call.pk).update(closed_at=timezone.now())


def end(consent, call):
    Call.objects.filter(pk=call.pk).update(opens_at=timezone.now() - 2 * DAY, closes_at=timezone.now() - DAY)


def open_later(consent, call):
    Call.objects.filter(pk=call.pk).update(opens_at=timezone.now() + DAY)


def send_as_many_as_it_takes(consent, call):
    Call.objects.filter(pk=call.pk).update(max_per_person=1)
    receive(consent, jpeg(1, 1), call=call)


def want_others(consent, call):
    Target.objects.create(call=call, gender="woman", photographs=5)
    Call.objects.filter(pk=call.pk).update(open_to_unsaid=False)


@pytest.mark.parametrize(
    ("happens", "says"),
    [
        (lambda consent, call: withdraw(consent=consent), "no longer in force"),
        (end_purpose, "no longer in force"),
        (be_a_minor_perhaps, "may not be an adult"),
        (publish_a_new_text, "has changed since"),
        (close, "is closed"),
        (end, "is closed"),
        (open_later, "is closed"),
        (send_as_many_as_it_takes, "as many as it takes"),
        (want_others, "who told us what it asks for"),
    ],
)
def test_what_ends_a_right_counts_from_the_next_photograph_on(happens, says, django_assert_num_queries):
    consent = make_consent()
    call = make_call(form=consent.text.form)
    with django_assert_num_queries(1):
        services.check_sender(contributor=consent.contributor, consent=consent, call=call)
    happens(consent, call)
    with pytest.raises(Refused, match=says):
        services.check_sender(contributor=consent.contributor, consent=consent, call=Call.objects.get(pk=call.pk))


def test_an_expired_consent_somebody_elses_and_another_form_are_refused():
    consent = make_consent()
    call = make_call(form=consent.text.form)
    for who, which, where in (
        (make_contributor(), consent, call),
        (consent.contributor, make_consent(text=consent.text), call),
        (consent.contributor, consent, make_call()),
    ):
        with pytest.raises(Refused, match=r"somebody else's|another form"):
            services.check_sender(contributor=who, consent=which, call=where)
    at = consent.expires_at
    assert services.USUAL.ask(contributor=consent.contributor_id, call=call.pk, at=at - DAY) == []  # the call is over
    Call.objects.filter(pk=call.pk).update(closes_at=at + DAY)
    assert len(services.USUAL.ask(contributor=consent.contributor_id, call=call.pk, at=at - DAY)) == 1
    assert services.USUAL.ask(contributor=consent.contributor_id, call=call.pk, at=at) == []


@pytest.mark.django_db(transaction=True)
def test_a_lock_outside_a_transaction_is_an_error():
    """It would be gone with the statement, and nobody would notice."""
    with pytest.raises(TransactionManagementError):
        targets.lock_person(make_consent().contributor)


def test_whoever_signed_twice_sends_under_what_they_signed_last():
    first = make_consent()
    second = make_consent(first.contributor, text=first.text)
    call = make_call(form=first.text.form)
    assert services.signed_consent(contributor=first.contributor, call=call) == second


def test_what_was_turned_down_takes_no_place():
    consent = make_consent()
    call = make_call(form=consent.text.form, max_per_person=1)
    image = receive(consent, jpeg(1, 1), call=call)
    assert targets.count_sent(contributor=consent.contributor, call=call) == 1
    type(image).objects.move(image.pk, "received", "rejected", reason="unsuitable")
    assert targets.count_sent(contributor=consent.contributor, call=call) == 0
    services.check_sender(contributor=consent.contributor, consent=consent, call=call)
