"""Straight to S3: what we sign and for whom, and that nothing is believed that lies in the bucket afterwards."""

import re
import xml.etree.ElementTree as ET

import httpx
import pytest
from django.core.files.storage import storages
from django.test import Client

from collection import multipart, parts, tasks, uploads
from collection.models import Image, Upload
from consent.signing import sha256_hex
from consent.withdrawals import withdraw
from tests.collection.factories import make_call
from tests.collection.pictures import encoded, portrait
from tests.collection.test_storage import moto_server
from tests.collection.test_storage import s3 as make_bucket
from tests.consent.factories import make_consent, make_contributor

__all__ = ("moto_server",)
pytestmark = pytest.mark.django_db
PHOTO = encoded(portrait(5, 5, (1700, 1300)), "PNG", compress_level=0)  # 6.6 MB: two parts


@pytest.fixture
def bucket(moto_server, settings):
    made = make_bucket(moto_server, "distinct", "keys")
    options = {
        "bucket_name": made.bucket_name,
        "endpoint_url": moto_server,
        "access_key": "distinct",
        "secret_key": "keys",
        "region_name": "us-east-1",
    }
    settings.STORAGES = settings.STORAGES | {
        "uploads": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    }
    return storages["uploads"]


@pytest.fixture
def consent(client):
    consent = make_consent()
    client.force_login(consent.contributor.user)
    return consent


@pytest.fixture
def call(consent):
    return make_call(form=consent.text.form)


def sign(client, call, **asked):
    return client.post(f"/calls/{call.slug}/uploads/sign/", asked, content_type="application/json")


def announce(client, call, size=len(PHOTO), **told):  # noqa: B008
    return sign(client, call, method="POST", key="a", size=size, filename="me.png", **told)


def begin(client, call, **told) -> tuple[str, str]:
    """Key and multipart id of an upload that was announced and created in the bucket."""
    signed = announce(client, call, **told).json()
    created = httpx.post(signed["url"])
    return signed["key"], re.search("<UploadId>(.+)</UploadId>", created.text).group(1)


def send_parts(client, call, key: str, multipart_id: str, content: bytes = PHOTO) -> None:
    tags = []
    for number in (1, 2):
        url = sign(client, call, method="PUT", key=key, uploadId=multipart_id, partNumber=number).json()["url"]
        piece = content[(number - 1) * multipart.PART_BYTES : number * multipart.PART_BYTES]
        tags.append(httpx.put(url, content=piece).headers["ETag"])
    complete = ET.Element("CompleteMultipartUpload")
    for number, tag in enumerate(tags, 1):
        part = ET.SubElement(complete, "Part")
        ET.SubElement(part, "PartNumber").text = str(number)
        ET.SubElement(part, "ETag").text = tag
    url = sign(client, call, method="POST", key=key, uploadId=multipart_id).json()["url"]
    assert httpx.post(url, content=ET.tostring(complete)).status_code == 200


def left_in(bucket) -> int:
    client = bucket.connection.meta.client
    found = client.list_objects_v2(Bucket=bucket.bucket_name)["KeyCount"]
    return found + len(client.list_multipart_uploads(Bucket=bucket.bucket_name).get("Uploads", []))


def test_two_parts_become_one_image_and_leave_the_bucket(bucket, client, call):
    key, multipart_id = begin(client, call, sha256=sha256_hex(PHOTO))
    listed = httpx.get(sign(client, call, method="GET", key=key, uploadId=multipart_id).json()["url"])
    assert (listed.status_code, "<Part>" in listed.text) == (200, False)
    send_parts(client, call, key, multipart_id)
    upload = Upload.objects.get()
    assert not Image.objects.exists()
    assert client.post(f"/me/uploads/{upload.pk}/arrived/").status_code == 202
    for _ in range(2):
        tasks.finish_upload_task(str(upload.pk))
    image = Image.objects.get()
    assert (image.pk, image.sha256, image.client_name) == (upload.pk, sha256_hex(PHOTO), "me.png")
    assert left_in(bucket) == 0


