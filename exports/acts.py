"""How far one act of taking back has come, place by place: what its certificate says, and its page until then.

An act is what one press of a button ended: withdrawals of consents or purposes, removals of photographs, or both.
"""

import datetime
import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Max, Q, QuerySet

from annotation.models import LabelTask
from collection.erasure import doomed_images, kept_images, preserved_images
from collection.models import Fingerprint, Image, ImageQuerySet, ImageStatus, Removal, Resemblance, Transition
from consent.clock import trusted_now
from consent.models import Contributor, Withdrawal
from exports.history import Pull, merged, pulls_of
from exports.models import (
    Acknowledgement,
    FilePurge,
    Item,
    Notice,
    NoticeDuty,
    NoticeMail,
    Release,
    ReleaseFile,
    Revocation,
)
from exports.notice_mails import recipients_of

Moment = datetime.datetime | None
State = Release.State


# --- The act -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """What was taken back at once, and when."""

    id: uuid.UUID
    at: datetime.datetime
    withdrawals: tuple[Withdrawal, ...]
    removals: tuple[Removal, ...]

    @property
    def one_purpose(self) -> bool:
        """True if nothing but single purposes was taken back."""
        return not self.removals and all(withdrawal.purpose_id for withdrawal in self.withdrawals)

    def images(self) -> ImageQuerySet:
        consents = [withdrawal.consent_id for withdrawal in self.withdrawals]
        return Image.objects.filter(Q(consent__in=consents) | Q(pk__in=self._removed()))

    def touching(self, image: str, purpose: str) -> Q:
        """Condition on rows about an image (its path) used for a purpose (its path) for which this act ends the use."""
        ended = Q(**{f"{image}__in": self._removed()})
        for withdrawal in self.withdrawals:
            of_consent = Q(**{f"{image}__consent": withdrawal.consent_id})
            ended |= of_consent & Q(**{purpose: withdrawal.purpose_id}) if withdrawal.purpose_id else of_consent
        return ended

    def _removed(self) -> QuerySet[Any, Any]:
        return Removal.objects.filter(act=self.id).values("image")

    def contributor(self) -> Contributor | None:
        """Whose act it is; None if it is about licensed photographs or several people's."""
        people = Contributor.objects.filter(consents__images__in=self._removed()).order_by().distinct()
        found = {withdrawal.consent.contributor for withdrawal in self.withdrawals} | set(people[:2])
        return found.pop() if len(found) == 1 else None


def find_act(act: uuid.UUID) -> Act | None:
    """The act with this id, or None."""
    withdrawals = tuple(
        Withdrawal.objects.filter(act=act)
        .select_related("consent__contributor__user", "consent__text", "purpose")
        .order_by("made_at")
    )
    removals = tuple(Removal.objects.filter(act=act).order_by("made_at"))
    begun = [withdrawal.made_at for withdrawal in withdrawals] + [removal.made_at for removal in removals]
    return Act(act, min(begun), withdrawals, removals) if begun else None


