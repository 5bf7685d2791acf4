"""What screening measured, which faces people decided on, and what asking vendors cost."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.images import Image


class Screening(models.Model):
    """Measures of one image (collection.quality.Measures). Deleted on purge.

    `faces` are boxes [x, y, width, height] in parts of the upright picture: where faces are, not whose. They are no
    biometric templates, nobody can be recognised by them, and they go into no release.
    """

    image = models.OneToOneField(Image, primary_key=True, on_delete=models.CASCADE, related_name="screening")
    measures = models.JSONField(default=dict)
    faces = models.JSONField(default=list)
    failures = models.JSONField(default=list)  # codes of collection.reasons, the gravest first
    measured_at = models.DateTimeField(default=timezone.now)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"faces": "where in the photograph faces are; deleted on purge"}


class FaceMark(models.Model):
    """What a person decided about one face besides the contributor's own. Deleted on purge.

    Covered ones are painted over in the clean copy and the preview, whenever these are made.
    """

    class Kind(models.TextChoices):
        COVER = "cover", "cover it"
        NO_FACE = "no_face", "no person's face"
        RELEASED = "released", "the library holds this person's model release"

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="face_marks")
    kind = models.CharField(max_length=10, choices=Kind)
    x = models.FloatField()
    y = models.FloatField()
    w = models.FloatField()
    h = models.FloatField()
    actor = models.CharField(max_length=60)  # "user:<pk>"
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "actor": "user id of the contributor or reviewer",
        **dict.fromkeys(("x", "y", "w", "h"), "where in the photograph a face is"),
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(x__gte=0, y__gte=0, w__gt=0, h__gt=0)
                & Q(x__lte=1 - F("w") + 1e-6, y__lte=1 - F("h") + 1e-6),
                name="face_mark_inside_picture",
            ),
            models.CheckConstraint(condition=Q(kind__in=["cover", "no_face", "released"]), name="face_mark_kind_known"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} in {self.image_id}"


class VendorCall(models.Model):
    """One question to a vendor, what it cost and to which queue it led. What the vendor saw is kept nowhere.

    Written before the call, so that the cap holds whatever happens during it. On purge the link to the image goes; the
    cost stays.
    """

    class Kind(models.TextChoices):
        MODERATION = "moderation", "moderation"
        AGE = "age", "age estimation"

    class Outcome(models.TextChoices):
        ASKED = "asked", "asked, no answer noted"
        PASSED = "passed", "no question open"
        DESK = "desk", "a person looks at it"
        FAILED = "failed", "the vendor gave no answer"

    image = models.ForeignKey(Image, null=True, on_delete=models.SET_NULL, related_name="vendor_calls")
    kind = models.CharField(max_length=20, choices=Kind)
    vendor = models.CharField(max_length=60)
    cost = models.DecimalField(max_digits=12, decimal_places=6)  # in settings.VENDOR_CURRENCY
    outcome = models.CharField(max_length=10, choices=Outcome, default=Outcome.ASKED)
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"outcome": "whether a person had to look; the image goes on purge"}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(cost__gte=0), name="vendor_call_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(outcome__in=["asked", "passed", "desk", "failed"]), name="vendor_call_outcome_known"
            ),
            models.CheckConstraint(condition=~Q(outcome="failed") | Q(cost=0), name="failed_vendor_call_costs_nothing"),
            models.UniqueConstraint(
                fields=["image", "kind"],
                condition=Q(outcome__in=["passed", "desk"]),
                name="vendor_answered_once_per_image",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["at"], name="vendor_call_at")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.image_id}: {self.outcome}"
