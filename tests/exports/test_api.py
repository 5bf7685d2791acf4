"""The recipients' API: one token, one dataset, rights looked up at every read."""

import base64
import datetime
import hashlib

import pytest
import time_machine
from django.core import mail
from django.core.files.storage import storages

from consent.keys import public_key
from consent.signing import open_dsse
from consent.withdrawals import withdraw
from exports import notices
from exports.definitions import define
from exports.models import AccessToken, Acknowledgement, Download, FilePurge, Notice, Recipient, Revocation
from exports.services import build_release, draft_release, publish_release
from exports.tokens import issue_recipient_token
from tests.exports.factories import (
    make_built,
    make_dataset,
    make_image,
    make_labelled_dataset,
    make_manager,
    make_published,
    make_rated_dataset,
    make_token,
)

pytestmark = pytest.mark.django_db
ROWS = "rows/train-00000.jsonl"
TRAIN, TEST = "data/train-00000.parquet", "data/test-00000.parquet"


@pytest.fixture
def release():
    return make_published(make_labelled_dataset(people=4, each=2, slug="portraits"))


@pytest.fixture
def read(client, release):
    """GET below /api/datasets/portraits/ with a good token."""
    token = make_token(release.dataset)
    return lambda path="", **headers: client.get(
        f"/api/datasets/portraits/{path}", headers={"Authorization": f"Bearer {token}", **headers}
    )


def withdraw_one(release, split):
    item = release.items.filter(split=split).first()
    withdraw(consent=item.image.consent)
    return list(release.items.filter(image__consent=item.image.consent))


def body(answer):
    return b"".join(answer.streaming_content)


def test_dataset_release_and_files(read, release):
    about = read().json()
    assert about["latest"] == "1.0.0"
    assert about["purpose"] == "research"
    assert about["purpose_in_words"]["description"] == release.dataset.purpose.description
    assert (about["description"], about["terms"]) == (release.dataset.description, release.dataset.terms)
    assert about["releases"][0] | {"published_at": ""} == {
        "version": "1.0.0",
        "number": 1,
        "items": 8,
        "revoked": 0,
        "sums_sha256": release.sums_sha256,
        "published_at": "",
    }
    one = read("1.0.0/").json()
    assert (one["superseded_by"], one["notes"]) == (None, "")
    assert one["citation"].endswith("(version 1.0.0) [Data set]. http://localhost:8000/datasets/portraits/1.0.0/")
    files = one["files"]
    assert {file["path"] for file in files} >= {TRAIN, ROWS, "SHA256SUMS", "statement.dsse.json"}
    for file in files:
        content = body(read(f"1.0.0/files/{file['path']}"))
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["size"])
    assert Download.objects.count() == len(files)


