"""Bought and permitted libraries: each import, and the model releases that came with it."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from collection.models.images import Image
from consent.models import Licence


class ModelRelease(models.Model):
    """The evidence that the person in one licensed image agreed: a file of the library (append-only)."""

    image = models.OneToOneField(Image, primary_key=True, on_delete=models.PROTECT, related_name="model_release")
    name = models.CharField(max_length=300)  # what to save it as; not its path in the library, which may name people
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=200)  # in the `evidence` storage

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"key": "a signed document of a person; its bytes go with the image's"}

    def __str__(self) -> str:
        return f"model release of {self.image_id}"


class LibraryImport(models.Model):
    """One run of importing a library under a licence: counts and what was refused (path and reason, one line each)."""

    licence = models.ForeignKey(Licence, on_delete=models.PROTECT, related_name="imports")
    started_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    started_at = models.DateTimeField(default=timezone.now, editable=False)
    imported = models.PositiveIntegerField(default=0)
    already_there = models.PositiveIntegerField(default=0)
    refused = models.JSONField(default=list)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {"started_by": "staff user"}
