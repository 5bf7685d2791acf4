"""What people are asked: purposes, and the texts of forms, which are published once and never change."""

from collections.abc import Collection
from typing import Any

from django.db import IntegrityError, transaction
from markdown_it import MarkdownIt

from consent import events
from consent.models import ConsentForm, FormText, FormTextPurpose, Purpose
from consent.refusals import Refused
from consent.signing import sha256_hex

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


def add_purpose(*, code: str, name: str, description: str) -> Purpose:
    """Name something that images may be used for."""
    try:
        with transaction.atomic():
            return Purpose.objects.create(code=code, name=name, description=description)
    except IntegrityError:
        raise Refused(f"There is already a purpose called {code}.") from None


def publish_text(
    *, slug: str, name: str, version: str, language: str = "en", purposes: Collection[str], **says: Any
) -> FormText:
    """Publish one version of the form `slug`; `says` holds the fields of NEEDED. It can never be changed afterwards."""
    if missing := missing_statements(purposes, says):
        raise Refused("This text cannot be published yet. It does not say: " + "; ".join(missing) + ".")
    if says["retention_days"] > LONGEST_RETENTION_DAYS:
        raise Refused(f"Photographs can be kept for at most {LONGEST_RETENTION_DAYS} days. Choose a shorter time.")
    html = render_markdown(says["body"])
    with transaction.atomic():
        form, _ = ConsentForm.objects.get_or_create(slug=slug, defaults={"name": name})
        if form.texts.filter(version=version, language=language).exists():
            raise Refused(f"Version {version} ({language}) of this form is already published. Choose a new version.")
        text = FormText.objects.create(
            form=form, version=version, language=language, html=html, sha256=sha256_hex(html.encode()), **says
        )
        FormTextPurpose.objects.bulk_create(
            FormTextPurpose(text=text, purpose=purpose) for purpose in known_purposes(purposes)
        )
        events.record_text(text)
    return text


def missing_statements(purposes: Collection[str], says: dict[str, Any]) -> list[str]:
    """What a text still has to say before it may be published, in words."""
    missing = [words for field, words in NEEDED.items() if not says.get(field)]
    return missing if purposes else ["what the photographs are used for (at least one purpose)", *missing]


def render_markdown(body: str) -> str:
    """HTML of CommonMark text; HTML inside it stays visible text."""
    return str(MarkdownIt("commonmark", {"html": False}).render(body))


def known_purposes(codes: Collection[str]) -> list[Purpose]:
    """The purposes with these codes, in order; Refused names one that there is none of."""
    found = Purpose.objects.in_bulk(sorted(set(codes)))
    if unknown := sorted(set(codes) - set(found)):
        raise Refused(f"There is no purpose called {', '.join(unknown)}. Add it first.")
    return [found[code] for code in sorted(found)]
