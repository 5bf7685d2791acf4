"""What a release says of where each row comes from: row records, attested bases, the in-toto statement.

Dates are days, numbers are text, and every identifier is keyed per dataset.
"""

import datetime
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q

from collection.models import Image
from consent import ledger
from consent.keys import signing_key
from consent.models import Checkpoint, Consent, LedgerEntry, Licence
from consent.signing import canonical_json, sign_dsse, utc_text
from exports.labels import consolidate
from exports.models import Attestation, Dataset, Definition, Release
from exports.pictures import Facts
from exports.pseudonyms import commitment, keyed
from exports.selection import Candidate, Said

STATEMENT_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "urn:likeness:release:1"
Basis = Consent | Licence


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a release: its image, and its record as a line of its shard's rows (the Merkle leaf)."""

    image: Image
    line: bytes

    @property
    def record(self) -> dict[str, Any]:
        """Read from the line each time: as Python has it, it takes five times the memory."""
        record: dict[str, Any] = json.loads(self.line)
        return record


def make_row(definition: Definition, candidate: Candidate, picture: Facts, split: str, basis: dict[str, Any]) -> Row:
    """The row of one image, which is `picture` in this release, under one basis (as `basis_record` describes it)."""
    image, dataset = candidate.image, definition.dataset
    said = [one.result for one in candidate.said]
    record = {
        "row_id": keyed(dataset, "row", image.pk),
        "image_sha256": picture.sha256,
        "original_sha256": image.sha256,
        "subject": keyed(dataset, "subject", image.subject),
        "split": split,
        "width": picture.width,
        "height": picture.height,
        "format": picture.format,
        "basis": basis,
        "labels": consolidate(said, picture.width, picture.height, definition.rules),
        "annotations": [_annotation(dataset, one) for one in candidate.said],
    }
    return Row(image, canonical_json(record).encode())


def _annotation(dataset: Dataset, said: Said) -> dict[str, str]:
    return {
        "annotator": keyed(dataset, "annotator", said.annotator),
        "result": said.result_sha256,
        "made_on": said.made_at.date().isoformat(),
        "paid": said.amount,
        "currency": said.currency,
    }


def basis_of(image: Image) -> Basis:
    """The consent or licence of an image."""
    basis = image.consent or image.licence
    assert basis is not None  # noqa: S101 -- a CHECK constraint: exactly one of them
    return basis


def basis_record(dataset: Dataset, basis: Basis, at: datetime.datetime) -> dict[str, Any]:
    """What a release says of a basis: what it covered at `at`, under which words, until which day."""
    if isinstance(basis, Licence):
        return {
            "id": keyed(dataset, "basis", basis.pk),
            "kind": "licence",
            "purposes": sorted(basis.granted.values_list("purpose_id", flat=True)),
            "territory": basis.territory,
            "terms": basis.terms,
            "text_version": "",
            "valid_until": basis.ends_on.isoformat(),
        }
    text = basis.text
    return {
        "id": keyed(dataset, "basis", basis.pk),
        "kind": "consent",
        "purposes": _purposes(basis, at),
        "territory": text.jurisdiction,
        "terms": f"sha256:{text.sha256}",
        "text_version": f"{text.form.slug} {text.version} {text.language}",
        "valid_until": basis.expires_at.date().isoformat(),
    }


def _purposes(consent: Consent, at: datetime.datetime) -> list[str]:
    """What was granted and not withdrawn by `at`."""
    ended = set(consent.withdrawals.filter(made_at__lte=at).values_list("purpose_id", flat=True))
    granted = consent.granted.values_list("purpose_id", flat=True)
    return [] if None in ended else sorted(set(granted) - ended)


# --- Attestations: the ledger says what each basis covered, and nobody outside can tell whose it is ----------------


def attest(release: Release, bases: Iterable[tuple[Basis, dict[str, Any]]]) -> None:
    """One ledger entry per basis of the release; those that are there stay (a build may start again)."""
    there = set(release.attestations.values_list("basis", flat=True))
    missing = [(basis, record) for basis, record in bases if record["id"] not in there]
    payloads = _ledger_payloads({str(basis.pk) for basis, _ in missing})
    for basis, record in missing:
        with transaction.atomic():
            entry = record_attestation(release, record, commitment(release.dataset, payloads[str(basis.pk)]))
            Attestation.objects.create(release=release, basis=record["id"], entry=entry)


def record_attestation(release: Release, record: dict[str, Any], commitment: str) -> LedgerEntry:
    """The ledger's entry for what one basis of a release covered (`record`); see docs/decisions/0003."""
    return ledger.append(
        "basis.attested",
        dataset=release.dataset.slug,
        version=release.version,
        commitment=commitment,
        basis=record,
    )


def _ledger_payloads(ids: set[str]) -> dict[str, str]:
    """Consent or licence id to the payload of the ledger entry that made it: one pass over those entries."""
    made = Q(payload__contains='"kind":"consent.granted"') | Q(payload__contains='"kind":"licence.added"')
    found = {}
    for payload in LedgerEntry.objects.filter(made).values_list("payload", flat=True).iterator(2000):
        facts = json.loads(payload)
        if (key := facts.get("consent") or facts.get("licence")) in ids:
            found[key] = payload
    return found


def sealed_checkpoint(release: Release) -> Checkpoint | None:
    """The checkpoint that this release proves against, pinned at the first call; None while another sealer is at it."""
    if release.checkpoint is None:
        ledger.seal()
        if release.attestations.filter(entry__leaf__isnull=True).exists():
            return None
        Release.objects.filter(pk=release.pk, checkpoint=None).update(checkpoint=ledger.latest_checkpoint())
        release.refresh_from_db(fields=["checkpoint"])
    return release.checkpoint


def attestation_lines(release: Release, checkpoint: Checkpoint) -> bytes:
    """attestations.jsonl: ledger leaves with their proofs of inclusion under the checkpoint."""
    entries = [row.entry for row in release.attestations.select_related("entry").order_by("basis")]
    return b"".join(canonical_json(proof).encode() + b"\n" for proof in ledger.inclusion(entries, checkpoint))


# --- The statement -------------------------------------------------------------------------------------------------


def sign_statement(release: Release, checkpoint: Checkpoint, files: Sequence[dict[str, Any]], root: str, n: int) -> str:
    """The in-toto statement about the release's files ({"path", "sha256", "size"}), in a DSSE envelope."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file["path"], "digest": {"sha256": file["sha256"]}} for file in files],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "dataset": release.dataset.slug,
            "version": release.version,
            "purpose": release.dataset.purpose_id,
            "snapshot_at": utc_text(release.snapshot_at),
            "rows": n,
            "rows_root": root,
            "sizes": {file["path"]: file["size"] for file in files},
            "checkpoint": {"size": checkpoint.tree_size, "root": checkpoint.root_hash},
        },
    }
    return sign_dsse(canonical_json(statement).encode(), STATEMENT_TYPE, signing_key()) + "\n"


Describe = Callable[[Basis], dict[str, Any]]


def describer(dataset: Dataset, at: datetime.datetime) -> Describe:
    """`basis_record`, asked once per basis: a library of thousands has one licence."""
    known: dict[Any, dict[str, Any]] = {}

    def describe(basis: Basis) -> dict[str, Any]:
        if basis.pk not in known:
            known[basis.pk] = basis_record(dataset, basis, at)
        return known[basis.pk]

    return describe
