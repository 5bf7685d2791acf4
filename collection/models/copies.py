"""What finds edited copies, and what reviewers have said about pairs."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.fingerprints import Fingerprint
from collection.models.images import Image


class Word(models.Model):
    """One posting of the inverted index: this fingerprint's image has a feature that reads `word`.

    Goes with its fingerprint. The primary key is the index: one B-tree, (word, fingerprint).
    """

    pk = models.CompositePrimaryKey("word", "fingerprint_id")
    word = models.IntegerField()  # collection.copies.words: table and sampled bits
    fingerprint = models.ForeignKey(Fingerprint, on_delete=models.CASCADE, related_name="words")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"word": "derived from the photograph"}


class Distinct(models.Model):
    """A reviewer said that these two do not show the same photograph. `first` is the smaller id; erased with either."""

    first = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(Image, on_delete=models.PROTECT, related_name="+")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(default=timezone.now, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"reviewer": "staff user"}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["first", "second"], name="distinct_once"),
            models.CheckConstraint(condition=Q(first__lt=F("second")), name="distinct_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.first_id} is not {self.second_id}"
