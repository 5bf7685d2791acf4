"""The rows of a release as `exports.deviation` compares them: whose, of which groups by self-report, with which scores.

It joins what people said about themselves with labels, in memory only: nothing of it is stored, and only whole groups
leave it, small ones withheld.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from annotation.config import parse_config
from annotation.selection import accepted_annotations
from collection import licensed_attributes
from collection.models import DIMENSIONS, Image
from consent.demographics import ATTRIBUTES
from consent.models import PREFER_NOT_TO_SAY, Demographics
from exports.deviation import GroupReport, group_report
from exports.labels import consolidate
from exports.models import Release


def reports_of(release: Release) -> list[GroupReport]:
    """One report per score (each rating of the campaign, as 0 to 1) and attribute; none if nothing is rated."""
    scales = _scales(release)
    rows = rows_of(release) if scales else []
    return [group_report(rows, score, attribute) for score in scales for attribute in DIMENSIONS]


def rows_of(release: Release) -> list[dict[str, Any]]:
    """A row per image that is in the release and still usable for its purpose."""
    items = release.items.values("image")
    images = list(Image.objects.usable_for(release.dataset.purpose_id).filter(pk__in=items).select_related("consent"))
    said, scores = _answers(images), _scores(release, images)
    return [{"subject": image.subject, **said.get(image.subject, {}), **scores[image.pk]} for image in images]


def _scales(release: Release) -> dict[str, int]:
    """The ratings that the campaign asks for, each with its highest value."""
    campaign = release.dataset.campaign
    found = parse_config(campaign.config).values() if campaign else ()
    return {
        control.name: control.max_rating for control in found if control.kind == "rating" and control.max_rating > 1
    }


def _scores(release: Release, images: Iterable[Image]) -> dict[Any, dict[str, float]]:
    """By image: the consolidated ratings that the release holds, from 1..most stars to 0..1."""
    results: dict[Any, list[Any]] = defaultdict(list)
    if release.dataset.campaign:
        for annotation in accepted_annotations(release.dataset.campaign, release.snapshot_at):
            results[annotation.image_id].append(annotation.result)
    scales = _scales(release)
    scores = {}
    for image in images:
        labels = consolidate(results[image.pk], image.width or 1, image.height or 1)
        rated = {name: labels[name] for name in scales if name in labels}
        scores[image.pk] = {name: (float(str(stars)) - 1) / (scales[name] - 1) for name, stars in rated.items()}
    return scores


def _answers(images: Iterable[Image]) -> dict[str, dict[str, str | None]]:
    """By subject: what they chose to say. Whoever prefers not to say has not said it."""
    subjects = {image.subject for image in images}
    people = {image.consent.contributor_id for image in images if image.consent}
    own = {str(row.contributor_id): row for row in Demographics.objects.filter(contributor__in=people)}
    answers = {who: {name: getattr(row, name) for name in ATTRIBUTES} for who, row in own.items()}
    licensed = licensed_attributes.said_of(subjects)
    return {
        who: {name: None if value == PREFER_NOT_TO_SAY else value for name, value in said.items()}
        for who, said in (answers | licensed).items()
    }
