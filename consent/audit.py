"""What is wrong with the ledger, if anything: the tree against its entries, and rows that are proof against both."""

from collections.abc import Iterator

from django.conf import settings

from consent import merkle
from consent.events import consent_facts, licence_facts, text_facts, withdrawal_facts
from consent.keys import public_key
from consent.ledger import Facts, entry_hash, head_text, payload_text
from consent.models import (
    Checkpoint,
    Consent,
    FormText,
    LedgerEntry,
    LedgerLeaf,
    Licence,
    SignatureEvidence,
    Withdrawal,
)
from consent.signing import BadSignature, open_note, sha256_hex


def problems() -> Iterator[str]:
    """What is wrong with the ledger, one sentence each; nothing if all is well.

    Recomputes every leaf and every checkpoint from the payloads, and compares the rows that are proof with what the
    ledger says of them.
    """
    yield from _tree_problems()
    yield from _row_problems()


def _tree_problems() -> Iterator[str]:
    checkpoints = {checkpoint.tree_size: checkpoint for checkpoint in Checkpoint.objects.all()}
    frontier = merkle.Frontier()
    for position, leaf in enumerate(LedgerLeaf.objects.select_related("entry").order_by("index").iterator(2000)):
        if leaf.index != position:
            yield f"leaf {position} is missing"
            return
        computed = entry_hash(leaf.entry.payload)
        if computed.hex() != leaf.leaf_hash:
            yield f"entry {leaf.entry_id} (leaf {leaf.index}) was changed after it was sealed"
        frontier.add(computed)
        if checkpoint := checkpoints.pop(frontier.size, None):
            yield from _checkpoint_problems(checkpoint, frontier.root())
    yield from (f"checkpoint {size} covers leaves that are missing" for size in sorted(checkpoints))


def _checkpoint_problems(checkpoint: Checkpoint, root: bytes) -> Iterator[str]:
    name = f"checkpoint {checkpoint.tree_size}"
    if checkpoint.root_hash != root.hex():
        yield f"{name}: its root is not the root of the entries"
    try:
        text = open_note(checkpoint.note, settings.LEDGER_ORIGIN, public_key())
    except BadSignature as error:
        yield f"{name}: {error}"
        return
    if text != head_text(checkpoint.tree_size, root):
        yield f"{name}: what was signed is not the root of the entries"


def _row_problems() -> Iterator[str]:
    said = set(LedgerEntry.objects.values_list("payload", flat=True))
    for row, facts in _proof_rows():
        if payload_text(facts) not in said:
            yield f"{row} is not as the ledger says: it was changed, or added past the services"
    for text in FormText.objects.select_related("form"):
        if sha256_hex(text.html.encode()) != text.sha256:
            yield f"{text}: its words are not those that were published"
    for evidence in SignatureEvidence.objects.select_related("consent"):
        if sha256_hex(evidence.as_json().encode()) != evidence.consent.evidence_sha256:
            yield f"{evidence.consent}: the evidence of its signature was changed"


def _proof_rows() -> Iterator[tuple[object, Facts]]:
    for text in FormText.objects.select_related("form").prefetch_related("purposes"):
        yield text, text_facts(text)
    for consent in Consent.objects.select_related("text").prefetch_related("purposes"):
        yield consent, consent_facts(consent)
    for withdrawal in Withdrawal.objects.all():
        yield withdrawal, withdrawal_facts(withdrawal)
    for licence in Licence.objects.prefetch_related("purposes"):
        yield licence, licence_facts(licence)
