"""Promise 7: workers killed at seeded random calls of every stage, beside a real Label Studio."""

import datetime
import itertools
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.storage import storages
from django.utils import timezone

from annotation import labelstudio
from annotation.models import Annotation, Campaign, Earning, LabelProject, LabelTask
from collection import storage
from collection.models import Fingerprint, Image, ImageStatus
from consent import audit
from consent.models import Receipt
from consent.withdrawals import withdraw
from exports.models import Item, Release, ReleaseFile, Revocation
from exports.services import draft_release, publish_release
from tests.annotation.factories import good_result, make_annotator
from tests.collection.factories import make_call, receive
from tests.collection.pictures import encoded, jpeg, portrait
from tests.consent.factories import make_consent, make_purpose, make_user
from tests.crash import KillableWorker
from tests.exports.factories import make_dataset
from tests.label_studio import Labeller, label_studio

__all__ = ("label_studio",)
REST = {ImageStatus.ACCEPTED, ImageStatus.DUPLICATE, ImageStatus.REJECTED, ImageStatus.NEEDS_REVIEW, ImageStatus.PURGED}

STAGES = {
    "take in": ("collection.tasks.sweep_due", "consent.tasks.issue_receipts", "consent.tasks.seal_ledger"),
    "push": ("annotation.tasks.push_running",),
    "pull": ("annotation.tasks.sweep_updated", "consent.tasks.seal_ledger"),
    "build": ("exports.tasks.build_due",),
    "withdraw": (
        "collection.tasks.purge_withdrawn",
        "annotation.tasks.retract_withdrawn",
        "exports.tasks.revoke_items",
        "consent.tasks.seal_ledger",
    ),
}
# By how many calls each attempt may reach further than the one before: work that commits at its end alone needs more.
REACH = {"take in": 40, "push": 12, "pull": 20, "build": 300, "withdraw": 60}
LATER = datetime.timedelta(minutes=10)  # longer than every lease and every first delay


class Killer:
    """Runs stages under kills. Each attempt sees a clock ten minutes on, as if the sweeps had waited for leases."""

    def __init__(self, worker: KillableWorker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.worker, self.monkeypatch, self.real_now = worker, monkeypatch, timezone.now
        self.clock = (LATER * attempt for attempt in itertools.count(1))
        self.kills: Counter[str] = Counter()

    def run(self, stage: str, seed: int) -> None:
        begun = time.monotonic()
        self.kills[stage] = len(list(self.worker.kill_until_done(STAGES[stage], seed, REACH[stage], self.clock)))
        print(f"\n{stage}: killed {self.kills[stage]} times, {time.monotonic() - begun:.0f} s", flush=True)
        ahead = next(self.clock)
        self.monkeypatch.setattr(timezone, "now", lambda: self.real_now() + ahead)


@pytest.fixture
def killer(studio, settings, monkeypatch, tmp_path):
    worker = KillableWorker(
        {
            "LIKENESS_VAR": str(tmp_path),
            "SIGNING_KEY_FILE": str(settings.SIGNING_KEY_FILE),
            "MASTER_KEY_FILE": str(settings.MASTER_KEY_FILE),
            "LABEL_STUDIO_URL": studio.url,
            "LABEL_STUDIO_TOKEN": studio.token,
            "BASE_URL": settings.BASE_URL,
            "EMAIL_URL": "dummymail://",
        }
    )
    yield Killer(worker, monkeypatch)
    worker.close()


@pytest.fixture
def studio(label_studio, settings, tmp_path):
    settings.LABEL_STUDIO_URL = label_studio.url
    settings.LABEL_STUDIO_TOKEN = label_studio.token
    settings.LABEL_STUDIO_WEBHOOK_SECRET = "not used here: the sweep alone must do"
    settings.STORAGES = {
        **settings.STORAGES,
        **{name: folder(tmp_path / "storage" / name) for name in settings.STORAGE_BUCKETS},
    }
    return label_studio


def folder(path: Path) -> dict:
    """A bucket of this test's own, so that its files can be counted."""
    options = {"location": path, "allow_overwrite": True}
    return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}


def stored_files() -> int:
    buckets = (storage.originals(), storage.derivatives())
    return sum(len(list(storage.keys_of(bucket, i))) for bucket in buckets for i in storage.image_ids(bucket))


def problems_but_times() -> list[str]:
    """What audits find, but for times: this test moves the clock by hours, and some processes keep the real one."""
    clock = ("back-dated", "post-dated", "or the clock was wrong", "of the one that it follows")
    return [problem for problem in audit.problems() if not problem.endswith(clock)]


