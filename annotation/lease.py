"""One importer at a time: a lease on the one row of ImporterLease, which a crash releases by running out."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from annotation.models import ImporterLease

SECONDS = 30  # longer than one import may take (labelstudio.TIMEOUT)


@contextmanager
def importer_lease() -> Iterator[uuid.UUID | None]:
    """The holder's mark for `renew`, or None while somebody else imports."""
    holder = uuid.uuid4()
    ImporterLease.objects.get_or_create(pk=1)
    held = renew(holder)
    try:
        yield holder if held else None
    finally:
        ImporterLease.objects.filter(holder=holder).update(holder=None, until=timezone.now())


def renew(holder: uuid.UUID) -> bool:
    """Take the lease, or keep it; False when somebody else has it. To be called before every import."""
    now = timezone.now()
    free = ImporterLease.objects.filter(Q(holder=holder) | Q(until__lte=now))
    return bool(free.update(holder=holder, until=now + timedelta(seconds=SECONDS)))
