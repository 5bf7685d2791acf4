"""Annotators' accounts in Label Studio: made by us, used by the gateway, and known to nobody else.

An account has a random address, so Label Studio never learns who somebody is, and a password that is not told to
them. It is kept sealed beside the annotator.
"""

import json
import random
import secrets
import time
import uuid
from dataclasses import asdict

from django.db import transaction

from annotation import labelstudio
from annotation.labelstudio import Account, LabelStudioError
from annotation.models import Annotator, FormerAccount
from consent.sealed_text import open_text, seal_text

CONTEXT = b"likeness label studio accounts\0"
DOMAIN = "annotators.invalid"  # reserved: no mail ever goes there
TRIES = 4  # on SQLite Label Studio refuses whoever signs up in the same moment as others: "database is locked"
TRIED_FOR = 2.0  # seconds: a Label Studio that hangs keeps nobody's page waiting for one try after the other


def ensure_account(*, annotator: Annotator) -> None:
    """Make their account if there is none that can be used; LabelStudioError if Label Studio is away.

    Two at once make two accounts there and use one: nobody knows the way into the other.
    """
    if account_of(annotator):
        return
    before, user_before = annotator.label_studio_access, annotator.label_studio_user
    made = _make_account()
    with transaction.atomic():
        if user_before is not None:  # what was labelled with it and not fetched yet is still theirs
            FormerAccount.objects.get_or_create(annotator=annotator, label_studio_user=user_before)
        Annotator.objects.filter(pk=annotator.pk, label_studio_access=before).update(
            label_studio_user=made.user, label_studio_access=seal_text(json.dumps(asdict(made)), context=CONTEXT)
        )
    annotator.refresh_from_db()


def _make_account() -> Account:
    end = time.monotonic() + TRIED_FOR
    for _ in range(TRIES - 1):
        try:
            return _sign_up()
        except LabelStudioError as error:
            if not error.retry or time.monotonic() > end:
                raise
        time.sleep(random.uniform(0.05, 0.3))  # noqa: S311 -- so that those who met do not meet again
    return _sign_up()


def _sign_up() -> Account:
    """Under another address each time: a try that failed half way leaves an account to which nobody knows the way."""
    return labelstudio.make_account(email=f"{uuid.uuid4().hex}@{DOMAIN}", password=secrets.token_urlsafe(24))


@transaction.atomic
def forget_account(*, annotator: Annotator) -> None:
    """Label Studio does not know their account any more (it was restored, or somebody deleted it): their own page
    makes another. Label Studio may give the number to somebody else, so it is not theirs any more from now on."""
    access, user = annotator.label_studio_access, annotator.label_studio_user
    forgotten = Annotator.objects.filter(pk=annotator.pk, label_studio_access=access).update(
        label_studio_access="", label_studio_user=None
    )
    if forgotten and user is not None:
        FormerAccount.objects.get_or_create(annotator=annotator, label_studio_user=user)


def forget_lost_accounts() -> int:
    """Forget every account that Label Studio does not know any more; how many."""
    there = labelstudio.addresses_of_users()
    annotators = Annotator.objects.exclude(label_studio_access="")
    lost = [one for one in annotators if (account := account_of(one)) and there.get(account.user) != account.email]
    for annotator in lost:
        forget_account(annotator=annotator)
    return len(lost)


def account_of(annotator: Annotator) -> Account | None:
    """The account to act with; None if there is none yet, or SECRET_KEY was replaced without keeping the earlier."""
    text = open_text(annotator.label_studio_access, context=CONTEXT) if annotator.label_studio_access else ""
    return Account(**json.loads(text)) if text else None
