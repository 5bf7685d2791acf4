"""What can happen to a release: drafted, built, published by a second person, discarded."""

import datetime
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from typing import Any

from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from collection import workplaces
from collection.models import Freeze, Image, ImageStatus
from consent import ledger
from consent.models import Checkpoint, LedgerEntry, User
from consent.refusals import Refused
from consent.signing import sha256_hex
from exports import deviation_reports, gate, provenance, release_files, selection, splits
from exports.assembly import SUMS, layout_of, write_files
from exports.definitions import kept_definition
from exports.differences import labels_text, rows_before
from exports.drafts import foresee
from exports.many_rows import insert_rows
from exports.models import Dataset, DeviationReport, Item, Release, ReleaseFile
from exports.pictures import Pictures
from exports.plans import Plan
from exports.shard_files import SHARED_FROM, Built, Second, make_folders
from exports.summary import Summary, Tally

__all__ = ("Refused", "build_release", "discard_release", "draft_release", "publish_release")

log = logging.getLogger(__name__)
LEASE = datetime.timedelta(seconds=30)  # a build that is silent for so long was killed
RENEW_SECONDS = 5.0
LONGEST_WAIT = datetime.timedelta(minutes=5)
COLUMNS = ("release_id", "image_id", "position", "row_id", "split", "shard", "leaf_hash")  # of an item
READ_WITH = (  # a build's release
    "dataset__purpose", "dataset__campaign", "definition__dataset__campaign", "previous__dataset__campaign",
    "previous__definition__dataset__campaign",
)  # fmt: skip


# --- Draft ---------------------------------------------------------------------------------------------------------


def draft_release(*, dataset: Dataset, user: User, notes: str = "") -> Release:
    """A release to be built, as of now, by the dataset's current definition. Replaces a draft that waits.

    `notes` are for people who use the release; they go into its card.
    """
    if dataset.releases.filter(state=Release.State.BUILDING).exists():
        raise Refused("A release of this dataset is being built. Wait until it is done, then draft again.")
    definition = kept_definition(dataset=dataset, user=user)
    snapshot_at = timezone.now()
    draft = foresee(definition, snapshot_at)
    if not draft.rows:
        why = "; ".join(f"{n}: {reason}" for reason, n in draft.left_out.items()) or "there are no images yet"
        raise Refused(f"No image may go into {dataset.title} now ({why}).")
    for waiting in dataset.releases.filter(state=Release.State.BUILT):
        discard_release(release=waiting, reason="replaced by a newer draft")
    number = (dataset.releases.aggregate(last=Max("number"))["last"] or 0) + 1
    try:
        with transaction.atomic():
            return Release.objects.create(
                dataset=dataset,
                definition=definition,
                previous=draft.previous,
                number=number,
                version=draft.step.version,
                notes=notes.strip(),
                snapshot_at=snapshot_at,
                drafted_by=user,
            )
    except IntegrityError:  # the same number or version: somebody drafted at the same moment
        raise Refused("Somebody else drafted a release of this dataset at the same moment. Look at theirs.") from None


def redraft_release(*, release: Release) -> Release:
    """A draft of the same snapshot in place of a built release, in the caller's transaction: only its documents differ.

    The caller deletes the bytes of the one that it replaces (`release_files.delete_own`).
    """
    replaced = Release.objects.filter(pk=release.pk, state=Release.State.BUILT).update(
        state=Release.State.DISCARDED, last_error="replaced by a draft of the same snapshot"
    )
    if not replaced:
        raise Refused(f"{release} no longer waits to be published. Look at its dataset again.")
    last: int = release.dataset.releases.aggregate(last=Max("number"))["last"]
    return Release.objects.create(
        dataset=release.dataset,
        definition=release.definition,
        previous=release.previous,
        number=last + 1,
        version=release.version,
        notes=release.notes,
        snapshot_at=release.snapshot_at,
        drafted_by=release.drafted_by,
    )


# --- Build ---------------------------------------------------------------------------------------------------------


def build_release(*, release_id: int) -> None:
    """Build one drafted release. May be killed anywhere and called again: the same snapshot gives the same bytes."""
    workplaces.remove_left()  # clear photographs of whoever was killed; before the lease runs, for there may be many
    now = timezone.now()
    claimed = Release.objects.filter(pk=release_id, state=Release.State.BUILDING, next_attempt_at__lte=now).update(
        next_attempt_at=now + LEASE, attempts=F("attempts") + 1
    )
    if not claimed:
        return
    release = Release.objects.select_related(*READ_WITH).get(pk=release_id)
    try:
        _build(release)
    except Refused as refusal:
        discard_release(release=release, reason=str(refusal))
    except Exception as error:  # whatever it is: note it, the sweep comes back
        log.exception("building release %s failed", release_id)
        _note_failure(release, error)


