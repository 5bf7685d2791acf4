"""The labels: campaigns, what was pushed to Label Studio, who labelled, what came back, and what is owed for it."""

import datetime
import uuid
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Sum
from django.utils import timezone

from collection.models import Image, ImageStatus
from consent.models import Purpose


class MoneySum(Sum):
    """A sum of money. SQLite adds floats; rounded to the four places that amounts have, the sum is exact again."""

    @property
    def convert_value(self) -> Any:
        return lambda value, expression, connection: None if value is None else round(Decimal(value), 4)


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def change_reserved(self, pk: int, by: Decimal) -> None:
        """Add `by` to what is reserved, inside the caller's transaction.

        Computed here under the row's lock: SQLite would add floats, and end below nought or above the budget by a hair.
        """
        reserved = self.select_for_update().get(pk=pk).reserved + by
        self.filter(pk=pk).update(reserved=reserved)


class Campaign(models.Model):
    """A labelling job in Label Studio: config, purpose, rate, overlap, budget. Money is Decimal, in `currency`."""

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        CLOSED = "closed"

    name = models.CharField(max_length=100)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="campaigns")
    config = models.TextField(help_text="Label Studio labelling config (XML)")
    overlap = models.PositiveSmallIntegerField(default=3, help_text="Annotations wanted per image")
    rate = models.DecimalField(max_digits=8, decimal_places=4, help_text="Paid per accepted annotation")
    currency = models.CharField(max_length=3, default="EUR")
    budget = models.DecimalField(max_digits=12, decimal_places=4)
    # Reserved when a task is pushed, released for what a retracted task did not earn.
    reserved = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    state = models.CharField(max_length=10, choices=State, default=State.DRAFT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"created_by": "staff user"}

    objects: ClassVar[CampaignQuerySet] = CampaignQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["draft", "running", "paused", "closed"]), name="campaign_state_known"
            ),
            models.CheckConstraint(condition=Q(rate__gt=0, overlap__gt=0), name="campaign_pays"),
            models.CheckConstraint(
                condition=Q(reserved__gte=0) & Q(reserved__lte=F("budget")), name="campaign_within_budget"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def task_cost(self) -> Decimal:
        """What one image costs when every annotation wanted is accepted."""
        return self.rate * self.overlap


class LabelProject(models.Model):
    """A Label Studio project that serves a campaign."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="projects")
    external_id = models.PositiveIntegerField(unique=True)
    swept_until = models.DateTimeField(null=True)  # changes up to here have been fetched

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"Label Studio project {self.external_id}"


class ImporterLease(models.Model):
    """Who may write tasks to Label Studio now: the one row `id=1`. A crash releases it by running out.

    Imports are not idempotent and lock each other out on SQLite, so there is one importer at a time.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    holder = models.UUIDField(null=True)
    until = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(id=1), name="importer_lease_is_one_row")]

    def __str__(self) -> str:
        return f"importer until {self.until}"


class LabelTaskQuerySet(models.QuerySet["LabelTask"]):
    def of_usable_images(self, campaign: Campaign) -> Self:
        """Tasks of `campaign` whose image may be used for its purpose now."""
        return self.filter(campaign=campaign, image__in=Image.objects.usable_for(campaign.purpose_id))

    def of_open_images(self, campaign: Campaign) -> Self:
        """Tasks of `campaign` whose image is open to new uses for its purpose now."""
        return self.filter(campaign=campaign, image__in=Image.objects.open_for(campaign.purpose_id))

    def of_lost_images(self, campaign: Campaign, *, clock: datetime.datetime) -> Self:
        """Tasks of `campaign` whose image can never again be used for its purpose; `clock` as in Image.objects.lost."""
        lost = Image.objects.lost(campaign.purpose_id, clock=clock)
        return self.filter(~Q(image__status=ImageStatus.ACCEPTED) | Q(image__in=lost), campaign=campaign)

    def due(self) -> Self:
        return self.filter(next_attempt_at__lte=timezone.now())


