"""What the benchmark of labels does inside an installation: `python -m tests.bench.labels_seeds FUNCTION WORDS`."""

import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings
from django.utils import timezone
from label_studio_sdk import LabelStudio

from annotation import labelstudio, push
from annotation.config import starter_config
from annotation.models import Annotation, Campaign, Earning, LabelTask
from annotation.pull import sweep_updated
from annotation.services import change_campaign, plan_tasks
from collection.models import Image, ImageStatus
from consent.models import Consent
from tests.annotation.factories import good_result, make_annotator
from tests.consent.factories import make_consent, make_purpose
from tests.label_studio import Labeller, LabelStudioServer


def images(count: int, consent: Consent) -> None:
    """Accepted images as rows only: nothing here looks at their bytes."""
    rows = (
        Image(
            consent=consent, subject=str(consent.contributor_id), status=ImageStatus.ACCEPTED, sha256="0" * 64,
            byte_size=1, clean_key=f"{number}", clean_sha256="1" * 64, clean_format="jpg", width=800, height=1000,
        )
        for number in range(count)
    )  # fmt: skip
    while some := list(islice(rows, 1000)):
        Image.objects.bulk_create(some)


def campaign_of(count: int) -> Campaign:
    """A running campaign with this many tasks planned."""
    images(count, make_consent())
    campaign = Campaign.objects.create(
        name=f"Bench {uuid.uuid4().hex[:6]}", purpose=make_purpose("research"), config=starter_config(), overlap=3,
        rate=Decimal("0.10"), budget=Decimal(1_000_000), gold_percent=0,
    )  # fmt: skip
    change_campaign(campaign=campaign, action="start")
    plan_tasks(campaign=campaign)
    return campaign


def both(pushed: str, labelled: str) -> Any:
    """What `push_tasks` and `take_in` found."""
    return push_tasks(int(pushed)), take_in(int(labelled))


def push_tasks(count: int) -> Any:
    """Seconds in which our push and a bare SDK import put this many tasks into Label Studio, and our memory in MB."""
    campaign = campaign_of(count)
    data = [{"data": push._data(task)} for task in campaign.tasks.all()]
    before = peak_megabytes()
    begun = time.perf_counter()
    pushed = push.push_pending(campaign=campaign)
    ours = time.perf_counter() - begun
    assert pushed == count, pushed
    grown = peak_megabytes() - before
    sdk = LabelStudio(base_url=settings.LABEL_STUDIO_URL, api_key=settings.LABEL_STUDIO_TOKEN, timeout=600)
    project = sdk.projects.create(title="Bare import", label_config=starter_config())
    begun = time.perf_counter()
    for some in _batches(data, labelstudio.MAX_IMPORT):
        sdk.projects.import_tasks(id=project.id, request=some, return_task_ids=True)
    return {"ours": ours, "bare": time.perf_counter() - begun, "grown": grown, "peak": peak_megabytes()}


def take_in(count: int) -> Any:
    """Seconds in which a sweep records three annotations of each of this many tasks, and how many were paid."""
    campaign = campaign_of(count)
    project = push.ensure_project(campaign=campaign)
    users = annotators(3)
    batch = push.claim_pending(campaign=campaign, project=project)
    while batch:
        _import_labelled(project.external_id, batch, users)
        batch = push.claim_pending(campaign=campaign, project=project)
    begun = time.perf_counter()
    sweep_updated(project=project)
    seconds = time.perf_counter() - begun
    annotations, paid = Annotation.objects.count(), Earning.objects.count()
    begun = time.perf_counter()
    project.refresh_from_db()
    sweep_updated(project=project)
    assert Earning.objects.count() == paid
    return {"seconds": seconds, "annotations": annotations, "paid": paid, "again": time.perf_counter() - begun}


def annotators(count: int) -> list[int]:
    """The user ids in Label Studio of so many annotators of ours."""
    server = LabelStudioServer(settings.LABEL_STUDIO_URL, settings.LABEL_STUDIO_TOKEN, settings.BASE_DIR)
    found = []
    for _ in range(count):
        with Labeller(server) as labeller:
            make_annotator(labeller.id)
            found.append(labeller.id)
    return found


def _import_labelled(project: int, batch: list[LabelTask], users: list[int]) -> None:
    """Import tasks together with their annotations: through the labelling call it would take an hour."""
    said = [{"completed_by": user, "result": good_result()} for user in users]
    answer = labelstudio._call(
        "POST",
        f"/api/projects/{project}/import",
        params={"return_task_ids": "true"},
        json=[{"data": push._data(task), "annotations": said} for task in batch],
    )
    for task, external_id in zip(batch, answer.json()["task_ids"], strict=True):
        task.state, task.external_id, task.pushed_at = LabelTask.State.PUSHED, external_id, timezone.now()
    LabelTask.objects.bulk_update(batch, ["state", "external_id", "pushed_at"], batch_size=200)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
