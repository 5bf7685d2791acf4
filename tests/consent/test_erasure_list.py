"""The erasure list: each event once, signed, outside the database; and how a database that lacks some is told."""

import base64
import datetime
import json
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from consent import clock, demographics, erasure_list, tasks
from consent.erasure_list import Listed
from consent.keys import public_key
from consent.models import Clock, ErasureNote
from consent.signing import open_dsse
from consent.withdrawals import withdraw
from tests.consent.factories import make_consent

pytestmark = pytest.mark.django_db


def keys():
    return list(erasure_list.note_keys())


def restore(before=None):
    """As a backup from before these notes would be."""
    (before or ErasureNote.objects.all()).delete()


def test_a_withdrawal_is_listed_signed_and_without_identity():
    consent = make_consent()
    withdrawal = withdraw(consent=consent)
    tasks.write_erasure_notes()
    [key] = keys()
    with storages["erasures"].open(key) as file:
        content = file.read()
    document = json.loads(open_dsse(content, erasure_list.TYPE, public_key()))
    assert document["facts"]["id"] == str(withdrawal.pk)
    assert document["facts"]["consent_id"] == str(consent.pk)
    assert key == f"{withdrawal.made_at:%Y/%m/%d}/{document['note']}.json"
    for secret in (consent.evidence.signer_name, consent.evidence.email, str(consent.contributor_id)):
        assert secret not in document["facts"].values()


def test_writing_is_done_once_and_again_after_a_crash_with_the_same_bytes():
    withdraw(consent=make_consent())
    assert erasure_list.write_notes() == 1
    assert erasure_list.write_notes() == 0
    [key] = keys()
    with storages["erasures"].open(key) as file:
        before = file.read()
    ErasureNote.objects.update(written_at=None)  # killed between the storage and the row
    assert erasure_list.write_notes() == 1
    assert keys() == [key]
    with storages["erasures"].open(key) as file:
        assert file.read() == before


def test_an_event_that_is_rolled_back_leaves_no_note():
    from django.db import transaction

    consent = make_consent()
    with transaction.atomic():
        withdraw(consent=consent)
        transaction.set_rollback(True)
    assert erasure_list.write_notes() == 0


def test_a_database_that_lacks_a_note_is_behind(client):
    assert not erasure_list.is_behind()
    assert client.get("/").status_code == 200
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    assert not erasure_list.is_behind()
    restore()
    assert erasure_list.is_behind()


def test_r20_nothing_is_served_before_the_replay(client):
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    restore()
    for address in ("/", "/me/", "/calls/", "/keys/signing.pem", "/api/datasets/x/"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert b"replay_erasures" in answer.content


def test_r20_workers_refuse_to_start_before_the_replay():
    from config.celery import refuse_before_replay

    refuse_before_replay()
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    restore()
    with pytest.raises(SystemExit, match="replay_erasures"):
        refuse_before_replay()


def test_the_closed_page_is_never_kept_and_says_when_to_come_back(client):
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    restore()
    answer = client.get("/")
    assert (answer.headers["Cache-Control"], answer.headers["Retry-After"]) == ("no-store", "60")
    assert "default-src" in answer.headers["Content-Security-Policy"]


def test_a_forged_or_damaged_note_is_named_and_not_believed():
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    [key] = keys()
    with storages["erasures"].open(key) as file:
        real = file.read()
    day = key.rpartition("/")[0]
    put(f"{day}/00000000-0000-4000-8000-000000000000.json", real)  # a real note under another name
    put(f"{day}/00000000-0000-4000-8000-000000000001.json", real[: len(real) // 2])  # cut off
    envelope = json.loads(real)
    envelope["payload"] = base64.b64encode(base64.b64decode(envelope["payload"]).replace(b"erase", b"keep")).decode()
    put(f"{day}/00000000-0000-4000-8000-000000000002.json", json.dumps(envelope).encode())  # changed
    put(f"{day}/.DS_Store", b"not a note")
    read = list(erasure_list.read_missing())
    assert len(read) == 3
    assert all(isinstance(one, str) for one in read)
    assert any("another name" in one for one in read)
    restore()
    assert [one.facts["kind"] for one in erasure_list.read_missing() if isinstance(one, Listed)] == ["withdrawal"]


def put(key, content):
    storages["erasures"].save(key, ContentFile(content))


# --- From when on the check looks -----------------------------------------------------------------


def days_ago(days):
    return timezone.now() - datetime.timedelta(days=days)


def written(days):
    """A note of so many days ago, in the list."""
    one = ErasureNote.objects.create(payload='{"kind":"withdrawal"}', at=days_ago(days))
    erasure_list.write_notes()
    return one


def test_a_note_made_after_the_restore_does_not_hide_the_gap_before_it():
    clock.observe(days_ago(30))  # the last that the backup saw of the time
    lost = written(20)
    lost.delete()
    written(0)
    assert erasure_list.is_behind()


def test_the_check_lists_only_days_that_a_backup_could_lack():
    old, new = written(40), written(1)
    lost = str(old.pk)
    for moment in (days_ago(40), timezone.now()):
        clock.observe(moment)
    Clock.objects.update(before_jump=None, steady_since=days_ago(39))  # it ran all the time
    old.delete()
    assert not erasure_list.is_behind()  # no backup is from before, and the clock is of today
    assert [Path(key).stem for key in erasure_list.missing_keys()] == [lost]  # the replay looks at all
    new.delete()
    assert erasure_list.is_behind()


def test_without_a_known_time_everything_is_looked_at():
    written(4000).delete()
    assert not Clock.objects.exists()
    assert erasure_list.is_behind()


def test_a_clock_that_was_set_back_hides_no_note():
    clock.observe(timezone.now() + datetime.timedelta(days=365))  # before somebody set it back to now
    made = erasure_list.note("withdrawal")
    assert made.at > timezone.now() + datetime.timedelta(days=364)
    erasure_list.write_notes()
    made.delete()
    assert erasure_list.is_behind()


def test_more_notes_than_are_looked_up_at_once(monkeypatch):
    monkeypatch.setattr(erasure_list, "LOOKED_UP_AT_ONCE", 2)
    made = [written(day) for day in range(5)]
    assert not erasure_list.is_behind()
    made[2].delete()
    made[4].delete()
    assert len(list(erasure_list.missing_keys())) == 2
    assert erasure_list.is_behind()


def test_what_somebody_said_about_themselves_and_deleted_is_listed():
    consent = make_consent()
    demographics.save_answers(contributor=consent.contributor, gender="woman")
    assert demographics.delete_answers(contributor=consent.contributor)
    assert not demographics.delete_answers(contributor=consent.contributor)
    [one] = ErasureNote.objects.all()
    assert json.loads(one.payload)["kind"] == "demographics"
    assert "woman" not in one.payload
