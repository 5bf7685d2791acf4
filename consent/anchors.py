"""Copies of checkpoints where nobody can change them: objects in an S3 bucket with object lock (compliance mode).

Off unless settings.CHECKPOINT_BUCKET names a bucket. Whoever holds the database and the key could sign another history;
they cannot take back a copy that lies there.
"""

import datetime
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.utils import timezone

from consent.audit import checkpoint_of
from consent.models import Checkpoint, CheckpointCopy
from consent.signing import BadSignature

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "checkpoints/"


class AnchorError(RuntimeError):
    """The bucket could not be written or read; trying again may help."""


def copy_checkpoint() -> CheckpointCopy | None:
    """Copy the newest checkpoint, which covers all earlier ones. None: nothing new, or no bucket is set.

    Killed before the row is written, the next run writes the same object again: a further version of the same bytes.
    """
    head = Checkpoint.objects.order_by("-tree_size").filter(copy__isnull=True).first()
    newest = CheckpointCopy.objects.order_by("-checkpoint").first()
    if not settings.CHECKPOINT_BUCKET or head is None or (newest and newest.checkpoint_id > head.tree_size):
        return None
    until = timezone.now() + datetime.timedelta(days=settings.CHECKPOINT_LOCK_DAYS)
    try:
        client().put_object(
            Bucket=settings.CHECKPOINT_BUCKET,
            Key=f"{PREFIX}{head.tree_size:012}",
            Body=head.note.encode(),
            ContentType="text/plain; charset=utf-8",
            ObjectLockMode="COMPLIANCE",
            ObjectLockRetainUntilDate=until,
            ChecksumAlgorithm="SHA256",  # object lock demands one
        )
    except (BotoCoreError, ClientError) as error:
        raise AnchorError(f"checkpoint {head.tree_size} could not be copied: {error}") from error
    return CheckpointCopy.objects.get_or_create(checkpoint=head)[0]


def problems() -> Iterator[str]:
    """Copies that are not of this ledger's history, and copies that are gone; one sentence each."""
    if not settings.CHECKPOINT_BUCKET:
        yield "there are no copies to compare with: CHECKPOINT_BUCKET is not set"
        return
    there = set()
    for size, note in _copies():
        there.add(size)
        try:
            checkpoint_of(note)
        except (BadSignature, ValueError) as error:
            yield f"the copy of checkpoint {size}: {error}"
    for size in CheckpointCopy.objects.exclude(checkpoint__in=there).values_list("checkpoint", flat=True):
        yield f"the copy of checkpoint {size} is gone from the bucket"


def _copies() -> Iterator[tuple[int, str]]:
    """The first version of each copy: a lock keeps it, whatever was written over it later."""
    try:
        pages = (
            client().get_paginator("list_object_versions").paginate(Bucket=settings.CHECKPOINT_BUCKET, Prefix=PREFIX)
        )
        first: dict[str, tuple[datetime.datetime, str]] = {}
        for version in (version for page in pages for version in page.get("Versions", [])):
            made = (version["LastModified"], version["VersionId"])
            first[version["Key"]] = min(first.get(version["Key"], made), made)
        for key, (_, version_id) in sorted(first.items()):
            answer = client().get_object(Bucket=settings.CHECKPOINT_BUCKET, Key=key, VersionId=version_id)
            yield int(key.removeprefix(PREFIX)), answer["Body"].read().decode()
    except (BotoCoreError, ClientError) as error:
        raise AnchorError(f"the copies of checkpoints could not be read: {error}") from error


@functools.cache
def client() -> "S3Client":
    """The S3 client of the settings S3_ENDPOINT_URL, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION."""
    return boto3.client(
        "s3",
        endpoint_url=settings.S3_ENDPOINT_URL or None,
        aws_access_key_id=settings.S3_ACCESS_KEY or None,
        aws_secret_access_key=settings.S3_SECRET_KEY or None,
        region_name=settings.S3_REGION,
    )
