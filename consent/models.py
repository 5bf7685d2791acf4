"""The right to use: who agreed to what under which words, what was licensed, and the ledger that proves it.

Each model declares in PERSONAL_DATA which fields hold personal data and why they may; a system check demands it.
Rows that are proof (texts, consents, withdrawals, licences, ledger) are append-only by database triggers; what
identifies a person sits in rows of its own (Contributor, SignatureEvidence, Receipt), so that erasing the person leaves
the proof intact.
"""

import datetime
import secrets
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from consent.signing import canonical_json, utc_text


class UserManager(BaseUserManager["User"]):
    """Users are known by e-mail address; there is no user name."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """Anybody who signs in: contributor, annotator, reviewer, data manager."""

    username = None  # type: ignore[assignment]  # signing in is by e-mail address
    email = models.EmailField("e-mail address", unique=True)
    email_verified_at = models.DateTimeField(null=True, editable=False)  # evidence for signatures

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "email": "sign-in and mail",
        "email_verified_at": "evidence of signatures",
        "first_name": "unused, kept empty",
        "last_name": "unused, kept empty",
    }

    objects: ClassVar[UserManager] = UserManager()  # type: ignore[assignment]


class Contributor(models.Model):
    """An adult who gives photographs of themselves."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # the pseudonym that the ledger carries
    user = models.OneToOneField(User, null=True, on_delete=models.SET_NULL, related_name="contributor")
    date_of_birth = models.DateField(null=True)
    country = models.CharField(max_length=2)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "user": "link to the account; empty once it is deleted",
        "date_of_birth": "proof of adulthood",
        "country": "age of majority, jurisdiction",
    }

    def __str__(self) -> str:
        return f"contributor {self.id}"


class Purpose(models.Model):
    """What an image may be used for, e.g. `research`. Consents and licences grant purposes."""

    code = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=100)
    description = models.TextField(help_text="One plain sentence that a contributor reads beside the tick box.")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return self.name


class ConsentForm(models.Model):
    """A consent form; what people sign is one of its texts."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return self.name

    def current_text(self, language: str = "en") -> "FormText | None":
        """The newest published text in `language`, else None."""
        return self.texts.filter(language=language).order_by("-published_at", "-pk").first()


class FormText(models.Model):
    """One immutable published version of a form in one language (append-only).

    `body` is Markdown; `html` are the exact characters shown to the signer, `sha256` the SHA-256 of their UTF-8 bytes.
    """

    form = models.ForeignKey(ConsentForm, on_delete=models.PROTECT, related_name="texts")
    version = models.CharField(max_length=20)
    language = models.CharField(max_length=10, default="en")
    title = models.CharField(max_length=200)
    summary = models.TextField()
    body = models.TextField()
    html = models.TextField()
    sha256 = models.CharField(max_length=64)
    # What Art. 13 GDPR asks for, one value each; services.publish_text refuses a text that lacks one.
    controller_name = models.CharField(max_length=200)
    controller_address = models.CharField(max_length=300)
    contact = models.EmailField()
    data_categories = models.JSONField(default=list)  # DPV terms, e.g. ["pd:Picture"]
    recipients = models.JSONField(default=list)  # list of strings
    transfers = models.TextField()
    storage_locations = models.JSONField(default=list)  # ISO 3166 codes
    retention_days = models.PositiveIntegerField()
    complaint_body = models.CharField(max_length=200)
    jurisdiction = models.CharField(max_length=2, default="IE")
    purposes = models.ManyToManyField(Purpose, through="FormTextPurpose", related_name="texts")
    published_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"contact": "the controller's own published address"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["form", "version", "language"], name="text_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.form} {self.version} ({self.language})"


class FormTextPurpose(models.Model):
    """One purpose that a text asks for (append-only)."""

    text = models.ForeignKey(FormText, on_delete=models.PROTECT)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["text", "purpose"], name="text_purpose_once")]


class ConsentQuerySet(models.QuerySet["Consent"]):
    def live(self, purpose: str | None = None, at: datetime.datetime | None = None) -> Self:
        """Consents in force at `at` (default now) for `purpose` (a Purpose code), or for any purpose when None."""
        at = at or timezone.now()
        withdrawn = Withdrawal.objects.filter(consent=OuterRef("consent"), made_at__lte=at).filter(
            Q(purpose__isnull=True) | Q(purpose=OuterRef("purpose"))
        )
        granted = ConsentPurpose.objects.filter(consent=OuterRef("pk")).filter(~Exists(withdrawn))
        if purpose is not None:
            granted = granted.filter(purpose=purpose)
        return self.filter(Exists(granted), signed_at__lte=at, expires_at__gt=at)


class Consent(models.Model):
    """One signature under one text, granting named purposes (append-only)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="consents")
    text = models.ForeignKey(FormText, on_delete=models.PROTECT, related_name="consents")
    purposes = models.ManyToManyField(Purpose, through="ConsentPurpose", related_name="consents")
    signed_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    submission = models.UUIDField(unique=True)  # one per form shown, so that a double submit signs once
    evidence_sha256 = models.CharField(max_length=64)  # of SignatureEvidence.as_json()

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"contributor": "pseudonym"}

    objects: ClassVar[ConsentQuerySet] = ConsentQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(expires_at__gt=F("signed_at")), name="consent_expires_after_signing"),
        ]

    def __str__(self) -> str:
        return f"consent {self.pk}"

    def purpose_states(self) -> "list[PurposeState]":
        """Where each granted purpose stands now, for people to read. Rights are decided by ConsentQuerySet.live."""
        ended = {withdrawal.purpose_id: withdrawal.made_at for withdrawal in self.withdrawals.all()}
        return [
            PurposeState(
                purpose=granted.purpose,
                withdrawn_at=min(filter(None, (ended.get(None), ended.get(granted.purpose_id))), default=None),
                expired=self.expires_at <= timezone.now(),
            )
            for granted in self.granted.all()
        ]


