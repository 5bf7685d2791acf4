"""Lists of known harmful pictures, what of ours they match, and what was reported to whom."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from collection.models.images import Image
from consent.models import RightsRequest


class HarmList(models.Model):
    """One list, as an authority or a hotline gave it. `compared_through`: how far our images were held against it."""

    name = models.CharField(max_length=100, unique=True)
    imported_at = models.DateTimeField(default=timezone.now)
    compared_through = models.UUIDField(null=True)
    compared_at = models.DateTimeField(null=True)  # null: to do

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    def __str__(self) -> str:
        return self.name


class HarmHash(models.Model):
    """One hash of a list, in lower-case hex."""

    class Kind(models.TextChoices):
        SHA256 = "sha256", "SHA-256 of the file"
        MD5 = "md5", "MD5 of the file"
        PHASH64 = "phash64", "64-bit perceptual hash"
        PHASH256 = "phash256", "256-bit perceptual hash"

    list = models.ForeignKey(HarmList, on_delete=models.PROTECT, related_name="hashes")
    kind = models.CharField(max_length=10, choices=Kind)
    value = models.CharField(max_length=64)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["list", "kind", "value"], name="harm_hash_once_per_list"),
            models.CheckConstraint(
                condition=Q(kind__in=["sha256", "md5", "phash64", "phash256"]), name="harm_hash_kind_known"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["value", "kind"], name="harm_hash_value")]

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


class HarmBand(models.Model):
    """One 16-bit part of a perceptual hash (signed), by which candidates are looked up; see collection.harm_lists."""

    hash = models.ForeignKey(HarmHash, on_delete=models.CASCADE, related_name="bands")
    kind = models.CharField(max_length=10)
    position = models.PositiveSmallIntegerField()
    value = models.SmallIntegerField()

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["hash", "position"], name="harm_band_once")]
        indexes: ClassVar = [models.Index(fields=["kind", "position", "value"], name="harm_band_value")]

    def __str__(self) -> str:
        return f"band {self.position} of {self.hash_id}"


class HarmMatch(models.Model):
    """One photograph matched one hash of a list (append-only): it is frozen, and this is what must be looked at."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="harm_matches")
    hash = models.ForeignKey(HarmHash, on_delete=models.PROTECT, related_name="matches")
    distance = models.PositiveSmallIntegerField()  # bits that differ; 0 for hashes of the file
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="harm_matches")
    matched_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["image", "hash"], name="harm_match_once")]

    def __str__(self) -> str:
        return f"{self.image_id} matches {self.hash_id}"


class HarmAlarm(models.Model):
    """That the data-protection officers are to be mailed of a match. Whoever moves `due_at` on may send."""

    request = models.OneToOneField(RightsRequest, primary_key=True, on_delete=models.CASCADE, related_name="harm_alarm")
    due_at = models.DateTimeField(default=timezone.now)
    told_at = models.DateTimeField(null=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}


class HarmReport(models.Model):
    """What was reported of one request's photographs, to whom and by whom (append-only).

    `facts` is all that a report needs: hashes, times, whose. It outlives the photograph, because the report must be
    provable; without a confirmed match there is none.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    request = models.OneToOneField(RightsRequest, on_delete=models.PROTECT, related_name="harm_report")
    facts = models.JSONField()
    authority = models.CharField(max_length=200)
    reference = models.CharField(max_length=200)
    actor = models.CharField(max_length=60)  # "user:<pk>", as in Transition
    made_at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "facts": "hashes of the photograph and the pseudonym of who sent it, as they were reported",
        "actor": "staff user id",
    }

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=~Q(authority="") & ~Q(reference=""), name="harm_report_says_to_whom")
        ]
