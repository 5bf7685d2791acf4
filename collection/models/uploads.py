"""Photographs on their way: what was announced, and what became of it."""

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from collection.models.calls import Call
from consent.models import Consent, Contributor


class Upload(models.Model):
    """One photograph on its way. Its id becomes the id of the image, so that no upload ever makes two.

    How far it is stands nowhere here: the bytes in STORAGES["uploads"] say so (collection.parts, collection.multipart).
    Settled, it stays until `expires_at`, so that whoever lost the answer may ask again; it goes with its image.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    contributor = models.ForeignKey(Contributor, on_delete=models.PROTECT, related_name="uploads")
    consent = models.ForeignKey(Consent, on_delete=models.PROTECT, related_name="uploads")
    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="uploads")
    reference = models.CharField(max_length=64, blank=True)  # the sender's: announcing it again gives the same upload
    client_name = models.CharField(max_length=255, blank=True)
    byte_length = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64, blank=True)  # as the sender announced it
    begun_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    look_at = models.DateTimeField(default=timezone.now)  # when the sweep looks at it next
    claimed_until = models.DateTimeField(default=timezone.now)  # somebody is taking it in until then
    settled_at = models.DateTimeField(null=True)
    refusal = models.CharField(max_length=400, blank=True)  # why it was not taken, in words for the sender

    PERSONAL_DATA: ClassVar[dict[str, str]] = {
        "client_name": "the contributor's own file name; deleted with the row",
        "sha256": "identifies the photograph; deleted with the row",
        "contributor": "pseudonym",
    }

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["contributor", "reference"], condition=~Q(reference=""), name="upload_reference_once"
            ),
            models.CheckConstraint(condition=Q(byte_length__gt=0), name="upload_has_bytes"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("begun_at")), name="upload_expires_after_it_began"),
            models.CheckConstraint(
                condition=Q(refusal="") | Q(settled_at__isnull=False), name="refused_upload_is_settled"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["look_at"], condition=Q(settled_at__isnull=True), name="upload_to_look_at"),
            models.Index(fields=["expires_at"], name="upload_expires"),
        ]

    def __str__(self) -> str:
        return f"upload {self.pk}"
