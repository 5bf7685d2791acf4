"""What photographs are wanted."""

import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from consent.models import ConsentForm


class CallQuerySet(models.QuerySet["Call"]):
    def open(self, at: datetime.datetime | None = None) -> Self:
        """Calls that take photographs at `at` (default now)."""
        at = at or timezone.now()
        return self.filter(opens_at__lte=at, closes_at__gt=at, closed_at__isnull=True)


class Call(models.Model):
    """What photographs are wanted, under which form, until when. Of whom, and how many, its targets say."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(help_text="What to photograph, in plain words (Markdown).")
    form = models.ForeignKey(ConsentForm, on_delete=models.PROTECT, related_name="calls")
    opens_at = models.DateTimeField(default=timezone.now)
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, editable=False)  # closed early, for good
    max_per_person = models.PositiveIntegerField(default=100)
    look_at_all = models.BooleanField(default=False)  # a person looks at each photograph before it is accepted
    dpia_reference = models.CharField(max_length=200, help_text="Reference of the data-protection impact assessment")
    # With targets, whether photographs of people who leave out what the targets ask for are taken: they count in none.
    open_to_unsaid = models.BooleanField(default=True)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    objects: ClassVar[CallQuerySet] = CallQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(closes_at__gt=F("opens_at")), name="call_closes_after_opening"),
            models.CheckConstraint(condition=~Q(dpia_reference=""), name="call_has_dpia"),
        ]

    def __str__(self) -> str:
        return self.title

    def is_open(self) -> bool:
        return self.closed_at is None and self.opens_at <= timezone.now() < self.closes_at

    def is_over(self) -> bool:
        return self.closed_at is not None or self.closes_at <= timezone.now()
