"""The record of processing activities (Art. 30 GDPR), from the live configuration and the rows.

Plain values only, so that the page and the JSON file are the same record.
"""

import datetime
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.hashers import get_hasher
from django.core.files.storage import storages
from django.db import connection
from django.db.models import Max, Min
from django.utils import timezone

from annotation.models import Annotator, Campaign
from collection.models import Call
from consent.append_only import guarded_tables
from consent.ledger import latest_checkpoint
from consent.models import Clock, FormText, Licence, User
from consent.retention_table import RULES, time_in_words
from consent.roles import ROLES
from exports.models import Download, Recipient
from exports.openness import controllers, forms_in_force

Record = dict[str, Any]


def record() -> Record:
    """Everything that Art. 30(1) asks for."""
    forms = forms_in_force()
    texts = [text for _, found in forms for text in found]
    return {
        "record": "Record of processing activities, Art. 30(1) GDPR",
        "generated_at": _day_and_time(timezone.now()),
        "site": settings.BASE_URL,
        "controllers": controllers(texts),
        "activities": [_by_consent(form.name, found) for form, found in forms]
        + [_by_licence(licence) for licence in Licence.objects.live().order_by("title")]
        + [_labelling(campaign) for campaign in Campaign.objects.select_related("purpose").order_by("name")]
        + [_accounts()],
        "recipients": [_recipient(recipient) for recipient in Recipient.objects.order_by("name")],
        "time_limits": [
            {"what": rule.what, "why": rule.why, "until": rule.until_in_words(), "carried_out": rule.how_often()}
            for rule in RULES
        ],
        "security_measures": measures(),
        "roles": [
            {"role": role, "people": User.objects.filter(is_active=True, groups__name=role).count()} for role in ROLES
        ],
    }


