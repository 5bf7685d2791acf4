"""After a backup was restored: do again what the erasure list says was done since, then look that nothing is left.

Every event is applied once, with the times it had, and noted in this database; running it again changes nothing.
"""

import datetime
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils import timezone

from annotation import retract
from collection import erasure, storage
from collection.models import Image, ImageStatus, Removal
from collection.removals import record_removal
from consent import accounts, erasure_list, events, ledger
from consent.clock import trusted_now
from consent.erasure_list import Listed
from consent.ledger import payload_text
from consent.models import Consent, Contributor, ErasureNote, LedgerEntry, Withdrawal
from consent.signing import sha256_hex
from consent.withdrawals import withdraw_all
from exports import certificates, notices
from exports.models import FilePurge

log = logging.getLogger(__name__)
PURGED = ImageStatus.PURGED
ROUNDS = 10_000  # of 500 images each: more than there can be


@dataclass
class Outcome:
    """What a replay did: events applied, those older than the backup knows, and what could not be done (sentences)."""

    applied: int = 0
    unknown: int = 0
    problems: list[str] = field(default_factory=list)
    purged: int = 0
    files: int = 0


def replay() -> Outcome:
    """Apply what is missing, let the sweeps finish, and look for what should be gone."""
    outcome = Outcome()
    listed = list(erasure_list.read_all())
    outcome.problems += [one for one in listed if isinstance(one, str)]
    for one in sorted((one for one in listed if isinstance(one, Listed)), key=lambda one: one.at):
        if not ErasureNote.objects.filter(pk=one.id).exists():
            _apply(one, outcome)
    _sweep(outcome)
    outcome.problems += what_is_left()
    return outcome


# --- One event each ------------------------------------------------------------------------------


def _apply(one: Listed, outcome: Outcome) -> None:
    apply = APPLY.get(one.facts.get("kind", ""))
    if apply is None:
        outcome.problems.append(f"note {one.id}: this version does not know the event {one.facts.get('kind')!r}")
        return
    with transaction.atomic():
        entry = apply(one.facts)
        # Written already, so that no sweep writes it again.
        ErasureNote.objects.create(pk=one.id, payload=payload_text(one.facts), at=one.at, written_at=timezone.now())
        if entry:
            record_replay(one.id, entry)
    if entry:
        outcome.applied += 1
    else:
        outcome.unknown += 1


def record_replay(note_id: uuid.UUID, entry: LedgerEntry) -> LedgerEntry:
    """An event from the erasure list was put on the ledger again; audits then know why its time is an old one."""
    return ledger.append("erasure.replayed", note=note_id, entry_sha256=sha256_hex(entry.payload.encode()))


def _apply_withdrawal(facts: dict[str, Any]) -> LedgerEntry | None:
    """None if the backup does not know the consent: then it has none of its photographs either."""
    if not Consent.objects.filter(pk=facts["consent_id"]).exists():
        return None
    if told := Withdrawal.objects.filter(pk=facts["id"]).first():
        return events.record_withdrawal(told)
    return events.record_withdrawal(Withdrawal.objects.create(**_row(facts, "made_at")))


def _apply_removal(facts: dict[str, Any]) -> LedgerEntry | None:
    if not Image.objects.filter(pk=facts["image_id"]).exists():
        return None
    row = _row(facts, "made_at") | {"request_id": None}  # the request may be newer than the backup
    told = Removal.objects.filter(pk=facts["id"]).first() or Removal.objects.create(**row)
    return record_removal(told)


def _apply_account(facts: dict[str, Any]) -> LedgerEntry | None:
    contributor = Contributor.objects.filter(pk=facts["contributor"]).first()
    if contributor is None:
        return None
    withdraw_all(contributor=contributor, cause=Withdrawal.Cause.ACCOUNT_DELETED)
    accounts.forget_person(contributor=contributor)
    return accounts.record_deletion(contributor)


def _row(facts: dict[str, Any], moment: str) -> dict[str, Any]:
    values = {name: value for name, value in facts.items() if name != "kind"}
    return values | {moment: datetime.datetime.fromisoformat(values[moment])}


APPLY: dict[str, Callable[[dict[str, Any]], LedgerEntry | None]] = {
    "withdrawal": _apply_withdrawal,
    "removal": _apply_removal,
    "account": _apply_account,
}


# --- Everything that hangs on them ---------------------------------------------------------------


def _sweep(outcome: Outcome) -> None:
    """The sweeps to their end, and bytes that came back with the backup though their rows say they went."""
    for _ in range(ROUNDS):
        purged = erasure.purge_withdrawn()
        outcome.purged += purged
        if not purged:
            break
    erasure.remove_orphans(age=datetime.timedelta(0))
    if settings.LABEL_STUDIO_URL:
        retract.retract_withdrawn()
    notices.revoke_items()
    for purge in FilePurge.objects.select_related("file"):
        outcome.files += _delete_again(storages["releases"], purge.file.key)
    certificates.issue_due()


def _delete_again(bucket: Storage, key: str) -> bool:
    if not bucket.exists(key):
        return False
    bucket.delete(key)
    return True


def what_is_left() -> list[str]:
    """Images and files that should be gone and are not, one sentence each."""
    doomed = erasure.doomed_images(clock=trusted_now()).values_list("pk", flat=True)
    left = [f"image {pk}: not erased yet" for pk in doomed]
    for bucket in (storage.originals(), storage.derivatives()):
        there = {pk for pk in storage.image_ids(bucket) if any(storage.keys_of(bucket, pk))}
        known = dict(Image.objects.filter(pk__in=there).values_list("pk", "status"))
        left += [f"image {pk}: its row says erased, but bytes are there" for pk in there if known.get(pk) == PURGED]
        left += [f"folder {pk}: bytes that no image owns" for pk in there - set(known)]
    return left
