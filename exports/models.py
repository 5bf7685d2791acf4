"""The datasets: definitions, immutable releases, who received them, and what recipients must drop."""

import secrets
import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models import Campaign
from collection.models import Image
from consent.models import Checkpoint, Contributor, LedgerEntry, Purpose
from exports.definition_models import Definition, Format
from exports.deviation_models import DeviationAction, DeviationActionDone, DeviationReport, GateException

__all__ = (
    "AccessToken", "Acknowledgement", "Attestation", "Certificate", "CertificateMail", "Dataset", "Definition",
    "DeviationAction", "DeviationActionDone", "DeviationReport", "Download", "FilePurge", "Format", "GateException",
    "Item", "Notice", "NoticeDuty", "NoticeMail", "Recipient", "Release", "ReleaseFile", "Revocation", "Split",
    "new_secret",
)  # fmt: skip


def new_secret() -> str:
    """32 random bytes in hex."""
    return secrets.token_hex(32)


class Dataset(models.Model):
    """What an ML team subscribes to: a purpose and the campaign whose labels it carries.

    What its releases hold is said by its newest Definition; each release keeps the one that it was made by.
    """

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField()
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="datasets")
    campaign = models.ForeignKey(Campaign, null=True, blank=True, on_delete=models.PROTECT, related_name="datasets")
    terms = models.CharField(
        max_length=100, default="LicenseRef-Likeness-Research", help_text="SPDX id or LicenseRef-…"
    )
    # Keys every pseudonym of this dataset, so that two datasets cannot be joined on them; also salts the splits.
    pseudonym_key = models.CharField(max_length=64, default=new_secret, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"pseudonym_key": "would join pseudonyms back to persons"}

    def __str__(self) -> str:
        return self.title


class Release(models.Model):
    """One numbered version of a dataset. A trigger refuses every change once it is published."""

    class State(models.TextChoices):
        BUILDING = "building"
        BUILT = "built"  # waits for a second person
        PUBLISHED = "published"
        DISCARDED = "discarded"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="releases")
    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="releases")
    # The published release that it follows, pinned: its card says what changed since.
    previous = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="next_drafts")
    number = models.PositiveIntegerField()
    version = models.CharField(max_length=20)  # SemVer
    notes = models.TextField(blank=True)  # for people who use it, by whoever drafted it
    state = models.CharField(max_length=10, choices=State, default=State.BUILDING)
    snapshot_at = models.DateTimeField()  # rights and labels as of this moment
    drafted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="drafted_releases")
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="published_releases"
    )
    published_at = models.DateTimeField(null=True)
    sums_sha256 = models.CharField(max_length=64, blank=True)  # of SHA256SUMS: names the whole release
    rows_root = models.CharField(max_length=64, blank=True)  # Merkle root over the row records
    checkpoint = models.ForeignKey(Checkpoint, null=True, on_delete=models.PROTECT)  # pinned: a rebuild proves the same
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"drafted_by": "staff user", "published_by": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "number"], name="release_number_once"),
            models.UniqueConstraint(
                fields=["dataset", "version"], condition=~Q(state="discarded"), name="release_version_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["building", "built", "published", "discarded"]), name="release_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="published")
                | (Q(published_at__isnull=False, published_by__isnull=False) & ~Q(sums_sha256="") & ~Q(rows_root="")),
                name="published_release_complete",
            ),
            # Four eyes: whoever drafted it does not publish it.
            models.CheckConstraint(
                condition=Q(published_by__isnull=True) | ~Q(published_by=models.F("drafted_by")),
                name="release_four_eyes",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.slug} {self.version}"


class Attestation(models.Model):
    """The ledger entry that says what one basis of a release covered when it was built (append-only)."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="attestations")
    basis = models.CharField(max_length=32)  # keyed per dataset
    entry = models.OneToOneField(LedgerEntry, on_delete=models.PROTECT, related_name="attestation")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"basis": "pseudonym"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["release", "basis"], name="basis_attested_once")]

    def __str__(self) -> str:
        return f"basis {self.basis} of {self.release}"


class Item(models.Model):
    """One row of a release (append-only). Its provenance record is in the release; here is only the record's hash."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="items")
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="items")
    position = models.PositiveIntegerField()  # index of the row's leaf under Release.rows_root
    row_id = models.CharField(max_length=32)  # keyed per dataset
    split = models.CharField(max_length=10)
    shard = models.CharField(max_length=100)  # e.g. "train-00000"
    leaf_hash = models.CharField(max_length=64)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"row_id": "pseudonym", "leaf_hash": "hash of a pseudonymous record"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["release", "image"], name="item_once_per_release"),
            models.UniqueConstraint(fields=["release", "position"], name="item_position_once"),
        ]
        indexes: ClassVar = [models.Index(fields=["release", "shard"], name="item_by_shard")]  # each read of a file

    def __str__(self) -> str:
        return f"row {self.row_id} of {self.release}"


