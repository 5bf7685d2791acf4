"""The terms of work, pay and data: published in versions, agreed to with hash and time, asked anew when changed."""

from pathlib import Path

from django.db import IntegrityError, transaction
from django.db.models import Exists, QuerySet, Subquery

from annotation.joining_models import WorkAgreement, WorkTerms
from annotation.models import Annotator
from consent import ledger
from consent.models import User
from consent.refusals import Refused
from consent.signing import sha256_hex

OURS = Path(__file__).parent / "documents" / "work-terms.md"  # until somebody publishes terms of their own
LONGEST = 20_000


def newest_terms() -> WorkTerms:
    """What annotators agree to now; the terms that we bring along become the first version."""
    return _newest() or publish_terms(body=OURS.read_text(), user=None)


def publish_terms(*, body: str, user: User | None) -> WorkTerms:
    """Publish the next version. Everybody is asked to agree to it before they get further photographs."""
    body, newest = body.strip(), _newest()
    if not body:
        raise Refused("Write the terms: annotators agree to them.")
    if newest and newest.body == body:
        raise Refused("These are the terms that are in force already.")
    try:
        with transaction.atomic():
            terms = WorkTerms.objects.create(
                version=newest.version + 1 if newest else 1,
                body=body,
                sha256=sha256_hex(body.encode()),
                published_by=user,
            )
            ledger.append("work_terms.published", version=terms.version, sha256=terms.sha256, at=terms.published_at)
            return terms
    except IntegrityError:
        raise Refused("Somebody else published terms in the same moment. Look at theirs first.") from None


def _newest() -> WorkTerms | None:
    return WorkTerms.objects.order_by("-version").first()


@transaction.atomic
def agree(*, annotator: Annotator, sha256: str) -> WorkAgreement:
    """Note that they agreed to the terms with this hash; Refused if others are in force by now. Twice is once."""
    terms = newest_terms()
    if terms.sha256 != sha256:
        raise Refused("The terms were changed a moment ago. Please read them again.")
    agreement, is_new = WorkAgreement.objects.get_or_create(annotator=annotator, terms=terms)
    if is_new:
        ledger.append("work_terms.agreed", annotator=annotator.pk, terms_sha256=terms.sha256, at=agreement.at)
    return agreement


def has_agreed(annotator: Annotator) -> bool:
    """Whether they agreed to the terms that are in force."""
    return _agreements(annotator).exists()


def agreed_by(annotator: Annotator) -> Exists:
    """The same, as a condition of a query."""
    return Exists(_agreements(annotator))


def _agreements(annotator: Annotator) -> QuerySet[WorkAgreement]:
    newest = WorkTerms.objects.order_by("-version").values("pk")[:1]
    return WorkAgreement.objects.filter(annotator=annotator, terms=Subquery(newest))
