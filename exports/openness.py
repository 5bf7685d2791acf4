"""What we tell everybody about what we keep, and the record of processing (Art. 30 GDPR): both from the live
configuration and the rows, so that they cannot say anything else than what is so.

Numbers for the public are about whole groups. What is under FEWEST is not shown, and no numbers that add up to each
other stand side by side, so that nothing small can be worked out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from collection.erasure import kept_images
from collection.models import PIPELINE, Image, ImageStatus
from consent.clock import trusted_now
from consent.models import Consent, ConsentForm, FormText, Licence, RightsRequest, Withdrawal
from consent.suppression import SMALL
from exports.models import Release

FEWEST = SMALL
FIGURES_KEPT = 600  # seconds; counting is work, and anybody may ask


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number for the public; `shown` is text."""

    label: str
    shown: str


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How requests of one kind were answered, in text."""

    kind: str
    answered: str
    days: str
    in_time: str


def shown(number: int) -> str:
    """A number for the public: nothing under FEWEST."""
    return f"fewer than {FEWEST}" if number < FEWEST else f"{number:,}"


# --- For everybody -------------------------------------------------------------------------------


def figures() -> dict[str, Any]:
    """{"at": datetime, "photographs": [Figure], "rights": [Figure], "answers": [Answers]}, at most FIGURES_KEPT old."""
    found: dict[str, Any] | None = cache.get("openness-figures")
    if found is None:
        found = {"at": timezone.now(), "photographs": photographs(), "rights": rights(), "answers": answers()}
        cache.set("openness-figures", found, FIGURES_KEPT)
    return found


def photographs() -> list[Figure]:
    """Photographs by where they stand. No total, and those that are held back (frozen) are in none of them."""
    by_status = dict(Image.objects.values_list("status").annotate(n=Count("pk")))
    usable = Image.objects.with_live_basis().filter(status=ImageStatus.ACCEPTED)
    turned_down = (ImageStatus.REJECTED, ImageStatus.DUPLICATE)
    return _figures(
        ("on their way through our checks", sum(by_status.get(status, 0) for status in PIPELINE)),
        ("waiting for a person to look", by_status.get(ImageStatus.NEEDS_REVIEW, 0)),
        ("in use", usable.count()),
        ("turned down", sum(by_status.get(status, 0) for status in turned_down)),
        ("kept for their owners alone", kept_images(clock=trusted_now()).count()),
        ("erased", by_status.get(ImageStatus.PURGED, 0)),
    )


def rights() -> list[Figure]:
    """People, permissions, withdrawals, licences: none of them is a part of another."""
    live = Consent.objects.live()
    return _figures(
        ("people whose permission is in force", live.values("contributor").distinct().count()),
        ("permissions in force", live.count()),
        ("withdrawals, of a purpose or of everything", Withdrawal.objects.values("act").distinct().count()),
        ("licences in force", Licence.objects.live().count()),
    )


def _figures(*counted: tuple[str, int]) -> list[Figure]:
    return [Figure(label=label, shown=shown(number)) for label, number in counted]


def answers() -> list[Answers]:
    """How requests were answered, by kind; kinds of which fewer than FEWEST were answered show no more than that."""
    answered = list(RightsRequest.objects.filter(answered_at__isnull=False).defer("name", "email", "details", "answer"))
    # What a list of known harm matches is nobody's request.
    kinds = [choice for choice in RightsRequest.Kind.choices if choice[0] != RightsRequest.Kind.HARM]
    return [_answers(label, [request for request in answered if request.kind == kind]) for kind, label in kinds]


def _answers(kind: str, requests: list[RightsRequest]) -> Answers:
    answered = [(request, request.answered_at) for request in requests if request.answered_at]
    if len(answered) < FEWEST:
        return Answers(kind=kind, answered=shown(len(answered)), days="", in_time="")
    days = median((at - request.received_at).days for request, at in answered)
    late = sum(request.extended_at is not None or at > request.due_at for request, at in answered)
    return Answers(kind=kind, answered=shown(len(answered)), days=f"{days:.0f}", in_time=_in_time(len(answered), late))


def _in_time(answered: int, late: int) -> str:
    """The share within the month. Neither those in time nor those late are told when they are under FEWEST."""
    if late < FEWEST:
        return f"all but {shown(late)}"
    if answered - late < FEWEST:
        return shown(answered - late)
    return f"{100 * (answered - late) // answered} %"


def forms_in_force() -> list[tuple[ConsentForm, list[FormText]]]:
    """Every form that can be signed now, with its texts."""
    forms = ((form, form.current_texts()) for form in ConsentForm.objects.order_by("name"))
    return [(form, texts) for form, texts in forms if texts]


def controllers(texts: Iterable[FormText]) -> list[dict[str, str]]:
    """Who asks, by the published texts, each once."""
    fields = ("controller_name", "controller_address", "contact", "complaint_body")
    found = {tuple(str(getattr(text, field)) for field in fields) for text in texts}
    return [dict(zip(fields, values, strict=True)) for values in sorted(found)]


def published_releases() -> Iterable[Release]:
    """Every published release, the newest first."""
    published = Release.objects.filter(state=Release.State.PUBLISHED)
    return published.select_related("dataset__purpose").order_by("-published_at")
