"""Telling recipients of notices, reminding those who do not answer, and how each of them stands."""

import datetime
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, Min, OuterRef, QuerySet
from django.utils import timezone

from consent.mailing import send_claimed, write_mail
from exports.models import AccessToken, Acknowledgement, Dataset, Notice, NoticeDuty, NoticeMail, Recipient

log = logging.getLogger(__name__)
OVERDUE = datetime.timedelta(days=14)  # without an acknowledgement, after the mail


# --- Telling -------------------------------------------------------------------------------------


def tell_recipients() -> int:
    """Mail every notice to whoever had a token when it was signed; returns how many mails went out.

    Later ones were never served those rows.
    """
    mailed = NoticeMail.objects.filter(notice=OuterRef(OuterRef("pk")), recipient=OuterRef("recipient"))
    owed = AccessToken.objects.filter(
        ~Exists(mailed), dataset=OuterRef("release__dataset"), created_at__lte=OuterRef("created_at")
    )
    sent = 0
    for notice in Notice.objects.filter(Exists(owed)).select_related("release__dataset"):
        for recipient in recipients_of(notice).exclude(notice_mails__notice=notice):
            sent += _claim_and_send(notice, recipient, _tell)
    return sent


def recipients_of(notice: Notice) -> QuerySet[Recipient]:
    """Who is to be told of a notice."""
    holders = AccessToken.objects.filter(dataset=notice.release.dataset_id, created_at__lte=notice.created_at)
    return Recipient.objects.filter(pk__in=holders.values("recipient")).order_by("name")


def remind_recipients() -> int:
    """Mail once more, and once only, to whoever has not acknowledged a notice in time; returns how many."""
    answered = Acknowledgement.objects.filter(notice=OuterRef("notice"), recipient=OuterRef("recipient"))
    told = NoticeMail.objects.filter(
        notice=OuterRef("notice"), recipient=OuterRef("recipient"), at__lte=timezone.now() - OVERDUE
    )
    late = NoticeDuty.objects.filter(Exists(told), ~Exists(answered), reminded_at__isnull=True)
    rows = late.select_related("notice__release__dataset", "recipient")
    return sum(_claim_and_send(duty.notice, duty.recipient, _remind) for duty in rows)


def _claim_and_send(notice: Notice, recipient: Recipient, send: Callable[[Notice, Recipient], None]) -> bool:
    NoticeDuty.objects.get_or_create(notice=notice, recipient=recipient)
    owed = NoticeDuty.objects.filter(notice=notice, recipient=recipient)
    what = f"notice {notice.pk} to recipient {recipient.pk}"
    return send_claimed(owed, lambda: send(notice, recipient), what=what, due="due_at")


def _tell(notice: Notice, recipient: Recipient) -> None:
    if NoticeMail.objects.filter(notice=notice, recipient=recipient).exists():
        return  # another worker sent it between our look and our claim
    _mail(notice, recipient, "rows to drop from", "some rows may no longer be used")
    NoticeMail.objects.get_or_create(notice=notice, recipient=recipient)
    _free(notice, recipient)


def _remind(notice: Notice, recipient: Recipient) -> None:
    if NoticeDuty.objects.filter(notice=notice, recipient=recipient, reminded_at__isnull=False).exists():
        return
    _mail(notice, recipient, "reminder: rows to drop from", "you have not told us yet that you dropped these rows")
    _free(notice, recipient, reminded_at=timezone.now())


def _free(notice: Notice, recipient: Recipient, **fields: datetime.datetime) -> None:
    """The claim is over: the next mail of this duty need not wait."""
    NoticeDuty.objects.filter(notice=notice, recipient=recipient).update(due_at=timezone.now(), **fields)


def _mail(notice: Notice, recipient: Recipient, subject: str, why: str) -> None:
    dataset, version = notice.release.dataset, notice.release.version
    write_mail(
        f"Likeness: {subject} {dataset.slug} {version}",
        f"Hello {recipient.name},\n\n"
        f"{why}: {dataset.title} {version} ({notice.revocations.count()} in this notice). "
        "Run your pull command again on every copy: it takes them out and tells us so.\n\n"
        f"Notice {notice.pk}: {settings.BASE_URL}/datasets/{dataset.slug}/\n",
        [recipient.email],
    ).send()


# --- How they stand ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """One notice and one recipient: when mailed, reminded and acknowledged, each None until it is so."""

    notice: Notice
    recipient: Recipient
    mailed_at: datetime.datetime | None
    reminded_at: datetime.datetime | None
    acknowledged_at: datetime.datetime | None
    rows_removed: int | None

    @property
    def overdue(self) -> bool:
        return (
            self.acknowledged_at is None and self.mailed_at is not None and self.mailed_at <= timezone.now() - OVERDUE
        )


def answers(dataset: Dataset) -> list[Answer]:
    """Every notice of a dataset and everybody who is to act on it, the newest notice first. Six queries."""
    notices = Notice.objects.filter(release__dataset=dataset).select_related("release").order_by("-pk")
    since = dict(dataset.tokens.order_by().values_list("recipient").annotate(first=Min("created_at")))
    told = {(mail.notice_id, mail.recipient_id): mail.at for mail in NoticeMail.objects.filter(notice__in=notices)}
    said = {(ack.notice_id, ack.recipient_id): ack for ack in Acknowledgement.objects.filter(notice__in=notices)}
    duties = NoticeDuty.objects.filter(notice__in=notices, reminded_at__isnull=False)
    reminded = {(duty.notice_id, duty.recipient_id): duty.reminded_at for duty in duties}
    people = Recipient.objects.filter(pk__in=since).order_by("name")
    return [
        _answer(notice, recipient, told, reminded, said.get((notice.pk, recipient.pk)))
        for notice in notices
        for recipient in people
        if since[recipient.pk] <= notice.created_at or (notice.pk, recipient.pk) in said
    ]


def _answer(
    notice: Notice,
    recipient: Recipient,
    told: dict[tuple[int, uuid.UUID], datetime.datetime],
    reminded: dict[tuple[int, uuid.UUID], datetime.datetime | None],
    said: Acknowledgement | None,
) -> Answer:
    key = (notice.pk, recipient.pk)
    return Answer(
        notice=notice,
        recipient=recipient,
        mailed_at=told.get(key),
        reminded_at=reminded.get(key),
        acknowledged_at=said.at if said else None,
        rows_removed=said.rows_removed if said else None,
    )
