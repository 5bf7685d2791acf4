"""System checks: recipients can fetch what the server points them to."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.files.storage import storages
from storages.backends.s3 import S3Storage


@register(Tags.urls)
def recipients_reach_s3_safely(**kwargs: Any) -> list[CheckMessage]:
    """A site on https sends nobody to an address on http: `pull.py` follows none, and browsers send no photograph."""
    storage = storages["releases"]
    if not isinstance(storage, S3Storage):
        return []
    address = settings.S3_BROWSER_ENDPOINT_URL or storage.endpoint_url or ""
    if not (settings.BASE_URL.startswith("https://") and address.startswith("http://")):
        return []
    words = f"BASE_URL is on https, but recipients and browsers are sent to S3 at {address}, so every pull refuses it."
    hint = "Give S3 an https address, and set S3_BROWSER_ENDPOINT_URL to it if this machine reaches S3 by another."
    return [Error(words, hint=hint, id="exports.E001")]