# --- How far it is -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """One store: how many things had to go from it, how many are gone, and when the last one went."""

    name: str
    what: str
    total: int
    done: int
    last_at: Moment = None

    @property
    def complete(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class RecipientState:
    """A recipient of a release: what they fetched, and what they answered to the notices."""

    name: str
    owed: bool  # had a token when the notice was signed, so is told of it
    pull: Pull | None
    mailed_at: Moment
    reminded_at: Moment
    acknowledged_at: Moment


@dataclass(frozen=True)
class ReleaseState:
    """A published release: its rows of this act, its files that held them, the notices about them."""

    dataset: str
    version: str
    rows: Place
    files: Place
    noticed_at: Moment
    recipients: tuple[RecipientState, ...]

    @property
    def complete(self) -> bool:
        return self.rows.complete and self.files.complete and all(one.mailed_at for one in self.recipients if one.owed)


@dataclass(frozen=True)
class Progress:
    """All of it. `kept` photographs stay for their owner alone, `by_law` ones locked for a time because the law asks us
    to, `permitted` ones for what is still allowed."""

    act: Act
    photographs: int
    erased: int
    kept: int
    by_law: int
    permitted: int
    stores: list[Place] = field(default_factory=list)
    campaigns: list[Place] = field(default_factory=list)
    releases: list[ReleaseState] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Everything in our own reach is done. What recipients do with their copies is not, and is only tracked."""
        places = all(place.complete for place in (*self.stores, *self.campaigns))
        return places and all(release.complete for release in self.releases)


def progress_of(act: Act) -> Progress:
    """Where an act stands now. The number of queries grows with releases and recipients, not with photographs."""
    clock = trusted_now()
    images = act.images()
    # In one statement: what a sweep erases between two of them would be in neither count, and pass for permitted.
    counted = images.aggregate(
        photographs=Count("pk"),
        erased=Count("pk", filter=Q(status=ImageStatus.PURGED)),
        kept=Count("pk", filter=Q(pk__in=kept_images(clock=clock).values("pk"))),
        by_law=Count("pk", filter=Q(pk__in=preserved_images(clock=clock).values("pk"))),
        to_go=Count("pk", filter=Q(pk__in=doomed_images(clock=clock).values("pk"))),
    )
    to_go = counted.pop("to_go")
    erased, lasting = counted["erased"], counted["kept"] + counted["by_law"]
    return Progress(
        act=act,
        **counted,
        permitted=counted["photographs"] - erased - lasting - to_go,
        stores=[*_stores(images, erased, to_go, lasting, clock), *_drafts(act)],
        campaigns=_campaigns(act),
        releases=_releases(act),
    )


def _stores(images: ImageQuerySet, erased: int, to_go: int, lasting: int, clock: datetime.datetime) -> list[Place]:
    gone = Transition.objects.filter(image__in=images.values("pk"), new=ImageStatus.PURGED).aggregate(at=Max("at"))
    lost = images.lost(clock=clock).values("pk")
    resembling = Resemblance.objects.filter(Q(image__in=lost) | Q(original__in=lost)).values_list("image", "original")
    listed = {*Fingerprint.objects.filter(image__in=lost).values_list("image", flat=True)}
    listed |= {image_id for pair in resembling for image_id in pair} & {*lost.values_list("pk", flat=True)}
    total = erased + to_go
    hashed = total + lasting
    return [
        Place("originals", "Photographs as you sent them", total, erased, gone["at"]),
        Place("derivatives", "Cleaned copies and previews", total, erased, gone["at"]),
        Place("duplicate index", "Fingerprints that find copies", hashed, hashed - len(listed), gone["at"]),
    ]


def _drafts(act: Act) -> list[Place]:
    """Releases that were never published: they are discarded with all their files, and none is still being built."""
    held = Item.objects.filter(act.touching("image", "release__dataset__purpose")).values("release")
    drafts = Release.objects.filter(pk__in=held, state__in=[State.BUILT, State.DISCARDED])
    left = ReleaseFile.objects.filter(release__state=State.DISCARDED, purge__isnull=True).values("release")
    building = Release.objects.filter(state=State.BUILDING, snapshot_at__lte=act.at)
    if act.one_purpose:
        building = building.filter(dataset__purpose__in=[withdrawal.purpose_id for withdrawal in act.withdrawals])
    total = drafts.count() + building.count()
    done = drafts.filter(state=State.DISCARDED).exclude(pk__in=left).count()
    return [Place("drafts", "Releases that were being prepared", total, done)] if total else []


def _campaigns(act: Act) -> list[Place]:
    tasks = LabelTask.objects.filter(act.touching("image", "campaign__purpose")).order_by()
    counted = tasks.values("campaign", "campaign__name").annotate(
        total=Count("pk"), done=Count("pk", filter=Q(state=LabelTask.State.RETRACTED)), at=Max("retracted_at")
    )
    return [
        Place("label studio", row["campaign__name"], row["total"], row["done"], row["at"])
        for row in counted.order_by("campaign__name", "campaign")
    ]


# --- Releases and their recipients ---------------------------------------------------------------


def _releases(act: Act) -> list[ReleaseState]:
    items = Item.objects.filter(act.touching("image", "release__dataset__purpose"), release__state=State.PUBLISHED)
    releases = Release.objects.filter(pk__in=items.values("release")).select_related("dataset")
    ordered = releases.order_by("dataset__title", "number")
    return [_release(release, items.filter(release=release)) for release in ordered]


def _release(release: Release, items: QuerySet[Item]) -> ReleaseState:
    shards = {*items.order_by().values_list("shard", flat=True).distinct()}
    revoked = Revocation.objects.filter(item__in=items.values("pk"))
    said = revoked.aggregate(count=Count("pk"), at=Max("at"))
    files = release.files.filter(shard__in=shards)
    purged = FilePurge.objects.filter(file__in=files.values("pk")).aggregate(count=Count("pk"), at=Max("at"))
    notices = list(Notice.objects.filter(pk__in=revoked.values("notice")).select_related("release").order_by("pk"))
    rows = Place("rows", "Rows that nobody may use", items.count(), said["count"], said["at"])
    return ReleaseState(
        dataset=release.dataset.title,
        version=release.version,
        rows=rows,
        files=Place("files", "Files that held them", files.count(), purged["count"], purged["at"]),
        noticed_at=notices[-1].created_at if notices and rows.complete else None,
        recipients=_recipients(release, notices, shards),
    )


def _recipients(release: Release, notices: list[Notice], shards: set[str]) -> tuple[RecipientState, ...]:
    """Everybody who fetched such a file, and everybody who is told. Pulls are joined by name: one team, one line."""
    fetched = pulls_of([release.pk])
    of_ours = merged([pull for shard in shards for pull in fetched[release.pk, shard]])
    pulls = {pull.recipient: pull for pull in of_ours}
    owed: dict[str, list[tuple[Notice, uuid.UUID]]] = defaultdict(list)
    for notice in notices:
        for recipient in recipients_of(notice):
            owed[recipient.name].append((notice, recipient.pk))
    mailed, reminded, said = _answers(notices)
    return tuple(
        RecipientState(
            name=name,
            owed=bool(owed[name]),
            pull=pulls.get(name),
            mailed_at=_last(mailed, owed[name]),
            reminded_at=max((reminded[key] for key in _keys(owed[name]) if key in reminded), default=None),
            acknowledged_at=_last(said, owed[name]),
        )
        for name in sorted({*pulls, *owed})
    )


Times = dict[tuple[int, uuid.UUID], datetime.datetime]


def _answers(notices: list[Notice]) -> tuple[Times, Times, Times]:
    """By notice and recipient: when mailed, reminded, acknowledged."""
    duties = NoticeDuty.objects.filter(notice__in=notices, reminded_at__isnull=False)
    return (
        {(row.notice_id, row.recipient_id): row.at for row in NoticeMail.objects.filter(notice__in=notices)},
        {(row.notice_id, row.recipient_id): row.reminded_at for row in duties if row.reminded_at},
        {(row.notice_id, row.recipient_id): row.at for row in Acknowledgement.objects.filter(notice__in=notices)},
    )


def _keys(owed: Iterable[tuple[Notice, uuid.UUID]]) -> list[tuple[int, uuid.UUID]]:
    return [(notice.pk, recipient) for notice, recipient in owed]


def _last(times: Times, owed: Iterable[tuple[Notice, uuid.UUID]]) -> Moment:
    """When the last of them was; None until each of them was."""
    found = [times.get(key) for key in _keys(owed)]
    return max((at for at in found if at), default=None) if all(found) else None
