"""Which of the texts of a form somebody reads: the language they ask for, else the one their browser speaks."""

from collections.abc import Iterable, Sequence

from django.http import HttpRequest
from django.utils.translation import get_language_info
from django.utils.translation.trans_real import parse_accept_lang_header

from consent.models import FormText

ENGLISH = "en"


def choose_text(texts: Sequence[FormText], wanted: Iterable[str]) -> FormText:
    """The first of `wanted` (language tags) that there is a text in; else English; else the first. ValueError: none."""
    if not texts:
        raise ValueError("there is no text to choose from")
    by_tag = {text.language.lower(): text for text in reversed(texts)}
    by_base = {tag.partition("-")[0]: text for tag, text in by_tag.items()}
    for tag in [*(tag.lower() for tag in wanted), ENGLISH]:
        if found := by_tag.get(tag) or by_base.get(tag.partition("-")[0]):
            return found
    return texts[0]


def wanted_languages(request: HttpRequest) -> list[str]:
    """Language tags, best first: ?language=, then Accept-Language."""
    asked = request.GET.get("language", "")
    spoken = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    return [*filter(None, [asked]), *(tag for tag, quality in spoken if quality and tag != "*")]


def own_name(language: str) -> str:
    """What speakers call a language: `Deutsch`; the tag itself if we do not know."""
    try:
        return str(get_language_info(language)["name_local"]).capitalize()
    except KeyError:
        return language
