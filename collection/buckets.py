"""Addresses of one object in a bucket that somebody may use for a little while without our keys."""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from django.conf import settings
from django.core.files.storage import Storage
from storages.backends.s3 import S3Storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def client_of(storage: Storage, endpoint: str = "") -> "S3Client":
    """A client of the storage's bucket that signs in version 4, which every S3 service takes."""
    options = vars(storage)
    names = ("access_key", "secret_key", "region_name")
    return _client(endpoint or options.get("endpoint_url") or None, *(options.get(name) or None for name in names))


@cache  # making one takes longer than what it is made for, and threads may share it
def _client(endpoint: str | None, access_key: str | None, secret_key: str | None, region: str | None) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name=region,
        config=Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )


def sign(storage: S3Storage, operation: str, *, seconds: int, method: str, **parameters: Any) -> str:
    """The address at which anybody may do this with the storage's bucket for so many seconds."""
    return client_of(storage, settings.S3_BROWSER_ENDPOINT_URL).generate_presigned_url(
        operation, Params={"Bucket": storage.bucket_name, **parameters}, ExpiresIn=seconds, HttpMethod=method
    )
