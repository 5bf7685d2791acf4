"""What photographs are wanted."""

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from consent.models import ConsentForm


class Call(models.Model):
    """What photographs are wanted, under which form, until when."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(help_text="What to photograph, in plain words (Markdown).")
    form = models.ForeignKey(ConsentForm, on_delete=models.PROTECT, related_name="calls")
    opens_at = models.DateTimeField(default=timezone.now)
    closes_at = models.DateTimeField()
    max_per_person = models.PositiveIntegerField(default=100)
    look_at_all = models.BooleanField(default=False)  # a person looks at each photograph before it is accepted
    dpia_reference = models.CharField(max_length=200, help_text="Reference of the data-protection impact assessment")

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(closes_at__gt=F("opens_at")), name="call_closes_after_opening"),
            models.CheckConstraint(condition=~Q(dpia_reference=""), name="call_has_dpia"),
        ]

    def __str__(self) -> str:
        return self.title

    def is_open(self) -> bool:
        return self.opens_at <= timezone.now() < self.closes_at