def test_a_pull_that_was_cut_off_goes_on(read):
    whole = body(read(f"1.0.0/files/{TRAIN}"))
    rest = read(f"1.0.0/files/{TRAIN}", Range="bytes=1000-")
    assert rest.status_code == 206
    assert rest["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    assert rest["Content-Length"] == str(len(whole) - 1000)
    assert body(rest) == whole[1000:]
    beyond = read(f"1.0.0/files/{TRAIN}", Range=f"bytes={len(whole)}-")
    assert (beyond.status_code, beyond["Content-Range"]) == (416, f"bytes */{len(whole)}")
    tail = read(f"1.0.0/files/{TRAIN}", Range="bytes=-8")  # what Parquet readers ask first
    assert (tail.status_code, body(tail)) == (206, whole[-8:])


def test_asking_for_a_files_head_is_no_download(client, release):
    answer = client.head(
        f"/api/datasets/portraits/1.0.0/files/{TRAIN}",
        headers={"Authorization": f"Bearer {make_token(release.dataset)}"},
    )
    assert answer.status_code == 200
    assert answer["Content-Length"] == str(release.files.get(path=TRAIN).size)
    assert not Download.objects.exists()


def test_a_machine_that_runs_wild_waits(read, release, settings):
    settings.API_PER_MINUTE = {"facts": 2, "files": 1, "differences": 1}
    with time_machine.travel("2030-01-01T12:00:20Z", tick=False):
        token = make_token(release.dataset)

        def status(path):
            return read(path, Authorization=f"Bearer {token}").status_code

        assert [status("1.0.0/") for _ in range(3)] == [200, 200, 429]
        assert read("1.0.0/", Authorization=f"Bearer {token}")["Retry-After"] == "40"
        assert [status("1.0.0/since/0.9.0/") for _ in range(2)] == [404, 429]
        other = make_token(release.dataset)
        assert read("1.0.0/", Authorization=f"Bearer {other}").status_code == 200
    with time_machine.travel("2030-01-01T12:01:00Z", tick=False):
        assert status("1.0.0/") == 200


@pytest.mark.parametrize("path", ["", "1.0.0/", f"1.0.0/files/{TRAIN}", "notices/"])
def test_a_token_opens_one_dataset(path, client, release):
    address = f"/api/datasets/portraits/{path}"

    def status(token):
        answer = client.get(address, headers={"Authorization": f"Bearer {token}"})
        b"".join(answer)  # a file is open until it is read to its end
        return answer.status_code

    assert status(make_token(release.dataset)) == 200
    assert status(make_token(make_dataset())) == 404
    expired = make_token(release.dataset, lifetime=datetime.timedelta(seconds=-1))
    assert status(expired) == (200 if path == "notices/" else 401)  # tests/exports/test_tokens.py
    assert status("likeness_no_such_token") == 401
    basic = base64.b64encode(f"any:{make_token(release.dataset)}".encode()).decode()
    for credentials, expected in ((basic, 200), (basic[:-8], 401), ("not base64", 401), ("", 401)):
        answer = client.get(address, headers={"Authorization": f"Basic {credentials}"})
        b"".join(answer)
        assert answer.status_code == expected
    assert client.get(address).status_code == 401
    client.force_login(make_manager())
    assert client.get(address).status_code == 401


def test_the_token_is_not_stored():
    token = make_token(make_dataset())
    assert AccessToken.objects.get().token_sha256 == hashlib.sha256(token.encode()).hexdigest()


def test_what_is_not_published_is_not_there(read, release):
    make_image(consent=release.items.first().image.consent)
    assert make_built(release.dataset).version == "1.0.1"
    assert read("1.0.1/").status_code == 404
    assert read("1.0.1/files/SHA256SUMS").status_code == 404
    assert read("1.0.0/files/nothing").status_code == 404
    assert len(read().json()["releases"]) == 1


def test_files_with_withdrawn_rows_are_gone_before_any_sweep(read, release):
    withdraw_one(release, "train")
    for path in (TRAIN, "webdataset/train-00000.tar", ROWS):
        answer = read(f"1.0.0/files/{path}")
        assert answer.status_code == 410
        assert answer.json()["notices"] == []
    for path in (TEST, "SHA256SUMS", "croissant.json", "attestations.jsonl"):
        assert body(read(f"1.0.0/files/{path}"))
    files = {file["path"]: file["gone"] for file in read("1.0.0/").json()["files"]}
    assert files[TRAIN]
    assert not files[TEST]
    assert read().json()["releases"][0]["revoked"] == 2


def test_the_sweep_signs_one_notice_deletes_bytes_and_mails(read, release):
    lost = withdraw_one(release, "train")
    assert notices.revoke_items() == 2
    assert notices.revoke_items() == 0
    notice = read("notices/").json()["notices"][0]
    payload = open_dsse(notice["envelope"], notices.NOTICE_TYPE, public_key()).decode()
    assert all(item.row_id in payload for item in lost)
    assert {row.item_id for row in Revocation.objects.all()} == {item.pk for item in lost}
    purged = {ROWS, TRAIN, "webdataset/train-00000.tar"}
    assert {purge.file.path for purge in FilePurge.objects.all()} == purged
    for file in release.files.all():
        assert storages["releases"].exists(file.key) == (file.path not in purged)
    assert [message.to for message in mail.outbox] == [["ml@example.org"]]
    assert read(f"1.0.0/files/{TRAIN}").json()["notices"] == [notice["id"]]


def test_the_balance_of_a_release_as_its_page_shows_it(client):
    release = make_published(make_rated_dataset({"2": 5, "9": 5}, people=6))
    answer = client.get(
        f"/api/datasets/{release.dataset.slug}/1.0.0/balance/",
        headers={"Authorization": f"Bearer {make_token(release.dataset)}"},
    ).json()
    assert answer["gate"].startswith("it ran, and too few to tell")
    tones = answer["attributes"][0]
    assert (tones["attribute"], tones["as_of"]) == ("Skin tone (Monk scale)", "1.0.0")
    assert tones["groups"] == [{"group": "Tone 2", "per_cent": 50}, {"group": "Tone 9", "per_cent": 50}]


def test_a_second_withdrawal_gets_a_notice_of_its_own(read, release):
    first = withdraw_one(release, "train")
    notices.revoke_items()
    second = withdraw_one(release, "test")
    notices.revoke_items()
    assert [notice.revocations.count() for notice in Notice.objects.order_by("pk")] == [len(first), len(second)]
    assert read(f"1.0.0/files/{TEST}").status_code == 410
    assert len(mail.outbox) == 2


def test_who_gets_a_token_later_is_not_mailed_old_notices(read, release):
    withdraw_one(release, "train")
    notices.revoke_items()
    issue_recipient_token(name="Late team", email="late@example.org", dataset=release.dataset)
    notices.revoke_items()
    assert [message.to for message in mail.outbox] == [["ml@example.org"]]


def test_a_partial_withdrawal_bites_only_for_its_purpose(read, release):
    item = release.items.first()
    withdraw(consent=item.image.consent, purpose="research")
    assert read(f"1.0.0/files/rows/{item.shard}.jsonl").status_code == 410


def test_acknowledgement_counts_once(client, read, release):
    withdraw_one(release, "train")
    notices.revoke_items()
    token, notice = make_token(release.dataset), Notice.objects.get()
    address = f"/api/datasets/portraits/notices/{notice.pk}/acknowledge/"
    for rows in (2, 0):
        answer = client.post(
            address, {"rows_removed": rows}, "application/json", headers={"Authorization": f"Bearer {token}"}
        )
        assert (answer.status_code, answer.json()["rows_removed"]) == (200, 2)
    assert Acknowledgement.objects.get().rows_removed == 2
    bad = client.post(address, {"rows_removed": -1}, "application/json", headers={"Authorization": f"Bearer {token}"})
    assert bad.status_code == 400
    other = make_token(make_dataset())
    stranger = client.post(
        address, {"rows_removed": 1}, "application/json", headers={"Authorization": f"Bearer {other}"}
    )
    assert stranger.status_code == 404


def test_hostile_requests_are_refused_and_no_error_of_ours(client, read, release):
    whole = read("1.0.0/files/README.md", Range=f"bytes={'9' * 5000}-")
    assert (whole.status_code, body(whole)[:3]) == (200, b"---")
    assert read("%00/").status_code == 404
    assert read("1.0.0/files/%00").status_code == 404
    withdraw_one(release, "train")
    notices.revoke_items()
    address = f"/api/datasets/portraits/notices/{Notice.objects.get().pk}/acknowledge/"
    headers = {"Authorization": f"Bearer {make_token(release.dataset)}"}
    for report in (b'{"rows_removed": 1180591620717411303424}', b"[" * 100_000, b"", b"[]", b"null"):
        assert client.post(address, report, content_type="application/json", headers=headers).status_code == 400


def test_a_recipient_who_was_added_twice_at_once_still_gets_tokens(release):
    for _ in range(2):
        Recipient.objects.create(name="Team", email="team@example.org")
    assert issue_recipient_token(name="Team", email="team@example.org", dataset=release.dataset)
    assert Recipient.objects.filter(name="Team").count() == 2


def test_an_older_release_says_what_superseded_it(read, release):
    define(dataset=release.dataset, user=make_manager(), fields={"description": "Brighter."}, targets=())
    draft = draft_release(dataset=release.dataset, user=make_manager(), notes="A better card.")
    build_release(release_id=draft.pk)
    publish_release(release=draft, user=make_manager())
    assert read("1.0.0/").json()["superseded_by"] == "1.0.1"
    newer = read("1.0.1/").json()
    assert (newer["superseded_by"], newer["notes"]) == (None, "A better card.")
