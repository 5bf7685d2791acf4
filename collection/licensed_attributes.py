"""What people in licensed photographs said about themselves: the one way to write, read and delete it.

Taken only under a licence that covers it, kept per person and apart from the images (collection.models
LicensedAttributes), for fairness checks alone; never inferred.
"""

import datetime
from collections import Counter
from collections.abc import Collection, Mapping

from django.db.models import Exists, OuterRef
from django.utils import timezone

from collection.models import Image, ImageStatus, LicensedAttributes
from consent.clock import trusted_now
from consent.demographics import ATTRIBUTES, LONGEST
from consent.models import PREFER_NOT_TO_SAY, Licence
from consent.refusals import Refused

Said = Mapping[str, str]  # by name of ATTRIBUTES, what was said; what was not said is absent


def check(said: Said) -> None:
    """Refused if something is not one of the answers that contributors may give."""
    for name, value in said.items():
        if value != PREFER_NOT_TO_SAY and value not in ATTRIBUTES[name][1]:
            raise Refused(
                f"“{value[:40]}” is no answer for the column {name}. Choose one of those that contributors may give, "
                f"{PREFER_NOT_TO_SAY}, or leave it empty."
            )


def check_agrees(said: Said, before: Said | None) -> None:
    """Refused if an earlier row said something else of the same person."""
    if before is not None and said != before:
        differing = sorted(name for name in ATTRIBUTES if said.get(name) != before.get(name))
        raise Refused(
            f"An earlier row says something else of the same person (column {', '.join(differing)}). Say it alike in "
            "every row."
        )


def said_of(subjects: Collection[str]) -> dict[str, dict[str, str]]:
    """What is kept of these people (as Image.subject)."""
    rows = LicensedAttributes.objects.filter(subject__in=subjects)
    return {row.subject: {name: value for name in ATTRIBUTES if (value := getattr(row, name))} for row in rows}


def save(*, licence: Licence, said: Mapping[str, Said]) -> None:
    """Keep what these people (as Image.subject) said, in the caller's transaction; who said nothing has no row."""
    day = deletion_day(licence)
    LicensedAttributes.objects.bulk_create(
        [LicensedAttributes(licence=licence, subject=who, delete_on=day, **what) for who, what in said.items() if what],
        ignore_conflicts=True,  # another import of the same library was faster
    )


def deletion_day(licence: Licence) -> datetime.date:
    """When it goes: the day after the licence ends, or after three years."""
    return min(licence.ends_on + datetime.timedelta(days=1), (timezone.now() + LONGEST).date())


def count_said() -> dict[str, Counter[str]]:
    """By attribute, how many people gave each answer. Who shows it withholds small groups (consent.suppression)."""
    return {
        name: Counter(LicensedAttributes.objects.exclude(**{name: ""}).values_list(name, flat=True))
        for name in ATTRIBUTES
    }


def forget(subject: str) -> None:
    """Delete what a person said with their last image, in the transaction that erases it."""
    if not Image.objects.filter(subject=subject).exclude(status=ImageStatus.PURGED).exists():
        LicensedAttributes.objects.filter(subject=subject).delete()


def delete_due(*, clock: datetime.datetime | None = None) -> int:
    """Delete what has come to its day, or whose person is in no image any more; returns how many."""
    clock = clock or trusted_now()
    gone = LicensedAttributes.objects.filter(delete_on__lte=clock.date()).delete()[0]
    shown = Image.objects.exclude(status=ImageStatus.PURGED).filter(subject=OuterRef("subject"))
    return gone + LicensedAttributes.objects.filter(~Exists(shown)).delete()[0]