def _build(release: Release) -> None:
    beat = _heart(release)
    with (
        workplaces.at_work("release") as (name, lock),
        Second(name, lock) if _is_large(release) else nullcontext() as second,
        closing(Plan.begin(name / "plan.sqlite", beat)) as plan,
    ):
        folder, sized = name / "release", name / "sized"
        sized.mkdir()
        summary = plan_release(release, plan, Pictures(release.definition.longest_side, sized, beat))
        layout = layout_of(release, plan, summary, folder, sized)
        make_folders(layout)
        if second:
            second.begin(layout)  # it writes shards while we record what will be in them
        checkpoint = record_plan(release, plan)
        files = write_files(release, plan, summary, checkpoint, layout, second)
        keys = release_files.store(release, files, folder, beat)
        _record(release, plan, files, keys)
    release_files.purge_again(release)
    if Release.objects.filter(pk=release.pk, state=Release.State.DISCARDED).exists():
        release_files.delete_own(release)  # it was given up while its bytes were being stored


def plan_release(release: Release, plan: Plan, pictures: Pictures) -> Summary:
    """What the release holds goes into an empty `plan`: selection as of its snapshot, splits, places in shards."""
    dataset, definition, at = release.dataset, release.definition, release.snapshot_at
    left_out: Counter[str] = Counter()
    tally, describe = Tally(), provenance.describer(dataset, at, plan)
    found = selection.candidates(definition, at, left_out)
    for candidate, split in splits.foresee(dataset, found, at, left_out, definition.shares):
        image = candidate.image
        basis = describe(provenance.basis_of(image))
        picture = pictures.look(image)
        record = provenance.make_record(definition, candidate, picture, split, basis)
        labels = labels_text(candidate.said, image, definition.rules) if release.previous else ""
        plan.add(record, image=image.pk.hex, clean_key=picture.clean_key, labels=labels)
        tally.add(record, candidate)
    earlier = release.previous
    same_size = bool(earlier and earlier.definition.longest_side == definition.longest_side)
    plan.place(rows_before(earlier, same_size=same_size) if earlier else ())
    if lost := selection.count_closed(dataset, plan.images()):
        raise Refused(f"{lost} images lost their rights since the draft was made. Draft again.")
    if not len(plan):
        raise Refused(f"Nothing is left: every image {splits.LEFT_OUT}.")
    return tally.summary(subjects=plan.subjects, left_out=+left_out, change=plan.change() if earlier else None)


def record_plan(release: Release, plan: Plan) -> Checkpoint:
    """What has to stand before a release is built: splits, attested bases under the checkpoint that is returned, and
    the deviation report. A build that starts again finds them; Refused if they are about somebody who was erased since.
    """
    splits.record(release.dataset, plan.splits())
    provenance.attest(release, plan)
    checkpoint = provenance.sealed_checkpoint(release)
    if checkpoint is None:
        raise RuntimeError("the ledger is being sealed by another process; tried again soon")
    images = selection.images_among(release.dataset, release.snapshot_at, plan.images())
    report = deviation_reports.make_report(release=release, images=images)
    if (report.content["rows"], release.attestations.count()) != (len(plan), plan.bases):
        raise Refused("Photographs were erased while it was built. Draft again.")
    return checkpoint


def _is_large(release: Release) -> bool:
    """Whether it may hold so many photographs that two processes write them sooner than one.

    Not once it has failed twice: the second process may be one that the machine has no memory for.
    """
    if release.attempts > 2:
        return False
    usable = Image.objects.usable_for(release.dataset.purpose_id).order_by("pk")
    return usable[SHARED_FROM : SHARED_FROM + 1].exists()


def _heart(release: Release) -> Callable[[], None]:
    """Keeps the lease while it is called again and again."""
    renewed = time.monotonic()

    def beat() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            renewed = time.monotonic()
            _keep_lease(release)

    return beat


def _keep_lease(release: Release) -> None:
    """Now or with the next beat: while we go through rows that others have written since, SQLite lets us not write."""
    held = Release.objects.filter(pk=release.pk, state=Release.State.BUILDING)
    try:
        held.update(next_attempt_at=timezone.now() + LEASE)
    except OperationalError:
        if connection.vendor != "sqlite":
            raise


def _record(release: Release, plan: Plan, files: list[Built], keys: Mapping[str, str]) -> None:
    """The rows of a release, all at once; another process that built the same bytes may have been first."""
    sums = next(built.sha256 for built in files if built.path == SUMS)
    with transaction.atomic():
        first = Release.objects.filter(pk=release.pk, state=Release.State.BUILDING).update(
            state=Release.State.BUILT, sums_sha256=sums, rows_root=plan.root, last_error=""
        )
        if not first:
            return
        insert_rows(Item, COLUMNS, _items(release, plan))
        ReleaseFile.objects.bulk_create(
            ReleaseFile(
                release=release,
                path=built.path,
                key=keys[built.path],
                sha256=built.sha256,
                size=built.size,
                shard=built.shard,
            )
            for built in files
        )


