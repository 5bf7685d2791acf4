"""Taking back: what one press ends, once and for all of a person's signatures under a form."""

import json
import threading

import pytest
from django.db import connection

from consent import audit, ledger
from consent.models import Consent, ErasureNote, LedgerEntry, Withdrawal
from consent.refusals import Refused
from consent.withdrawals import withdraw, withdraw_all
from tests.consent.factories import make_consent, make_contributor, make_text

pytestmark = pytest.mark.django_db


def entries(kind):
    found = [json.loads(payload) for payload in LedgerEntry.objects.order_by("pk").values_list("payload", flat=True)]
    return [entry for entry in found if entry["kind"] == kind]


def signed_twice(purposes=("research", "training"), again=("research", "training")):
    """An older and a newer consent of one person under one form."""
    person, text = make_contributor(), make_text(purposes, slug="faces")
    return make_consent(person, purposes, text=text), make_consent(person, again, text=text)


@pytest.mark.parametrize("newest", [True, False])
def test_withdrawing_ends_every_signature_under_the_form(newest):
    consents = signed_twice()
    elsewhere = make_consent(consents[0].contributor)
    stranger = make_consent(text=consents[0].text)
    made = withdraw(consent=consents[newest])
    assert made.consent == consents[newest]
    assert set(Consent.objects.live()) == {elsewhere, stranger}
    assert {row.act for row in Withdrawal.objects.all()} == {made.act}
    assert Withdrawal.objects.count() == len(entries("consent.withdrawn")) == ErasureNote.objects.count() == 2


def test_withdrawing_one_purpose_ends_it_under_every_signature():
    old, new = signed_twice()
    withdraw(consent=new, purpose="training")
    assert not Consent.objects.live("training").exists()
    assert set(Consent.objects.live("research")) == {old, new}


def test_a_purpose_that_only_an_older_signature_grants_can_be_taken_back():
    old, new = signed_twice(again=["research"])
    assert withdraw(consent=new, purpose="training").consent == old
    assert not Consent.objects.live("training").exists()
    with pytest.raises(Refused, match="nothing to withdraw"):
        withdraw(consent=new, purpose="training")


def test_a_replayed_withdrawal_does_not_touch_what_was_signed_since():
    person, text = make_contributor(), make_text(slug="faces")
    first = make_consent(person, text=text)
    made = withdraw(consent=first)
    again = make_consent(person, text=text)
    assert withdraw(consent=first) == made
    assert Consent.objects.live().get() == again


def test_everything_is_one_act_with_its_cause_and_aftermath():
    person = make_contributor()
    make_consent(person)
    make_consent(person)
    made = withdraw_all(contributor=person, aftermath="keep", cause="lapsed")
    assert len(made) == 2
    assert len({row.act for row in made}) == 1
    assert {(row.cause, row.aftermath) for row in Withdrawal.objects.all()} == {("lapsed", "keep")}
    assert {(entry["cause"], entry["aftermath"]) for entry in entries("consent.withdrawn")} == {("lapsed", "keep")}
    note = json.loads(ErasureNote.objects.first().payload)
    assert note["kind"] == "withdrawal"
    assert {"id", "consent_id", "purpose_id", "made_at", "act", "cause", "aftermath"} < set(note)


def test_the_usual_withdrawal_says_in_the_ledger_what_it_always_said():
    """Otherwise entries from before cause and aftermath were kept would no longer match their rows."""
    withdraw(consent=make_consent())
    assert set(entries("consent.withdrawn")[0]) == {"kind", "at", "consent", "purpose", "withdrawal"}


def test_the_audit_compares_cause_and_aftermath():
    withdraw(consent=make_consent(), aftermath="keep")
    withdraw(consent=make_consent(), cause="objected")
    ledger.seal()
    assert list(audit.problems()) == []


@pytest.mark.django_db(transaction=True)
def test_pressed_by_many_at_once_it_is_one_withdrawal():
    consents = signed_twice()
    made = []

    def press(consent):
        try:
            made.append(withdraw(consent=consent).act)
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(consents[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == 1
    assert Withdrawal.objects.count() == len(entries("consent.withdrawn")) == 2
