"""Images under a licence: taken in once each, and never more of them than the licence covers."""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.core.files.base import File
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q

from collection import keys, licensed_attributes, recognition, storage
from collection.models import Image, ImageQuerySet, ImageStatus, ModelRelease, Transition
from collection.services import check_original, write_original
from collection.taken_back import taken_back_among
from consent.models import Licence
from consent.refusals import Refused
from consent.signing import file_sha256, sha256_hex

# An image that was turned down or that we had before was never used, and no move leads back from there.
NEVER_USED = (ImageStatus.REJECTED, ImageStatus.DUPLICATE)


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """One image of a library whose bytes are stored and whose rows are not written yet."""

    image: Image
    release: ModelRelease | None
    said: Mapping[str, str] = field(default_factory=dict)  # self-reported attributes of the person depicted


# --- The volume cap ------------------------------------------------------------------------------


def counted() -> ImageQuerySet:
    """The images that use up a licence: everything taken in but what was turned down or a duplicate.

    What was used and later erased counts: the right to it was spent. What waits in the pipeline counts too, or several
    imports at once would pass the cap; if it is turned down, its place is free again.
    """
    unused = Transition.objects.filter(image=OuterRef("pk"), new=ImageStatus.PURGED, old__in=NEVER_USED)
    held = Image.objects.filter(licence__isnull=False).exclude(status__in=NEVER_USED)
    return held.filter(~Q(status=ImageStatus.PURGED) | ~Exists(unused))


def used_by_licence() -> dict[uuid.UUID, int]:
    """How many images use up each licence that has any."""
    found = counted().order_by().values_list("licence").annotate(images=Count("pk"))
    return {licence: images for licence, images in found if licence}


def room(licence: Licence) -> int | None:
    """How many more images the licence covers; None: no cap."""
    if licence.volume_cap is None:
        return None
    return max(0, licence.volume_cap - counted().filter(licence=licence).count())


def _fitting(licence: Licence, wanted: int) -> int:
    """How many of `wanted` images the licence still covers. Counts what was turned down only if it comes to that."""
    if licence.volume_cap is None or licence.volume_cap - Image.objects.filter(licence=licence).count() >= wanted:
        return wanted
    return min(wanted, room(licence) or 0)


# --- Taking in -----------------------------------------------------------------------------------


def check_live(licence: Licence) -> None:
    """Refused unless the licence is in force now."""
    if not Licence.objects.live().filter(pk=licence.pk).exists():
        raise Refused(
            f"The licence “{licence}” runs from {licence.starts_on} to {licence.ends_on}, so nothing can be "
            "imported under it today. Record a licence that is in force."
        )


def over_cap(licence: Licence) -> Refused:
    return Refused(
        f"The licence covers {licence.volume_cap} images, and as many were taken in. Record a further licence for more."
    )


def purged_path(licence_id: uuid.UUID, path: str) -> str:
    """What stands for the path of an erased image: it names nobody, and importing again does not bring it back."""
    return f"purged:{sha256_hex(f'{licence_id}:{path}'.encode())}"


def known_paths(licence: Licence, paths: Collection[str]) -> set[str]:
    """Those of `paths` whose images were taken in under the licence before, erased ones included."""
    names = {name: path for path in paths for name in (path, purged_path(licence.pk, path))}
    found = Image.objects.filter(licence=licence, external_id__in=names)
    return {names[name] for name in found.values_list("external_id", flat=True)}


def store_parcel(
    *,
    licence: Licence,
    external_id: str,
    subject: str,
    file: File,
    release: File | None = None,
    said: Mapping[str, str] | None = None,
    ring: keys.Ring | None = None,
) -> Parcel:
    """Write the bytes of one image, and of the signed release of whom it depicts. Refused says what is wrong.

    `subject` is the library's own key of that person, `said` what they said about themselves. Whether the photograph
    was erased before is asked by `take_in`, for many at once.
    """
    extension, digest = check_original(file), file_sha256(file)
    stored = write_original(file, digest, extension, subject=subject_of(licence, subject), ring=ring)
    image = Image(**stored, licence=licence, external_id=external_id)
    return Parcel(image=image, release=_store_release(image, release) if release else None, said=said or {})


def subject_of(licence: Licence, key: str) -> str:
    """Image.subject of a person in a library, which may give names."""
    return f"{licence.pk}:{sha256_hex(f'{licence.pk}:{key}'.encode())[:32]}"


def _store_release(image: Image, file: File) -> ModelRelease:
    suffix = (file.name or "").rpartition(".")[2].lower()
    suffix = suffix if suffix.isalnum() and suffix.isascii() and len(suffix) <= 5 else "bin"
    digest = file_sha256(file)
    key = storage.key_for(image.pk, digest, suffix)
    storage.write_once(storage.evidence(), key, file)
    return ModelRelease(image=image, name=f"model-release-{image.pk}.{suffix}", sha256=digest, key=key)


def take_in(*, licence: Licence, parcels: Sequence[Parcel]) -> list[Parcel]:
    """Write the rows of as many `parcels` as the licence still covers, in order; returns those taken in.

    Imports under one licence take turns here (a lock on its row; SQLite lets one transaction write at a time), so two
    of them never pass the cap together nor take one path twice. What was erased because of somebody in it is left out
    too (`erased_before`). Refused if the licence is no longer in force.
    """
    with transaction.atomic():
        Licence.objects.select_for_update().get(pk=licence.pk)
        check_live(licence)
        known = known_paths(licence, [parcel.image.external_id for parcel in parcels])
        erased = erased_before(parcels)
        new = [parcel for parcel in parcels if parcel.image.external_id not in known]
        taken = [parcel for parcel in new if parcel.image.pk not in erased]
        taken = taken[: _fitting(licence, len(taken))]
        Image.objects.bulk_create(parcel.image for parcel in taken)
        ModelRelease.objects.bulk_create(parcel.release for parcel in taken if parcel.release)
        licensed_attributes.save(licence=licence, said={parcel.image.subject: parcel.said for parcel in taken})
    return taken


def erased_before(parcels: Iterable[Parcel]) -> set[uuid.UUID]:
    """Those (image ids) whose very same bytes were erased because of somebody in them (ADR 0022), or because somebody
    else took them back (ADR 0033)."""
    images = [parcel.image for parcel in parcels]
    erased = recognition.taken_out_among(image.sha256 for image in images)
    erased |= taken_back_among([(image.sha256, image.subject) for image in images])
    return {image.pk for image in images if image.sha256 in erased}


def discard(parcels: Sequence[Parcel]) -> None:
    """Delete the bytes of parcels that were not taken in."""
    for parcel in parcels:
        storage.delete_all(parcel.image)
