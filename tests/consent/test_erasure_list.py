"""The erasure list: each event once, signed, outside the database; and how a database that lacks some is told."""

import json

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from consent import erasure_list, tasks
from consent.erasure_list import Listed
from consent.keys import public_key
from consent.models import ErasureNote
from consent.signing import open_dsse
from consent.withdrawals import withdraw
from tests.consent.factories import make_consent

pytestmark = pytest.mark.django_db


def keys():
    return list(erasure_list._keys(erasure_list.datetime.date.min))


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
    ErasureNote.objects.all().delete()  # as a backup from before would be
    assert erasure_list.is_behind()


def test_r20_nothing_is_served_before_the_replay(client):
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    ErasureNote.objects.all().delete()
    for address in ("/", "/me/", "/calls/", "/keys/signing.pem", "/api/datasets/x/"):
        answer = client.get(address)
        assert answer.status_code == 503
        assert b"replay_erasures" in answer.content


def test_r20_workers_refuse_to_start_before_the_replay():
    from config.celery import refuse_before_replay

    refuse_before_replay()
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    ErasureNote.objects.all().delete()
    with pytest.raises(SystemExit, match="replay_erasures"):
        refuse_before_replay()


def test_a_forged_or_damaged_note_is_named_and_not_believed():
    withdraw(consent=make_consent())
    erasure_list.write_notes()
    [key] = keys()
    storages["erasures"].save(key.replace(".json", "0.json"), ContentFile(b"{}"))
    forged = key.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000.json"
    with storages["erasures"].open(key) as file:
        storages["erasures"].save(forged, ContentFile(file.read()))  # a real note under another name
    read = list(erasure_list.read_all())
    assert sum(isinstance(one, Listed) for one in read) == 1
    assert any("another name" in one for one in read if isinstance(one, str))
