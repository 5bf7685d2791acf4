"""Taking single photographs out, for good. It bites at the next read; sweeps do the rest."""

import datetime
import uuid
from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import Q

from collection.erasure import kept_images
from collection.models import Freeze, Image, ImageQuerySet, ImageStatus, Removal
from collection.recognition import remember_removed
from consent import ledger
from consent.clock import trusted_now
from consent.erasure_list import note
from consent.ledger import Facts
from consent.models import Aftermath, Contributor, LedgerEntry, RightsRequest, Withdrawal


def remove_images(
    *,
    images: Iterable[Image],
    cause: str,
    aftermath: str = Aftermath.ERASE,
    act: uuid.UUID | None = None,
    request: RightsRequest | None = None,
) -> list[Removal]:
    """Take these images out, in one act. What was removed before keeps its removal.

    Only "erase" is stronger than an earlier "keep": it adds a removal of its own.
    """
    act = act or uuid.uuid4()
    wanted = [image.pk for image in images]
    with transaction.atomic():
        # Sent twice at the same moment, the second sees what the first did.
        held = Image.objects.select_for_update(no_key=True).filter(pk__in=wanted).order_by("pk")
        found = list(held.values_list("pk", flat=True))
        made = _made(found)
        return [
            made[image_id]
            if _says_it_all(made.get(image_id), aftermath)
            else _record(Removal(image_id=image_id, cause=cause, aftermath=aftermath, act=act, request=request))
            for image_id in found
        ]


def _made(image_ids: list[uuid.UUID]) -> dict[uuid.UUID, Removal]:
    """By image: the removal that counts, which is the erasing one if there are two."""
    made = Removal.objects.filter(image__in=image_ids)
    return {removal.image_id: removal for removal in sorted(made, key=lambda one: one.aftermath == Aftermath.ERASE)}


def _says_it_all(made: Removal | None, aftermath: str) -> bool:
    return made is not None and (aftermath == Aftermath.KEEP or made.aftermath == Aftermath.ERASE)


def _record(removal: Removal) -> Removal:
    """The row, its ledger entry, its line on the erasure list, and what knows the photograph again."""
    removal.save(force_insert=True)
    remember_removed(removal=removal)
    record_removal(removal)
    note("removal", **{field.attname: getattr(removal, field.attname) for field in Removal._meta.concrete_fields})
    return removal


def record_removal(removal: Removal) -> LedgerEntry:
    """A photograph was taken out."""
    return ledger.append(**removal_facts(removal))


def removal_facts(removal: Removal) -> Facts:
    """What the ledger says of a removal, whole."""
    return {
        "kind": "image.removed",
        "at": removal.made_at,
        "image": removal.image_id,
        "removal": removal.pk,
        "cause": str(removal.cause),
        "aftermath": str(removal.aftermath),
        "act": removal.act,
        "request": removal.request_id,
    }


def proof_rows(since: datetime.datetime | None) -> Iterator[tuple[Removal, Facts]]:
    """Each removal (made since then) and what the ledger must say of it: settings.LEDGER_PROOF."""
    made = Removal.objects.filter(made_at__gte=since) if since else Removal.objects.all()
    for removal in made.iterator(5000):
        yield removal, removal_facts(removal)


# --- What its owner still sees --------------------------------------------------------------------


def kept_by(contributor: Contributor) -> ImageQuerySet:
    """Photographs that this contributor took back and keeps for themselves."""
    return kept_images(clock=trusted_now()).filter(consent__contributor=contributor)


def seen_by(contributor: Contributor) -> ImageQuerySet:
    """This contributor's own photographs as far as they may look at them: what they permit, and what they keep."""
    own = Image.objects.filter(consent__contributor=contributor).exclude(status=ImageStatus.PURGED)
    held = Freeze.objects.filter(lifted_at__isnull=True, image__in=own.values("pk"))
    mine = Q(pk__in=own.with_live_basis().values("pk")) | Q(pk__in=kept_by(contributor).values("pk"))
    return own.filter(mine).exclude(pk__in=held.values("image"))


def removable_by(contributor: Contributor) -> ImageQuerySet:
    """What this contributor can still take back one by one: what is there and not about to be erased."""
    own = Image.objects.filter(consent__contributor=contributor).exclude(status=ImageStatus.PURGED)
    return own.filter(Q(pk__in=own.entitled().values("pk")) | Q(pk__in=kept_by(contributor).values("pk")))


def acts_of(contributor: Contributor) -> list[tuple[uuid.UUID, datetime.datetime]]:
    """What this person took back, or lost: (act, when), the newest first."""
    withdrawn = Withdrawal.objects.filter(consent__contributor=contributor).values_list("act", "made_at")
    removed = Removal.objects.filter(image__consent__contributor=contributor).values_list("act", "made_at")
    begun = dict(sorted((*withdrawn, *removed), key=lambda one: one[1], reverse=True))
    return sorted(begun.items(), key=lambda one: one[1], reverse=True)