def _day_and_time(moment: datetime.datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else ""


# --- What is done --------------------------------------------------------------------------------


def _by_consent(name: str, texts: list[FormText]) -> Record:
    """What is done under a form: everything from its texts in force."""
    newest = max(texts, key=lambda text: text.published_at)
    return {
        "activity": f"Photographs of people who signed: {name}, version {newest.version}",
        "legal_basis": "consent, Art. 6(1)(a) and 9(2)(a) GDPR",
        "purposes": [_purpose(purpose) for purpose in newest.purposes.select_related("end").order_by("pk")],
        "people": ["adults who send photographs of themselves"],
        "data": newest.data_categories,
        "recipients": sorted({recipient for text in texts for recipient in text.recipients}),
        "transfers": newest.transfers,
        "storage_places": newest.storage_locations,
        "time_limit": f"{time_in_words(newest.retention_days)} after signing, or earlier: see the time limits",
        "impact_assessments": [
            {"call": call.title, "reference": call.dpia_reference, "closes": _day_and_time(call.closes_at)}
            for call in Call.objects.filter(form=newest.form).order_by("opens_at")
        ],
    }


def _purpose(purpose: Any) -> str:
    ended = getattr(purpose, "end", None)
    return f"{purpose.name}: {purpose.description}" + (f" (ended {_day_and_time(ended.ended_at)})" if ended else "")


def _by_licence(licence: Licence) -> Record:
    return {
        "activity": f"Photographs of a licensed library: {licence.title}",
        "legal_basis": f"licence of {licence.licensor} ({licence.terms}); the licensor holds the models' releases"
        if licence.model_release
        else f"licence of {licence.licensor} ({licence.terms})",
        "purposes": [_purpose(purpose) for purpose in licence.purposes.select_related("end").order_by("pk")],
        "people": ["people in the photographs of the library"],
        "data": ["pd:Picture"],
        "recipients": [],
        "transfers": f"Territory of the licence: {licence.territory}",
        "storage_places": [],
        "time_limit": f"until {licence.ends_on:%Y-%m-%d}",
        "impact_assessments": [],
    }


def _labelling(campaign: Campaign) -> Record:
    return {
        "activity": f"People describe photographs: {campaign.name} ({campaign.state})",
        "legal_basis": "the permission or licence of each photograph; contract with the annotators, Art. 6(1)(b) GDPR",
        "purposes": [_purpose(campaign.purpose)],
        "people": ["people in the photographs", f"annotators ({Annotator.objects.count()} registered)"],
        "data": [
            "photographs without metadata",
            "labels, times, pay, disputes, training",
            "bank details of annotators",
            "languages of annotators, and what they choose to say of themselves (region, age, gender)",
        ],
        "recipients": [
            f"Label Studio at {settings.LABEL_STUDIO_URL}" if settings.LABEL_STUDIO_URL else "no labelling tool yet",
            *(["our bank: names, accounts, amounts of annotators"] if any(settings.PAYER.values()) else []),
        ],
        "transfers": "none by us",
        "storage_places": [],
        "time_limit": "as long as the photograph may be used; pay is kept for good",
        "impact_assessments": [],
    }


def _accounts() -> Record:
    return {
        "activity": "Accounts, requests about data, and staff",
        "legal_basis": "contract and legal obligation, Art. 6(1)(b) and (c) GDPR",
        "purposes": ["To sign in, to write to people, to answer their requests"],
        "people": ["contributors", "annotators", "staff", "anybody who asks the rights desk"],
        "data": ["e-mail address, password (hashed), date of birth, country", "words of a request, and the answer"],
        "recipients": [f"mail server {settings.EMAIL_HOST}" if settings.EMAIL_HOST else "none"],
        "transfers": "none by us",
        "storage_places": [],
        "time_limit": "see the time limits",
        "impact_assessments": [],
    }


def _recipient(recipient: Recipient) -> Record:
    """A team, what it may pull, and when it did."""
    pulled = Download.objects.filter(recipient=recipient).aggregate(first=Min("at"), last=Max("at"))
    datasets = recipient.tokens.order_by("dataset__title").values_list("dataset__title", flat=True).distinct()
    return {
        "name": recipient.name,
        "datasets": list(datasets),
        "first_pull": _day_and_time(pulled["first"]),
        "last_pull": _day_and_time(pulled["last"]),
    }


# --- How it is guarded ---------------------------------------------------------------------------


def measures() -> list[Record]:
    """Security measures (Art. 32) as this installation runs them: {"measure", "on": bool, "detail"}."""
    return [_on_the_way(), _staff_sign_in(), _passwords(), _browser(), _proof(), _ledger(), _clock(), _bytes()]


def _measure(measure: str, on: bool, detail: str) -> Record:
    return {"measure": measure, "on": on, "detail": detail}


def _on_the_way() -> Record:
    hsts = f"HSTS for {settings.SECURE_HSTS_SECONDS // 86400} days, secure cookies"
    return _measure("Encryption on the way", settings.HTTPS, hsts if settings.HTTPS else "HTTPS is not set")


def _staff_sign_in() -> Record:
    staff = User.objects.filter(is_active=True, is_staff=True)
    with_app = staff.filter(pk__in=Authenticator.objects.filter(type=Authenticator.Type.TOTP).values("user")).count()
    return _measure("Second factor for staff", settings.STAFF_MFA, f"{with_app} of {staff.count()} have set one up")


def _passwords() -> Record:
    limits = ", ".join(f"{name} {limit}" for name, limit in sorted(settings.ACCOUNT_RATE_LIMITS.items()))
    return _measure("Passwords", on=True, detail=f"hashed with {get_hasher().algorithm}; limits: {limits}")


def _browser() -> Record:
    policy = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    inline = any("unsafe" in str(value) for values in policy.values() for value in values)
    return _measure("Content security policy", not inline, "no inline script" if not inline else "inline is allowed")


def _proof() -> Record:
    tables = guarded_tables(connection)
    return _measure("Proof cannot be changed", bool(tables), f"{len(tables)} tables refuse changes by triggers")


def _ledger() -> Record:
    head = latest_checkpoint()
    sealed = f"{head.tree_size} entries, sealed {_day_and_time(head.created_at)}" if head else "nothing is sealed yet"
    return _measure("Signed ledger", head is not None, sealed)


def _clock() -> Record:
    clock = Clock.objects.first()
    jumped = clock is not None and clock.before_jump is not None
    detail = "it jumped: nothing is deleted by date until it has been steady" if jumped else "steady"
    return _measure("The clock is watched", clock is not None, detail if clock else "the sweeps have not run yet")


def _bytes() -> Record:
    kept_by = type(storages["originals"]).__name__
    detail = f"{kept_by}; random names, metadata stripped, sealed with keys that are destroyed with the photographs"
    return _measure("Bytes of photographs", on=True, detail=detail)
