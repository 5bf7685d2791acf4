"""What the releases of a dataset hold: which photographs, which labels and how, which splits, in which files."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from annotation.models import Campaign
from collection.models import Call, Target
from exports.labels import Rules


class Format(models.TextChoices):
    """The forms that a release may have beside Parquet, which each has."""

    WEBDATASET = "webdataset", "WebDataset: tar shards that training reads in one go"
    FOLDER = "folder", "Folder: a zip for each shard, with photographs and metadata.csv"
    COCO = "coco", "COCO JSON: boxes and points, beside the folder"
    LABEL_STUDIO = "label-studio", "Label Studio JSON: labels as tasks, beside the folder"


def default_formats() -> list[str]:
    """The forms that a dataset has until somebody says otherwise."""
    return [Format.WEBDATASET]


class Definition(models.Model):
    """What a release of a dataset holds (append-only). To change it is to write the next one; a release keeps its own.

    Purpose and campaign belong to the dataset: with others it would be another dataset.
    """

    class Ratings(models.TextChoices):
        MEAN = "mean", "the mean of what annotators gave"
        MEDIAN = "median", "the median of what annotators gave"

    class Choices(models.TextChoices):
        MAJORITY = "majority", "what more than half of the annotators chose, or else what most did"
        UNANIMOUS = "unanimous", "only what every annotator chose"

    dataset = models.ForeignKey("exports.Dataset", on_delete=models.PROTECT, related_name="definitions")
    number = models.PositiveIntegerField()
    # What its card says in words; everything else in the card is computed.
    description = models.TextField()
    limits = models.TextField(blank=True)
    # Which photographs. Null and empty: no matter.
    call = models.ForeignKey(Call, null=True, blank=True, on_delete=models.PROTECT, related_name="definitions")
    basis = models.CharField(max_length=10, choices=Campaign.Basis, default=Campaign.Basis.ANY)
    territory = models.CharField(max_length=2, blank=True)  # ISO 3166-1: where the release is to be used
    shorter_side = models.PositiveIntegerField(null=True, blank=True)  # pixels, at least
    least_annotators = models.PositiveSmallIntegerField(default=1)
    least_agreement = models.PositiveSmallIntegerField(null=True, blank=True)  # percent of comparisons
    # Which labels, by their names in the campaign's config (empty: all), and how several become one.
    controls = models.JSONField(default=list, blank=True)
    ratings = models.CharField(max_length=10, choices=Ratings, default=Ratings.MEAN)
    choices = models.CharField(max_length=10, choices=Choices, default=Choices.MAJORITY)
    # Splits of what is new; what is recorded keeps its split. The test split is the rest.
    train_percent = models.PositiveSmallIntegerField(default=70)
    validation_percent = models.PositiveSmallIntegerField(default=15)
    # Files.
    formats = models.JSONField(default=default_formats, blank=True)
    longest_side = models.PositiveIntegerField(null=True, blank=True)  # pixels, at most; null: the size they have
    # Goals that balance is held against: rows of {attribute: answer, "people": n, "photographs": n}.
    targets = models.JSONField(default=list, blank=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="made_definitions"
    )
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"made_by": "staff user"}
    CARD: ClassVar = ("description", "limits")
    FIELDS: ClassVar = (
        *CARD, "call", "basis", "territory", "shorter_side", "least_annotators", "least_agreement", "controls",
        "ratings", "choices", "train_percent", "validation_percent", "formats", "longest_side",
    )  # fmt: skip

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["dataset", "number"], name="definition_number_once"),
            models.CheckConstraint(condition=Q(basis__in=["any", "consent", "licence"]), name="definition_basis_known"),
            models.CheckConstraint(
                condition=Q(train_percent__gte=1) & Q(train_percent__lte=100 - F("validation_percent")),
                name="definition_shares_add_up",
            ),
            models.CheckConstraint(
                condition=Q(least_annotators__gte=1)
                & (Q(least_agreement__isnull=True) | Q(least_agreement__lte=100, least_annotators__gte=2)),
                name="definition_agreement_of_two",
            ),
            models.CheckConstraint(
                condition=Q(ratings__in=["mean", "median"], choices__in=["majority", "unanimous"]),
                name="definition_rules_known",
            ),
        ]

    def __str__(self) -> str:
        return f"definition {self.number} of {self.dataset}"

    @property
    def rules(self) -> Rules:
        """How several answers become one label."""
        return Rules(ratings=self.ratings, choices=self.choices)

    @property
    def shares(self) -> tuple[int, int, int]:
        """Per cent of clusters in train, validation and test."""
        rest = 100 - self.train_percent - self.validation_percent
        return self.train_percent, self.validation_percent, rest

    def goals(self) -> list[Target]:
        """The targets, as calls have them (not saved anywhere)."""
        return [Target(**row) for row in self.targets]

    def values(self, *names: str) -> dict[str, Any]:
        """These fields as plain values: what two definitions are compared by."""
        return {name: getattr(self, "call_id" if name == "call" else name) for name in names}