def _items(release: Release, plan: Plan) -> Iterator[tuple[Any, ...]]:
    """A row of COLUMNS for each row of the plan."""
    for position, entry in enumerate(plan.entries()):
        yield release.pk, entry.image, position, entry.row_id, entry.split, entry.shard, entry.leaf.hex()


def _note_failure(release: Release, error: Exception) -> None:
    wait = min(datetime.timedelta(seconds=2 ** min(release.attempts, 10)), LONGEST_WAIT)
    Release.objects.filter(pk=release.pk, state=Release.State.BUILDING).update(
        last_error=f"{type(error).__name__}: {error}", next_attempt_at=timezone.now() + wait
    )


# --- Publish, discard ----------------------------------------------------------------------------------------------


def publish_release(*, release: Release, user: User) -> Release:
    """Publish a built release: by a second person, and only while every row may still be used."""
    release.refresh_from_db()
    if release.state != Release.State.BUILT:
        raise Refused(f"{release} cannot be published: it is {release.state}.")
    if release.drafted_by_id == user.pk:
        raise Refused(f"You drafted {release}. Ask a second person to look at it and publish it.")
    if held := held_items(release).count():
        raise Refused(
            f"{held} rows of {release} are held by the rights desk at the moment. Wait until it has decided: if it "
            "lets them go, this release can be published as it is."
        )
    if lost := closed_items(release).count():
        raise Refused(f"{lost} rows of {release} may no longer be used since it was built. Draft a new release.")
    _refuse_by_gate(release, user)
    with transaction.atomic():
        published = (
            Release.objects.filter(pk=release.pk, state=Release.State.BUILT)
            .filter(~Exists(closed_items(release)))
            .update(state=Release.State.PUBLISHED, published_by=user, published_at=timezone.now())
        )
        if not published:
            raise Refused(f"{release} changed while it was being published. Look at it again.")
        record_publication(release)
    release.refresh_from_db()
    return release


def _refuse_by_gate(release: Release, user: User) -> None:
    if refusal := gate.refusal(release):
        raise Refused(refusal)
    exception = gate.standing_exception(release)
    did = {exception.written_by_id: "wrote", exception.signed_by_id: "signed"}.get(user.pk) if exception else None
    if did:
        raise Refused(f"You {did} the exception that {release} rests on. Ask another person to publish it.")


def record_publication(release: Release) -> LedgerEntry:
    """The ledger's entry for one published release: the sum that names all of it, and what the gate said."""
    report = DeviationReport.objects.get(release=release)
    exception = gate.standing_exception(release)
    return ledger.append(
        "release.published",
        dataset=release.dataset.slug,
        version=release.version,
        sums_sha256=release.sums_sha256,
        rows_root=release.rows_root,
        gate=report.content["gate"]["verdict"],
        deviation_report_sha256=report.sha256,
        gate_exception_sha256=sha256_hex(exception.envelope.encode()) if exception else "",
    )


def closed_items(release: Release) -> QuerySet[Item]:
    """Items of an unpublished release that may not go into it now."""
    return _items_outside(release, Image.objects.open_for(release.dataset.purpose_id))


def held_items(release: Release) -> QuerySet[Item]:
    """Items of an unpublished release that the rights desk holds: nobody may have them now, and they may come back."""
    held = Freeze.objects.filter(lifted_at__isnull=True, image=OuterRef("image"))
    return Item.objects.filter(Exists(held), release=release)


def withheld_items(release: Release) -> QuerySet[Item]:
    """Items of a release that nobody may have now: the rights check, for rows. Some may come back (a freeze)."""
    return _items_outside(release, Image.objects.usable_for(release.dataset.purpose_id))


def lost_items(release: Release, *, clock: datetime.datetime) -> QuerySet[Item]:
    """Items of a release that nobody may ever have again; `clock` as in Image.objects.lost."""
    lost = Image.objects.lost(release.dataset.purpose_id, clock=clock)
    return Item.objects.filter(~Q(image__status=ImageStatus.ACCEPTED) | Q(image__in=lost), release=release)


def _items_outside(release: Release, images: QuerySet[Image]) -> QuerySet[Item]:
    return Item.objects.filter(~Exists(images.filter(pk=OuterRef("image"))), release=release)


def discard_release(*, release: Release, reason: str) -> bool:
    """Give up an unpublished release and delete its bytes. False if it was published or discarded meanwhile."""
    unpublished = Release.objects.filter(pk=release.pk, state__in=[Release.State.BUILDING, Release.State.BUILT])
    if not unpublished.update(state=Release.State.DISCARDED, last_error=reason):
        return False
    release_files.delete_own(release)
    return True
