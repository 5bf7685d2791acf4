"""Bytes of photographs on their way, in a bucket: browsers send parts to S3 directly, under addresses that we sign.

Every address names the one key of one upload, one part of it and how long that part is, and holds for a quarter of an
hour. Nothing of it is believed: the task that takes the photograph in counts and hashes what lies in the bucket.
"""

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings
from django.core.files.storage import Storage

from collection import parts, storage

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART_BYTES = 5 * 1024 * 1024  # the least that S3 takes for any but the last
SIGNED_SECONDS = 900
GONE = {"404", "NoSuchKey", "NoSuchUpload"}
# (HTTP method, is there a multipart id, is there a part number) of what a browser may ask for, and S3's name of it.
OPERATIONS = {
    ("POST", False, False): "create_multipart_upload",
    ("PUT", True, True): "upload_part",
    ("GET", True, False): "list_parts",
    ("POST", True, False): "complete_multipart_upload",
    ("DELETE", True, False): "abort_multipart_upload",
}


class NotSigned(ValueError):
    """Not one of the requests that an upload consists of."""


def sign(
    *, upload_id: uuid.UUID, byte_length: int, method: str, multipart_id: str = "", part: int | None = None
) -> str:
    """The address at which a browser does one thing with its own upload. NotSigned for anything else."""
    operation = OPERATIONS.get((method, bool(multipart_id), part is not None))
    if operation is None:
        raise NotSigned(f"{method} is not part of an upload")
    parameters: dict[str, Any] = {"Bucket": _bucket(), "Key": parts.key_of(upload_id)}
    if multipart_id:
        parameters["UploadId"] = multipart_id
    if part is not None:
        parameters |= {"PartNumber": part, "ContentLength": part_length(byte_length, part)}
    return _client(settings.S3_BROWSER_ENDPOINT_URL).generate_presigned_url(
        operation, Params=parameters, ExpiresIn=SIGNED_SECONDS, HttpMethod=method
    )


def part_length(byte_length: int, part: int) -> int:
    """How long part number `part` (from 1) of a file is. NotSigned if it has no such part."""
    begins = (part - 1) * PART_BYTES
    if part < 1 or begins >= byte_length:
        raise NotSigned(f"there is no part {part}")
    return min(PART_BYTES, byte_length - begins)


def browser_origin() -> str:
    """The origin that the addresses have, for the content security policy."""
    address = urlsplit(sign(upload_id=uuid.UUID(int=0), byte_length=1, method="POST"))
    return f"{address.scheme}://{address.netloc}"


def size(upload_id: uuid.UUID) -> int | None:
    """Bytes of the finished object; None: not there (yet)."""
    try:
        return int(_client().head_object(Bucket=_bucket(), Key=parts.key_of(upload_id))["ContentLength"])
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return None
        raise


def delete(upload_id: uuid.UUID) -> None:
    """Delete the object and every part that waits for completion; harmless if there is nothing."""
    client, key = _client(), parts.key_of(upload_id)
    found = client.list_multipart_uploads(Bucket=_bucket(), Prefix=key).get("Uploads", [])
    for waiting in found:
        try:
            client.abort_multipart_upload(Bucket=_bucket(), Key=waiting["Key"], UploadId=waiting["UploadId"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise
    client.delete_object(Bucket=_bucket(), Key=key)


def _storage() -> Storage:
    return storage.uploads()


def _bucket() -> str:
    return str(getattr(_storage(), "bucket_name"))  # noqa: B009  # only S3Storage has one


def _client(endpoint: str = "") -> "S3Client":
    """A client of the bucket that signs in version 4, which every S3 service takes."""
    options = vars(_storage())
    return boto3.client(
        "s3",
        endpoint_url=endpoint or options.get("endpoint_url") or None,
        aws_access_key_id=options.get("access_key") or None,
        aws_secret_access_key=options.get("secret_key") or None,
        region_name=options.get("region_name") or None,
        config=Config(signature_version="s3v4", request_checksum_calculation="when_required"),
    )