@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
def test_killed_at_any_point_of_the_walk_nothing_is_lost_or_doubled(studio, killer, settings):
    people = [make_consent() for _ in range(4)]
    for consent in people:
        make_call(form=consent.text.form)
    received = [receive(consent, jpeg(i, shot)) for i, consent in enumerate(people) for shot in range(3)]
    copy = receive(people[0], encoded(portrait(0, 0), quality=50))
    broken = receive(people[1], jpeg(1, 9)[:-4000])

    killer.run("take in", seed=1)
    statuses = dict(Image.objects.values_list("pk", "status"))
    assert set(statuses.values()) <= REST
    assert statuses[broken.pk] == ImageStatus.REJECTED
    # Whichever of the two came first is kept.
    assert sorted([statuses[received[0].pk], statuses[copy.pk]]) == [ImageStatus.ACCEPTED, ImageStatus.DUPLICATE]
    accepted = Image.objects.filter(status=ImageStatus.ACCEPTED)
    assert accepted.count() == 12
    assert Fingerprint.objects.count() == 13
    assert Receipt.objects.count() == 4
    for image in Image.objects.prefetch_related("transitions"):
        chain = [(t.old, t.new) for t in image.transitions.order_by("pk")]
        assert len(chain) == len(set(chain))

    campaign = Campaign.objects.create(
        name="Killed again and again",
        purpose=make_purpose("research"),
        config=(settings.BASE_DIR / "annotation" / "configs" / "quality.xml").read_text(),
        overlap=2,
        rate=Decimal("0.05"),
        budget=Decimal(12),
        state=Campaign.State.RUNNING,
    )
    killer.run("push", seed=2)
    tasks = {task.pk: task for task in LabelTask.objects.all()}
    assert {task.state for task in tasks.values()} == {LabelTask.State.PUSHED}
    project = LabelProject.objects.get()
    there = labelstudio.find_tasks(project=project.external_id, asset_ids=list(tasks))
    assert sorted((ref.asset_id, ref.external_id) for ref in there) == sorted(
        (pk, task.external_id) for pk, task in tasks.items()
    )
    campaign.refresh_from_db()
    assert campaign.reserved == 12 * 2 * Decimal("0.05")

    for _ in range(2):
        with Labeller(studio) as labeller:
            make_annotator(labeller.id)
            for task in tasks.values():
                labeller.label(task, good_result())
    killer.run("pull", seed=3)
    assert Annotation.objects.filter(verdict="accepted").count() == 24
    assert Earning.objects.count() == 24
    assert sum(Earning.objects.values_list("amount", flat=True)) == Decimal("1.20")

    dataset = make_dataset(campaign=campaign)
    release = draft_release(dataset=dataset, user=make_user("", "data manager"))
    killer.run("build", seed=4)
    release.refresh_from_db()
    assert release.state == Release.State.BUILT
    assert Item.objects.filter(release=release).count() == 12
    publish_release(release=release, user=make_user("", "data manager"))

    withdraw(consent=people[2])
    killer.run("withdraw", seed=5)
    gone = Image.objects.filter(consent=people[2])
    assert {image.status for image in gone} == {ImageStatus.PURGED}
    assert all(not list(storage.keys_of(storage.originals(), image.pk)) for image in gone)
    assert all(not list(storage.keys_of(storage.derivatives(), image.pk)) for image in gone)
    retracted = [pk for pk, task in tasks.items() if task.image.consent_id == people[2].pk]
    assert len(retracted) == 3
    assert labelstudio.find_tasks(project=project.external_id, asset_ids=retracted) == []
    assert LabelTask.objects.filter(pk__in=retracted, state=LabelTask.State.RETRACTED).count() == 3
    assert Revocation.objects.count() == 3
    purged = ReleaseFile.objects.filter(purge__isnull=False)
    assert purged.exists()
    assert not any(storages["releases"].exists(file.key) for file in purged)
    assert Earning.objects.count() == 24  # what was earned stays earned
    campaign.refresh_from_db()
    assert campaign.reserved == 12 * 2 * Decimal("0.05")  # all of it was earned, so nothing is released
    assert problems_but_times() == []
    # Bytes: two derivatives and the original of what lives, and only the original of the broken one.
    alive = Image.objects.exclude(status=ImageStatus.PURGED)
    assert stored_files() == 3 * alive.exclude(pk=broken.pk).count() + 1
    print(f"\nkilled {killer.kills.total()} times: {dict(killer.kills)}")
    assert killer.kills.total() >= 50
