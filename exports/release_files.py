"""The bytes of releases in storage: stored once, shared by releases that hold the same, deleted with what is in them.

A file with rows that an earlier published release of the dataset holds byte for byte is not stored again: the later
release names the earlier one's key. Both lose it together, since the same rows are in both (docs/decisions/0029).
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from django.core.files import File
from django.core.files.storage import storages
from django.db.models import Exists, OuterRef, Q
from storages.backends.s3 import S3Storage

from collection import buckets
from consent.folders import list_folder, walk
from exports.models import Dataset, FilePurge, Release, ReleaseFile
from exports.shard_files import Built

log = logging.getLogger(__name__)
AT_ONCE = 500  # keys
DIRECT_SECONDS = 30  # to begin with a download; what goes on longer is not cut off


def storage_key(release: Release, path: str) -> str:
    """Where a file of a release is in the `releases` storage, unless an earlier release has the same bytes."""
    return f"{release.dataset.slug}/{release.pk}/{path}"


def store(release: Release, files: Iterable[Built], folder: Path, beat: Callable[[], object]) -> dict[str, str]:
    """Put the files of a build into storage; path to key. `beat` is called before each."""
    storage, keys = storages["releases"], {}
    for built in files:
        beat()
        shared = _shared_key(release, built) if built.shard else None
        keys[built.path] = shared or storage_key(release, built.path)
        if not shared:
            with (folder / built.path).open("rb") as file:
                storage.save(keys[built.path], _OnDisk(file))
    return keys


class _OnDisk(File):
    """A file that the storage may move instead of copying, if it is on the same disk."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def _shared_key(release: Release, built: Built) -> str | None:
    published = ReleaseFile.objects.filter(
        release__dataset=release.dataset_id, release__state=Release.State.PUBLISHED, purge__isnull=True
    )
    same = published.filter(sha256=built.sha256, size=built.size, shard=built.shard)
    return same.order_by("pk").values_list("key", flat=True).first()


def direct_address(file: ReleaseFile) -> str | None:
    """Where the bytes of a file lie for whoever has this address, for DIRECT_SECONDS; None if they are not on S3.

    The caller has asked the rights check first.
    """
    storage = storages["releases"]
    if not isinstance(storage, S3Storage):
        return None
    return buckets.sign(storage, "get_object", seconds=DIRECT_SECONDS, method="GET", Key=file.key)


def waiting_card(dataset: Dataset) -> tuple[Release, str] | None:
    """The release that waits to be published, and its card without the header for machines; None if none waits.

    The card is empty if it cannot be read now.
    """
    waiting = dataset.releases.filter(state=Release.State.BUILT).order_by("-number").first()
    card = waiting.files.filter(path="README.md").first() if waiting else None
    if waiting is None or card is None:
        return None
    try:
        with storages["releases"].open(card.key) as file:
            text: str = file.read().decode()
    except Exception:  # whatever the storage raises: the page has more to show, and publishing does not rest on it
        log.exception("the card of %s cannot be read", waiting)
        return waiting, ""
    return waiting, text.split("\n---\n", 1)[-1].strip()


def purge(file: ReleaseFile) -> None:
    """Delete the bytes of a file with a row that nobody may have any more, wherever this release has them.

    Every release that shares them holds the same row. A second builder that was late may have left a copy of its own.
    """
    storage = storages["releases"]
    for key in {file.key, storage_key(file.release, file.path)}:
        storage.delete(key)
    FilePurge.objects.get_or_create(file=file)


def purge_again(release: Release) -> None:
    """Delete what a builder, so late that the release was published and a row withdrawn meanwhile, has stored anew."""
    for file in release.files.filter(purge__isnull=False).select_related("release__dataset"):
        purge(file)


def delete_own(release: Release) -> None:
    """Delete the bytes of a release that was given up, but for those that published ones share."""
    storage = storages["releases"]
    for key in list(walk(storage, storage_key(release, "").rstrip("/"))):
        storage.delete(key)
    files = release.files.filter(purge__isnull=True)
    FilePurge.objects.bulk_create([FilePurge(file=file) for file in files], ignore_conflicts=True)


def delete_again() -> int:
    """Delete what lies in storage though it was deleted, or though its release was given up; how many files.

    A builder that came late stored it, and was killed before it looked; or somebody restored the storage.
    """
    return sum(map(_delete_again, _releases_with_deleted_files()))


def _delete_again(release: Release) -> int:
    storage, deleted = storages["releases"], 0
    keys = walk(storage, storage_key(release, "").rstrip("/"))
    while some := list(islice(keys, AT_ONCE)):
        for key in _deleted_among(release, some):
            try:
                storage.delete(key)
            except Exception:  # whatever the storage raises: it keeps nobody from the others, and the next turn tries
                log.exception("%s lies in storage again and cannot be deleted", key)
                continue
            log.warning("%s lay in storage again and was deleted", key)
            deleted += 1
    return deleted


def _releases_with_deleted_files() -> Iterator[Release]:
    """Those that have a folder. What others have stored of the same rows is looked for in theirs."""
    purged = ReleaseFile.objects.filter(release=OuterRef("pk"), purge__isnull=False)
    found = Release.objects.filter(Q(state=Release.State.DISCARDED) | Exists(purged)).select_related("dataset")
    for dataset in Dataset.objects.order_by("pk"):
        folders = set(list_folder(storages["releases"], dataset.slug)[0])
        yield from (release for release in found.filter(dataset=dataset).iterator() if str(release.pk) in folders)


def _deleted_among(release: Release, keys: list[str]) -> list[str]:
    """Those of these keys in the release's folder under which nothing should be."""
    if release.state == Release.State.DISCARDED:
        return keys
    by_path = {key.removeprefix(storage_key(release, "")): key for key in keys}
    purged = release.files.filter(path__in=by_path, purge__isnull=False).values_list("path", flat=True)
    return [by_path[path] for path in purged]