class ReleaseFile(models.Model):
    """One file of a release (append-only)."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=200)  # inside the release
    key = models.CharField(max_length=200)  # in the `releases` storage
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    # Whose rows it holds: gone when one of them is withdrawn. "" for files about the whole release.
    shard = models.CharField(max_length=100, blank=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"key": "bytes of photographs of persons"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["release", "path"], name="release_path_once")]

    def __str__(self) -> str:
        return f"{self.path} of {self.release}"


class FilePurge(models.Model):
    """The bytes of a release file were deleted from storage (append-only)."""

    file = models.OneToOneField(ReleaseFile, on_delete=models.PROTECT, related_name="purge")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.file}, deleted"


class Split(models.Model):
    """Which split an image belongs to in a dataset, once and for all (append-only)."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="split_rows")
    image = models.ForeignKey(Image, on_delete=models.PROTECT)
    name = models.CharField(max_length=10)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["dataset", "image"], name="split_once_per_image")]

    def __str__(self) -> str:
        return self.name


class Recipient(models.Model):
    """A team that may pull a dataset."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    email = models.EmailField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"name": "may name a person", "email": "notices go there"}

    def __str__(self) -> str:
        return self.name


class AccessToken(models.Model):
    """A recipient's key to one dataset, shown once; we keep its SHA-256."""

    recipient = models.ForeignKey(Recipient, on_delete=models.CASCADE, related_name="tokens")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="tokens")
    token_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # before it expired
    ended_by = models.ForeignKey(  # null: by the recipient
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="ended_tokens"
    )

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"ended_by": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ended_by__isnull=True) | Q(ended_at__isnull=False), name="token_ended_by_at"
            )
        ]

    def __str__(self) -> str:
        return f"token of {self.recipient} for {self.dataset}"


class Download(models.Model):
    """A recipient fetched a file of a release (append-only)."""

    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="downloads")
    file = models.ForeignKey(ReleaseFile, on_delete=models.PROTECT, related_name="downloads")
    token = models.ForeignKey(  # null: before this was noted
        AccessToken, null=True, on_delete=models.PROTECT, related_name="downloads"
    )
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.file} by {self.recipient}"


class Notice(models.Model):
    """What recipients of a release must drop (append-only): a signed statement that names rows of it."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="notices")
    envelope = models.TextField()  # DSSE
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"envelope": "pseudonymous row ids and hashes"}

    def __str__(self) -> str:
        return f"notice {self.pk} about {self.release}"


class Revocation(models.Model):
    """One row of a release that nobody may use any more, and the notice that says so (append-only)."""

    item = models.OneToOneField(Item, on_delete=models.PROTECT, related_name="revocation")
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="revocations")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.item}, revoked"


class Acknowledgement(models.Model):
    """A recipient's pull reported that it applied a notice (append-only)."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="acknowledgements")
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="acknowledgements")
    rows_removed = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["notice", "recipient"], name="acknowledged_once")]

    def __str__(self) -> str:
        return f"{self.notice}, applied by {self.recipient}"


class Certificate(models.Model):
    """The erasure certificate of one act (a withdrawal of a consent, of a purpose, of photographs; append-only).

    The row is made when everything has gone everywhere; until then the page of the act shows what is still under way.
    """

    act = models.UUIDField(primary_key=True)
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="certificates")
    envelope = models.TextField()  # DSSE
    issued_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"contributor": "pseudonym", "envelope": "pseudonymous identifiers"}

    def __str__(self) -> str:
        return f"certificate {self.act}"


class CertificateMail(models.Model):
    """A certificate is to be mailed to its contributor, until `mailed_at`. Whoever moves `due_at` on may send."""

    certificate = models.OneToOneField(Certificate, primary_key=True, on_delete=models.PROTECT, related_name="mail")
    due_at = models.DateTimeField(default=timezone.now)
    mailed_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["due_at"], condition=Q(mailed_at__isnull=True), name="certificate_to_mail")
        ]

    def __str__(self) -> str:
        return f"mail of {self.certificate_id}"


class NoticeDuty(models.Model):
    """Who is to be told of a notice and reminded of it. Whoever moves `due_at` on may send; NoticeMail is the proof."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="duties")
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="duties")
    due_at = models.DateTimeField(default=timezone.now)
    reminded_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notice", "recipient"], name="notice_duty_once_per_recipient")
        ]

    def __str__(self) -> str:
        return f"{self.notice} for {self.recipient}"


class NoticeMail(models.Model):
    """A recipient was mailed that a notice is there (append-only)."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="mails")
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="notice_mails")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["notice", "recipient"], name="notice_mailed_once")]

    def __str__(self) -> str:
        return f"{self.notice}, mailed to {self.recipient}"