@dataclass(frozen=True, kw_only=True)
class PurposeState:
    """One granted purpose: live unless withdrawn or expired."""

    purpose: Purpose
    withdrawn_at: datetime.datetime | None
    expired: bool

    @property
    def live(self) -> bool:
        return self.withdrawn_at is None and not self.expired


class ConsentPurpose(models.Model):
    """One purpose granted by a consent (append-only). Granting none of them is a valid answer and makes no consent."""

    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="granted")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["consent", "purpose"], name="consent_purpose_once")]


def new_nonce() -> str:
    """128 random bits in hex."""
    return secrets.token_hex(16)


class SignatureEvidence(models.Model):
    """What identifies the signer of one consent; deleted with the account, its hash stays in the consent."""

    consent = models.OneToOneField(Consent, primary_key=True, on_delete=models.PROTECT, related_name="evidence")
    signer_name = models.CharField(max_length=200)
    intent = models.CharField(max_length=300)
    email = models.EmailField()
    email_verified_at = models.DateTimeField(null=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=400, blank=True)
    time_zone = models.CharField(max_length=60, blank=True)
    viewed_at = models.DateTimeField()
    signed_at = models.DateTimeField()
    # Without it, whoever guesses a name could find its hash in the ledger after the evidence is erased.
    nonce = models.CharField(max_length=32, default=new_nonce, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = dict.fromkeys(
        ("signer_name", "email", "email_verified_at", "ip", "user_agent", "time_zone", "viewed_at"),
        "evidence of the signature",
    )

    def as_json(self) -> str:
        """Canonical JSON of every field: what Consent.evidence_sha256 is the SHA-256 of."""
        values = {field.attname: getattr(self, field.attname) for field in self._meta.concrete_fields}
        times = {name: utc_text(value) for name, value in values.items() if isinstance(value, datetime.datetime)}
        return canonical_json({name: value and str(value) for name, value in values.items()} | times)


class Receipt(models.Model):
    """The signed receipt (JSON in a DSSE envelope) and the PDF of what was signed, for one consent."""

    consent = models.OneToOneField(Consent, primary_key=True, on_delete=models.PROTECT, related_name="receipt")
    envelope = models.TextField()
    pdf = models.BinaryField()
    issued_at = models.DateTimeField(default=timezone.now, editable=False)
    mailed_at = models.DateTimeField(null=True)
    mail_due_at = models.DateTimeField(default=timezone.now)  # moved on by whoever claims the mailing

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"envelope": "names the signer", "pdf": "names the signer"}

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["mail_due_at"], condition=Q(mailed_at__isnull=True), name="receipt_to_mail")
        ]


class Withdrawal(models.Model):
    """Ends one purpose of a consent, or all of them when `purpose` is empty (append-only)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="withdrawals")
    purpose = models.ForeignKey(Purpose, null=True, on_delete=models.PROTECT)
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["consent", "purpose"], condition=Q(purpose__isnull=False), name="purpose_withdrawn_once"
            ),
            models.UniqueConstraint(
                fields=["consent"], condition=Q(purpose__isnull=True), name="consent_withdrawn_once"
            ),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"


class LicenceQuerySet(models.QuerySet["Licence"]):
    def live(self, purpose: str | None = None, at: datetime.datetime | None = None) -> Self:
        """Licences in force at `at` (default now), for `purpose` (a Purpose code) when one is given."""
        at = at or timezone.now()
        day = at.date()
        found = self.filter(starts_on__lte=day, ends_on__gte=day, created_at__lte=at)
        return (
            found
            if purpose is None
            else found.filter(Exists(LicencePurpose.objects.filter(licence=OuterRef("pk"), purpose=purpose)))
        )


class Licence(models.Model):
    """The right to a purchased or permitted library (append-only)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    licensor = models.CharField(max_length=200)
    title = models.CharField(max_length=200)
    terms = models.CharField(max_length=100, help_text="SPDX identifier or LicenseRef-…")
    territory = models.CharField(max_length=100, help_text="ISO 3166 country codes, or WORLD")
    purposes = models.ManyToManyField(Purpose, through="LicencePurpose", related_name="licences")
    starts_on = models.DateField()
    ends_on = models.DateField(help_text="Last day of the term")
    price = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, default="EUR")
    model_release = models.BooleanField(help_text="The licensor holds a model release for every person depicted")
    evidence_name = models.CharField(max_length=200)
    evidence_sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"licensor": "may be a natural person"}

    objects: ClassVar[LicenceQuerySet] = LicenceQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(ends_on__gte=F("starts_on")),
                name="licence_ends_after_start",
                violation_error_message="The licence ends before it starts. Please check the dates.",
            ),
            models.CheckConstraint(
                condition=Q(price__gte=0),
                name="licence_price_not_negative",
                violation_error_message="The price must not be negative.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.licensor})"


class LicencePurpose(models.Model):
    """One purpose that a licence covers (append-only)."""

    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="granted")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["licence", "purpose"], name="licence_purpose_once")]


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
    leaf_hash = models.CharField(max_length=64)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class Checkpoint(models.Model):
    """A signed tree head (append-only): `note` is C2SP tlog-checkpoint text."""

    tree_size = models.PositiveBigIntegerField(primary_key=True)
    root_hash = models.CharField(max_length=64)
    note = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}
