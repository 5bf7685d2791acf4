"""The images: what was asked for, what came in, where each one stands, and what it resembles."""

from collection.models.calls import Call
from collection.models.copies import Distinct, Word
from collection.models.fingerprints import Fingerprint, Resemblance
from collection.models.holds import Freeze, Removal
from collection.models.images import MOVES, PIPELINE, Image, ImageQuerySet, ImageStatus, Transition
from collection.models.libraries import LibraryImport, ModelRelease

__all__ = (
    "MOVES",
    "PIPELINE",
    "Call",
    "Distinct",
    "Fingerprint",
    "Freeze",
    "Image",
    "ImageQuerySet",
    "ImageStatus",
    "LibraryImport",
    "ModelRelease",
    "Removal",
    "Resemblance",
    "Transition",
    "Word",
)
