"""After a backup was restored: do again what the erasure list says was done since, then look that nothing is left.

Every event is applied once, with the times it had, and noted in this database; running it again changes nothing.
"""

import datetime
import logging
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.conf import settings
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils import timezone

from annotation import retract
from annotation.joining_models import AnnotatorAbout
from annotation.labelstudio import LabelStudioError
from annotation.models import LabelTask
from collection import erasure, storage
from collection.models import Image, ImageStatus, Removal
from collection.recognition import remember_removed
from collection.removals import record_removal
from consent import accounts, erasure_list, events, ledger
from consent.clock import trusted_now
from consent.erasure_list import Listed
from consent.folders import walk
from consent.ledger import payload_text
from consent.models import (
    Consent,
    Contributor,
    Demographics,
    ErasureNote,
    LedgerEntry,
    Purpose,
    PurposeEnd,
    RightsRequest,
    Withdrawal,
)
from consent.signing import sha256_hex
from consent.withdrawals import withdraw_all
from exports import certificates, notices, release_files
from exports.models import ReleaseFile

log = logging.getLogger(__name__)
AT_ONCE = 500


@dataclass
class Outcome:
    """What a replay did: events applied, those older than the backup knows, and what could not be done (sentences)."""

    applied: int = 0
    unknown: int = 0
    problems: list[str] = field(default_factory=list)
    purged: int = 0
    files: int = 0


class Unknown(Exception):  # no error: the backup is older than what the event is about
    """The backup has nothing that the event could be applied to."""


def replay() -> Outcome:
    """Apply what is missing, let the sweeps finish, and look for what should be gone."""
    outcome = Outcome()
    closed = erasure_list.is_behind()  # nothing is served, so no upload can be on its way
    listed = list(erasure_list.read_missing())
    outcome.problems += [one for one in listed if isinstance(one, str)]
    for one in sorted((one for one in listed if isinstance(one, Listed)), key=lambda one: one.at):
        _try_to_apply(one, outcome)
    _sweep(outcome, closed)
    outcome.problems += what_is_left(closed)
    return outcome


# --- One event each ------------------------------------------------------------------------------


def _try_to_apply(one: Listed, outcome: Outcome) -> None:
    try:
        known = _apply(one)
    except Exception as error:  # one bad note must not keep back the others; it is missing still, so the guard stays
        log.exception("erasure note %s could not be applied", one.id)
        outcome.problems.append(f"note {one.id}: {type(error).__name__}: {error}")
        return
    if known:
        outcome.applied += 1
    else:
        outcome.unknown += 1


@transaction.atomic
def _apply(one: Listed) -> bool:
    """False if the backup does not know whom or what it is about; it is noted all the same."""
    apply = APPLY.get(one.facts["kind"])
    if apply is None:
        raise ValueError(f"this version does not know the event {one.facts['kind']!r}")
    # Written already, so that no sweep writes it again.
    ErasureNote.objects.create(pk=one.id, payload=payload_text(one.facts), at=one.at, written_at=timezone.now())
    try:
        record_replay(one.id, apply(one.facts))
    except Unknown:
        return False
    return True


def record_replay(note_id: uuid.UUID, entry: LedgerEntry | None) -> LedgerEntry:
    """An event from the erasure list was applied again. Audits then know why its own entry has an old time."""
    if entry is None:
        return ledger.append("erasure.replayed", note=note_id)
    return ledger.append("erasure.replayed", note=note_id, entry_sha256=sha256_hex(entry.payload.encode()))


# Each returns the entry that the ledger got again; none if the same was done in another way since the backup.


def _apply_withdrawal(facts: dict[str, Any]) -> LedgerEntry | None:
    if not Consent.objects.filter(pk=facts["consent_id"]).exists():
        raise Unknown  # then it has none of its photographs either
    if Withdrawal.objects.filter(consent=facts["consent_id"], purpose=facts["purpose_id"]).exists():
        return None
    return events.record_withdrawal(Withdrawal.objects.create(**_row(facts, "made_at")))


def _apply_removal(facts: dict[str, Any]) -> LedgerEntry | None:
    if not Image.objects.filter(pk=facts["image_id"]).exists():
        raise Unknown
    if Removal.objects.filter(image=facts["image_id"], aftermath=facts["aftermath"]).exists():
        return None
    request = RightsRequest.objects.filter(pk=facts["request_id"]).first()  # it may be newer than the backup
    removal = Removal.objects.create(**_row(facts, "made_at") | {"request_id": request and request.pk})
    remember_removed(removal=removal)
    return record_removal(removal)


def _apply_purpose_end(facts: dict[str, Any]) -> LedgerEntry | None:
    if not Purpose.objects.filter(pk=facts["purpose_id"]).exists():
        raise Unknown
    if PurposeEnd.objects.filter(pk=facts["purpose_id"]).exists():
        return None
    return events.record_purpose_end(PurposeEnd.objects.create(**_row(facts, "ended_at")))


