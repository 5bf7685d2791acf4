"""What people do: they register and sign. (Texts: consent.texts, taking back: withdrawals, licences: licensing.)

Each function refuses bad input with `Refused`; what is proof is written with its ledger entry in one transaction, and
signing twice is the same as once.
"""

import datetime
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent import events
from consent.adulthood import adult_age, is_adult
from consent.contact import touch
from consent.countries import COUNTRIES
from consent.models import Consent, ConsentPurpose, Contributor, FormText, SignatureEvidence, User
from consent.receipts import issue_due, issue_one, issue_receipt, mail_receipt
from consent.refusals import Refused
from consent.signing import sha256_hex
from consent.texts import known_purposes

__all__ = (
    "Evidence",
    "Refused",
    "add_staff",
    "grant",
    "issue_due",
    "issue_one",
    "issue_receipt",
    "mail_receipt",
    "register_contributor",
)

OLDEST_AGE = 120


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the web request shows of a signature: all of it may be empty but the moment the text was shown.

    `answers` are those to the questions, as in SignatureEvidence; `drawing` is the path data of a drawn signature.
    """

    viewed_at: datetime.datetime
    ip: str | None = None
    user_agent: str = ""
    time_zone: str = ""
    answers: Sequence[dict[str, str]] = ()
    drawing: str = ""


# --- People --------------------------------------------------------------------------------------


def register_contributor(*, user: User, date_of_birth: datetime.date, country: str) -> Contributor:
    """Make `user` a contributor. Refuses minors, countries that are not in the list, and a second, different answer."""
    if country not in COUNTRIES:
        raise Refused("Choose the country you live in from the list.")
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
        raise Refused(
            "You have already told us your date of birth and country. If they are wrong or you moved, "
            "ask us to correct them."
        )
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
    if signed := _signed_before(contributor, submission, text, purposes):
        return signed
    _refuse_unsignable(contributor, text)
    _refuse_incomplete(text, purposes, signer_name, intent)
    try:
        with transaction.atomic():
            return _sign(contributor, text, purposes, _evidence(contributor, signer_name, intent, evidence), submission)
    except IntegrityError:  # the same form was sent twice at the same moment
        if signed := _signed_before(contributor, submission, text, purposes):
            return signed
        raise


def _signed_before(
    contributor: Contributor, submission: uuid.UUID, text: FormText, purposes: Collection[str]
) -> Consent | None:
    """The consent of this very form, if it was sent before with the same choices and still counts."""
    consent = Consent.objects.filter(submission=submission).first()
    if consent is None:
        return None
    if consent.contributor_id != contributor.pk:
        raise Refused("This form was opened by somebody else. Please open the page again.")
    if not Consent.objects.live().filter(pk=consent.pk).exists():
        raise Refused("You signed this page before, and it ended since. Please open the page again to sign anew.")
    signed = set(consent.granted.values_list("purpose", flat=True))
    if consent.text_id != text.pk or signed != set(purposes):
        raise Refused(
            f"You signed this page before, for {', '.join(sorted(signed))}, and that stands. To allow more, please "
            "open the page again; to allow less, withdraw."
        )
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
    if foreign := set(purposes) - set(text.purposes.filter(end__isnull=True).values_list("pk", flat=True)):
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
        user_agent=evidence.user_agent.replace("\0", "")[:400],  # PostgreSQL keeps no NUL
        time_zone=evidence.time_zone[:60],
        answers=list(evidence.answers),
        drawing=evidence.drawing,
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
    if not Contributor.objects.select_for_update(no_key=True).filter(pk=contributor.pk, user__isnull=False).first():
        raise Refused("This account was deleted in the meantime, so nothing was signed.")
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
        ConsentPurpose(consent=consent, purpose=purpose) for purpose in known_purposes(purposes)
    )
    events.record_consent(consent)
    touch(contributor=contributor)
    return consent


def verified_email(user: User) -> str | None:
    """The address of this account that its owner confirmed, else None."""
    found = EmailAddress.objects.filter(user=user, verified=True).order_by("-primary", "pk").first()
    return found.email if found else None