class LabelTask(models.Model):
    """One image to be labelled in one campaign. Label Studio knows it by `asset_id`; its own task ids get reused."""

    class State(models.TextChoices):
        PENDING = "pending"  # to be pushed
        PUSHING = "pushing"  # budget reserved; may or may not be in Label Studio yet
        PUSHED = "pushed"
        RETRACTING = "retracting"  # rights ended: served to nobody, to be deleted in Label Studio
        RETRACTED = "retracted"

    asset_id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="tasks")
    project = models.ForeignKey(LabelProject, null=True, on_delete=models.PROTECT, related_name="tasks")
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="label_tasks")
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    external_id = models.PositiveIntegerField(null=True)  # Label Studio's task id, while it is there
    view_key = models.CharField(max_length=43, unique=True)  # random part of the image's address for annotators
    pushed_at = models.DateTimeField(null=True)
    retracted_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "view_key": "address of a photograph of a person, checked at every request"
    }

    objects: ClassVar[LabelTaskQuerySet] = LabelTaskQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["campaign", "image"], name="task_once_per_campaign"),
            models.CheckConstraint(
                condition=~Q(state="pushed") | Q(external_id__isnull=False, pushed_at__isnull=False),
                name="pushed_task_has_external_id",
            ),
            models.CheckConstraint(
                condition=~Q(state="retracted") | Q(retracted_at__isnull=False), name="retracted_task_has_time"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["state", "next_attempt_at"], name="task_due")]

    def __str__(self) -> str:
        return f"task {self.pk}"


class Invitation(models.Model):
    """An annotator's invitation: the mailed link carries the token, we keep its SHA-256."""

    email = models.EmailField()
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"email": "where the invitation went", "invited_by": "staff user"}

    def __str__(self) -> str:
        return f"invitation {self.pk}"


class Annotator(models.Model):
    """Somebody who labels for pay."""

    id = models.UUIDField(
        primary_key=True, default=uuid.uuid4, editable=False
    )  # the pseudonym that exports carry, keyed
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="annotator"
    )
    terms_accepted_at = models.DateTimeField()
    label_studio_user = models.PositiveIntegerField(null=True, unique=True)
    label_studio_access = models.TextField(blank=True)  # sealed: annotation.accounts

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "user": "account",
        "label_studio_user": "account there",
        "label_studio_access": "address, password and token of that account, encrypted",
    }

    def __str__(self) -> str:
        return f"annotator {self.pk}"


class Handout(models.Model):
    """Label Studio gave a task to an annotator through the gateway: only whoever was given it may look and answer."""

    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="handouts")
    task = models.ForeignKey(LabelTask, on_delete=models.PROTECT, related_name="handouts")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["annotator", "task"], name="handed_out_once")]

    def __str__(self) -> str:
        return f"handout of task {self.task_id}"


class Hint(models.Model):
    """A webhook said that something changed: what is to be fetched again. Deleted when fetched."""

    project = models.ForeignKey(LabelProject, on_delete=models.CASCADE)
    task_external_id = models.PositiveIntegerField()
    action = models.CharField(max_length=40)
    received_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return f"{self.action} of task {self.task_external_id}"


class Annotation(models.Model):
    """What Label Studio said one annotator said about one task (append-only). An edit is a further version."""

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    task = models.ForeignKey(LabelTask, on_delete=models.PROTECT, related_name="annotations")
    annotator = models.ForeignKey(Annotator, null=True, on_delete=models.PROTECT, related_name="annotations")
    unique_id = models.UUIDField()  # Label Studio's own unique_id of the annotation
    version = models.PositiveSmallIntegerField(default=1)
    result = models.JSONField()
    result_sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField()  # Label Studio's created_at or updated_at
    lead_seconds = models.FloatField(null=True)  # what the browser claims
    verdict = models.CharField(max_length=10, choices=Verdict)
    refusal = models.CharField(max_length=200, blank=True)
    recorded_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym", "result": "labels of a photograph of a person"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["unique_id", "version"], name="annotation_version_once"),
            # With the time: somebody may change a label and change it back.
            models.UniqueConstraint(fields=["unique_id", "result_sha256", "made_at"], name="annotation_content_once"),
            models.CheckConstraint(
                condition=(Q(verdict="accepted") & Q(refusal="") & Q(annotator__isnull=False))
                | (Q(verdict="refused") & ~Q(refusal="")),
                name="annotation_verdict_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"annotation {self.pk}"


class Earning(models.Model):
    """What one accepted annotation earned (append-only): once per annotation, once per task and annotator."""

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="earning")
    task = models.ForeignKey(LabelTask, on_delete=models.PROTECT, related_name="earnings")
    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="earnings")
    amount = models.DecimalField(max_digits=8, decimal_places=4)
    currency = models.CharField(max_length=3)
    earned_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "annotator"], name="paid_once_per_task_and_annotator"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="earning_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class ImageView(models.Model):
    """The labelling page fetched an image from us (append-only)."""

    task = models.ForeignKey(LabelTask, on_delete=models.PROTECT, related_name="views")
    annotator = models.ForeignKey(Annotator, null=True, on_delete=models.PROTECT, related_name="views")
    served = models.BooleanField()  # False: refused by the rights check
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    def __str__(self) -> str:
        return f"view of task {self.task_id}"
