"""Languages that annotators know and that campaigns ask for."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import get_language_info

from annotation.joining_models import AnnotatorLanguage, CampaignLanguage
from annotation.models import Annotator
from consent.languages import own_name
from consent.refusals import Refused

# Those with most speakers online, by their short names.
CODES = (
    "ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "ga", "he", "hi", "hr", "hu", "id",
    "it", "ja", "ko", "lt", "lv", "ms", "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sl", "sr", "sv", "sw", "ta", "te",
    "th", "tr", "uk", "ur", "vi", "zh-hans", "zh-hant",
)  # fmt: skip


def language_name(code: str) -> str:
    """A language in English, with its own name."""
    try:
        english = str(get_language_info(code)["name"])
    except KeyError:  # Django has no words for it
        return code
    own = own_name(code)
    return english if own == english else f"{english} ({own})"


CHOICES = sorted(((code, language_name(code)) for code in CODES), key=lambda choice: choice[1])


@transaction.atomic
def set_languages(*, annotator: Annotator, codes: Collection[str]) -> None:
    """What an annotator knows, in place of what they said before."""
    if unknown := sorted(set(codes) - set(CODES)):
        raise Refused(f"“{unknown[0]}” is not one of the languages to choose from.")
    AnnotatorLanguage.objects.filter(annotator=annotator).delete()
    AnnotatorLanguage.objects.bulk_create(
        AnnotatorLanguage(annotator=annotator, language=code) for code in sorted(set(codes))
    )


def spoken_by(annotator: Annotator) -> Q:
    """For a query of campaigns: those that ask for no language, or for one that the annotator knows."""
    asked = CampaignLanguage.objects.filter(campaign=OuterRef("pk"))
    known = AnnotatorLanguage.objects.filter(annotator=annotator).values("language")
    return Q(~Exists(asked)) | Q(Exists(asked.filter(language__in=known)))
