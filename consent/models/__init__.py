"""The right to use: who agreed to what under which words, what was licensed, and the ledger that proves it.

Each model declares in PERSONAL_DATA which fields hold personal data and why they may; a system check demands it.
Rows that are proof (texts, consents, withdrawals, licences, ledger) are append-only by database triggers; what
identifies a person sits in rows of its own (Contributor, SignatureEvidence, Receipt), so that erasing the person leaves
the proof intact.
"""

from consent.models.consents import (
    Aftermath,
    Consent,
    ConsentPurpose,
    ConsentQuerySet,
    PurposeState,
    Receipt,
    SignatureEvidence,
    Withdrawal,
    new_nonce,
)
from consent.models.desk import RightsRequest
from consent.models.forms import (
    ConsentForm,
    FormDraft,
    FormText,
    FormTextPurpose,
    Purpose,
    PurposeEnd,
    PurposeWording,
    Statements,
)
from consent.models.ledger import Checkpoint, CheckpointCopy, Clock, ErasureNote, LedgerEntry, LedgerLeaf, LedgerTile
from consent.models.licences import Licence, LicencePurpose, LicenceQuerySet, LicenceWarning, PriceBasis
from consent.models.people import PREFER_NOT_TO_SAY, Contributor, Demographics, User, UserManager

__all__ = (
    "PREFER_NOT_TO_SAY",
    "Aftermath",
    "Checkpoint",
    "CheckpointCopy",
    "Clock",
    "Consent",
    "ConsentForm",
    "ConsentPurpose",
    "ConsentQuerySet",
    "Contributor",
    "Demographics",
    "ErasureNote",
    "FormDraft",
    "FormText",
    "FormTextPurpose",
    "LedgerEntry",
    "LedgerLeaf",
    "LedgerTile",
    "Licence",
    "LicencePurpose",
    "LicenceQuerySet",
    "LicenceWarning",
    "PriceBasis",
    "Purpose",
    "PurposeEnd",
    "PurposeState",
    "PurposeWording",
    "Receipt",
    "RightsRequest",
    "SignatureEvidence",
    "Statements",
    "User",
    "UserManager",
    "Withdrawal",
    "new_nonce",
)
