"""Getting in: the terms that annotators agree to, what they know and say of themselves, and training."""

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

STAFF = settings.AUTH_USER_MODEL


class WorkTerms(models.Model):
    """One version of the terms of work, pay and data that annotators agree to (append-only)."""

    version = models.PositiveSmallIntegerField(unique=True)
    body = models.TextField()  # CommonMark
    sha256 = models.CharField(max_length=64)  # of the body in UTF-8
    published_by = models.ForeignKey(STAFF, null=True, on_delete=models.PROTECT, related_name="+")  # null: ours
    published_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"published_by": "staff user"}

    def __str__(self) -> str:
        return f"work terms, version {self.version}"


class WorkAgreement(models.Model):
    """An annotator agreed to one version of the terms (append-only)."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="agreements")
    terms = models.ForeignKey(WorkTerms, on_delete=models.PROTECT, related_name="agreements")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["annotator", "terms"], name="agreed_once")]

    def __str__(self) -> str:
        return f"{self.annotator_id} agreed to {self.terms}"


class AnnotatorLanguage(models.Model):
    """A language that an annotator says they know."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.CASCADE, related_name="languages")
    language = models.CharField(max_length=10)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym", "language": "what somebody speaks"}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["annotator", "language"], name="language_known_once")]

    def __str__(self) -> str:
        return self.language


class CampaignLanguage(models.Model):
    """A language of which annotators of a campaign know at least one."""

    campaign = models.ForeignKey("annotation.Campaign", on_delete=models.CASCADE, related_name="languages")
    language = models.CharField(max_length=10)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["campaign", "language"], name="language_asked_once")]

    def __str__(self) -> str:
        return self.language


class AnnotatorAbout(models.Model):
    """What an annotator chose to say about themselves, to see whether groups label alike; never inferred, read through
    `annotation.about_annotators` alone."""

    annotator = models.OneToOneField(
        "annotation.Annotator", primary_key=True, on_delete=models.CASCADE, related_name="about"
    )
    region = models.CharField(max_length=20, blank=True)
    age_band = models.CharField(max_length=20, blank=True)
    gender = models.CharField(max_length=20, blank=True)
    given_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = dict.fromkeys(
        ("region", "age_band", "gender"), "self-reported, to compare how groups label"
    )

    def __str__(self) -> str:
        return f"what {self.annotator_id} says of themselves"


class TrainingSet(models.Model):
    """What makes a campaign a training: its photographs have known answers, a reviewer's in `answers_from`.

    An attempt is somebody's next `size` accepted annotations; with `pass_percent` of them right they have passed.
    """

    campaign = models.OneToOneField(
        "annotation.Campaign", primary_key=True, on_delete=models.PROTECT, related_name="training_set"
    )
    answers_from = models.ForeignKey("annotation.Campaign", on_delete=models.PROTECT, related_name="training_sets")
    size = models.PositiveSmallIntegerField(validators=[MinValueValidator(1)])
    pass_percent = models.PositiveSmallIntegerField(validators=[MinValueValidator(1), MaxValueValidator(100)])
    attempts = models.PositiveSmallIntegerField(validators=[MinValueValidator(1)])

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(size__gte=1, attempts__gte=1, pass_percent__gte=1, pass_percent__lte=100),
                name="training_can_be_passed",
            ),
            models.CheckConstraint(condition=~Q(campaign=F("answers_from")), name="training_has_answers_of_another"),
        ]

    def __str__(self) -> str:
        return f"{self.campaign}: {self.pass_percent} % of {self.size}"


class TrainingResult(models.Model):
    """How one attempt of an annotator at a training went (append-only)."""

    annotator = models.ForeignKey("annotation.Annotator", on_delete=models.PROTECT, related_name="training_results")
    training = models.ForeignKey(TrainingSet, on_delete=models.PROTECT, related_name="results")
    attempt = models.PositiveSmallIntegerField()  # from 1
    right = models.PositiveSmallIntegerField()
    of = models.PositiveSmallIntegerField()
    passed = models.BooleanField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"annotator": "pseudonym", "right": "how their work was judged"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["annotator", "training", "attempt"], name="attempt_judged_once"),
            models.CheckConstraint(condition=Q(right__lte=F("of")), name="no_more_right_than_asked"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.attempt}: {self.right} of {self.of}"
