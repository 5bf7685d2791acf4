"""The ledger, its sealed heads, the erasure list and the clock."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone


class LedgerEntry(models.Model):
    """One event that a right or an amount depends on (append-only). Pseudonymous identifiers only, never identity.

    `payload` is canonical JSON; the Merkle leaf is SHA-256 of 0x00 and its UTF-8 bytes (RFC 6962).
    """

    id = models.BigAutoField(primary_key=True)
    payload = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"payload": "pseudonymous identifiers"}


class LedgerLeaf(models.Model):
    """The place that sealing gave an entry in the Merkle tree (append-only)."""

    index = models.PositiveBigIntegerField(primary_key=True)
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="leaf")
    leaf_hash = models.CharField(max_length=64, db_index=True)  # proofs are asked for by it

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class LedgerTile(models.Model):
    """The root of 256 neighbouring leaves, from leaf 256 × index on (append-only): proofs need not read all leaves."""

    index = models.PositiveBigIntegerField(primary_key=True)
    root_hash = models.CharField(max_length=64)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class Checkpoint(models.Model):
    """A signed tree head (append-only): `note` is C2SP tlog-checkpoint text.

    `peaks` are the roots of the perfect subtrees in hex, the largest first, so that the next seal need not read the
    leaves again; empty in checkpoints that were written before they were kept.
    """

    tree_size = models.PositiveBigIntegerField(primary_key=True)
    root_hash = models.CharField(max_length=64)
    peaks = models.TextField(blank=True)
    note = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class CheckpointCopy(models.Model):
    """A checkpoint was written to the storage that nobody can change (append-only)."""

    checkpoint = models.OneToOneField(Checkpoint, primary_key=True, on_delete=models.PROTECT, related_name="copy")
    written_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class ErasureNote(models.Model):
    """One line of the erasure list, made in the transaction of the event; a to-do until `written_at` is set.

    The list itself lies in the `erasures` storage, outside the database, so that a restored backup can replay it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    payload = models.TextField()  # canonical JSON: {"kind": …, "at": …} and pseudonymous ids
    at = models.DateTimeField(default=timezone.now, editable=False)
    written_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"payload": "pseudonymous identifiers"}

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["at"], condition=Q(written_at__isnull=True), name="erasure_note_to_write")
        ]


class Clock(models.Model):
    """What this installation last saw of the time (one row): see consent.clock."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seen_at = models.DateTimeField()
    steady_since = models.DateTimeField()  # no jump since then
    before_jump = models.DateTimeField(null=True)  # last seen before it; empty again once the clock is believed

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="clock_is_one_row")]
