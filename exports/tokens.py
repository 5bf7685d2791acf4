"""A recipient's bearer token for one dataset: shown once, kept as its hash."""

import datetime
import hashlib
import secrets

from django.utils import timezone

from exports.models import AccessToken, Dataset, Recipient

LIFETIME = datetime.timedelta(days=365)


def issue_token(*, recipient: Recipient, dataset: Dataset, lifetime: datetime.timedelta = LIFETIME) -> str:
    """A new token. This is the only time that anybody sees it."""
    token = f"likeness_{secrets.token_urlsafe(32)}"
    AccessToken.objects.create(
        recipient=recipient, dataset=dataset, token_sha256=_digest(token), expires_at=timezone.now() + lifetime
    )
    return token


def issue_recipient_token(*, name: str, email: str, dataset: Dataset) -> str:
    """A token of a new recipient, or of the one we know by this name and address."""
    recipient, _ = Recipient.objects.get_or_create(name=name, email=email)
    return issue_token(recipient=recipient, dataset=dataset)


def find_token(token: str) -> AccessToken | None:
    """The live token with this text."""
    found = AccessToken.objects.select_related("recipient", "dataset")
    return found.filter(token_sha256=_digest(token), expires_at__gt=timezone.now()).first()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
