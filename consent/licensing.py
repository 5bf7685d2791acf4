"""What happens to licences: the right to a bought or permitted library."""

import datetime
from collections.abc import Collection
from decimal import Decimal

from django.core.files import File
from django.db import transaction

from consent import events
from consent.models import Licence, LicencePurpose
from consent.refusals import Refused
from consent.signing import file_sha256
from consent.texts import known_purposes


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
            LicencePurpose(licence=licence, purpose=purpose) for purpose in known_purposes(purposes)
        )
        events.record_licence(licence)
    return licence
