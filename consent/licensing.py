"""What happens to licences: the right to a bought or permitted library."""

import datetime
import uuid
from collections.abc import Collection
from decimal import Decimal

from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils import timezone
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from consent import events
from consent.countries import COUNTRIES
from consent.folders import list_folder
from consent.models import Licence, LicencePurpose, PriceBasis
from consent.refusals import Refused
from consent.signing import file_sha256, sha256_hex
from consent.texts import known_purposes

WORLD = "WORLD"
CENT = Decimal("0.01")
EVIDENCE_MAX_BYTES = 50 * 1024 * 1024
CONTRACTS = "licences"  # the folder of contracts in the evidence storage
# A restored backup may lack the newest licences: whoever records those again still finds the contract.
UNOWNED_AGE = datetime.timedelta(days=7)


def evidence_storage() -> Storage:
    return storages["evidence"]


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
    price_basis: str = PriceBasis.FLAT,
    volume_cap: int | None = None,
    model_release: bool,
    self_reported_attributes: bool = False,
    evidence: File,
) -> Licence:
    """Record the right to a library, and keep its contract (`evidence`) under a random key.

    `terms` is an SPDX identifier or LicenseRef-…, `territory` country codes with commas, or WORLD; `volume_cap` is the
    most images that it covers. `model_release`: the licensor holds a release of everybody depicted.
    `self_reported_attributes`: it covers what those people said about themselves.
    """
    if not purposes:
        raise Refused("Say what the library may be used for: choose at least one purpose.")
    covered = known_purposes(purposes)
    if ends_on < starts_on:
        raise Refused("The licence ends before it starts. Please check the dates.")
    if price < 0:
        raise Refused("The price must not be negative.")
    if volume_cap is not None and volume_cap < 1:
        raise Refused("A volume cap is one image or more. Leave it empty if there is none.")
    licence = Licence(
        licensor=licensor,
        title=title,
        terms=known_terms(terms),
        territory=known_territory(territory),
        starts_on=starts_on,
        ends_on=ends_on,
        volume_cap=volume_cap,
        price=price.quantize(CENT),
        price_basis=PriceBasis(price_basis),
        currency=currency,
        model_release=model_release,
        self_reported_attributes=self_reported_attributes,
        **_keep_evidence(evidence),
    )
    with transaction.atomic():
        licence.save(force_insert=True)
        LicencePurpose.objects.bulk_create(LicencePurpose(licence=licence, purpose=purpose) for purpose in covered)
        events.record_licence(licence)
    return licence


def known_terms(terms: str) -> str:
    """One SPDX identifier as SPDX writes it, or LicenseRef-…; Refused if it is neither."""
    try:
        known = str(canonicalize_license_expression(terms))
    except InvalidLicenseExpression:
        known = ""
    if not known or " " in known or "(" in known:
        raise Refused(
            f"SPDX knows no licence called {terms}. Choose one identifier of spdx.org/licenses, such as CC-BY-4.0; "
            "terms of their own are LicenseRef- and a name of letters, digits, dots and hyphens: LicenseRef-Stock-2026."
        )
    return known


def known_territory(territory: str) -> str:
    """WORLD, or ISO 3166-1 codes in order with commas between them. Refused names the code that there is not."""
    codes = sorted({code.strip().upper() for code in territory.split(",")})
    if codes == [WORLD]:
        return WORLD
    if unknown := [code for code in codes if code not in COUNTRIES]:
        raise Refused(
            f"There is no country with the code “{unknown[0]}”. Give country codes with commas between them, e.g. IE, "
            "DE; or WORLD."
        )
    joined = ",".join(codes)
    if len(joined) > Licence._meta.get_field("territory").max_length:  # type: ignore[operator]
        raise Refused("These are too many countries for one record. Record a second licence for the others.")
    return joined


def _keep_evidence(evidence: File) -> dict[str, str]:
    """Store the contract; what the licence says of it. Killed before the row is written, a sweep finds the file."""
    if not evidence.size:
        raise Refused("The file with the licence agreement is empty. Please choose it again.")
    if evidence.size > EVIDENCE_MAX_BYTES:
        raise Refused(f"The licence agreement has more than {EVIDENCE_MAX_BYTES >> 20} MB. Please send a smaller file.")
    said = {"evidence_name": (evidence.name or "evidence")[-200:], "evidence_sha256": file_sha256(evidence)}
    return {**said, "evidence_key": evidence_storage().save(f"{CONTRACTS}/{uuid.uuid4().hex}", evidence)}


def remove_unowned_contracts(*, age: datetime.timedelta = UNOWNED_AGE) -> int:
    """Delete contracts of this age that no licence names: whoever stored them was killed before the row was written."""
    files = evidence_storage()
    found = [f"{CONTRACTS}/{name}" for name in list_folder(files, CONTRACTS)[1]]
    owned = set(Licence.objects.filter(evidence_key__in=found).values_list("evidence_key", flat=True))
    before = timezone.now() - age
    unowned = [key for key in found if key not in owned and files.get_modified_time(key) < before]
    for key in unowned:
        files.delete(key)
    return len(unowned)


def read_evidence(*, key: str, sha256: str) -> bytes:
    """The bytes of a kept document. Refused if they are not kept here, or no longer what was recorded."""
    if not key:
        raise Refused("Only the hash of this document is kept here. Ask whoever recorded it for the original.")
    try:
        with evidence_storage().open(key, "rb") as file:
            content: bytes = file.read()
    except FileNotFoundError:
        raise Refused("This document is missing from the storage. Restore it from a backup.") from None
    if sha256_hex(content) != sha256:
        raise Refused("This document is not what was recorded: its hash differs. Restore it from a backup.")
    return content
