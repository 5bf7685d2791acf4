"""What benchmarks put into an installation, run inside its environment: `python -m tests.bench.seeds FUNCTION WORDS`.

Each function prints one line of JSON: what the benchmark outside needs to know.
"""

import io
import json
import os
import sys
from decimal import Decimal
from typing import Any

import django
import numpy as np
from PIL import Image as Picture

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core.files.base import ContentFile
from django.db.models import Count

from annotation.config import starter_config
from annotation.handouts import hand_out
from annotation.models import Campaign, LabelTask
from annotation.services import change_campaign, plan_tasks
from collection import pipeline
from collection.models import Fingerprint, Image
from collection.services import receive_image
from consent.models import Purpose, User
from consent.questions import questions_of
from exports.models import Dataset, Release
from exports.services import build_release, draft_release, publish_release
from exports.tokens import issue_recipient_token
from tests.annotation.factories import make_annotator
from tests.collection.factories import make_call
from tests.consent.factories import make_consent, make_contributor, make_text, make_user

SIZE = (640, 800)


def picture(number: int) -> bytes:
    """A JPEG that resembles no other: coloured clouds with some grain. Drawn faster than a portrait."""
    random = np.random.default_rng(number)
    colours = Picture.fromarray(random.integers(60, 200, (10, 8, 3), dtype=np.uint8))
    clouds = colours.resize(SIZE, Picture.Resampling.BICUBIC)
    grain = random.integers(-12, 12, (SIZE[1], SIZE[0], 1), dtype=np.int16)
    grainy = np.clip(np.asarray(clouds, dtype=np.int16) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Picture.fromarray(grainy).save(file, "JPEG", quality=85)
    return file.getvalue()


def session_of(user: User) -> str:
    """The key of a signed-in session."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


def signers(count: str) -> Any:
    """Contributors who have yet to sign, and the right answers to the questions of the text."""
    text = make_text(["research", "product"], slug="bench")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    people = [make_contributor() for _ in range(int(count))]
    right = [question.right for question in questions_of(text)]
    return {"sessions": [session_of(person.user) for person in people if person.user], "answers": right}


def photographs(count: str) -> Any:
    """One contributor with this many accepted photographs, labelled in three campaigns from now on."""
    consent = make_consent(text=make_text(["research"], slug="bench"))
    contributor = consent.contributor
    call = make_call(form=consent.text.form, max_per_person=int(count))
    for number in range(int(count)):
        file = ContentFile(picture(number), name=f"{number}.jpg")
        image = receive_image(contributor=contributor, consent=consent, call=call, file=file)
        pipeline.advance(image.pk)
    for number in range(3):
        campaign = Campaign.objects.create(
            name=f"Bench {number}", purpose_id="research", config=starter_config(), overlap=1,
            rate=Decimal("0.10"), budget=Decimal(10_000),
        )  # fmt: skip
        change_campaign(campaign=campaign, action="start")
        plan_tasks(campaign=campaign)
    assert contributor.user is not None
    return {"session": session_of(contributor.user), "contributor": str(contributor.pk), **states()}


def releases() -> Any:
    """Five published releases that hold every photograph, and a token for each."""
    drafter, publisher = (make_user(f"{who}@example.org", "data manager") for who in ("drafter", "publisher"))
    tokens = {}
    for number in range(5):
        dataset = Dataset.objects.create(
            slug=f"bench-{number}", title=f"Bench {number}", purpose=Purpose.objects.get(pk="research"),
            description="For the benchmark.", terms="LicenseRef-Bench",
        )  # fmt: skip
        tokens[dataset.slug] = issue_recipient_token(name="Team", email="team@example.org", dataset=dataset)
        release = draft_release(dataset=dataset, user=drafter)
        build_release(release_id=release.pk)
        publish_release(release=Release.objects.get(pk=release.pk), user=publisher)
    return {"tokens": tokens, "rows": Release.objects.annotate(n=Count("items")).values_list("n", flat=True)[0]}


def states() -> Any:
    """How many images and label tasks are in which state, and how many fingerprints there are."""
    images = Image.objects.values_list("status").annotate(n=Count("pk"))
    tasks = LabelTask.objects.values_list("state").annotate(n=Count("pk"))
    return {"images": dict(images), "tasks": dict(tasks), "fingerprints": Fingerprint.objects.count()}


def doors(count: str) -> Any:
    """Addresses under which the contributor's photographs are served: to themselves and to an annotator."""
    thumbs = [f"/me/photos/{pk}/thumb" for pk in Image.objects.values_list("pk", flat=True)[: int(count)]]
    annotator = make_annotator()
    tasks = LabelTask.objects.filter(state="pushed").select_related("campaign")[: int(count)]
    views = [f"/images/{task.view_key}/" for task in tasks if hand_out(annotator, task=task)]
    return {"thumbs": thumbs, "views": views, "annotator": session_of(annotator.user)}


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words), default=list))
