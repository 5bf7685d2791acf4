"""The labels: campaigns, what was pushed to Label Studio, who labelled, what came back, and what is owed for it."""

import datetime
import math
import uuid
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from annotation import (  # noqa: F401  # Django looks for models here
    comparison_models,
    dispute_models,
    handout_models,
    joining_models,
    payout_models,
    proposal_models,
    quality_models,
)
from collection.models import Call, Image, ImageStatus
from consent.models import Purpose


class MoneySum(Sum):
    """A sum of money. SQLite adds floats; rounded to the four places that amounts have, the sum is exact again."""

    @property
    def convert_value(self) -> Any:
        return lambda value, expression, connection: None if value is None else round(Decimal(value), 4)


def start_of_day(day: datetime.date) -> datetime.datetime:
    """Midnight of the installation's time zone."""
    return timezone.make_aware(datetime.datetime.combine(day, datetime.time.min))


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def change_reserved(self, pk: int, by: Decimal) -> None:
        """Add `by` to what is reserved, inside the caller's transaction.

        Computed here under the row's lock: SQLite would add floats, and end below nought or above the budget by a hair.
        """
        reserved = self.select_for_update().get(pk=pk).reserved + by
        self.filter(pk=pk).update(reserved=reserved)

    def within_dates(self, day: datetime.date) -> Self:
        """Running campaigns that have begun and are not over on `day`."""
        return self.filter(
            Q(starts_on__isnull=True) | Q(starts_on__lte=day),
            Q(ends_on__isnull=True) | Q(ends_on__gte=day),
            state=Campaign.State.RUNNING,
        )

    def open_today(self) -> Self:
        """Campaigns that are worked on today: running, within their dates, and not at the most they take in a day."""
        today = timezone.localdate()
        open_now = self.within_dates(today)
        limited = list(open_now.filter(Q(daily_annotations__isnull=False) | Q(daily_cost__isnull=False)))
        earned = Earning.objects.filter(earned_at__gte=start_of_day(today), task__campaign__in=limited)
        brought = dict(earned.order_by().values_list("task__campaign").annotate(Count("pk")))
        full = [campaign.pk for campaign in limited if brought.get(campaign.pk, 0) >= campaign.daily_limit()]
        return open_now.exclude(pk__in=full)


