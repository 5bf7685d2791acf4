"""The erasure list: what was erased, kept outside the database, so that a restored backup forgets it again.

The event's own transaction makes an ErasureNote; a sweep writes it to the `erasures` storage, one object per note.
"""

from typing import Any

from consent.ledger import payload_text
from consent.models import ErasureNote


def note(kind: str, **facts: Any) -> ErasureNote:
    """Put one event on the list, in the caller's transaction. `facts` are pseudonymous ids, times and plain values."""
    return ErasureNote.objects.create(payload=payload_text({"kind": kind, **facts}))
