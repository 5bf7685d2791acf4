"""Inside an installation: `python -m tests.bench.label_kills_seeds storm 200`."""

import contextlib
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

from tests.bench import seeds  # noqa: F401  # first: it sets Django up  # isort: skip

from django.conf import settings
from django.utils import timezone

from annotation import labelstudio
from annotation.models import Annotation, Campaign, Earning, LabelProject, LabelTask
from annotation.reconcile import differences, one_moment
from collection.models import Image
from consent.withdrawals import withdraw
from tests.annotation.factories import make_annotator, make_campaign, make_image
from tests.annotation.proxy import lossy_proxy
from tests.consent.factories import make_consent
from tests.crash import KillableWorker
from tests.label_studio import Labeller, LabelStudioServer

PEOPLE, EACH = 3, 4  # who sign in each round, and their photographs
OVERLAP = 2
LATER = timedelta(minutes=10)  # longer than every lease and every first delay
STAGES = {
    "push": (("annotation.tasks.push_running",), 12),
    "pull": (("annotation.tasks.sweep_updated",), 20),
    "take back": (("annotation.tasks.retract_withdrawn",), 20),
}


def storm(wanted: str) -> dict:
    """Rounds of push, label, pull, withdraw until there were `wanted` kills and losses; what was wrong after them."""
    begun, kills, wrong = time.monotonic(), 0, []
    # Not enough for the photographs of ten rounds: it has to hold, too.
    campaign = make_campaign(overlap=OVERLAP, budget=Decimal("20"), rate=Decimal("0.10"))
    clock = _Clock()
    with contextlib.ExitStack() as opened:
        studio = LabelStudioServer(settings.LABEL_STUDIO_URL, settings.LABEL_STUDIO_TOKEN, settings.BASE_DIR)
        labellers = [opened.enter_context(Labeller(studio)) for _ in range(OVERLAP)]
        for labeller in labellers:
            make_annotator(labeller.id)
        proxy = opened.enter_context(lossy_proxy(studio.url))
        worker = opened.enter_context(_worker(proxy.url))
        for number in itertools.count(1):
            people = [make_consent() for _ in range(PEOPLE)]
            for consent in people:
                for _ in range(EACH):
                    make_image(consent)
            proxy.dice = random.Random(number)
            kills += _run(worker, "push", number, clock)
            _label(labellers)
            kills += _run(worker, "pull", number, clock)
            wrong += _wrong_labels(campaign)
            withdraw(consent=people[0])
            kills += _run(worker, "take back", number, clock)
            wrong += _wrong(campaign)
            if wrong or kills + proxy.lost >= int(wanted):
                return _told(number, kills, proxy.lost, wrong, time.monotonic() - begun)
    raise AssertionError("unreachable")


class _Clock:
    """Each attempt sees a clock ten minutes on, as if the sweeps had waited for leases."""

    def __init__(self) -> None:
        self.real, self.ahead = timezone.now, timedelta()

    def __iter__(self) -> Iterator[timedelta]:
        return self

    def __next__(self) -> timedelta:
        self.ahead += LATER
        timezone.now = lambda: self.real() + self.ahead
        return self.ahead


@contextlib.contextmanager
def _worker(label_studio: str) -> Iterator[KillableWorker]:
    worker = KillableWorker({**os.environ, "LABEL_STUDIO_URL": label_studio})
    try:
        yield worker
    finally:
        worker.close()


def _run(worker: KillableWorker, stage: str, seed: int, clock: _Clock) -> int:
    """A stage under kills until nothing of it is left to do; how many kills."""
    tasks, reach = STAGES[stage]
    kills = len(list(worker.kill_until_done(tasks, seed, reach, clock)))
    for _ in range(100):  # a sweep that ended may have ended because an answer was lost
        if not _left(stage):
            return kills
        worker.run(tasks, sys.maxsize, next(clock))
    raise RuntimeError(f"{stage} does not come to an end")


def _left(stage: str) -> bool:
    if stage == "push":
        campaign = Campaign.objects.get()
        affordable = campaign.budget - campaign.reserved >= campaign.task_cost
        waiting = Image.objects.filter(label_tasks=None, status="accepted").exclude(consent__withdrawals__isnull=False)
        pending = LabelTask.objects.filter(state="pending").exists() and affordable
        return LabelTask.objects.filter(state="pushing").exists() or pending or waiting.exists()
    if stage == "take back":
        return LabelTask.objects.filter(state="retracting").exists() or not _all_taken_back()
    submitted = sum(task.annotations for task in _listed())
    return Annotation.objects.filter(task__state="pushed").values("unique_id").distinct().count() < submitted


def _all_taken_back() -> bool:
    lost = LabelTask.objects.filter(image__consent__withdrawals__isnull=False)
    return not lost.exclude(state="retracted").exists()


def _label(labellers: list[Labeller]) -> None:
    """Both label what they have not labelled yet, straight in Label Studio."""
    for task in LabelTask.objects.filter(state="pushed", annotations=None):
        for labeller in labellers:
            labeller.label(task)


def _listed() -> list[labelstudio.ListedTask]:
    return [
        task for project in LabelProject.objects.all() for task in labelstudio.list_tasks(project=project.external_id)
    ]


def _wrong_labels(campaign: Campaign) -> list[str]:
    """Every task that is there was labelled by both, and paid to both, once."""
    wrong = []
    for task in campaign.tasks.filter(state="pushed"):
        people = Counter(task.earnings.values_list("annotator", flat=True))
        if len(people) != OVERLAP or set(people.values()) != {1}:
            wrong.append(f"task {task.pk} earned {dict(people)}")
        if task.annotations.count() != OVERLAP:
            wrong.append(f"task {task.pk} has {task.annotations.count()} labels")
    return wrong


def _wrong(campaign: Campaign) -> list[str]:
    there = Counter(task.ref.asset_id for task in _listed() if task.ref)
    wrong = [f"task {pk} is there {count} times" for pk, count in there.items() if count > 1]
    ours = set(campaign.tasks.filter(state="pushed").values_list("pk", flat=True))
    wrong += [f"task {pk} is missing in Label Studio" for pk in ours - there.keys()]
    wrong += [f"task {pk} should not be in Label Studio" for pk in there.keys() - ours]
    campaign.refresh_from_db()
    if not 0 <= campaign.reserved <= campaign.budget:
        wrong.append(f"{campaign.reserved} of {campaign.budget} is reserved")
    with one_moment():
        wrong += list(differences())
    return wrong


def _told(rounds: int, kills: int, cut_off: int, wrong: list[str], seconds: float) -> dict:
    return {
        "rounds": rounds,
        "kills": kills,
        "cut_off": cut_off,
        "seconds": seconds,
        "tasks": LabelTask.objects.filter(pushed_at__isnull=False).count(),
        "labels": Earning.objects.count(),
        "taken_back": Image.objects.filter(consent__withdrawals__isnull=False).count(),
        "wrong": wrong,
    }


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
