"""Everything that we know of one contributor, as plain values (Art. 15 and 20 GDPR)."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from allauth.account.models import EmailAddress
from django.db.models import Model

from annotation import about_annotators
from annotation.dispute_models import Dispute
from annotation.models import Annotation, Annotator, Earning
from annotation.payout_models import Payee, Payment, PaymentDetails
from collection import freezes, removals
from collection.models import Image, ImageStatus, Removal, ReviewDecision
from consent.demographics import answers_of
from consent.ledger import plain
from consent.models import Consent, Contributor, RightsRequest, SignatureEvidence, User, Withdrawal
from consent.notice import wording
from consent.retention_table import RULES
from exports.history import History, histories
from exports.models import Certificate
from exports.openness import controllers

Record = dict[str, Any]
AT_ONCE = 500  # photographs
SOURCE = "You gave it to us on this site; the rest came about when you used it (times, checks, labels)."
DECISIONS = (
    "Checks of size, light, sharpness and copies turn photographs down by themselves or hand them to a person. "
    "Nobody is profiled, and no other decision is made without a person."
)
RIGHTS = (
    "Correct, object, erase, withdraw, take along: all on the page My data. You may also complain to the supervisory "
    "authority that is named under controllers."
)
EVIDENCE = (
    "signer_name", "intent", "email", "email_verified_at", "ip", "user_agent", "time_zone", "viewed_at", "signed_at",
    "drawing", "answers",
)  # fmt: skip
DEMOGRAPHICS = ("skin_tone", "age_band", "gender", "ancestry", "country", "given_at", "delete_on")
REQUEST = (
    "kind", "details", "received_at", "due_at", "extended_at", "extension_reason", "answered_at", "outcome", "answer",
)  # fmt: skip


ABOUT_ANNOTATOR = ("region", "age_band", "gender", "given_at")
TRAINING = ("training_id", "attempt", "right", "of", "passed", "at")
PHOTOGRAPH = (
    "id", "consent_id", "client_name", "status", "received_at", "taken_in", "byte_size", "width", "height",
)  # fmt: skip
MEASURED = ("measures", "faces", "failures", "measured_at")
MARK = ("kind", "x", "y", "w", "h", "made_at")
ASKED = ("kind", "vendor", "outcome", "at")
TOLD_WITH = (
    "transitions", "face_marks", "vendor_calls", "review_decisions__outcome", "review_decisions__note",
)  # fmt: skip
Row = TypeVar("Row", bound=Model)


def disclose(contributor: Contributor, files: dict[uuid.UUID, str]) -> Record:
    """All of it; `files` says by image id where in the archive a photograph lies."""
    consents = list(_consents(contributor))
    texts = [consent.text for consent in consents]
    return {
        "what_this_is": "Everything that we know of you, Art. 15 and 20 GDPR.",
        "controllers": controllers(texts),
        "account": _account(contributor),
        "about_you": values(contributor, "id", "date_of_birth", "country", "created_at", "last_contact_at"),
        "demographics": values(said, *DEMOGRAPHICS) if (said := answers_of(contributor)) else None,
        "consents": [_consent(consent) for consent in consents],
        "removed_photographs": [
            _discreet(values(row, "id", "image_id", "cause", "aftermath", "act", "made_at"))
            for row in Removal.objects.filter(image__consent__contributor=contributor).order_by("made_at")
        ],
        "certificates": [
            values(row, "act", "issued_at") for row in Certificate.objects.filter(contributor=contributor)
        ],
        "requests": [
            {"reference": str(row.pk), **values(row, *REQUEST)}
            for row in RightsRequest.objects.filter(contributor=contributor).order_by("received_at")
        ],
        "photographs": list(_photographs(contributor, files)),
        "labelling_for_pay": [_annotator(row) for row in Annotator.objects.filter(user=contributor.user)]
        if contributor.user
        else [],
        "retention": [{"what": rule.what, "why": rule.why, "until": rule.until_in_words()} for rule in RULES],
        "source": SOURCE,
        "automated_decisions": DECISIONS,
        "your_rights": RIGHTS,
    }


def values(row: Model, *names: str) -> Record:
    """These fields of a row as plain values."""
    return {name: plain(getattr(row, name)) for name in names}


def _account(contributor: Contributor) -> Record | None:
    user = contributor.user
    if user is None:
        return None
    addresses = EmailAddress.objects.filter(user=user).order_by("pk")
    return {
        **values(user, "email", "email_verified_at", "date_joined", "last_login"),
        "addresses": [values(address, "email", "verified", "primary") for address in addresses],
        "roles": list(User.objects.filter(pk=user.pk, groups__isnull=False).values_list("groups__name", flat=True)),
    }


# --- What they signed ----------------------------------------------------------------------------


def _consents(contributor: Contributor) -> Iterator[Consent]:
    found = Consent.objects.filter(contributor=contributor).select_related("text__form").order_by("signed_at")
    yield from found.prefetch_related("granted__purpose", "withdrawals")


def _consent(consent: Consent) -> Record:
    text = consent.text
    return {
        **values(consent, "id", "signed_at", "expires_at"),
        "form": text.form.name,
        **values(text, "version", "language", "title", "summary", "body"),
        "text_sha256": text.sha256,
        "data_categories": text.data_categories,
        "recipients": text.recipients,
        "transfers": text.transfers,
        "storage_locations": text.storage_locations,
        "kept_for_days": text.retention_days,
        "purposes": [
            {
                "code": state.purpose.pk,
                **wording(state.purpose, text.language, text.published_at)._asdict(),
                "allowed_now": state.live,
                "withdrawn_at": plain(state.withdrawn_at),
            }
            for state in consent.purpose_states()
        ],
        "withdrawals": [_withdrawal(row) for row in consent.withdrawals.all()],
        "signature": [values(row, *EVIDENCE) for row in SignatureEvidence.objects.filter(consent=consent)],
    }


def _withdrawal(row: Withdrawal) -> Record:
    return values(row, "id", "purpose_id", "made_at", "cause", "aftermath", "act")


def _discreet(told: Record) -> Record:
    """Nobody who sent a photograph is told that a list of known harm has it (ADR 0017)."""
    return {name: "rights_desk" if value == Removal.Cause.HARM else value for name, value in told.items()}


# --- What they sent ------------------------------------------------------------------------------


def _photographs(contributor: Contributor, files: dict[uuid.UUID, str]) -> Iterator[Record]:
    own = Image.objects.filter(consent__contributor=contributor).order_by("received_at", "pk")
    ids = list(own.values_list("pk", flat=True))
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        told, frozen = histories(some), freezes.frozen_images(some)
        kept = set(removals.kept_by(contributor).filter(pk__in=some).values_list("pk", flat=True))
        batch = own.filter(pk__in=some).select_related("call", "screening").prefetch_related(*TOLD_WITH)
        for image in batch:
            yield {
                **_photograph(image),
                "file": files.get(image.pk),
                "held_by_the_rights_desk": image.pk in frozen,
                "kept_for_you_alone": image.pk in kept,
                **_history(told[image.pk]),
            }


def _photograph(image: Image) -> Record:
    reason = image.latest_reason()
    measured = getattr(image, "screening", None)
    return {
        **values(image, *PHOTOGRAPH),
        "sha256": image.sha256,
        "call": image.call.title if image.call else None,
        "why": "" if image.status == ImageStatus.ACCEPTED else reason.sentence("It"),
        "changes": [
            _discreet(values(change, "old", "new", "reason", "at"))
            for change in sorted(image.transitions.all(), key=lambda one: one.pk)
        ],
        "what_checks_measured": values(measured, *MEASURED) if measured else None,
        "faces_decided_on": [values(mark, *MARK) for mark in _by_id(image.face_marks.all())],
        "asked_of_outside_services": [values(call, *ASKED) for call in _by_id(image.vendor_calls.all())],
        "decided_by_reviewers": [_decision(decision) for decision in _by_id(image.review_decisions.all())],
    }


def _by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.pk)


def _decision(decision: ReviewDecision) -> Record:
    """Who decided is theirs; what became of it and what was noted is about the photograph."""
    outcome, note = getattr(decision, "outcome", None), getattr(decision, "note", None)
    became = outcome.get_kind_display() if outcome else "waits to take effect"
    return {**values(decision, "kind", "reason", "decided_at"), "became": became, "note": note.text if note else ""}


def _history(told: History) -> Record:
    return {
        "shown_to_people_who_label": [
            {"campaign": seen.campaign, "times": seen.times, "first": plain(seen.first), "last": plain(seen.last)}
            for seen in told.seen
        ],
        "releases": [
            {
                "dataset": held.dataset,
                "version": held.version,
                "published_at": plain(held.published_at),
                "dropped": held.dropped,
                "fetched_by": [
                    {"recipient": pull.recipient, "first": plain(pull.first), "last": plain(pull.last)}
                    for pull in held.pulls
                ],
            }
            for held in told.held
        ],
        "paid_for_labelling_it": {currency: str(amount) for currency, amount in told.paid.items()},
    }


def _annotator(row: Annotator) -> Record:
    """What somebody did who labels for pay as well."""
    earned = Earning.objects.filter(annotator=row).order_by("earned_at")
    return {
        **values(row, "id", "terms_accepted_at"),
        "work_terms": [
            {**values(one, "at"), "version": one.terms.version, "sha256": one.terms.sha256, "text": one.terms.body}
            for one in row.agreements.select_related("terms").order_by("at")
        ],
        "languages": list(row.languages.order_by("language").values_list("language", flat=True)),
        "about_you": values(said, *ABOUT_ANNOTATOR) if (said := about_annotators.answers_of(row)) else None,
        "training": [values(one, *TRAINING) for one in row.training_results.order_by("at")],
        "annotations": Annotation.objects.filter(annotator=row).count(),
        "earnings": [values(one, "amount", "currency", "earned_at") for one in earned],
        "bank_details": [values(one, *Payee.FIELDS, "given_at") for one in Payee.objects.filter(annotator=row)],
        "corrections": [
            values(one, "amount", "currency", "reason", "made_at") for one in row.adjustments.order_by("made_at")
        ],
        "payments": [_payment(one) for one in row.payments.order_by("currency", "number")],
        "disputes": [_dispute(one) for one in Dispute.objects.filter(annotation__annotator=row).order_by("at")],
    }


def _dispute(row: Dispute) -> Record:
    """What they wrote, and what they were answered."""
    said, decision = getattr(row, "said", None), getattr(row, "decision", None)
    return {
        **values(row, "annotation_id", "at"),
        "words": said.words if said else "",
        "decision": values(decision, "outcome", "answer", "at") if decision else None,
    }


def _payment(row: Payment) -> Record:
    paid_to = PaymentDetails.objects.filter(payment=row)
    return {
        **values(row, "id", "number", "amount", "currency", "earned", "adjusted", "paid_before"),
        "paid_to": [values(one, *PaymentDetails.FIELDS) for one in paid_to],
        "changes": [values(change, "new", "reason", "at") for change in row.changes.order_by("pk")],
    }
