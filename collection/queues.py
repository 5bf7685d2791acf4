"""The queues of the review desk. One table says which reasons lead to which queue; rows and querysets go by it."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import BigIntegerField, CharField, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from collection.models import Image, ImageQuerySet, ImageStatus, Transition


@dataclass(frozen=True)
class Queue:
    """`reasons` are the codes of transitions into needs_review; `says` tells a reviewer what waits in it."""

    title: str
    says: str
    reasons: frozenset[str] = frozenset()


Held = Any  # an ImageQuerySet with the columns of `held`, which django-stubs cannot follow
HELD = "held"  # whatever no other queue names
QUEUES: dict[str, Queue] = {
    HELD: Queue("Held", "Blur, light, faces, and what could not be processed."),
    "duplicates": Queue(
        "Duplicates",
        "They look like a photograph that we have. Is it the same one, and whose is it?",
        frozenset({"mirrored", "resembles_other_person"}),
    ),
    "moderation": Queue("Moderation", "They may show something that we do not take.", frozenset({"moderation"})),
    "age": Queue("Age", "The person may be younger than 18.", frozenset({"age"})),
}


def queue_of(reason: str) -> str:
    """The queue that a reason code leads to."""
    return next((name for name, queue in QUEUES.items() if reason in queue.reasons), HELD)


def queue_of_image(image_id: uuid.UUID) -> str:
    """The queue that an image waits in; HELD for one that does not wait."""
    held_for = held(Image.objects.all()).filter(pk=image_id).values_list("held_for", flat=True).first()
    return queue_of(held_for or "")


def held(images: ImageQuerySet) -> Held:
    """Those of `images` that wait for a person, with `held_for` (reason code) and `hold` (what they queue by)."""
    latest = Transition.objects.filter(image=OuterRef("pk"), new=ImageStatus.NEEDS_REVIEW).order_by("-pk")
    return images.filter(status=ImageStatus.NEEDS_REVIEW).annotate(
        held_for=Coalesce(Subquery(latest.values("reason")[:1]), Value(""), output_field=CharField()),
        hold=Coalesce(Subquery(latest.values("pk")[:1]), Value(0), output_field=BigIntegerField()),
    )


def in_queue(images: Held, name: str) -> Held:
    """Those of `held(…)` that `queue_of` would put into the queue `name`."""
    if name == HELD:
        named = frozenset().union(*(queue.reasons for queue in QUEUES.values()))
        return images.filter(~Q(held_for__in=named))
    return images.filter(held_for__in=QUEUES[name].reasons)
