"""The forms: purposes, consent forms, their published texts and drafts."""

import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone


class Purpose(models.Model):
    """What an image may be used for, e.g. `research`. Consents and licences grant purposes."""

    code = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=100)
    description = models.TextField(help_text="One plain sentence that a contributor reads beside the tick box.")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return self.name


class PurposeWording(models.Model):
    """A purpose in another language than English (append-only; the newest per language counts)."""

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="wordings")
    language = models.CharField(max_length=10)
    name = models.CharField(max_length=100)
    description = models.TextField()
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


class PurposeEnd(models.Model):
    """A purpose is over (append-only): from that moment no basis covers it, and what rests on it alone is erased."""

    purpose = models.OneToOneField(Purpose, primary_key=True, on_delete=models.PROTECT, related_name="end")
    ended_at = models.DateTimeField(default=timezone.now, editable=False)
    reason = models.CharField(max_length=300)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"end of {self.purpose_id}"


class ConsentForm(models.Model):
    """A consent form; what people sign is one of its texts."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return self.name

    def current_major(self) -> int:
        """The newest major version now; 0 before anything is published."""
        published = self.texts.filter(published_at__lte=timezone.now())
        return published.aggregate(newest=models.Max("major"))["newest"] or 0

    def current_texts(self) -> "list[FormText]":
        """What can be signed now: of the newest major version, the newest text in each language."""
        texts = self.texts.filter(major=self.current_major()).order_by("published_at", "pk")
        return sorted({text.language: text for text in texts}.values(), key=lambda text: text.language)

    def current_text(self, language: str = "en") -> "FormText | None":
        """What can be signed now in `language`, else None: see current_texts."""
        return next((text for text in self.current_texts() if text.language == language), None)


class Statements(models.Model):
    """What a form says in one language: the parts that Art. 13 GDPR asks for, and the questions that check them."""

    title = models.CharField(max_length=200)
    summary = models.TextField()
    body = models.TextField()  # Markdown
    # What Art. 13 GDPR asks for, one value each; texts.publish_text refuses a text that lacks one.
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
    # [{"question": str, "answers": [str, …], "right": index, "why": str}]; empty: those of consent.questions
    questions = models.JSONField(default=list, blank=True)

    class Meta:
        abstract = True


class FormTextQuerySet(models.QuerySet["FormText"]):
    def outdated(self, at: datetime.datetime | None = None) -> Self:
        """Texts whose form had a newer major version at `at` (default now)."""
        newer = FormText.objects.filter(
            form=OuterRef("form"), major__gt=OuterRef("major"), published_at__lte=at or timezone.now()
        )
        return self.filter(Exists(newer))


class FormText(Statements):
    """One immutable published version of a form in one language (append-only).

    `html` are the exact characters shown to the signer, `sha256` the SHA-256 of their UTF-8 bytes. `major` is the first
    number of the version: a new one means that purposes, recipients or retention changed, and earlier signers are asked
    again.
    """

    form = models.ForeignKey(ConsentForm, on_delete=models.PROTECT, related_name="texts")
    version = models.CharField(max_length=20)
    major = models.PositiveIntegerField(default=1)
    language = models.CharField(max_length=10, default="en")
    html = models.TextField()
    sha256 = models.CharField(max_length=64)
    purposes = models.ManyToManyField(Purpose, through="FormTextPurpose", related_name="texts")
    published_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"contact": "the controller's own published address"}

    objects: ClassVar[FormTextQuerySet] = FormTextQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["form", "version", "language"], name="text_version_once"),
        ]

    def __str__(self) -> str:
        return f"{self.form} {self.version} ({self.language})"


class FormDraft(Statements):
    """A text that is still being written; publishing makes a FormText of it and leaves the draft."""

    slug = models.SlugField()
    name = models.CharField(max_length=100)
    version = models.CharField(max_length=20, blank=True)
    language = models.CharField(max_length=10, default="en")
    purposes = models.ManyToManyField(Purpose, blank=True, related_name="drafts")
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    saved_at = models.DateTimeField(auto_now=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "contact": "the controller's own published address",
        "saved_by": "staff user",
    }

    def __str__(self) -> str:
        return f"draft of {self.slug} {self.version} ({self.language})"


class FormTextPurpose(models.Model):
    """One purpose that a text asks for (append-only)."""

    text = models.ForeignKey(FormText, on_delete=models.PROTECT)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["text", "purpose"], name="text_purpose_once")]
