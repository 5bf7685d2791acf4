"""What can happen to the right to use: people register, sign and withdraw; texts are published; licences are added.

Each function refuses bad input with `Refused` and writes its rows and its ledger entry in one transaction; signing and
withdrawing twice is the same as once.
"""

import datetime
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.core.files import File
from django.db import IntegrityError, transaction
from django.utils import timezone
from markdown_it import MarkdownIt

from consent import ledger
from consent.adulthood import adult_age, is_adult
from consent.models import (
    Consent,
    ConsentForm,
    ConsentPurpose,
    Contributor,
    FormText,
    FormTextPurpose,
    Licence,
    LicencePurpose,
    Purpose,
    SignatureEvidence,
    User,
    Withdrawal,
)
from consent.receipts import issue_due, issue_receipt, mail_receipt
from consent.refusals import Refused
from consent.signing import file_sha256, sha256_hex

__all__ = (
    "Evidence",
    "Refused",
    "add_licence",
    "add_purpose",
    "add_staff",
    "grant",
    "issue_due",
    "issue_receipt",
    "mail_receipt",
    "publish_text",
    "register_contributor",
    "withdraw",
    "withdraw_all",
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


OLDEST_AGE = 120
LONGEST_RETENTION_DAYS = 36_500


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the web request shows of a signature: all of it may be empty but the moment the text was shown."""

    viewed_at: datetime.datetime
    ip: str | None = None
    user_agent: str = ""
    time_zone: str = ""


# --- People --------------------------------------------------------------------------------------


def register_contributor(*, user: User, date_of_birth: datetime.date, country: str) -> Contributor:
    """Make `user` a contributor. Refuses minors, and a second, different answer."""
    today = timezone.now().date()
    if date_of_birth > today:
        raise Refused("That date of birth is in the future. Please check it.")
    if today.year - date_of_birth.year > OLDEST_AGE:  # a year of two digits, typed into a date field
        raise Refused("That date of birth is too long ago. Please check the year: it has four digits.")
    if not is_adult(date_of_birth, country, today):
        raise Refused(
            f"You must be at least {adult_age(country)} years old to take part from this country. "
            "We have not kept what you entered."
        )
    contributor, _ = Contributor.objects.get_or_create(
        user=user, defaults={"date_of_birth": date_of_birth, "country": country}
    )
    if (contributor.date_of_birth, contributor.country) != (date_of_birth, country):
        raise Refused("You have already told us your date of birth and country. Write to us if they are wrong.")
    return contributor


def add_staff(*, email: str, password: str, roles: Collection[str]) -> User:
    """An account with a confirmed address and these roles; an existing one gets them and the password."""
    email = email.strip().lower()
    groups = Group.objects.filter(name__in=roles)
    if unknown := set(roles) - {group.name for group in groups}:
        raise Refused(f"There is no role {', '.join(sorted(unknown))}.")
    with transaction.atomic():
        user = User.objects.filter(email=email).first() or User.objects.create_user(email)
        user.is_staff = True
        user.set_password(password)
        user.save()
        user.groups.add(*groups)
        EmailAddress.objects.update_or_create(user=user, email=email, defaults={"verified": True, "primary": True})
    return user


# --- Forms ---------------------------------------------------------------------------------------


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
            FormTextPurpose(text=text, purpose=purpose) for purpose in _known_purposes(purposes)
        )
        ledger.record_text(text)
    return text


def missing_statements(purposes: Collection[str], says: dict[str, Any]) -> list[str]:
    """What a text still has to say before it may be published, in words."""
    missing = [words for field, words in NEEDED.items() if not says.get(field)]
    return missing if purposes else ["what the photographs are used for (at least one purpose)", *missing]


def render_markdown(body: str) -> str:
    """HTML of CommonMark text; HTML inside it stays visible text."""
    return str(MarkdownIt("commonmark", {"html": False}).render(body))


def _known_purposes(codes: Collection[str]) -> list[Purpose]:
    found = Purpose.objects.in_bulk(sorted(set(codes)))
    if unknown := sorted(set(codes) - set(found)):
        raise Refused(f"There is no purpose called {', '.join(unknown)}. Add it first.")
    return [found[code] for code in sorted(found)]


# --- Consents ------------------------------------------------------------------------------------


def grant(
    *,
    contributor: Contributor,
    text: FormText,
    purposes: Collection[str],
    signer_name: str,
    intent: str,
    submission: uuid.UUID,
    evidence: Evidence,
) -> Consent:
    """Sign `text` for `purposes` (codes). One consent per `submission`, however often it is sent.

    `intent` is the sentence that the signer ticked.
    """
    if signed := _signed_before(contributor, submission):
        return signed
    _refuse_unsignable(contributor, text)
    _refuse_incomplete(text, purposes, signer_name, intent)
    try:
        with transaction.atomic():
            return _sign(contributor, text, purposes, _evidence(contributor, signer_name, intent, evidence), submission)
    except IntegrityError:  # the same form was sent twice at the same moment
        if signed := _signed_before(contributor, submission):
            return signed
        raise


def _signed_before(contributor: Contributor, submission: uuid.UUID) -> Consent | None:
    consent = Consent.objects.filter(submission=submission).first()
    if consent and consent.contributor_id != contributor.pk:
        raise Refused("This form was opened by somebody else. Please open the page again.")
    return consent


def _refuse_unsignable(contributor: Contributor, text: FormText) -> None:
    if contributor.user is None or verified_email(contributor.user) is None:
        raise Refused("Please confirm your e-mail address first: follow the link in the mail that we sent you.")
    born = contributor.date_of_birth
    if born is None or not is_adult(born, contributor.country, timezone.now().date()):
        raise Refused("Only adults may sign.")
    if text != text.form.current_text(text.language):
        raise Refused("The text has changed since you opened this page. Please read the new version and sign that.")


def _refuse_incomplete(text: FormText, purposes: Collection[str], signer_name: str, intent: str) -> None:
    if not purposes:
        raise Refused("You did not tick any purpose, so nothing was signed. That is fine: you can leave it at that.")
    if foreign := set(purposes) - set(text.purposes.values_list("pk", flat=True)):
        raise Refused(f"This text does not ask for: {', '.join(sorted(foreign))}. Please open the page again.")
    if not signer_name.strip():
        raise Refused("Please type your name to sign.")
    if not intent:
        raise Refused("Please tick the box that says that you agree to sign electronically.")


def _evidence(contributor: Contributor, signer_name: str, intent: str, evidence: Evidence) -> SignatureEvidence:
    user = contributor.user
    assert user is not None  # noqa: S101  # _refuse_unsignable has seen to it
    return SignatureEvidence(
        signer_name=signer_name.strip(),
        intent=intent,
        email=verified_email(user) or "",
        email_verified_at=user.email_verified_at,
        ip=evidence.ip,
        user_agent=evidence.user_agent[:400],
        time_zone=evidence.time_zone[:60],
        viewed_at=evidence.viewed_at,
        signed_at=timezone.now(),
    )


def _sign(
    contributor: Contributor,
    text: FormText,
    purposes: Collection[str],
    evidence: SignatureEvidence,
    submission: uuid.UUID,
) -> Consent:
    evidence.consent_id = uuid.uuid4()
    consent = Consent.objects.create(
        pk=evidence.consent_id,
        contributor=contributor,
        text=text,
        signed_at=evidence.signed_at,
        expires_at=evidence.signed_at + datetime.timedelta(days=text.retention_days),
        submission=submission,
        evidence_sha256=sha256_hex(evidence.as_json().encode()),
    )
    evidence.save(force_insert=True)
    ConsentPurpose.objects.bulk_create(
        ConsentPurpose(consent=consent, purpose=purpose) for purpose in _known_purposes(purposes)
    )
    ledger.record_consent(consent)
    return consent


def verified_email(user: User) -> str | None:
    """The address of this account that its owner confirmed, else None."""
    found = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "pk").first()
    return found.email if found else None


def withdraw(*, consent: Consent, purpose: str | None = None) -> Withdrawal:
    """Take back one purpose (code) of a consent, or all of it. The first withdrawal counts; later ones return it."""
    if withdrawn := _withdrawn_before(consent, purpose):
        return withdrawn
    if purpose is not None and not consent.granted.filter(purpose=purpose).exists():
        raise Refused("You did not give permission for that purpose under this form, so there is nothing to withdraw.")
    try:
        with transaction.atomic():
            withdrawal = Withdrawal.objects.create(consent=consent, purpose_id=purpose)
            ledger.record_withdrawal(withdrawal)
            return withdrawal
    except IntegrityError:  # sent twice at the same moment
        if withdrawn := _withdrawn_before(consent, purpose):
            return withdrawn
        raise


def withdraw_all(*, contributor: Contributor) -> list[Withdrawal]:
    """Take back everything that a contributor still permits."""
    with transaction.atomic():
        return [withdraw(consent=consent) for consent in Consent.objects.live().filter(contributor=contributor)]


def _withdrawn_before(consent: Consent, purpose: str | None) -> Withdrawal | None:
    made = consent.withdrawals.order_by("made_at")
    whole = made.filter(purpose__isnull=True).first()
    return whole or (made.filter(purpose=purpose).first() if purpose is not None else None)


# --- Licences ------------------------------------------------------------------------------------


def add_licence(
    *,
    licensor: str,
    title: str,
    terms: str,
    territory: str,
    purposes: Collection[str],
    starts_on: datetime.date,
    ends_on: datetime.date,
    price: Decimal,
    currency: str = "EUR",
    model_release: bool,
    evidence: File,
) -> Licence:
    """Record the right to a library. Of the evidence file its name and SHA-256 are kept."""
    if not purposes:
        raise Refused("Say what the library may be used for: choose at least one purpose.")
    if ends_on < starts_on:
        raise Refused("The licence ends before it starts. Please check the dates.")
    digest = file_sha256(evidence)
    with transaction.atomic():
        licence = Licence.objects.create(
            licensor=licensor,
            title=title,
            terms=terms,
            territory=territory,
            starts_on=starts_on,
            ends_on=ends_on,
            price=price,
            currency=currency,
            model_release=model_release,
            evidence_name=(evidence.name or "evidence")[-200:],
            evidence_sha256=digest,
        )
        LicencePurpose.objects.bulk_create(
            LicencePurpose(licence=licence, purpose=purpose) for purpose in _known_purposes(purposes)
        )
        ledger.record_licence(licence)
    return licence
