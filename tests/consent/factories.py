"""Plain functions that make people, texts, consents and licences through the services, for every app's tests."""

import datetime
import uuid
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from allauth.account.models import EmailAddress
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.utils import timezone

from consent import licensing, services, texts
from consent.models import Consent, Contributor, FormText, Licence, Purpose, User

_numbers = count(1)
PASSWORD = "correct horse battery"


def make_user(email: str = "", *roles: str) -> User:
    """A user with a confirmed e-mail address, the password PASSWORD and these roles ("reviewer", "data manager")."""
    user = User.objects.create_user(email or f"person{next(_numbers)}@example.org", PASSWORD, is_staff=bool(roles))
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    user.groups.set(Group.objects.get_or_create(name=role)[0] for role in roles)
    return user


def make_contributor(user: User | None = None) -> Contributor:
    return services.register_contributor(
        user=user or make_user(), date_of_birth=datetime.date(1990, 5, 17), country="IE"
    )


def make_purpose(code: str = "research") -> Purpose:
    return Purpose.objects.get_or_create(
        code=code, defaults={"name": code.title(), "description": f"Your photographs may be used for {code}."}
    )[0]


def text_fields(**changes: Any) -> dict[str, Any]:
    """Everything that publish_text wants but purposes."""
    number = next(_numbers)
    return {
        "slug": "portrait",
        "name": "Portraits",
        "version": f"{number}.0.0",
        "language": "en",
        "title": "Permission to use my photographs",
        "summary": "You keep your photographs. We may use them for what you tick.",
        "body": f"# What you agree to\n\nWe keep *your* photographs three years (text {number}).\n\n- no longer\n",
        "controller_name": "Example Foundation",
        "controller_address": "1 Example Street, Dublin, IE",
        "contact": "privacy@example.org",
        "data_categories": ["pd:Picture"],
        "recipients": ["Research teams under contract"],
        "transfers": "None outside the EU.",
        "storage_locations": ["IE"],
        "retention_days": 1095,
        "complaint_body": "Data Protection Commission, Dublin",
        "jurisdiction": "IE",
        **changes,
    }


def make_text(purposes: Sequence[str] = ("research",), **changes: Any) -> FormText:
    """A published text of the form "portrait" (or `slug`); each call publishes a newer version."""
    language = changes.get("language", "en")
    for code in purposes:
        purpose = make_purpose(code)
        if language != "en" and not purpose.wordings.filter(language=language).exists():
            texts.add_wording(purpose=purpose, language=language, name=f"{code} ({language})", description=f"{code}.")
    return texts.publish_text(purposes=purposes, **text_fields(**changes))


def make_consent(
    contributor: Contributor | None = None,
    purposes: Sequence[str] = ("research",),
    text: FormText | None = None,
    submission: uuid.UUID | None = None,
) -> Consent:
    return services.grant(
        contributor=contributor or make_contributor(),
        text=text or make_text(purposes, slug=f"form-{next(_numbers)}"),
        purposes=purposes,
        signer_name="Ada Example",
        intent="I agree to sign electronically.",
        submission=submission or uuid.uuid4(),
        evidence=services.Evidence(viewed_at=timezone.now(), ip="203.0.113.7", user_agent="Mozilla/5.0"),
    )


def make_licence(
    purposes: Sequence[str] = ("research",),
    starts: datetime.date | None = None,
    ends: datetime.date | None = None,
    **changes: Any,
) -> Licence:
    """A licence that runs for a year from yesterday, unless told otherwise."""
    for code in purposes:
        make_purpose(code)
    starts = starts or timezone.now().date() - datetime.timedelta(days=1)
    says: dict[str, Any] = {
        "licensor": "Example Pictures Ltd",
        "title": "Faces of the coast",
        "terms": "LicenseRef-Example-1",
        "territory": "WORLD",
        "purposes": purposes,
        "starts_on": starts,
        "ends_on": ends or starts + datetime.timedelta(days=365),
        "price": Decimal("120.00"),
        "model_release": True,
        "evidence": ContentFile(b"the licence agreement", name="licence.pdf"),
    }
    return licensing.add_licence(**{**says, **changes})
