"""How many photographs of which people a call wants."""

from collections.abc import Mapping
from typing import ClassVar

from django.db import models
from django.db.models import Q

from collection.models.calls import Call
from consent.suppression import SMALL

DIMENSIONS = ("skin_tone", "age_band", "gender", "country")  # attributes in consent.demographics.ATTRIBUTES


class Target(models.Model):
    """So many people, or photographs, of one group of people: a goal, and what the call takes of that group at most.

    A group is what people say of themselves in the DIMENSIONS that are not empty; with all empty it is everyone.
    """

    call = models.ForeignKey(Call, on_delete=models.PROTECT, related_name="targets")
    skin_tone = models.CharField(max_length=20, blank=True)
    age_band = models.CharField(max_length=20, blank=True)
    gender = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=20, blank=True)
    people = models.PositiveIntegerField(null=True, blank=True)
    photographs = models.PositiveIntegerField(null=True, blank=True)
    # What counts towards the goals, at most: counted at `counted_at`, and raised by every photograph that came since.
    # Never shown; collection.targets counts again before it turns anybody away.
    held_people = models.PositiveIntegerField(default=0, editable=False)
    held_photographs = models.PositiveIntegerField(default=0, editable=False)
    counted_at = models.DateTimeField(null=True, editable=False)

    PERSONAL_DATA: ClassVar[dict[str, str]] = {}

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["call", *DIMENSIONS], name="target_once_per_group"),
            models.CheckConstraint(
                condition=Q(people__isnull=False) | Q(photographs__isnull=False), name="target_has_a_goal"
            ),
            # A goal of fewer would single people out, and could never be shown as reached.
            models.CheckConstraint(condition=Q(people__isnull=True) | Q(people__gte=SMALL), name="target_of_a_group"),
            models.CheckConstraint(
                condition=Q(photographs__isnull=True) | Q(photographs__gte=1), name="target_of_photographs"
            ),
        ]

    def __str__(self) -> str:
        return f"target {self.pk} of {self.call_id}"

    def asks(self) -> dict[str, str]:
        """The answers that make the group, by attribute; empty for everyone."""
        return {name: getattr(self, name) for name in DIMENSIONS if getattr(self, name)}

    def fits(self, answers: Mapping[str, str]) -> bool:
        """Whether somebody who gave these answers belongs to the group."""
        return all(answers.get(name) == value for name, value in self.asks().items())
