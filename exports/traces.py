"""What is left of one photograph, by its id or its SHA-256: every column of the database, every store of bytes.

KNOWN says of every table that is about photographs whether its rows are proof that is kept on purpose; what it does
not know counts as left. The other stores are in trace_stores.
"""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from django.apps import apps
from django.db import models
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from annotation.models import LabelTask
from collection.erasure import preserved_images
from collection.models import Fingerprint, Image, ImageStatus
from consent.clock import trusted_now
from exports.models import Item

OURS = ("consent", "collection", "annotation", "exports")
SHA256 = re.compile(r"[0-9a-f]{64}")
EXACT_UNTIL = 64  # longer columns hold texts or keys, in which a name may stand anywhere

ALL = Q()
LEFT = None
# Tables about photographs: which of their rows are proof, and why they stay; LEFT: none of them may.
KNOWN: dict[str, tuple[Q, str] | None] = {
    "collection.image": (Q(status=ImageStatus.PURGED), "an empty tombstone: that it was there, and when it went"),
    "collection.transition": (ALL, "what happened to it, and when"),
    "collection.removal": (ALL, "that it was taken out, and why"),
    "collection.removeddigest": (ALL, "knows it again if it comes back, by a keyed hash; deleted by its own date"),
    "collection.takenback": (ALL, "keeps it from coming back through others, by a keyed hash; deleted by its own date"),
    "collection.freeze": (ALL, "that the rights desk held it"),
    "collection.modelrelease": (ALL, "the hash of a signed release, whose bytes go"),
    "collection.reviewdecision": (ALL, "what a reviewer decided"),
    "collection.reviewoutcome": (ALL, "what became of that"),
    "collection.harmmatch": (ALL, "that it matched a list of known harm"),
    "collection.harmhash": (ALL, "a list of known harm, which others keep"),
    "collection.harmreport": (ALL, "what was reported to an authority"),
    "collection.fingerprint": LEFT,
    "collection.resemblance": LEFT,
    "collection.word": LEFT,
    "collection.distinct": LEFT,
    "collection.screening": LEFT,
    "collection.facemark": LEFT,
    "collection.vendorcall": LEFT,
    "collection.reviewcase": LEFT,
    "collection.reviewnote": LEFT,
    "collection.upload": LEFT,
    "collection.libraryimport": LEFT,
    "collection.refusedrow": LEFT,
    "annotation.labeltask": (Q(state=LabelTask.State.RETRACTED), "a retracted task, from which pay hangs"),
    "annotation.annotation": (ALL, "a label that was paid for; in no dataset any more"),
    "annotation.earning": (ALL, "pay"),
    "annotation.goldanswer": (ALL, "by what labels were judged; in no dataset"),
    "annotation.rejection": (ALL, "why a label was taken out of datasets"),
    "annotation.dispute": (ALL, "that somebody disagreed with that"),
    "annotation.disputewords": (ALL, "what an annotator wrote; deleted with their account"),
    "annotation.disputedecision": (ALL, "what a second reviewer decided"),
    "annotation.handout": (ALL, "whom it was given to, without identity"),
    "annotation.imageview": (ALL, "who saw it, without identity"),
    "exports.item": (Q(revocation__isnull=False) | Q(release__state="discarded"), "a revoked row, under a pseudonym"),
    "exports.split": (ALL, "which split it was in, so that copies never change sides"),
    "exports.revocation": (ALL, "that the row was revoked"),
    "exports.notice": (ALL, "what recipients were told to drop"),
    "exports.certificate": (ALL, "the certificate that it is erased"),
    "exports.releasefile": (Q(purge__isnull=False) | Q(shard=""), "a file whose bytes are deleted"),
    "consent.ledgerentry": (ALL, "the ledger, without identity"),
    "consent.erasurenote": (ALL, "the erasure list: a restored backup must forget it again"),
    "consent.rightsrequest": (ALL, "the words of a request; deleted by REQUEST_DAYS"),
    # About photographs in general, never about one.
    "consent.receipt": (ALL, "what somebody signed"),
    "consent.signatureevidence": (ALL, "what somebody signed"),
}


@dataclass(frozen=True)
class Trace:
    """So many things in one place. `kept` says why they stay on purpose; empty: they should not be there."""

    store: str
    place: str
    count: int
    kept: str = ""


@dataclass
class Names:
    """Everything that one photograph is called in some store."""

    ids: set[uuid.UUID] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)  # SHA-256, hex
    others: set[str] = field(default_factory=set)  # row ids of datasets, ids and addresses of label tasks

    def words(self) -> set[str]:
        return {*self.digests, *self.others, *(word for one in self.ids for word in (str(one), one.hex))}


@dataclass
class Report:
    """What was found. `remarks` are sentences about what could not be searched."""

    asked: str
    standing: list[str]
    traces: list[Trace]
    remarks: list[str]

    @property
    def left(self) -> list[Trace]:
        return [trace for trace in self.traces if not trace.kept]


# --- Whose traces --------------------------------------------------------------------------------


