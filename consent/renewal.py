"""Signing again: what somebody permitted under earlier versions of a form, and what a new version asks anew."""

from dataclasses import dataclass

from consent.models import Consent, Contributor, FormText
from consent.texts import wording
from consent.words import words


@dataclass(frozen=True)
class SignedBefore:
    """The newest permission in force under this form; `outdated` if the text to sign is of a newer major version."""

    consent: Consent
    outdated: bool
    changes: list[str]  # sentences in the language of the new text


def signed_before(*, contributor: Contributor, text: FormText) -> SignedBefore | None:
    """What the contributor signed of this form and did not take back, before signing `text`."""
    live = Consent.objects.live().filter(contributor=contributor, text__form=text.form_id).select_related("text")
    consent = live.order_by("-signed_at").first()
    if consent is None:
        return None
    outdated = consent.text.major < text.major
    return SignedBefore(consent, outdated, changes(consent.text, text) if outdated else [])


def changes(old: FormText, new: FormText) -> list[str]:
    """What made a new major version necessary: purposes, recipients, retention. In words of the new text's language."""
    spoken = words(new.language)
    asked = {purpose.pk for purpose in old.purposes.all()}
    kept = {purpose.pk for purpose in new.purposes.all()}
    found = [
        spoken.sign["new_purpose"].format(name=wording(purpose, new.language).name)
        for purpose in new.purposes.order_by("code")
        if purpose.pk not in asked
    ]
    found += [
        spoken.sign["gone_purpose"].format(name=wording(purpose, new.language).name)
        for purpose in old.purposes.order_by("code")
        if purpose.pk not in kept
    ]
    if _recipients_differ(old, new):
        found.append(spoken.sign["new_recipients"].format(recipients="; ".join(new.recipients)))
    if old.retention_days != new.retention_days:
        found.append(
            spoken.sign["new_retention"].format(
                before=spoken.span(old.retention_days), now=spoken.span(new.retention_days)
            )
        )
    return found


def _recipients_differ(old: FormText, new: FormText) -> bool:
    """Compared within one language, since words differ between them; order does not count. False if none has both."""
    if old.language == new.language:
        return sorted(old.recipients) != sorted(new.recipients)
    if before := old.form.texts.filter(version=old.version, language=new.language).first():
        return sorted(before.recipients) != sorted(new.recipients)
    now = new.form.texts.filter(version=new.version, language=old.language).first()
    return now is not None and sorted(old.recipients) != sorted(now.recipients)


def is_renewal(consent: Consent) -> bool:
    """True if, when it was signed, the person still had a permission under an older major version of the form."""
    return (
        Consent.objects.live(at=consent.signed_at)
        .filter(contributor=consent.contributor_id, text__form=consent.text.form_id, text__major__lt=consent.text.major)
        .exclude(pk=consent.pk)
        .exists()
    )
