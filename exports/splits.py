"""Which split an image belongs to: decided once per dataset by a salted hash of its cluster, and never changed.

A cluster is a connected component of subjects: the same person, and persons whose photographs resemble each other, stay
together. When a later resemblance joins clusters that already sit in two splits, recorded images keep their split and
the newcomers are left out; what still joins two splits after that keeps only its larger side.
"""

import datetime
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import F

from collection.models import Resemblance
from exports.many_rows import insert_rows
from exports.models import Dataset, Split
from exports.pseudonyms import fraction
from exports.selection import AT_ONCE, Candidate, in_batches

LEFT_OUT = "would put one person or near-duplicates in two splits"
NAMES = ("train", "validation", "test")
Edge = tuple[Any, Any]  # two image ids
Shares = tuple[int, int, int]  # per cent of the clusters in each of NAMES
USUAL: Shares = (70, 15, 15)


def record(dataset: Dataset, splits: Iterable[tuple[str, str]]) -> None:
    """Keep the split of each image (its id in hex), in few statements; what is recorded stays.

    RuntimeError if another build has recorded another one since these were foreseen.
    """
    for some in in_batches(splits):
        rows = ((dataset.pk, image, name) for image, name in some)
        if insert_rows(Split, ("dataset_id", "image_id", "name"), rows, unless_there=True) == len(some):
            continue
        there = Split.objects.filter(dataset=dataset, image__in=[image for image, _ in some])
        if {(image.hex, name) for image, name in there.values_list("image", "name")} != set(some):
            raise RuntimeError("another build of this dataset recorded other splits meanwhile; tried again soon")


def foresee(
    dataset: Dataset,
    candidates: Iterable[Candidate],
    at: datetime.datetime,
    left_out: Counter[str],
    shares: Shares = USUAL,
) -> Iterator[tuple[Candidate, str]]:
    """Each candidate with its split, without recording anything; those that would join two splits are `left_out`.

    They come one by one, but for those of clusters that sit in two splits, which wait for the end.
    """
    edges, subjects = _edges(at)
    cluster_of = clusters(subjects, edges)
    names, torn = _recorded_names(dataset, cluster_of)
    merged: dict[Any, Candidate] = {}
    for candidate in candidates:
        subject = candidate.image.subject
        cluster = cluster_of.get(subject, subject)
        if cluster in torn:
            merged[candidate.image.pk] = candidate
        else:
            yield candidate, names.get(cluster) or name_for(dataset, cluster, shares)
    if merged:
        held = {subject for subject, cluster in cluster_of.items() if cluster in torn}
        held |= {candidate.image.subject for candidate in merged.values()}
        kept = _settle_merged(_recorded(dataset, held), merged, edges, subjects)
        left_out[LEFT_OUT] += len(merged) - len(kept)
        yield from ((merged[image], name) for image, name in kept.items())


def _edges(at: datetime.datetime) -> tuple[list[Edge], dict[Any, str]]:
    """Resemblances of images of different subjects, and whose these images are: purged ones still hold together."""
    found = Resemblance.objects.filter(found_at__lte=at).exclude(image__subject=F("original__subject"))
    edges: list[Edge] = []
    subjects: dict[Any, str] = {}
    columns = ("image_id", "original_id", "image__subject", "original__subject")
    for image, original, subject, other in found.order_by("pk").values_list(*columns).iterator(AT_ONCE):
        edges.append((image, original))
        subjects |= {image: subject, original: other}
    return edges, subjects


def _recorded_names(dataset: Dataset, cluster_of: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """The recorded split of each cluster, and clusters that sit in more than one."""
    names: dict[str, str] = {}
    torn = set()
    recorded = Split.objects.filter(dataset=dataset).values_list("image__subject", "name").distinct()
    for subject, name in recorded.iterator(AT_ONCE):
        cluster = cluster_of.get(subject, subject)
        if names.setdefault(cluster, name) != name:
            torn.add(cluster)
    return names, torn


def name_for(dataset: Dataset, cluster: str, shares: Shares = USUAL) -> str:
    """The split of a cluster of which nothing is recorded. With other shares, what is recorded stays where it is."""
    percent = fraction(dataset, cluster) * 100
    train, validation, _ = shares
    return "train" if percent < train else "validation" if percent < train + validation else "test"


def clusters(subjects: Mapping[Any, str], edges: Iterable[Edge]) -> dict[str, str]:
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


def _recorded(dataset: Dataset, subjects: Iterable[str]) -> dict[Any, tuple[str, str]]:
    """Image to split and subject, of all recorded images of these subjects."""
    rows = Split.objects.filter(dataset=dataset).values_list("image_id", "name", "image__subject")
    some = (rows.filter(image__subject__in=batch) for batch in in_batches(subjects))
    return {image: (name, subject) for found in some for image, name, subject in found}


def _settle_merged(
    held: Mapping[Any, tuple[str, str]], merged: Collection[Any], edges: list[Edge], subjects: Mapping[Any, str]
) -> dict[Any, str]:
    """Without the newcomers; a cluster that joins two splits all the same keeps the split that holds more of it."""
    recorded = {image: name for image, (name, _) in held.items()}
    whose = {**subjects, **{image: subject for image, (_, subject) in held.items()}}
    newcomers = {image for image in merged if image not in recorded}
    cluster_of = clusters(whose, [edge for edge in edges if not newcomers & set(edge)])
    taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for image, name in recorded.items():
        taken[cluster_of[whose[image]]][name] += 1
    kept = {}
    for image in merged:
        if image in recorded:
            counts = taken[cluster_of[whose[image]]]
            if recorded[image] == min(counts, key=lambda name: (-counts[name], NAMES.index(name))):
                kept[image] = recorded[image]
    return kept
