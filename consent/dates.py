"""How a date is written where Python says it, as templates do with `date:"j M Y"`."""

import datetime

from django.utils.dateformat import format as date_format


def day(date: datetime.date) -> str:
    """27 Nov 2026."""
    return date_format(date, "j M Y")
