"""After a withdrawal: what releases and their recipients must drop. Each step is found from rows, so a killed run is
continued by the next one."""

import logging
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from consent import ledger
from consent.clock import trusted_now
from consent.keys import signing_key
from consent.models import LedgerEntry
from consent.signing import canonical_json, sign_dsse, utc_text
from exports import release_files
from exports.models import (
    Item,
    Notice,
    Release,
    ReleaseFile,
    Revocation,
)
from exports.notice_mails import tell_recipients
from exports.services import LEASE, closed_items, discard_release, held_items, lost_items

log = logging.getLogger(__name__)
NOTICE_TYPE = "application/vnd.likeness.notice+json"


def revoke_items() -> int:
    """Mark rows that may no longer be used, sign notices, delete bytes, tell recipients. Returns the rows marked."""
    for release in Release.objects.filter(state=Release.State.BUILT).select_related("dataset"):
        if _is_spoilt(release):
            discard_release(release=release, reason="Rows lost their rights before it was published. Draft again.")
    published = Release.objects.filter(state=Release.State.PUBLISHED).select_related("dataset")
    marked = sum(_revoke(release) for release in published)
    _purge_files()
    tell_recipients()
    return marked


def _is_spoilt(release: Release) -> bool:
    """Whether an unpublished release can never be published. For what the rights desk holds it waits."""
    closed = closed_items(release).exclude(pk__in=held_items(release).values("pk"))
    return closed.exists() or lost_items(release, clock=trusted_now()).exists()


def _revoke(release: Release) -> int:
    items = list(lost_items(release, clock=trusted_now()).filter(revocation__isnull=True).order_by("position"))
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
    revoked = Revocation.objects.filter(item__release=OuterRef("release"), item__shard=OuterRef("shard"))
    return ReleaseFile.objects.filter(Exists(revoked))


def _purge_files() -> None:
    for file in revoked_files().filter(purge__isnull=True).select_related("release__dataset"):
        release_files.purge(file)
    left = ReleaseFile.objects.filter(release__state=Release.State.DISCARDED, purge__isnull=True)
    stored_late = Q(files=None, next_attempt_at__gt=timezone.now() - LEASE)  # by a builder that was then killed
    discarded = Release.objects.filter(Q(pk__in=left.values("release")) | stored_late, state=Release.State.DISCARDED)
    for release in discarded.select_related("dataset"):
        release_files.delete_own(release)  # killed between discarding it and deleting its bytes
