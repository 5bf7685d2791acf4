"""Plain functions that make accepted images, labels, datasets and releases for the exports tests."""

import hashlib
import io
import json
import uuid
from decimal import Decimal
from itertools import count
from typing import Any

from django.core.files.storage import storages
from django.utils import timezone
from PIL import Image as Picture
from PIL import ImageDraw

from annotation.config import starter_config
from annotation.models import Annotation, Annotator, Campaign, Earning, LabelTask
from collection.models import Image, ImageStatus
from consent import demographics
from consent.models import Consent, Licence, User
from consent.roles import DATA_MANAGER
from exports.definitions import define
from exports.models import Dataset, Definition, Recipient, Release
from exports.services import build_release, draft_release, publish_release
from exports.tokens import issue_token
from tests.annotation.factories import make_annotator
from tests.collection.factories import store_clean
from tests.consent.factories import make_consent, make_purpose, make_user

_numbers = count(1)
ALL_SPLITS = f"{96:064x}"  # a key that puts persons 0 to 3 into train, train, validation, test


def draw(number: int, fmt: str) -> bytes:
    """A small portrait that no other number gives."""
    picture = Picture.new("RGB", (64, 48), (number * 7 % 256, 120, number * 13 % 256))
    ImageDraw.Draw(picture).ellipse((14, 8, 40 + number % 20, 46), fill=(220, number * 31 % 256, 150))
    out = io.BytesIO()
    picture.save(out, fmt)
    return out.getvalue()


def make_image(consent: Consent | None = None, licence: Licence | None = None, **fields: Any) -> Image:
    """An accepted image of the consent's contributor, or of a person of its own in a licensed library."""
    number = next(_numbers)
    if consent is None and licence is None:
        consent = make_consent()
    ext = ("jpg", "png", "webp")[number % 3]
    content = draw(number, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[ext])
    digest = hashlib.sha256(content).hexdigest()
    image_id, subject = uuid.uuid4(), str(consent.contributor_id) if consent else f"{licence.pk}:{number}"
    defaults = {
        "id": image_id,
        "subject": subject,
        "external_id": "" if consent else f"{number}.jpg",
        "status": ImageStatus.ACCEPTED,
        "sha256": hashlib.sha256(b"original" + content).hexdigest(),
        "byte_size": len(content),
        "clean_key": store_clean(image_id, subject, content, ext),
        "clean_sha256": digest,
        "clean_format": ext,
        "width": 64,
        "height": 48,
    }
    return Image.objects.create(consent=consent, licence=licence, **{**defaults, **fields})


def make_dataset(purpose: str = "research", campaign: Campaign | None = None, **fields: Any) -> Dataset:
    number = next(_numbers)
    defaults = {
        "slug": f"portraits-{number}",
        "title": f'Portraits: "{number}"',
        "description": "Portraits for research on image quality.",
        "pseudonym_key": f"{number:064x}",  # known, so that splits are the same in every run
    }
    return Dataset.objects.create(purpose=make_purpose(purpose), campaign=campaign, **{**defaults, **fields})


def make_campaign(**fields: Any) -> Campaign:
    defaults = {"name": "Quality", "config": starter_config(), "rate": Decimal("0.10"), "budget": Decimal(1000)}
    return Campaign.objects.create(purpose=make_purpose("research"), **{**defaults, **fields})


def result(rating: int = 4, choice: str = "glasses", x: float = 10.0, *, box: bool = True) -> list[dict[str, Any]]:
    """What Label Studio stores of one annotation."""
    place = {"x": x, "y": 20, "width": 50, "height": 40.5, "rotation": 0, "rectanglelabels": ["face"]}
    items = [
        {"from_name": "quality", "to_name": "image", "type": "rating", "value": {"rating": rating}},
        {"from_name": "attributes", "to_name": "image", "type": "choices", "value": {"choices": [choice]}},
        {"from_name": "face", "to_name": "image", "type": "rectanglelabels", "value": place},
    ]
    return items if box else items[:2]


def annotate(image: Image, campaign: Campaign, annotator: Annotator, said: list[dict[str, Any]]) -> Annotation:
    """An accepted, paid annotation."""
    task, _ = LabelTask.objects.get_or_create(
        campaign=campaign, image=image, defaults={"view_key": uuid.uuid4().hex, "state": "pending"}
    )
    row = Annotation.objects.create(
        task=task,
        annotator=annotator,
        unique_id=uuid.uuid4(),
        result=said,
        result_sha256=hashlib.sha256(repr((said, annotator.pk)).encode()).hexdigest(),
        made_at=timezone.now(),
        verdict="accepted",
    )
    Earning.objects.create(
        annotation=row, task=task, annotator=annotator, amount=campaign.rate, currency=campaign.currency
    )
    return row


def make_labelled_dataset(people: int = 8, each: int = 2, annotators: int = 3, **fields: Any) -> Dataset:
    """A dataset with this many contributors and photographs, all labelled."""
    campaign = make_campaign()
    workers = [make_annotator() for _ in range(annotators)]
    for person in range(people):
        consent = make_consent()
        for photo in range(each):
            image = make_image(consent, subject=f"person {person}")
            for index, worker in enumerate(workers):
                said = result(
                    1 + (person + photo * index) % 5, ("glasses", "beard")[index % 2], 10 + index, box=photo == 0
                )
                annotate(image, campaign, worker, said)
    return make_dataset(campaign=campaign, **{"pseudonym_key": ALL_SPLITS, **fields})


def make_rated_dataset(stars: dict[str, int], people: int = 7, each: int = 3, **said: str) -> Dataset:
    """So many people of each skin tone with so many photographs each; all photographs of one tone are rated alike."""
    campaign, worker = make_campaign(), make_annotator()
    for tone, rating in stars.items():
        for _ in range(people):
            consent = make_consent()
            demographics.save_answers(contributor=consent.contributor, skin_tone=tone, **said)
            for _ in range(each):
                image = make_image(consent)
                annotate(image, campaign, worker, result(rating))
    return make_dataset(campaign=campaign)


def define_forms(dataset: Dataset, *forms: str) -> Definition:
    """The dataset's next releases have these forms beside Parquet."""
    fields = {"description": dataset.description, "formats": list(forms)}
    return define(dataset=dataset, user=make_manager(), fields=fields, targets=())


def make_manager() -> User:
    return make_user("", DATA_MANAGER)


def make_built(dataset: Dataset) -> Release:
    """A release that waits for publication."""
    release = draft_release(dataset=dataset, user=make_manager())
    build_release(release_id=release.pk)
    release.refresh_from_db()
    assert release.state == Release.State.BUILT, release.last_error
    return release


def make_published(dataset: Dataset) -> Release:
    return publish_release(release=make_built(dataset), user=make_manager())


def make_token(dataset: Dataset, **fields: Any) -> str:
    recipient = Recipient.objects.create(name="ML team", email="ml@example.org")
    return issue_token(recipient=recipient, dataset=dataset, **fields)


def rows_of(folder: Any) -> list[dict[str, Any]]:
    """The records of a copy, in the order of their leaves."""
    paths = sorted(folder.glob("rows/*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def rows_in(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """The same of a release whose files were read: path to content."""
    paths = sorted(path for path in files if path.startswith("rows/"))
    return [json.loads(line) for path in paths for line in files[path].splitlines()]


def export_to(release: Release, folder: Any) -> Any:
    """The files of a release on disk, as a pull would leave them."""
    for file in release.files.all():
        target = folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        with storages["releases"].open(file.key) as content:
            target.write_bytes(content.read())
    return folder