def test_a_browser_that_never_says_it_is_done_is_looked_for(bucket, client, call):
    key, multipart_id = begin(client, call)
    send_parts(client, call, key, multipart_id)
    Upload.objects.update(look_at="2026-01-01T00:00Z")
    assert uploads.settle_uploads() == [Upload.objects.get().pk]


@pytest.mark.parametrize("told", ["size", "sha256"])
def test_what_is_not_what_was_announced_is_not_taken(bucket, client, call, told):
    wrong = {"size": {"size": len(PHOTO) - 1}, "sha256": {"sha256": "0" * 64}}[told]
    key, multipart_id = begin(client, call, **wrong)
    send_parts(client, call, key, multipart_id)
    tasks.finish_upload_task(str(Upload.objects.get().pk))
    assert "damaged on its way" in Upload.objects.get().refusal
    assert not Image.objects.exists()
    assert left_in(bucket) == 0


def test_the_signer_checks_whose_key_it_is(bucket, client, call, consent):
    key, multipart_id = begin(client, call)
    other = Client()
    other.force_login(make_contributor().user)
    asked = {"method": "PUT", "key": key, "uploadId": multipart_id, "partNumber": 1}
    assert sign(other, call, **asked).status_code == 404
    for strange in ("", "../" + key, key.replace("part", "other"), "originals/x", key + "/../../x"):
        assert sign(client, call, **{**asked, "key": strange}).status_code == 404
    assert sign(client, call, **asked).status_code == 200
    withdraw(consent=consent)
    assert sign(client, call, **asked).status_code == 403


@pytest.mark.parametrize(
    "asked",
    [
        {"method": "PUT"}, {"method": "DELETE"}, {"method": "GET"},
        {"method": "PUT", "uploadId": "x"}, {"method": "PUT", "uploadId": "x", "partNumber": 0},
        {"method": "PUT", "uploadId": "x", "partNumber": 3}, {"method": "PATCH", "uploadId": "x"},
    ],
)  # fmt: skip
def test_nothing_else_is_signed(bucket, client, call, asked):
    key, _ = begin(client, call)
    assert sign(client, call, key=key, **asked).status_code == 400


def test_addresses_are_short_lived_and_name_the_length_of_the_part(bucket, client, call):
    key, multipart_id = begin(client, call)
    url = httpx.URL(sign(client, call, method="PUT", key=key, uploadId=multipart_id, partNumber=2).json()["url"])
    assert url.params["X-Amz-Expires"] == "900"
    assert "content-length" in url.params["X-Amz-SignedHeaders"]
    assert [multipart.part_length(len(PHOTO), number) for number in (1, 2)] == [5 << 20, len(PHOTO) - (5 << 20)]


def test_an_abandoned_one_is_dropped_with_its_parts(bucket, client, call, consent):
    key, multipart_id = begin(client, call)
    url = sign(client, call, method="PUT", key=key, uploadId=multipart_id, partNumber=1).json()["url"]
    httpx.put(url, content=PHOTO[: multipart.PART_BYTES])
    assert left_in(bucket) == 1
    withdraw(consent=consent)
    uploads.settle_uploads()
    assert (left_in(bucket), Upload.objects.count()) == (0, 0)


def test_limits_and_refusals_are_the_same(bucket, client, call, settings):
    settings.UPLOADS_UNFINISHED = 1
    assert announce(client, call, size=settings.UPLOAD_MAX_BYTES + 1).status_code == 403
    assert announce(client, call, size="many").status_code == 400
    assert announce(client, call).status_code == 200
    answer = announce(client, call)
    assert (answer.status_code, "on their way" in answer.content.decode()) == (403, True)


def test_the_page_may_talk_to_the_bucket_and_tus_is_off(bucket, client, call, moto_server):
    page = client.get(f"/calls/{call.slug}/upload/")
    assert f"connect-src 'self' {moto_server}" in page["Content-Security-Policy"]
    tus = {"tus-resumable": "1.0.0", "upload-length": "5"}
    assert client.post(f"/calls/{call.slug}/uploads/", headers=tus).status_code == 404


def test_on_a_disk_of_ours_nothing_is_signed(client, call):
    assert parts.on_disk()
    assert announce(client, call).status_code == 404
