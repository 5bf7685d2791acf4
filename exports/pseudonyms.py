"""Names that a dataset uses for what must not be known outside: the same thing has another name in every dataset."""

import hmac

from exports.models import Dataset


def keyed(dataset: Dataset, kind: str, value: object) -> str:
    """The pseudonym (32 hex digits) of `value`, a thing of this kind ("row", "subject", "basis", "annotator")."""
    return _hmac(dataset, f"{kind}:{value}").hex()[:32]


def commitment(dataset: Dataset, payload: str) -> str:
    """HMAC-SHA256 (hex) of a ledger entry's payload: an auditor who gets the dataset key can open it, nobody else."""
    return _hmac(dataset, f"commitment:{payload}").hex()


def fraction(dataset: Dataset, value: str) -> float:
    """A number in [0, 1) that only `value` and the dataset decide."""
    return int.from_bytes(_hmac(dataset, f"split:{value}")[:6], "big") / 2**48


def _hmac(dataset: Dataset, message: str) -> bytes:
    return hmac.digest(bytes.fromhex(dataset.pseudonym_key), message.encode(), "sha256")
