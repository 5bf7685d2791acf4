"""What a release says of where each row comes from: row records, attested bases, the in-toto statement.

Dates are days, numbers are text, and every identifier is keyed per dataset.
"""

import datetime
import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import Q

from consent import ledger
from consent.keys import signing_key
from consent.models import Checkpoint, Consent, LedgerEntry, Licence
from consent.signing import canonical_json, sign_dsse, utc_text
from exports.labels import consolidate
from exports.models import Attestation, Dataset, Definition, Release
from exports.pictures import Facts
from exports.plans import Plan
from exports.pseudonyms import commitment, keyed
from exports.selection import AT_ONCE, Candidate, Photograph, Said, in_batches

STATEMENT_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "urn:likeness:release:1"
Basis = Consent | Licence


def make_record(
    definition: Definition, candidate: Candidate, picture: Facts, split: str, basis: dict[str, Any]
) -> dict[str, Any]:
    """The row of one image, which is `picture` in this release, under one basis (as `basis_record` describes it).

    In canonical JSON it is a line of its shard's rows, and a leaf of the Merkle tree.
    """
    image, dataset = candidate.image, definition.dataset
    said = [one.result for one in candidate.said]
    return {
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


def _annotation(dataset: Dataset, said: Said) -> dict[str, str]:
    return {
        "annotator": keyed(dataset, "annotator", said.annotator),
        "result": said.result_sha256,
        "made_on": said.made_at.date().isoformat(),
        "paid": said.amount,
        "currency": said.currency,
    }


def basis_of(image: Photograph) -> Basis:
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
            "purposes": sorted(one.purpose_id for one in basis.granted.all()),
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
    ended = {one.purpose_id for one in consent.withdrawals.all() if one.made_at <= at}
    return [] if None in ended else sorted({one.purpose_id for one in consent.granted.all()} - ended)


# --- Attestations: the ledger says what each basis covered, and nobody outside can tell whose it is ----------------


def attest(release: Release, plan: Plan) -> None:
    """One ledger entry per basis of the release; those that are there stay (a build may start again).

    One pass over the entries that made the bases, whose text each attestation commits to: by pages, for SQLite lets
    nobody write who reads while others write.
    """
    made = Q(payload__contains='"kind":"consent.granted"') | Q(payload__contains='"kind":"licence.added"')
    payloads, seen = LedgerEntry.objects.filter(made).order_by("pk").values_list("pk", "payload"), 0
    while some := list(payloads.filter(pk__gt=seen)[:AT_ONCE]):
        seen = some[-1][0]
        facts = ((json.loads(payload), payload) for _, payload in some)
        made_by = {fact.get("consent") or fact.get("licence"): payload for fact, payload in facts}
        plan.beat()
        _attest_some(release, [(record, made_by[basis]) for basis, record in plan.bases_among(made_by)])
    if (missing := plan.bases - release.attestations.count()) > 0:
        raise RuntimeError(f"the ledger does not say how {missing} bases of {release} came about")


def _attest_some(release: Release, bases: Sequence[tuple[dict[str, Any], str]]) -> None:
    held = release.attestations.filter(basis__in=[record["id"] for record, _ in bases])
    there = set(held.values_list("basis", flat=True))
    fresh = [(record, payload) for record, payload in bases if record["id"] not in there]
    entries = [attestation_entry(release, record, commitment(release.dataset, payload)) for record, payload in fresh]
    with transaction.atomic():
        ledger.append_all(entries)
        Attestation.objects.bulk_create(
            Attestation(release=release, basis=record["id"], entry=entry)
            for (record, _), entry in zip(fresh, entries, strict=True)
        )


def attestation_entry(release: Release, record: dict[str, Any], commitment: str) -> LedgerEntry:
    """The ledger's entry for what one basis of a release covered (`record`); see docs/decisions/0003."""
    return ledger.entry(
        "basis.attested",
        dataset=release.dataset.slug,
        version=release.version,
        commitment=commitment,
        basis=record,
    )


def sealed_checkpoint(release: Release) -> Checkpoint | None:
    """The checkpoint that this release proves against, pinned at the first call; None while another sealer is at it."""
    if release.checkpoint is None:
        ledger.seal()
        if release.attestations.filter(entry__leaf__isnull=True).exists():
            return None
        Release.objects.filter(pk=release.pk, checkpoint=None).update(checkpoint=ledger.latest_checkpoint())
        release.refresh_from_db(fields=["checkpoint"])
    return release.checkpoint


def attestation_lines(release: Release, checkpoint: Checkpoint) -> Iterator[bytes]:
    """attestations.jsonl: ledger leaves with their proofs of inclusion under the checkpoint."""
    rows = release.attestations.select_related("entry").order_by("basis")
    for some in in_batches(rows.iterator(AT_ONCE)):
        for proof in ledger.inclusion([row.entry for row in some], checkpoint):
            yield canonical_json(proof).encode() + b"\n"


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


def describer(dataset: Dataset, at: datetime.datetime, plan: Plan) -> Callable[[Basis], dict[str, Any]]:
    """`basis_record`, also for the plan, asked once for what comes often: a library of thousands has one licence."""

    @lru_cache(maxsize=AT_ONCE)
    def describe(basis: Basis) -> dict[str, Any]:
        record = basis_record(dataset, basis, at)
        plan.add_basis(str(basis.pk), record)
        return record

    return describe
