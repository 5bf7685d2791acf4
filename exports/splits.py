"""Which split an image belongs to: decided once per dataset by a salted hash of its cluster, and never changed.

A cluster is a connected component of subjects: the same person, and persons whose photographs resemble each other, stay
together. When a later resemblance joins clusters that already sit in two splits, recorded images keep their split and
the newcomers are left out; what still joins two splits after that keeps only its larger side.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from collection.models import Image, Resemblance
from exports.models import Dataset, Split
from exports.pseudonyms import fraction

NAMES = ("train", "validation", "test")
Edge = tuple[Any, Any]  # two image ids
Shares = tuple[int, int, int]  # per cent of the clusters in each of NAMES
USUAL: Shares = (70, 15, 15)


def assign(dataset: Dataset, image_ids: Iterable[Any], at: datetime.datetime, shares: Shares = USUAL) -> dict[Any, str]:
    """The split of each image; images that would join two splits are missing. Records what is new."""
    splits = foresee(dataset, image_ids, at, shares)
    recorded = set(Split.objects.filter(dataset=dataset).values_list("image_id", flat=True))
    fresh = [Split(dataset=dataset, image_id=image, name=name) for image, name in splits.items()]
    Split.objects.bulk_create([row for row in fresh if row.image_id not in recorded], batch_size=500)
    return splits


def foresee(
    dataset: Dataset, image_ids: Iterable[Any], at: datetime.datetime, shares: Shares = USUAL
) -> dict[Any, str]:
    """What `assign` would say, without recording anything."""
    wanted = set(image_ids)
    recorded = dict(Split.objects.filter(dataset=dataset).values_list("image_id", "name"))
    edges = list(Resemblance.objects.filter(found_at__lte=at).values_list("image_id", "original_id"))
    subjects = _subjects(wanted | set(recorded) | {image for edge in edges for image in edge})
    return _settle(lambda cluster: name_for(dataset, cluster, shares), wanted, recorded, edges, subjects)


def name_for(dataset: Dataset, cluster: str, shares: Shares = USUAL) -> str:
    """The split of a cluster of which nothing is recorded. With other shares, what is recorded stays where it is."""
    percent = fraction(dataset, cluster) * 100
    train, validation, _ = shares
    return "train" if percent < train else "validation" if percent < train + validation else "test"


def clusters(subjects: dict[Any, str], edges: Iterable[Edge]) -> dict[str, str]:
    """Subject to the name of its cluster, which is its first subject in the alphabet."""
    parent = {subject: subject for subject in subjects.values()}

    def root(subject: str) -> str:
        while parent[subject] != subject:
            parent[subject] = parent[parent[subject]]
            subject = parent[subject]
        return subject

    for one, other in edges:
        low, high = sorted((root(subjects[one]), root(subjects[other])))
        parent[high] = low
    return {subject: root(subject) for subject in parent}


def _settle(
    draw: Callable[[str], str],
    wanted: set[Any],
    recorded: dict[Any, str],
    edges: list[Edge],
    subjects: dict[Any, str],
) -> dict[Any, str]:
    cluster_of = clusters(subjects, edges)
    taken = _recorded_splits(recorded, subjects, cluster_of)
    splits: dict[Any, str] = {}
    merged = set()
    for image in wanted:
        cluster = cluster_of[subjects[image]]
        if len(taken[cluster]) > 1:
            merged.add(image)
        else:
            splits[image] = next(iter(taken[cluster]), None) or draw(cluster)
    return splits | _settle_merged(merged, recorded, edges, subjects)


def _settle_merged(
    merged: set[Any], recorded: dict[Any, str], edges: list[Edge], subjects: dict[Any, str]
) -> dict[Any, str]:
    """Without the newcomers; a cluster that joins two splits all the same keeps the split that holds more of it."""
    newcomers = {image for image in merged if image not in recorded}
    kept_edges = [edge for edge in edges if not newcomers & set(edge)]
    cluster_of = clusters(subjects, kept_edges)
    taken = _recorded_splits(recorded, subjects, cluster_of)
    kept = {}
    for image in merged - newcomers:
        counts = taken[cluster_of[subjects[image]]]
        if recorded[image] == min(counts, key=lambda name: (-counts[name], NAMES.index(name))):
            kept[image] = recorded[image]
    return kept


def _recorded_splits(
    recorded: dict[Any, str], subjects: dict[Any, str], cluster_of: dict[str, str]
) -> defaultdict[str, Counter[str]]:
    taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image, name in recorded.items():
        taken[cluster_of[subjects[image]]][name] += 1
    return taken


def _subjects(image_ids: set[Any]) -> dict[Any, str]:
    """Image id to subject. Nothing about use: purged images still hold their cluster together."""
    rows = Image.objects.values_list("pk", "subject")
    if len(image_ids) < 500:
        rows = rows.filter(pk__in=image_ids)
    return dict(rows)