def names_of(asked: str) -> Names | None:
    """What is known of an image id or a SHA-256 (hex); None if the text is neither."""
    asked = asked.strip().lower()
    names = Names()
    if SHA256.fullmatch(asked):
        names.digests.add(asked)
        names.ids |= set(Image.objects.filter(Q(sha256=asked) | Q(clean_sha256=asked)).values_list("pk", flat=True))
        names.ids |= set(Fingerprint.objects.filter(pixels_sha256=asked).values_list("pk", flat=True))
    else:
        try:
            names.ids.add(uuid.UUID(asked))
        except ValueError:
            return None
    _learn(names)
    return names


def _learn(names: Names) -> None:
    """What the rows of these images call them elsewhere."""
    for row in Image.objects.filter(pk__in=names.ids).values_list(
        "sha256", "clean_sha256", "fingerprint__pixels_sha256"
    ):
        names.digests |= {digest for digest in row if digest}
    names.others |= set(Item.objects.filter(image__in=names.ids).values_list("row_id", flat=True))
    for asset_id, view_key in LabelTask.objects.filter(image__in=names.ids).values_list("pk", "view_key"):
        names.others |= {str(asset_id), asset_id.hex, view_key}


def standing_of(names: Names) -> list[str]:
    """A sentence for each image: erased, to be erased, or in use."""
    said = []
    lost = set(Image.objects.filter(pk__in=names.ids).lost(clock=trusted_now()).values_list("pk", flat=True))
    preserved = set(preserved_images(clock=trusted_now()).filter(pk__in=names.ids).values_list("pk", flat=True))
    for image in Image.objects.filter(pk__in=names.ids):
        if image.status == ImageStatus.PURGED:
            said.append(f"Image {image.pk} is erased; an empty row says so.")
        elif image.pk in preserved:
            said.append(
                f"Image {image.pk} may not be used any more; the law asks us to keep it until its case is closed."
            )
        elif image.pk in lost:
            said.append(f"Image {image.pk} may not be used any more and is not erased yet ({image.status}).")
        else:
            said.append(f"Image {image.pk} is still in use: it is {image.status}, and nobody took it back.")
    return said


# --- The database --------------------------------------------------------------------------------


def own_models() -> list[type[models.Model]]:
    found = [model for app in OURS for model in apps.get_app_config(app).get_models(include_auto_created=True)]
    return [model for model in found if model._meta.managed and not model._meta.proxy]


def models_about_images() -> dict[type[models.Model], list[str]]:
    """Every other table whose rows lead to one image, over any number of links: the names of those links."""
    found: dict[type[models.Model], list[str]] = {}
    waiting: list[type[models.Model]] = [Image]
    for target in waiting:
        for model in own_models():
            links = [f.name for f in model._meta.concrete_fields if f.is_relation and f.related_model is target]
            if links and model is not target:
                found.setdefault(model, []).extend(links)
                if model not in waiting:
                    waiting.append(model)
    return found


def rows_traces(names: Names) -> Iterator[Trace]:
    """Rows that lead to the images by foreign keys."""
    images = Image.objects.filter(pk__in=names.ids)
    reached: dict[Any, set[Any]] = {Image: set(images.values_list("pk", flat=True))}
    yield from _sorted_out(images, "id")
    for model, links in models_about_images().items():
        for link in links:
            belongs = {f"{link}__in": list(reached.get(model._meta.get_field(link).related_model, ()))}
            rows = model._default_manager.filter(**belongs)
            reached.setdefault(model, set()).update(rows.values_list("pk", flat=True))
            yield from _sorted_out(rows, link)


def column_traces(names: Names) -> Iterator[Trace]:
    """Values of any column, but for links, that name the images or hold one of their hashes."""
    for model in own_models():
        for column in model._meta.concrete_fields:
            rows = None if model is Image and column.primary_key else _holding(model, column, names)
            if rows is not None:
                yield from _sorted_out(rows, column.name)


def _holding(model: type[models.Model], column: Any, names: Names) -> models.QuerySet | None:
    """Rows with a name of the images in `column`; None if it cannot hold one (the one binary column, the PDF of what
    somebody signed, names no photograph)."""
    rows: models.QuerySet = model._default_manager.all()
    words = sorted(names.words())
    if column.is_relation:
        return None
    if isinstance(column, models.UUIDField):
        return rows.filter(**{f"{column.name}__in": [*names.ids, *map(uuid.UUID, filter(_is_uuid, names.others))]})
    if isinstance(column, models.CharField) and column.max_length and column.max_length <= EXACT_UNTIL:
        return rows.filter(**{f"{column.name}__in": words})
    if isinstance(column, models.CharField | models.TextField | models.JSONField):
        anywhere = Q(pk__in=[])
        for word in words:
            anywhere |= Q(text_of_it__contains=word)
        texts = rows.alias(text_of_it=Cast(column.name, TextField()))
        return cast("models.QuerySet[Any]", texts.filter(anywhere))  # django-stubs cannot follow the alias
    return None


def _is_uuid(word: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", word) is not None


def _sorted_out(rows: models.QuerySet, column: str) -> Iterator[Trace]:
    """What of these rows is proof, and what is left."""
    count, known = rows.count(), KNOWN.get(rows.model._meta.label_lower, LEFT)
    proof = rows.filter(known[0]).count() if count and known else 0
    place = f"{rows.model._meta.db_table}.{column}"
    if known and proof:
        yield Trace("database", place, proof, known[1])
    if count > proof:
        yield Trace("database", place, count - proof)