def _apply_account(facts: dict[str, Any]) -> LedgerEntry | None:
    contributor = Contributor.objects.filter(pk=facts["contributor"]).first()
    if contributor is None:
        raise Unknown
    withdraw_all(contributor=contributor, cause=Withdrawal.Cause.ACCOUNT_DELETED)
    accounts.forget_person(contributor=contributor)
    return accounts.record_deletion(contributor)


def _apply_demographics(facts: dict[str, Any]) -> LedgerEntry | None:
    deleted = Demographics.objects.filter(contributor=facts["contributor"], given_at__lte=facts["at"]).delete()[0]
    if not deleted:
        raise Unknown
    return None


def _apply_annotator_about(facts: dict[str, Any]) -> LedgerEntry | None:
    deleted = AnnotatorAbout.objects.filter(annotator=facts["annotator"], given_at__lte=facts["at"]).delete()[0]
    if not deleted:
        raise Unknown
    return None


def _row(facts: dict[str, Any], moment: str) -> dict[str, Any]:
    values = {name: value for name, value in facts.items() if name != "kind"}
    return values | {moment: datetime.datetime.fromisoformat(values[moment])}


APPLY: dict[str, Callable[[dict[str, Any]], LedgerEntry | None]] = {
    "withdrawal": _apply_withdrawal,
    "removal": _apply_removal,
    "purpose": _apply_purpose_end,
    "account": _apply_account,
    "demographics": _apply_demographics,
    "annotator_about": _apply_annotator_about,
}


# --- Everything that hangs on them ---------------------------------------------------------------


def _sweep(outcome: Outcome, closed: bool) -> None:
    """The sweeps to their end, and bytes that came back with the backup though their rows say they went."""
    while purged := erasure.purge_withdrawn(most=AT_ONCE):
        outcome.purged += purged
    outcome.purged += _purge_again()
    erasure.remove_orphans(age=datetime.timedelta(0) if closed else erasure.ORPHAN_AGE)
    if settings.LABEL_STUDIO_URL:
        outcome.problems += _retract()
    notices.revoke_items()
    outcome.files += release_files.delete_again()
    if closed:
        outcome.files += sum(_delete_again(storages["releases"], key) for key in list(_unknown_release_files()))
    certificates.issue_due()


def _purge_again() -> int:
    """Delete what a restored storage has of images whose rows say that they were erased; of how many."""
    back = [image_id for image_id, erased in _stray_bytes().items() if erased]
    for image_id in back:
        storage.delete_all(Image(pk=image_id))
    return len(back)


def _retract() -> list[str]:
    try:
        while retract.retract_withdrawn():
            pass
    except LabelStudioError as error:
        log.warning("replay: %s", error)
    left = LabelTask.objects.filter(state=LabelTask.State.RETRACTING).count()
    return [f"Label Studio: {left} tasks of erased photographs are not deleted yet"] if left else []


def _unknown_release_files() -> Iterator[str]:
    """Files of releases that were built after the backup: no withdrawal would ever reach them."""
    for key in walk(storages["releases"]):
        if not ReleaseFile.objects.filter(key=key).exists():
            yield key


def _delete_again(bucket: Storage, key: str) -> bool:
    if not bucket.exists(key):
        return False
    bucket.delete(key)
    return True


# --- Looking -------------------------------------------------------------------------------------


def what_is_left(closed: bool) -> list[str]:
    """Images and files that should be gone and are not, one sentence each. An upload may have no row yet, if open."""
    doomed = erasure.doomed_images(clock=trusted_now()).values_list("pk", flat=True)
    left = [f"image {pk}: not erased yet" for pk in doomed]
    stray = _stray_bytes()
    left += [f"image {pk}: its row says erased, but bytes are there" for pk, erased in stray.items() if erased]
    if closed:
        left += [f"folder {pk}: bytes that no image owns" for pk, erased in stray.items() if not erased]
        left += [f"release file {key}: no release owns it" for key in _unknown_release_files()]
    return left


def _stray_bytes() -> dict[uuid.UUID, bool]:
    """Ids of images with bytes somewhere that no image may have: True if its row says erased, False if there is none.

    Only the folders of those are opened; listing the ids of all others takes 256 listings for each storage.
    """
    buckets = storage.everything()
    found = {image_id for bucket in buckets for image_id in storage.image_ids(bucket)}
    status = _statuses(found)
    suspect = [image_id for image_id in found if status.get(image_id, ImageStatus.PURGED) == ImageStatus.PURGED]
    there = [image_id for image_id in suspect if any(any(storage.keys_of(one, image_id)) for one in buckets)]
    return {image_id: image_id in status for image_id in there}


def _statuses(image_ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    ids, status = iter(image_ids), dict[uuid.UUID, str]()
    while batch := list(islice(ids, AT_ONCE)):
        status |= dict(Image.objects.filter(pk__in=batch).values_list("pk", "status"))
    return status
