"""What people are asked: purposes, and the texts of forms, which are published once and never change."""

import re
from collections.abc import Collection, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from consent import erasure_list, events
from consent.models import (
    Consent,
    ConsentForm,
    Contributor,
    FormText,
    FormTextPurpose,
    Purpose,
    PurposeEnd,
    PurposeWording,
)
from consent.notice import Wording, has_wording, render_markdown, render_notice, wording
from consent.questions import refuse_bad_questions
from consent.refusals import Refused
from consent.signing import sha256_hex
from consent.versions import parse_version, refuse_bad_version

__all__ = (
    "NEEDED",
    "Wording",
    "add_purpose",
    "add_wording",
    "asked_again",
    "end_purpose",
    "known_purposes",
    "missing_statements",
    "offered_purposes",
    "publish_text",
    "render_markdown",
    "wording",
)

# What a text must say (Art. 13 GDPR and our own needs), and how to call it when it is missing.
NEEDED = {
    "title": "a title",
    "summary": "a summary",
    "body": "the full text",
    "controller_name": "who the controller is",
    "controller_address": "the controller's address",
    "contact": "a contact e-mail address for privacy questions",
    "data_categories": "which categories of data are collected",
    "recipients": "who receives the data",
    "transfers": "whether data leaves the country or the EU",
    "storage_locations": "where the data is stored",
    "retention_days": "how long it is kept",
    "complaint_body": "the authority that takes complaints",
    "jurisdiction": "the jurisdiction",
}
LONGEST_RETENTION_DAYS = 36_500
LONGEST_REASON = 300
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")


# --- Purposes ------------------------------------------------------------------------------------


def add_purpose(*, code: str, name: str, description: str) -> Purpose:
    """Name something that images may be used for, in English."""
    try:
        with transaction.atomic():
            return Purpose.objects.create(code=code, name=name, description=description)
    except IntegrityError:
        raise Refused(f"There is already a purpose called {code}.") from None


def add_wording(*, purpose: Purpose, language: str, name: str, description: str) -> PurposeWording:
    """Say a purpose in another language. Texts published from now on use these words; those before keep theirs."""
    _refuse_bad_language(language)
    if language.partition("-")[0] == "en":
        raise Refused("A purpose has its English words from the start, and they never change. Choose another language.")
    return PurposeWording.objects.create(purpose=purpose, language=language, name=name, description=description)


def end_purpose(*, code: str, reason: str) -> PurposeEnd:
    """End a purpose for good: from now on no consent and no licence covers it. Ending it twice is the same as once."""
    [purpose] = known_purposes([code])
    if not reason.strip():
        raise Refused("Say in a sentence why this purpose ends: it is kept as proof.")
    if len(reason.strip()) > LONGEST_REASON:
        raise Refused(f"Say it in at most {LONGEST_REASON} characters.")
    try:
        with transaction.atomic():
            end = PurposeEnd.objects.create(purpose=purpose, reason=reason.strip())
            events.record_purpose_end(end)
            erasure_list.note("purpose", purpose_id=end.purpose_id, ended_at=end.ended_at, reason=end.reason)
            return end
    except IntegrityError:
        return PurposeEnd.objects.get(purpose=purpose)


def known_purposes(codes: Collection[str]) -> list[Purpose]:
    """The purposes with these codes, in order; Refused names one that there is none of."""
    found = Purpose.objects.in_bulk(sorted(set(codes)))
    if unknown := sorted(set(codes) - set(found)):
        raise Refused(f"There is no purpose called {', '.join(unknown)}. Add it first.")
    return [found[code] for code in sorted(found)]


def offered_purposes(text: FormText) -> list[tuple[Purpose, Wording]]:
    """What a signer may tick: the purposes of a text that have not ended, in the words that its notice uses."""
    standing = text.purposes.filter(end__isnull=True).order_by("code")
    return [(purpose, wording(purpose, text.language, text.published_at)) for purpose in standing]


# --- Texts ---------------------------------------------------------------------------------------


def publish_text(
    *,
    slug: str,
    name: str,
    version: str,
    language: str = "en",
    purposes: Collection[str],
    questions: Sequence[dict[str, Any]] = (),
    **says: Any,
) -> FormText:
    """Publish one version of the form `slug`; `says` holds the fields of NEEDED. It can never be changed afterwards.

    `questions`: three of one's own as consent.questions has them; else the standard ones are asked.
    """
    if missing := missing_statements(purposes, says):
        raise Refused("This text cannot be published yet. It does not say: " + "; ".join(missing) + ".")
    if says["retention_days"] > LONGEST_RETENTION_DAYS:
        raise Refused(f"Photographs can be kept for at most {LONGEST_RETENTION_DAYS} days. Choose a shorter time.")
    _refuse_bad_language(language)
    refuse_bad_questions(list(questions))
    asked = _askable(purposes, language)
    text = FormText(
        version=version, major=parse_version(version)[0], language=language, questions=list(questions), **says
    )
    with transaction.atomic():
        _publish(text, slug, name, asked)
    return text


def _publish(text: FormText, slug: str, name: str, asked: list[Purpose]) -> None:
    form, _ = ConsentForm.objects.get_or_create(slug=slug, defaults={"name": name})
    text.form = ConsentForm.objects.select_for_update().get(pk=form.pk)  # one at a time
    codes = [purpose.pk for purpose in asked]
    refuse_bad_version(form, text.version, text.language, {**_fields(text), "purposes": codes})
    text.published_at = timezone.now()
    text.html = render_notice(text, asked, text.published_at)
    text.sha256 = sha256_hex(text.html.encode())
    text.save(force_insert=True)
    FormTextPurpose.objects.bulk_create(FormTextPurpose(text=text, purpose=purpose) for purpose in asked)
    events.record_text(text)


def _fields(text: FormText) -> dict[str, Any]:
    return {name: getattr(text, name) for name in NEEDED}


def missing_statements(purposes: Collection[str], says: dict[str, Any]) -> list[str]:
    """What a text still has to say before it may be published, in words."""
    missing = [words for field, words in NEEDED.items() if not says.get(field)]
    return missing if purposes else ["what the photographs are used for (at least one purpose)", *missing]


def _askable(codes: Collection[str], language: str) -> list[Purpose]:
    """These purposes; Refused if one has ended or has no words in the language of the text."""
    asked = known_purposes(codes)
    ended = PurposeEnd.objects.filter(purpose__in=asked).values_list("purpose", flat=True)
    if over := ", ".join(sorted(ended)):
        raise Refused(f"These purposes have ended, so nobody can be asked for them any more: {over}. Leave them out.")
    if wordless := ", ".join(purpose.pk for purpose in asked if not has_wording(purpose, language)):
        raise Refused(
            f"These purposes have no words in the language of this text ({language}) yet: {wordless}. Add them first."
        )
    return asked


def _refuse_bad_language(language: str) -> None:
    if not LANGUAGE.fullmatch(language):
        raise Refused(f"“{language}” is not the short name of a language. Write for example en, de or es.")


def asked_again(*, slug: str, version: str) -> int:
    """How many people, if this version of a form is published, have signed an earlier major one that is in force."""
    earlier = FormText.objects.filter(form__slug=slug, major__lt=parse_version(version)[0])
    return Contributor.objects.filter(consents__in=Consent.objects.live().filter(text__in=earlier)).distinct().count()
