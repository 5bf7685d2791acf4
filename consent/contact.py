"""When we last heard of a contributor: everything lapses three years after that (consent.retention)."""

from django.utils import timezone

from consent.models import Contributor


def touch(*, contributor: Contributor) -> None:
    """They signed in, signed or sent a photograph just now."""
    now = timezone.now()
    # Only forwards: a clock that was wrong for a moment must not make somebody look silent for years.
    if Contributor.objects.filter(pk=contributor.pk, last_contact_at__lt=now).update(last_contact_at=now):
        contributor.last_contact_at = now
