"""System checks of settings that pay needs."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from annotation.bank_details import payer_problems


@register(Tags.compatibility)
def payer_is_whole(**kwargs: Any) -> list[CheckMessage]:
    """All of PAYER_…, or none: an installation may pay nobody."""
    if not any(settings.PAYER.values()):
        return []
    return [
        Error(problem, hint="See PAYER_… in docs/settings.md.", id="annotation.E001") for problem in payer_problems()
    ]
