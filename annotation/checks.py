"""System checks: the labelling address can be used and hides none of our pages; whoever pays is named whole."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.http.request import validate_host

from annotation.bank_details import payer_problems


@register(Tags.urls)
def labelling_url_can_be_used(**kwargs: Any) -> list[CheckMessage]:
    ours, labelling = urlsplit(settings.BASE_URL), urlsplit(settings.LABELLING_URL)
    found: list[CheckMessage] = []
    if ours.netloc == labelling.netloc:
        words = "LABELLING_URL is BASE_URL, so the gateway to Label Studio stands before every page of this site."
        found.append(Error(words, hint="Give it another port or host name.", id="annotation.E001"))
    if not settings.LABEL_STUDIO_URL:
        return found  # nobody labels here
    if settings.LABEL_STUDIO_CALLS < 1:
        words = "LABEL_STUDIO_CALLS is less than 1, so nobody's call would ever reach Label Studio."
        found.append(Error(words, hint="4 is usual. See docs/settings.md.", id="annotation.E005"))
    if not validate_host(labelling.hostname or "", settings.ALLOWED_HOSTS):
        words = f"LABELLING_URL is at {labelling.hostname}, which is not one of ALLOWED_HOSTS."
        found.append(Error(words, hint="Add it there.", id="annotation.E002"))
    if ours.hostname != labelling.hostname and not settings.SESSION_COOKIE_DOMAIN:
        words = "LABELLING_URL is another host than BASE_URL, so nobody who signs in here is signed in there."
        hint = "Set SESSION_COOKIE_DOMAIN to the domain that both share, or use another port of the same host."
        found.append(Error(words, hint=hint, id="annotation.E003"))
    return found


@register(Tags.compatibility)
def payer_is_whole(**kwargs: Any) -> list[CheckMessage]:
    """All of PAYER_…, or none: an installation may pay nobody."""
    if not any(settings.PAYER.values()):
        return []
    return [
        Error(problem, hint="See PAYER_… in docs/settings.md.", id="annotation.E004") for problem in payer_problems()
    ]
