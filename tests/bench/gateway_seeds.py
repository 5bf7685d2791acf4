"""What the benchmark of the gateway puts into an installation: `python -m tests.bench.gateway_seeds`, inside."""

import json
import sys

from tests.bench.seeds import session_of  # first: it sets Django up  # isort: skip

from annotation import labelstudio
from annotation.accounts import ensure_account
from annotation.models import LabelProject
from annotation.push import push_pending
from tests.annotation.factories import make_annotator, make_campaign


def annotators(tasks: str) -> dict:
    """A pushed campaign; an annotator who labels through the gateway, and an account that labels past it."""
    push_pending(campaign=make_campaign(images=int(tasks), overlap=2))
    annotator = make_annotator()
    ensure_account(annotator=annotator)
    direct = labelstudio.make_account(email="direct@bench.invalid", password="past-the-gateway-1")
    project = LabelProject.objects.get().external_id
    return {"session": session_of(annotator.user), "token": direct.token, "project": project}


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words)))
