"""After a withdrawal: what releases and their recipients must drop. Each step is found from rows, so a killed run is
continued by the next one."""

import logging
from collections.abc import Iterable

from django.conf import settings
from django.core.files.storage import storages
from django.core.mail import send_mail
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from consent import ledger
from consent.keys import signing_key
from consent.models import LedgerEntry
from consent.signing import canonical_json, sign_dsse, utc_text
from exports.models import (
    AccessToken,
    FilePurge,
    Item,
    Notice,
    NoticeMail,
    Recipient,
    Release,
    ReleaseFile,
    Revocation,
)
from exports.services import closed_items, delete_discarded, discard_release, lost_items

log = logging.getLogger(__name__)
NOTICE_TYPE = "application/vnd.likeness.notice+json"


def revoke_items() -> int:
    """Mark rows that may no longer be used, sign notices, delete bytes, tell recipients. Returns the rows marked."""
    for release in Release.objects.filter(state=Release.State.BUILT).select_related("dataset"):
        if closed_items(release).exists():
            discard_release(release=release, reason="Rows lost their rights before it was published. Draft again.")
    published = Release.objects.filter(state=Release.State.PUBLISHED).select_related("dataset")
    marked = sum(_revoke(release) for release in published)
    _purge_files()
    _mail_recipients()
    return marked


def _revoke(release: Release) -> int:
    items = list(lost_items(release).filter(revocation__isnull=True).order_by("position"))
    if not items:
        return 0
    envelope = sign_notice(release, items)
    try:
        with transaction.atomic():
            notice = Notice.objects.create(release=release, envelope=envelope)
            Revocation.objects.bulk_create([Revocation(item=item, notice=notice) for item in items], batch_size=500)
            record_revocation(notice, len(items))
    except IntegrityError:  # another run marked some of them first; the next one finds what is left
        return 0
    return len(items)


def record_revocation(notice: Notice, rows: int) -> LedgerEntry:
    """The ledger's entry for one notice and how many rows it names."""
    release = notice.release
    return ledger.append(
        "rows.revoked", dataset=release.dataset.slug, version=release.version, rows=rows, notice=notice.pk
    )


def sign_notice(release: Release, items: Iterable[Item]) -> str:
    """The signed notice. Rows are named by keyed id, place and record hash: nothing that outlives the photograph."""
    payload = {
        "dataset": release.dataset.slug,
        "version": release.version,
        "rows_root": release.rows_root,
        "issued_at": utc_text(timezone.now()),
        "rows": [{"row_id": item.row_id, "position": item.position, "leaf_hash": item.leaf_hash} for item in items],
    }
    return sign_dsse(canonical_json(payload).encode(), NOTICE_TYPE, signing_key())


def revoked_files() -> QuerySet[ReleaseFile]:
    """Files that hold a revoked row."""
    revoked = Revocation.objects.filter(item__release=OuterRef("release"))
    return ReleaseFile.objects.filter(
        Q(shard="", carries_rows=True) & Exists(revoked)
        | Q(carries_rows=True) & Exists(revoked.filter(item__shard=OuterRef("shard")))
    )


def _purge_files() -> None:
    storage = storages["releases"]
    for file in revoked_files().filter(purge__isnull=True):
        storage.delete(file.key)
        FilePurge.objects.get_or_create(file=file)
    left = ReleaseFile.objects.filter(release__state=Release.State.DISCARDED, purge__isnull=True)
    for release in Release.objects.filter(pk__in=left.values("release")).select_related("dataset"):
        delete_discarded(release)  # killed between discarding it and deleting its bytes


def _mail_recipients() -> None:
    """Tell whoever had a token when the notice was signed; later ones were never served those rows."""
    mailed = NoticeMail.objects.filter(notice=OuterRef(OuterRef("pk")), recipient=OuterRef("recipient"))
    owed = AccessToken.objects.filter(
        ~Exists(mailed), dataset=OuterRef("release__dataset"), created_at__lte=OuterRef("created_at")
    )
    for notice in Notice.objects.filter(Exists(owed)).select_related("release__dataset"):
        holders = AccessToken.objects.filter(dataset=notice.release.dataset, created_at__lte=notice.created_at)
        recipients = Recipient.objects.filter(pk__in=holders.values("recipient"))
        for recipient in recipients.exclude(notice_mails__notice=notice):
            _mail(notice, recipient)


def _mail(notice: Notice, recipient: Recipient) -> None:
    dataset = notice.release.dataset
    try:
        send_mail(
            f"Likeness: rows to drop from {dataset.slug} {notice.release.version}",
            f"Hello {recipient.name},\n\n"
            f"some rows of {dataset.title} {notice.release.version} may no longer be used "
            f"({notice.revocations.count()} in this notice). "
            "Run your pull command again on every copy: it takes them out and tells us so.\n\n"
            f"Notice {notice.pk}: {settings.BASE_URL}/datasets/{dataset.slug}/\n",
            None,
            [recipient.email],
        )
    except OSError as error:  # the mail server's trouble: the next run tries again
        log.warning("notice %s: mail to recipient %s failed: %s", notice.pk, recipient.pk, error)
        return
    NoticeMail.objects.get_or_create(notice=notice, recipient=recipient)
