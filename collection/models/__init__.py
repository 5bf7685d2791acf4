"""The images: what was asked for, what came in, where each one stands, and what it resembles."""

from collection.models.calls import Call, CallQuerySet
from collection.models.copies import Distinct, Word
from collection.models.fingerprints import Fingerprint, Resemblance
from collection.models.harm import HarmAlarm, HarmBand, HarmHash, HarmList, HarmMatch, HarmReport
from collection.models.holds import Freeze, Removal
from collection.models.images import COMPARED, MOVES, PIPELINE, Image, ImageQuerySet, ImageStatus, Transition
from collection.models.keys import SubjectKey
from collection.models.libraries import LibraryImport, LicensedAttributes, ModelRelease, RefusedRow
from collection.models.removed import RemovedDigest, TakenBack
from collection.models.review import ReviewCase, ReviewDecision, ReviewNote, ReviewOutcome
from collection.models.screening import FaceMark, Screening, VendorCall
from collection.models.targets import DIMENSIONS, Target
from collection.models.uploads import Upload

__all__ = (
    "COMPARED",
    "DIMENSIONS",
    "MOVES",
    "PIPELINE",
    "Call",
    "CallQuerySet",
    "Distinct",
    "FaceMark",
    "Fingerprint",
    "Freeze",
    "HarmAlarm",
    "HarmBand",
    "HarmHash",
    "HarmList",
    "HarmMatch",
    "HarmReport",
    "Image",
    "ImageQuerySet",
    "ImageStatus",
    "LibraryImport",
    "LicensedAttributes",
    "ModelRelease",
    "RefusedRow",
    "Removal",
    "RemovedDigest",
    "Resemblance",
    "ReviewCase",
    "ReviewDecision",
    "ReviewNote",
    "ReviewOutcome",
    "Screening",
    "SubjectKey",
    "TakenBack",
    "Target",
    "Transition",
    "Upload",
    "VendorCall",
    "Word",
)