class Campaign(models.Model):
    """A labelling job in Label Studio: config, purpose, rate, overlap, budget. Money is Decimal, in `currency`."""

    class State(models.TextChoices):
        DRAFT = "draft"
        RUNNING = "running"
        PAUSED = "paused"
        CLOSED = "closed"

    class Basis(models.TextChoices):
        ANY = "any", "Contributed and licensed"
        CONSENT = "consent", "Contributed, with a consent"
        LICENCE = "licence", "From licensed libraries"

    class Strata(models.TextChoices):
        NONE = "", "As they come"
        CALL = "call", "Evenly over calls"
        SKIN_TONE = "skin_tone", "Evenly over skin tones"
        AGE_BAND = "age_band", "Evenly over ages"
        GENDER = "gender", "Evenly over genders"
        COUNTRY = "country", "Evenly over countries"

    name = models.CharField(max_length=100)
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="campaigns")
    config = models.TextField(help_text="Label Studio labelling config (XML)")
    overlap = models.PositiveSmallIntegerField(default=3, help_text="Annotations wanted per image")
    rate = models.DecimalField(max_digits=8, decimal_places=4, help_text="Paid per accepted annotation")
    currency = models.CharField(max_length=3, default="EUR")
    budget = models.DecimalField(max_digits=12, decimal_places=4)
    # Reserved when a task is pushed, released for what a retracted task did not earn.
    reserved = models.DecimalField(max_digits=12, decimal_places=4, default=0)
    # Which images: of one call or of all, on which basis, and at most how many, spread over which groups.
    call = models.ForeignKey(Call, null=True, blank=True, on_delete=models.PROTECT, related_name="campaigns")
    basis = models.CharField(max_length=10, choices=Basis, default=Basis.ANY)
    sample_size = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    strata = models.CharField(max_length=10, choices=Strata, default=Strata.NONE, blank=True)
    # When: between these days, both included, and at most so much in a day. Null is no limit.
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)
    daily_annotations = models.PositiveIntegerField(null=True, blank=True, validators=[MinValueValidator(1)])
    daily_cost = models.DecimalField(max_digits=12, decimal_places=4, null=True, blank=True)
    # Gold: of so many tasks in a hundred a reviewer says the answer, and who agrees with too few of those is paused.
    gold_percent = models.PositiveSmallIntegerField(default=5, validators=[MaxValueValidator(100)])
    gold_pass_percent = models.PositiveSmallIntegerField(
        null=True, blank=True, default=70, validators=[MaxValueValidator(100)]
    )
    # Whom: who has passed this training. Which languages they know: CampaignLanguage.
    training = models.ForeignKey(
        "annotation.TrainingSet", null=True, blank=True, on_delete=models.PROTECT, related_name="asked_by"
    )
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
            models.CheckConstraint(
                condition=Q(gold_percent__lte=100)
                & (Q(gold_pass_percent__isnull=True) | Q(gold_pass_percent__lte=100)),
                name="campaign_gold_is_percent",
            ),
            models.CheckConstraint(condition=Q(basis__in=["any", "consent", "licence"]), name="campaign_basis_known"),
            models.CheckConstraint(
                condition=Q(starts_on__isnull=True) | Q(ends_on__isnull=True) | Q(ends_on__gte=F("starts_on")),
                name="campaign_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def task_cost(self) -> Decimal:
        """What one image costs when every annotation wanted is accepted."""
        return self.rate * self.overlap

    def daily_limit(self) -> float:
        """Accepted annotations that a day may bring: by number and by money, whichever is less."""
        by_number = math.inf if self.daily_annotations is None else self.daily_annotations
        return by_number if self.daily_cost is None else min(by_number, int(self.daily_cost // self.rate))


class TopUp(models.Model):
    """Money added to a campaign's budget after it was made (append-only)."""

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="top_ups")
    amount = models.DecimalField(max_digits=12, decimal_places=4)
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="top_ups")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"made_by": "staff user"}

    class Meta:
        constraints: ClassVar = [models.CheckConstraint(condition=Q(amount__gt=0), name="top_up_adds")]

    def __str__(self) -> str:
        return f"{self.amount} for {self.campaign}"


class LabelProject(models.Model):
    """A Label Studio project that serves a campaign; a large campaign has several."""

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
    is_gold = models.BooleanField(default=False)  # drawn when planned; nobody who labels can tell
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


class FormerAccount(models.Model):
    """An account in Label Studio that an annotator had before: what was labelled with it is still theirs, and paid."""

    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="former_accounts")
    label_studio_user = models.PositiveIntegerField()
    left_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym", "label_studio_user": "account there"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["annotator", "label_studio_user"], name="former_account_once")
        ]

    def __str__(self) -> str:
        return f"former account {self.label_studio_user}"


class Hint(models.Model):
    """A webhook said that something changed: what is to be fetched again. Deleted when fetched.

    Whoever fetches it takes it until `taken_until`; a process that was killed leaves it to others then.
    """

    project = models.ForeignKey(LabelProject, on_delete=models.CASCADE)
    task_external_id = models.PositiveIntegerField()
    action = models.CharField(max_length=40)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    taken_until = models.DateTimeField(null=True)

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


class EarningQuerySet(models.QuerySet["Earning"]):
    def of_labels(self) -> Self:
        """What accepted annotations earned: each fills a place of its task's overlap, and is paid from its reserve."""
        return self.filter(annotation__verdict=Annotation.Verdict.ACCEPTED)

    def by_decision(self) -> Self:
        """What refused annotations earned because a dispute was granted: no label, and reserved on its own."""
        return self.filter(annotation__verdict=Annotation.Verdict.REFUSED)


class Earning(models.Model):
    """What one annotation earned (append-only): once per annotation, once per task and annotator."""

    annotation = models.OneToOneField(Annotation, on_delete=models.PROTECT, related_name="earning")
    task = models.ForeignKey(LabelTask, on_delete=models.PROTECT, related_name="earnings")
    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="earnings")
    amount = models.DecimalField(max_digits=8, decimal_places=4)
    currency = models.CharField(max_length=3)
    earned_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    objects: ClassVar[EarningQuerySet] = EarningQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["task", "annotator"], name="paid_once_per_task_and_annotator"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="earning_positive"),
        ]
        indexes: ClassVar = [models.Index(fields=["earned_at"], name="earning_by_day")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
