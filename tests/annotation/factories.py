"""Plain functions that make images, campaigns, annotators and results for the annotation tests."""

import datetime
import uuid
from collections.abc import Sequence
from decimal import Decimal
from itertools import count
from typing import Any

from django.utils import timezone

from annotation.access import campaigns_open_to, is_open_to
from annotation.config import starter_config
from annotation.joining_models import WorkAgreement, WorkTerms
from annotation.labelstudio import RemoteAnnotation
from annotation.models import Annotator, Campaign, LabelTask
from annotation.services import change_campaign, plan_tasks
from collection.models import Image, ImageStatus
from consent.models import Consent, User
from consent.signing import sha256_hex
from tests.collection.factories import store_clean
from tests.consent.factories import make_consent, make_purpose, make_user

_numbers = count(1)
BYTES = b"the bytes of a photograph"


def make_image(consent: Consent | None = None, purposes: Sequence[str] = ("research",)) -> Image:
    """An accepted image with bytes in storage, without the pipeline's work."""
    consent = consent or make_consent(purposes=purposes)
    image_id = uuid.uuid4()
    return Image.objects.create(
        pk=image_id,
        consent=consent,
        subject=str(consent.contributor_id),
        status=ImageStatus.ACCEPTED,
        sha256="0" * 64,
        byte_size=len(BYTES),
        clean_key=store_clean(image_id, str(consent.contributor_id), BYTES, "jpg"),
        clean_sha256="1" * 64,
        clean_format="jpg",
        width=800,
        height=1000,
    )


def make_campaign(images: int = 0, **fields: Any) -> Campaign:
    """A running campaign for research with this many images of one person planned."""
    defaults = {
        "name": f"Portraits {next(_numbers)}",
        "purpose": make_purpose("research"),
        "config": starter_config(),
        "overlap": 2,
        "rate": Decimal("0.10"),
        "budget": Decimal(100),
        "gold_percent": 0,
    }
    campaign = Campaign.objects.create(**{**defaults, **fields})
    if images:
        consent = make_consent()
        for _ in range(images):
            make_image(consent)
    change_campaign(campaign=campaign, action="start")
    plan_tasks(campaign=campaign)
    return campaign


def make_pushed_task(campaign: Campaign | None = None) -> LabelTask:
    """A task that Label Studio has, as far as we know."""
    task = (campaign or make_campaign(images=1)).tasks.get()
    campaign = task.campaign
    Campaign.objects.filter(pk=campaign.pk).update(reserved=campaign.task_cost)
    LabelTask.objects.filter(pk=task.pk).update(state="pushed", external_id=next(_numbers), pushed_at=timezone.now())
    task.refresh_from_db()
    return task


def make_annotator(label_studio_user: int | None = None, user: User | None = None, agreed: bool = True) -> Annotator:
    annotator = Annotator.objects.create(
        user=user or make_user(), terms_accepted_at=timezone.now(), label_studio_user=label_studio_user
    )
    if agreed:  # without the ledger's entry, which terms.agree makes
        terms = WorkTerms.objects.order_by("-version").first() or WorkTerms.objects.create(
            version=1, body="Terms.", sha256=sha256_hex(b"Terms.")
        )
        WorkAgreement.objects.create(annotator=annotator, terms=terms)
    return annotator


def open_to(annotator: Annotator) -> set[Campaign]:
    """The campaigns that are open to somebody: those that a page lists, and those that a call to one is let in to."""
    listed = set(campaigns_open_to(annotator))
    assert listed == {campaign for campaign in Campaign.objects.all() if is_open_to(annotator, campaign.pk)}
    return listed


def rating(value: Any = 4) -> dict[str, Any]:
    return {"from_name": "quality", "to_name": "image", "type": "rating", "value": {"rating": value}}


def choices(*values: Any) -> dict[str, Any]:
    return {"from_name": "attributes", "to_name": "image", "type": "choices", "value": {"choices": list(values)}}


def box(**value: Any) -> dict[str, Any]:
    place = {"x": 20.5, "y": 10, "width": 40, "height": 55.25, "rotation": 0, "rectanglelabels": ["face"], **value}
    return {"from_name": "face", "to_name": "image", "type": "rectanglelabels", "value": place}


def good_result(stars: int = 4) -> list[dict[str, Any]]:
    return [rating(stars), choices("glasses", "beard or moustache"), box()]


def remote(user: int | None, **fields: Any) -> RemoteAnnotation:
    """What Label Studio would tell of one annotation."""
    defaults = {
        "unique_id": uuid.uuid4(),
        "result": good_result(),
        "skipped": False,
        "made_at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "lead_seconds": 12.5,
    }
    return RemoteAnnotation(user=user, **{**defaults, **fields})
