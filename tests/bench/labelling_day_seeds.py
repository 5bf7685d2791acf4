"""What a day of labelling puts into an installation, and counts there: `python -m tests.bench.labelling_day_seeds`."""

import json
import sys

from tests.bench.seeds import session_of  # first: it sets Django up  # isort: skip

from decimal import Decimal

from django.db.models import Count

from annotation import labelstudio
from annotation.accounts import ensure_account
from annotation.models import Annotation, Annotator, Earning, LabelProject
from annotation.push import push_pending
from tests.annotation.factories import make_annotator, make_campaign

BARE = 60  # tasks of the project that is labelled past us


def day(photographs: str, annotators: str, overlap: str) -> dict:
    """A pushed campaign, annotators who are signed in, and a project of Label Studio that is none of ours."""
    campaign = make_campaign(images=int(photographs), overlap=int(overlap), budget=Decimal(10_000))
    push_pending(campaign=campaign)
    people = [make_annotator() for _ in range(int(annotators))]
    for annotator in people:
        ensure_account(annotator=annotator)
    accounts = [labelstudio.make_account(email=f"bare{i}@bench.invalid", password=f"past-us-{i}-1") for i in range(5)]
    bare = labelstudio.ensure_project(title="Bare", mark="bare", config=campaign.config, overlap=1)
    data = [{"image": "http://127.0.0.1/none", "asset_id": str(number)} for number in range(BARE)]
    labelstudio.import_batch(project=bare, data=data)
    return {
        "sessions": [session_of(annotator.user) for annotator in people],
        "project": LabelProject.objects.get().external_id,
        "tokens": [account.token for account in accounts],
        "bare": bare,
    }


def counts() -> dict:
    """Labels that are here, and seconds from Label Studio's time of each to ours."""
    accepted = Annotation.objects.filter(verdict=Annotation.Verdict.ACCEPTED)
    pairs = accepted.values("task", "annotator").annotate(n=Count("unique_id", distinct=True))
    delays = [(at - made).total_seconds() for at, made in accepted.values_list("recorded_at", "made_at")]
    return {
        "annotations": accepted.count(),
        "paid": Earning.objects.count(),
        "twice": pairs.filter(n__gt=1).count(),
        "refused": Annotation.objects.filter(verdict=Annotation.Verdict.REFUSED).count(),
        "annotators": Annotator.objects.count(),
        "delays": delays,
    }


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
