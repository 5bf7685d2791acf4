"""What is left of a photograph that was erased because a person said so: enough to know it again, and nothing more."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from collection.models.holds import Removal


class RemovedDigest(models.Model):
    """HMAC-SHA256 (hex) of a hash of the erased photograph: of its bytes, its clean bytes or its pixels.

    The key lies outside the database, so that the rows alone cannot even confirm a guess. Exact matches only: a
    perceptual hash would describe what somebody had erased.
    """

    digest = models.CharField(max_length=64, db_index=True)
    removal = models.ForeignKey(Removal, on_delete=models.PROTECT, related_name="digests")
    made_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "digest": "knows an erased photograph again, with a key that is kept elsewhere; deleted by REMOVED_DIGEST_DAYS"
    }

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["removal", "digest"], name="removed_digest_once"),
            models.CheckConstraint(condition=Q(digest__regex=r"^[0-9a-f]{64}$"), name="removed_digest_is_hmac"),
        ]

    def __str__(self) -> str:
        return f"digest of {self.removal}"


class TakenBack(models.Model):
    """That somebody took back a photograph, as keyed digests like those of RemovedDigest: nobody else can send it.

    `owner` (HMAC-SHA256 of whom it depicts) lets its owner send it again. Nothing here names person or photograph.
    """

    owner = models.CharField(max_length=64)
    digest = models.CharField(max_length=64, db_index=True)
    made_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "owner": "a pseudonym that only a key outside the database can make; deleted by REMOVED_DIGEST_DAYS",
        "digest": "knows a photograph again that was taken back, with that key; deleted by REMOVED_DIGEST_DAYS",
    }

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["owner", "digest"], name="taken_back_once"),
            models.CheckConstraint(
                condition=Q(digest__regex=r"^[0-9a-f]{64}$", owner__regex=r"^[0-9a-f]{64}$"), name="taken_back_is_hmac"
            ),
        ]

    def __str__(self) -> str:
        return f"digest of a photograph that was taken back, {self.made_at:%Y-%m-%d}"
