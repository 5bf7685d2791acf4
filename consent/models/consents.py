"""Consents, their evidence and receipts, and their withdrawals."""

import datetime
import secrets
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from consent.models.forms import FormText, Purpose, PurposeEnd
from consent.models.people import Contributor
from consent.signing import canonical_json, utc_text

EVER = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)


class ConsentQuerySet(models.QuerySet["Consent"]):
    def live(
        self,
        purpose: str | None = None,
        at: datetime.datetime | None = None,
        clock: datetime.datetime | None = None,
    ) -> Self:
        """Consents in force at `at` (default now) for `purpose` (a Purpose code), or for any purpose when None.

        What expires is judged by `clock` (default `at`): what destroys passes `consent.clock.trusted_now()`.
        """
        at = at or timezone.now()
        withdrawn = Withdrawal.objects.filter(consent=OuterRef("consent"), made_at__lte=at).filter(
            Q(purpose__isnull=True) | Q(purpose=OuterRef("purpose"))
        )
        over = PurposeEnd.objects.filter(purpose=OuterRef("purpose"), ended_at__lte=at)
        granted = ConsentPurpose.objects.filter(~Exists(withdrawn), ~Exists(over), consent=OuterRef("pk"))
        if purpose is not None:
            granted = granted.filter(purpose=purpose)
        return self.filter(Exists(granted), signed_at__lte=at, expires_at__gt=clock or at)

    def over(self, purpose: str | None = None, *, clock: datetime.datetime) -> Self:
        """Consents that will never be in force again for `purpose` (or any): what destroys goes by this.

        Acts count whatever their time stamps say, and only what expires is judged by `clock`: with `live` a clock that
        was set back would end what is not signed yet by it.
        """
        return self.exclude(pk__in=Consent.objects.live(purpose, EVER, clock))

    def under_current_terms(self, purpose: str | None = None, at: datetime.datetime | None = None) -> Self:
        """Consents whose images are open to new uses: signed under the form's newest major version at `at`, or
        confirmed by a live consent of the same person for `purpose` under that version."""
        at = at or timezone.now()
        outdated = FormText.objects.outdated(at)
        confirming = Consent.objects.live(purpose, at).filter(
            contributor=OuterRef("contributor"), text__form=OuterRef("text__form")
        )
        return self.filter(~Q(text__in=outdated) | Exists(confirming.exclude(text__in=outdated)))


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

    def has_current_terms(self) -> bool:
        """Whether this one is `under_current_terms`; mostly a look at its text is enough."""
        if not FormText.objects.outdated().filter(pk=self.text_id).exists():
            return True
        return Consent.objects.under_current_terms().filter(pk=self.pk).exists()

    def purpose_states(self) -> "list[PurposeState]":
        """Where each granted purpose stands now, for people to read. Rights are decided by ConsentQuerySet.live."""
        ended = {withdrawal.purpose_id: withdrawal.made_at for withdrawal in self.withdrawals.all()}
        over = set(PurposeEnd.objects.values_list("purpose", flat=True))
        return [
            PurposeState(
                purpose=granted.purpose,
                withdrawn_at=min(filter(None, (ended.get(None), ended.get(granted.purpose_id))), default=None),
                expired=self.expires_at <= timezone.now() or granted.purpose_id in over,
            )
            for granted in self.granted.all()
        ]


@dataclass(frozen=True, kw_only=True)
class PurposeState:
    """One granted purpose: live unless withdrawn or expired (its term, or the purpose, is over)."""

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


ADDED_LATER = ("drawing", "answers")


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
    # Added later; `as_json` leaves them out while they are empty, so that older hashes still hold.
    drawing = models.TextField(blank=True)  # the drawn signature: path data of SVG, in a box of 600 x 200
    answers = models.JSONField(default=list, blank=True)  # [{"question": str, "answer": str}], as given when signing
    # Without it, whoever guesses a name could find its hash in the ledger after the evidence is erased.
    nonce = models.CharField(max_length=32, default=new_nonce, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = dict.fromkeys(
        ("signer_name", "email", "email_verified_at", "ip", "user_agent", "time_zone", "viewed_at", "drawing"),
        "evidence of the signature",
    )

    def as_json(self) -> str:
        """Canonical JSON of every field: what Consent.evidence_sha256 is the SHA-256 of."""
        values = {field.attname: getattr(self, field.attname) for field in self._meta.concrete_fields}
        values = {name: value for name, value in values.items() if value or name not in ADDED_LATER}
        times = {name: utc_text(value) for name, value in values.items() if isinstance(value, datetime.datetime)}
        return canonical_json({name: value and _text(value) for name, value in values.items()} | times)


def _text(value: Any) -> str:
    return canonical_json(value) if isinstance(value, list) else str(value)


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


class Aftermath(models.TextChoices):
    """What becomes of the photographs when nothing is permitted any more."""

    ERASE = "erase", "erase my photographs"
    KEEP = "keep", "keep them for me alone"


class Withdrawal(models.Model):
    """Ends one purpose of a consent, or all of them when `purpose` is empty (append-only)."""

    class Cause(models.TextChoices):
        WITHDRAWN = "withdrawn", "taken back by the contributor"
        OBJECTED = "objected", "ended after an objection"
        LAPSED = "lapsed", "no contact for three years"
        ACCOUNT_DELETED = "account_deleted", "the account was deleted"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="withdrawals")
    purpose = models.ForeignKey(Purpose, null=True, on_delete=models.PROTECT)
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    # What one press of a button ended, over several consents and photographs: one act, one certificate.
    act = models.UUIDField(default=uuid.uuid4, editable=False, db_index=True)
    cause = models.CharField(max_length=20, choices=Cause, default=Cause.WITHDRAWN)
    aftermath = models.CharField(max_length=10, choices=Aftermath, default=Aftermath.ERASE)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["consent", "purpose"], condition=Q(purpose__isnull=False), name="purpose_withdrawn_once"
            ),
            models.UniqueConstraint(
                fields=["consent"], condition=Q(purpose__isnull=True), name="consent_withdrawn_once"
            ),
            models.CheckConstraint(condition=Q(aftermath__in=Aftermath.values), name="withdrawal_aftermath_known"),
        ]

    def __str__(self) -> str:
        return f"withdrawal {self.pk}"
