"""What the benchmark of targets puts into an installation and measures there: FUNCTION WORDS, prints JSON."""

import datetime
import json
import os
import random
import sys
import uuid
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from collection import progress, targets
from collection.models import Call, Image, Target
from consent.models import Consent, ConsentPurpose, Contributor, Demographics
from tests.bench.timing import medians
from tests.collection.factories import make_call
from tests.consent.factories import make_text

EACH = 20  # photographs of one person
WANTED: tuple[dict[str, str], ...] = (
    {}, {"gender": "woman"}, {"gender": "man"}, {"skin_tone": "9"}, {"skin_tone": "10"}, {"age_band": "60+"},
    {"gender": "woman", "age_band": "60+"}, {"gender": "woman", "country": "IE"},
    {"gender": "man", "skin_tone": "9", "country": "IE"},
)  # fmt: skip


def fill(count: str) -> Any:
    """A call with so many accepted photographs."""
    random.seed(1)
    text = make_text(slug="bench")
    now = timezone.now()
    call = make_call(form=text.form, slug="bench", opens_at=now - datetime.timedelta(days=60))
    people = [Contributor(country="IE") for _ in range(int(count) // EACH)]
    consents = [
        Consent(
            contributor=person, text=text, submission=uuid.uuid4(), evidence_sha256="0" * 64, signed_at=now,
            expires_at=now + datetime.timedelta(days=900),
        )
        for person in people
    ]  # fmt: skip
    with transaction.atomic():
        Contributor.objects.bulk_create(people, 1000)
        Consent.objects.bulk_create(consents, 1000)
        ConsentPurpose.objects.bulk_create(
            (ConsentPurpose(consent=consent, purpose_id="research") for consent in consents), 1000
        )
        Demographics.objects.bulk_create((_answers(person) for person in people), 1000)
        Target.objects.bulk_create(Target(call=call, photographs=10**8, people=10**6, **asks) for asks in WANTED)
        for start in range(0, len(consents), 250):
            Image.objects.bulk_create(
                (_image(call, consent, now) for consent in consents[start : start + 250] for _ in range(EACH)), 1000
            )
    if connection.vendor == "postgresql":
        connection.cursor().execute("ANALYZE")
    return {"images": Image.objects.count()}


def _answers(person: Contributor) -> Demographics:
    return Demographics(
        contributor=person,
        skin_tone=str(random.randint(1, 10)),
        age_band=random.choice(["18-29", "30-39", "60+", ""]),
        gender=random.choice(["woman", "man", "non_binary"]),
        country=random.choice(["IE", "FR", "DE", ""]),
        delete_on=datetime.date(9999, 1, 1),
    )


def _image(call: Call, consent: Consent, now: datetime.datetime) -> Image:
    return Image(
        call=call, consent=consent, subject=str(consent.contributor_id), status="accepted", byte_size=1, width=9,
        height=9, sha256=uuid.uuid4().hex * 2, clean_sha256=uuid.uuid4().hex * 2, clean_key="x", clean_format="jpg",
        received_at=now - datetime.timedelta(days=random.random() * 50),
    )  # fmt: skip


def measure() -> Any:
    """Seconds: the floor, the progress of every target, a place in the largest joint group's targets."""
    call = Call.objects.get(slug="bench")
    woman = Contributor.objects.filter(demographics__gender="woman", demographics__country="IE").first()
    assert woman is not None

    def place() -> None:
        with transaction.atomic():
            targets.hold_place(contributor=woman, call=call)

    return medians(
        {
            "floor": lambda: list(
                Image.objects.filter(call=call).order_by().values("consent__contributor").annotate(n=Count("pk"))
            ),
            "progress": lambda: progress.take_progress(call),
            "place": place,
        }
    )


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    print(json.dumps(globals()[name](*words), default=list))
