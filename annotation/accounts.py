"""Annotators' accounts in Label Studio: made by us, used by the gateway, and known to nobody else.

An account has a random address, so Label Studio never learns who somebody is, and a password that is not told to
them. It is kept sealed beside the annotator.
"""

import json
import secrets
import uuid
from dataclasses import asdict

from annotation import labelstudio
from annotation.labelstudio import Account
from annotation.models import Annotator
from consent.sealed_text import open_text, seal_text

CONTEXT = b"likeness label studio accounts\0"
DOMAIN = "annotators.invalid"  # reserved: no mail ever goes there


def ensure_account(*, annotator: Annotator) -> None:
    """Make their account if there is none that can be used; LabelStudioError if Label Studio is away.

    Two at once make two accounts there and use one: nobody knows the way into the other.
    """
    if account_of(annotator):
        return
    before = annotator.label_studio_access
    made = labelstudio.make_account(email=f"{uuid.uuid4().hex}@{DOMAIN}", password=secrets.token_urlsafe(24))
    Annotator.objects.filter(pk=annotator.pk, label_studio_access=before).update(
        label_studio_user=made.user, label_studio_access=seal_text(json.dumps(asdict(made)), context=CONTEXT)
    )
    annotator.refresh_from_db()


def account_of(annotator: Annotator) -> Account | None:
    """The account to act with; None if there is none yet, or SECRET_KEY was replaced without keeping the earlier."""
    text = open_text(annotator.label_studio_access, context=CONTEXT) if annotator.label_studio_access else ""
    return Account(**json.loads(text)) if text else None
