"""Amazon Rekognition by boto3: what moderation and age estimation have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from collection.vendors import VendorError

# Both calls together must be shorter than the pipeline's lease on an image.
TIMEOUTS = Config(connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 1})
RETRY = {
    "InternalServerError",
    "ProvisionedThroughputExceededException",
    "RequestTimeout",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ThrottlingException",
}


def make_client(region: str, endpoint_url: str = "") -> Any:
    """Credentials come from where boto3 looks for them: environment, profile, instance role."""
    return boto3.client("rekognition", region_name=region, endpoint_url=endpoint_url or None, config=TIMEOUTS)


@contextmanager
def answers() -> Iterator[None]:
    """Turn what boto3 raises into a VendorError."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise VendorError(f"Rekognition: {code}", retry=code in RETRY) from error
    except BotoCoreError as error:  # no network, no credentials, a time-out
        retry = type(error).__name__ not in ("NoCredentialsError", "PartialCredentialsError", "NoRegionError")
        raise VendorError(f"Rekognition: {type(error).__name__}", retry=retry) from error
