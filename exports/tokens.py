"""A recipient's bearer token for one dataset: shown once, kept as its hash."""

import datetime
import secrets

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from consent.models import User
from consent.refusals import Refused
from consent.signing import sha256_hex
from exports.models import AccessToken, Dataset, Download, Recipient

LIFETIME = datetime.timedelta(days=365)
ANOTHER = "Ask the data manager for a new one."


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


def known_token(token: str) -> AccessToken:
    """The token with this text, also if it has expired or was ended: enough to read what must leave a copy.

    Refused, in words for whoever holds it, if there is none.
    """
    found = AccessToken.objects.select_related("recipient", "dataset")
    known = found.filter(token_sha256=sha256_hex(token.encode())).first()
    if known is None:
        raise Refused(f"This token is unknown. {ANOTHER}")
    return known


def reporting_token(token: str) -> AccessToken:
    """The token with this text, if it may speak for its recipient: not once it was ended, for others may have it."""
    known = known_token(token)
    if known.ended_at is not None:
        raise Refused(f"This token was ended on {known.ended_at:%Y-%m-%d}. {ANOTHER}")
    return known


def find_token(token: str) -> AccessToken:
    """The live token with this text; Refused if there is none."""
    known = reporting_token(token)
    if known.expires_at <= timezone.now():
        raise Refused(f"This token expired on {known.expires_at:%Y-%m-%d}. {ANOTHER}")
    return known


def end_token(*, token: AccessToken, by: User | None) -> bool:
    """End a token before it expires, by somebody of the staff or (None) by its holder. False: it had ended already.

    Whoever has copies is still told of every notice, by mail and by a pull; what cannot be pulled any more is the data.
    """
    ended = AccessToken.objects.filter(pk=token.pk, ended_at=None).update(ended_at=timezone.now(), ended_by=by)
    return bool(ended)


def tokens_of(dataset: Dataset) -> QuerySet[AccessToken]:
    """Every token of a dataset, the newest first, with `used_at`: when a file was last fetched with it.

    `unsure_at`: when its recipient last fetched one before it was noted with which token, if it was there by then.
    """
    fetched = Download.objects.order_by("-at").values("at")
    used = fetched.filter(token=OuterRef("pk"))
    unsure = fetched.filter(
        recipient=OuterRef("recipient"), token=None, file__release__dataset=dataset, at__gte=OuterRef("created_at")
    )
    tokens = dataset.tokens.select_related("recipient").order_by("-created_at", "-pk")
    return tokens.annotate(used_at=Subquery(used[:1]), unsure_at=Subquery(unsure[:1]))
