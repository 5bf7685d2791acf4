"""What somebody took back does not come back through somebody else: see docs/decisions/0033.

Of two people who sent the same photograph one says no more: that counts, whoever took it. The one who took it back may
send it again; nobody else can, as long as it shows the very same bytes or pixels.
"""

import hashlib
import hmac
import uuid
from collections.abc import Collection, Iterable

from collection.models import Fingerprint, Image, ImageStatus, Resemblance, TakenBack
from collection.recognition import digests_of
from consent.clock import trusted_now
from consent.keys import derived_key
from consent.models import Withdrawal
from consent.refusals import Refused

Cause = Withdrawal.Cause
CAUSES = frozenset({Cause.WITHDRAWN, Cause.OBJECTED, Cause.ACCOUNT_DELETED})  # a person said so; terms just end

GONE = (
    "What it resembles was taken back by the person who had sent it: they want it gone, so this one cannot be "
    "accepted. Within a minute it is turned down by itself."
)


def remember(image: Image) -> None:
    """Keep keyed digests of what is about to be forgotten, in the caller's transaction. Harmless to do twice."""
    if _suspected(image):
        return
    hashes = {image.sha256, image.clean_sha256, *_pixels_of(image.pk)} - {""}
    owner = _owner(image.subject)
    TakenBack.objects.bulk_create(
        (TakenBack(owner=owner, digest=digest) for digest in sorted(digests_of(hashes))), ignore_conflicts=True
    )


def _suspected(image: Image) -> bool:
    """It looked like somebody else's, and nobody has said whose it is: taking it back must not shut them out."""
    held = image.status == ImageStatus.NEEDS_REVIEW
    return held and image.resembles.exclude(original__subject=image.subject).exists()


def _pixels_of(image_id: uuid.UUID) -> Iterable[str]:
    return Fingerprint.objects.filter(image=image_id).values_list("pixels_sha256", flat=True)


def _owner(subject: str) -> str:
    """Whose it was, so that they may send it again: readable with the key only, and joined with nothing else."""
    return hmac.new(derived_key("removed photographs"), f"owner {subject}".encode(), hashlib.sha256).hexdigest()


def was_taken_back(hashes: Iterable[str], *, subject: str) -> bool:
    """Whether somebody other than `subject` took back a photograph with one of these hashes (SHA-256, hex)."""
    return TakenBack.objects.filter(digest__in=digests_of(hashes)).exclude(owner=_owner(subject)).exists()


def taken_back_among(files: Collection[tuple[str, str]]) -> set[str]:
    """Of many (SHA-256 in hex, subject) the hashes that somebody other than the subject took back: one query."""
    by_digest = {digest: sha256 for sha256, _ in files for digest in digests_of([sha256])}
    owners = {sha256: _owner(subject) for sha256, subject in files}
    known = TakenBack.objects.filter(digest__in=by_digest).values_list("digest", "owner")
    return {by_digest[digest] for digest, owner in known if owners[by_digest[digest]] != owner}


# --- Until the sweep has been there ----------------------------------------------------------------


def being_taken_back(image_ids: Iterable[uuid.UUID], *, subject: str) -> bool:
    """Whether one of these images was somebody else's who took it back, and it is not erased yet, or kept for them."""
    others = Image.objects.filter(pk__in=list(image_ids)).exclude(subject=subject).exclude(status=ImageStatus.PURGED)
    return any(cause_of(image) in CAUSES for image in others.lost(clock=trusted_now()))


def cause_of(image: Image) -> str:
    """Who or what ended it, as far as a person did: a key of collection.reasons; "" if its term ended."""
    removal = image.removals.order_by("made_at").first()
    if removal:
        return removal.cause
    withdrawal = Withdrawal.objects.filter(consent=image.consent_id).order_by("-made_at", "-pk").first()
    return withdrawal.cause if withdrawal else ""


def why_not(image: Image) -> str:
    """Why nobody can accept an image: what it resembles was somebody else's, who has just taken it back; "" if not."""
    originals = image.resembles.values_list("original_id", flat=True)
    return GONE if being_taken_back(originals, subject=image.subject) else ""


def refuse_copy(image: Image) -> None:
    """Refused if nobody can accept it: see `why_not`."""
    if gone := why_not(image):
        raise Refused(gone)


def turn_down_copies(image: Image) -> list[uuid.UUID]:
    """Turn down what waits at the desk because it looks like this image of somebody else, which they took back; the ids
    of those. What a reviewer accepted stays: somebody looked whose it is."""
    pairs = Resemblance.objects.filter(original=image, image__status=ImageStatus.NEEDS_REVIEW)
    waiting = pairs.exclude(image__subject=image.subject).values_list("image_id", flat=True)
    return [copy for copy in waiting if _turn_down(copy)]


def _turn_down(image_id: uuid.UUID) -> bool:
    return Image.objects.move(image_id, ImageStatus.NEEDS_REVIEW, ImageStatus.REJECTED, reason="taken_back")
