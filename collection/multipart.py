"""Bytes of photographs on their way, in a bucket: browsers send parts to S3 directly, under addresses that we sign.

Every address names the one key of one upload, one part of it and how long that part is, and holds for a quarter of an
hour. Nothing of it is believed: the task that takes the photograph in counts and hashes what lies in the bucket.
"""

import uuid
from typing import Any, cast
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from storages.backends.s3 import S3Storage

from collection import buckets, parts, storage

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
    parameters: dict[str, Any] = {"Key": parts.key_of(upload_id)}
    if multipart_id:
        parameters["UploadId"] = multipart_id
    if part is not None:
        parameters |= {"PartNumber": part, "ContentLength": part_length(byte_length, part)}
    return buckets.sign(_storage(), operation, seconds=SIGNED_SECONDS, method=method, **parameters)


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
    client, key, bucket = buckets.client_of(_storage()), parts.key_of(upload_id), _storage().bucket_name
    try:
        return int(client.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return None
        raise


def delete(upload_id: uuid.UUID) -> None:
    """Delete the object and every part that waits for completion; harmless if there is nothing."""
    client, key, bucket = buckets.client_of(_storage()), parts.key_of(upload_id), _storage().bucket_name
    found = client.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", [])
    for waiting in found:
        try:
            client.abort_multipart_upload(Bucket=bucket, Key=waiting["Key"], UploadId=waiting["UploadId"])
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE:
                raise
    client.delete_object(Bucket=bucket, Key=key)


def _storage() -> S3Storage:
    return cast(S3Storage, storage.uploads())
