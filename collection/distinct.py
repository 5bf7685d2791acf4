"""Pairs that a person has looked at and told apart: they never come up again."""

import uuid

from django.db import transaction
from django.db.models import Q

from collection.models import Distinct, Image, Resemblance
from consent.models import User
from consent.refusals import Refused


def mark_distinct(*, image: Image, original: Image, reviewer: User) -> Distinct:
    """`image` is no copy of `original`, nor the other way round. Whatever said so is gone; saying it again is harmless.

    What becomes of a held image is decided by `services.settle_review`.
    """
    if image.pk == original.pk:
        raise Refused("A photograph cannot be told apart from itself. Choose two.")
    first, second = sorted((image.pk, original.pk))
    with transaction.atomic():
        pair = Resemblance.objects.filter(Q(image=first, original=second) | Q(image=second, original=first))
        pair.delete()
        said, _ = Distinct.objects.get_or_create(first_id=first, second_id=second, defaults={"reviewer": reviewer})
    return said


def distinct_from(image_id: uuid.UUID) -> set[uuid.UUID]:
    """The images (ids) that somebody told apart from this one."""
    pairs = Distinct.objects.filter(Q(first=image_id) | Q(second=image_id)).values_list("first_id", "second_id")
    return {one for pair in pairs for one in pair} - {image_id}
