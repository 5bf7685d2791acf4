"""What an image looks like, as numbers, and which others it resembles."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.images import Image


class Fingerprint(models.Model):
    """Perceptual hashes of one image, all from one canonical grey rendering. Deleted on purge.

    `phash` and `mirror` are 64-bit pHashes (signed, so that both databases store them) of the image and its mirror
    image; `band0..3` are the four 16-bit bands of `phash` (signed 16-bit), looked up by B-tree; `phash256` and
    `mirror256` are 256-bit pHashes in hex, which decide.
    """

    image = models.OneToOneField(Image, primary_key=True, on_delete=models.CASCADE, related_name="fingerprint")
    pixels_sha256 = models.CharField(max_length=64, db_index=True)  # of upright decoded RGB pixels and size
    phash = models.BigIntegerField()
    mirror = models.BigIntegerField()
    band0 = models.SmallIntegerField()
    band1 = models.SmallIntegerField()
    band2 = models.SmallIntegerField()
    band3 = models.SmallIntegerField()
    phash256 = models.CharField(max_length=64)
    mirror256 = models.CharField(max_length=64)
    mean_luma = models.FloatField()  # 0..255
    sharpness = models.FloatField()  # variance of the Laplacian of the canonical grey image

    PERSONAL_DATA: ClassVar[dict[str, str]] = dict.fromkeys(
        ("pixels_sha256", "phash", "mirror", "band0", "band1", "band2", "band3", "phash256", "mirror256"),
        "identifies the photograph",
    )

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=[f"band{i}", "phash", "image"], name=f"fingerprint_band{i}") for i in range(4)
        ]


class Resemblance(models.Model):
    """`image` shows what `original` shows. Splits keep both ends together; erased with either end's fingerprint."""

    class Kind(models.TextChoices):
        EXACT = "exact", "the same bytes or pixels"
        NEAR = "near", "recompressed or resized"
        MIRRORED = "mirrored", "mirrored"
        EDITED = "edited", "cropped, turned, framed or written on"

    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="resembles")
    original = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="resembled_by")
    kind = models.CharField(max_length=10, choices=Kind)
    distance = models.PositiveSmallIntegerField()  # bits of 256 that differ; EDITED: 256ths of the overlap that do
    found_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["image", "original"], name="resemblance_once"),
            models.CheckConstraint(condition=~Q(image=F("original")), name="resemblance_of_two"),
        ]
