"""A recipient's bearer token for one dataset: shown once, kept as its hash."""

import datetime
import secrets

from django.utils import timezone

from consent.signing import sha256_hex
from exports.models import AccessToken, Dataset, Recipient

LIFETIME = datetime.timedelta(days=365)


def issue_token(*, recipient: Recipient, dataset: Dataset, lifetime: datetime.timedelta = LIFETIME) -> str:
    """A new token. This is the only time that anybody sees it."""
    token = f"likeness_{secrets.token_urlsafe(32)}"
    AccessToken.objects.create(
        recipient=recipient,
        dataset=dataset,
        token_sha256=sha256_hex(token.encode()),
        expires_at=timezone.now() + lifetime,
    )
    return token


def issue_recipient_token(*, name: str, email: str, dataset: Dataset) -> str:
    """A token of a new recipient, or of the one we know by this name and address."""
    known = Recipient.objects.filter(name=name, email=email).order_by("created_at").first()
    recipient = known or Recipient.objects.create(name=name, email=email)  # two at once make two: harmless
    return issue_token(recipient=recipient, dataset=dataset)


def find_token(token: str) -> AccessToken | None:
    """The live token with this text."""
    found = AccessToken.objects.select_related("recipient", "dataset")
    return found.filter(token_sha256=sha256_hex(token.encode()), expires_at__gt=timezone.now()).first()
