"""One contract for every place that bytes may live in: files, a moto server, a real S3 gateway where one is given."""

import os
import uuid

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from storages.backends.s3 import S3Storage

from collection import storage

GATEWAY = os.environ.get("TEST_S3_ENDPOINT", "")


def s3(endpoint: str, access_key: str, secret_key: str) -> S3Storage:
    bucket = f"test-{uuid.uuid4().hex}"
    keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=endpoint, **keys).create_bucket(Bucket=bucket)
    return S3Storage(
        bucket_name=bucket,
        endpoint_url=endpoint,
        access_key=access_key,
        secret_key=secret_key,
        region_name="us-east-1",
        file_overwrite=True,
        default_acl=None,
    )


@pytest.fixture(scope="session")
def moto_server():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["files", "moto", "gateway"])
def bucket(request, tmp_path):
    if request.param == "files":
        return FileSystemStorage(location=tmp_path, allow_overwrite=True)
    if request.param == "moto":
        return s3(request.getfixturevalue("moto_server"), "distinct", "keys")
    if not GATEWAY:
        pytest.skip("no S3 gateway: .ci/radosgw start FOLDER PORT, then set TEST_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY")
    return s3(GATEWAY, os.environ["TEST_S3_ACCESS_KEY"], os.environ["TEST_S3_SECRET_KEY"])


def read(bucket, key: str) -> bytes:
    with bucket.open(key, "rb") as file:
        return file.read()


def test_bytes_come_back_as_they_went_in(bucket):
    key = storage.key_for(uuid.uuid4(), "0" * 64, "jpg")
    content = os.urandom(300_000)
    storage.write_once(bucket, key, content)
    assert read(bucket, key) == content
    assert bucket.size(key) == len(content)


def test_writing_again_mends_what_was_half_written(bucket):
    key = storage.key_for(uuid.uuid4(), "1" * 64, "jpg")
    storage.write_once(bucket, key, b"half")
    storage.write_once(bucket, key, b"half and the other half")
    assert read(bucket, key) == b"half and the other half"


def test_a_file_object_is_stored_whole(bucket):
    key = storage.key_for(uuid.uuid4(), "2" * 64, "png")
    storage.write_once(bucket, key, ContentFile(b"x" * 70_000))
    assert bucket.size(key) == 70_000


def test_an_images_folder_is_found_and_emptied(bucket):
    mine, other = uuid.uuid4(), uuid.uuid4()
    for image_id in (mine, other):
        storage.write_once(bucket, storage.key_for(image_id, "3" * 64, "jpg"), b"a")
    storage.write_once(bucket, storage.key_for(mine, "4" * 64, "preview.jpg"), b"b")
    assert set(storage.image_ids(bucket)) == {mine, other}
    keys = sorted(storage.keys_of(bucket, mine))
    assert keys == [storage.key_for(mine, "3" * 64, "jpg"), storage.key_for(mine, "4" * 64, "preview.jpg")]
    for key in keys:
        bucket.delete(key)
    assert list(storage.keys_of(bucket, mine)) == []
    assert len(list(storage.keys_of(bucket, other))) == 1


def test_what_is_not_there_is_not_there(bucket):
    nowhere = uuid.uuid4()
    assert list(storage.keys_of(bucket, nowhere)) == []
    bucket.delete(storage.key_for(nowhere, "5" * 64, "jpg"))  # deleting twice is harmless
    with pytest.raises(FileNotFoundError):
        read(bucket, storage.key_for(nowhere, "5" * 64, "jpg"))
