"""Traces of one photograph outside the database: storages, releases, waiting zips, caches, Label Studio, temp files."""

import hashlib
import pickle
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.storage import Storage, storages
from django.db.models import Exists, OuterRef

from annotation import labelstudio
from annotation.labelstudio import LabelStudioError
from annotation.models import LabelProject, LabelTask
from collection import library_runs
from collection.library_sources import BROKEN
from collection.storage import keys_of
from exports.models import Item, ReleaseFile
from exports.traces import Names, Report, Trace, column_traces, names_of, rows_traces, standing_of

CHUNK = 1 << 20
ERASURES = "the erasure list: a restored backup must forget it again"
TEMPORARY = ("*.upload*", "likeness-release-*")  # what Django and we ourselves leave in the system's own folder
ROWS = (".jsonl", ".json", ".csv")  # files of releases that list hashes and ids


def find_traces(asked: str) -> Report | None:
    """Look in every store for an image id or SHA-256 (hex). None if the text is neither."""
    names = names_of(asked)
    if names is None:
        return None
    remarks: list[str] = []
    traces = [
        *rows_traces(names),
        *column_traces(names),
        *_storage_traces(names),
        *_release_traces(names),
        *_zip_traces(names, remarks),
        *_cache_traces(names, remarks),
        *_label_studio_traces(names, remarks),
        *_label_studio_files(names, remarks),
        *_temporary_traces(names, remarks),
    ]
    return Report(asked, standing_of(names), traces, remarks)


# --- Storages ------------------------------------------------------------------------------------


def _storage_traces(names: Names) -> Iterator[Trace]:
    """Folders of the images in each storage; by hash alone, every key that has it in its name."""
    for name in settings.STORAGE_BUCKETS:
        bucket = storages[name]
        found = [key for image_id in names.ids for key in keys_of(bucket, image_id)]
        if not names.ids:
            found = [key for key in _files_in(bucket, "") if any(word in key for word in names.digests)]
        if found:
            yield Trace(name, ", ".join(found[:3]), len(found), ERASURES if name == "erasures" else "")


def _files_in(bucket: Storage, folder: str) -> Iterator[str]:
    try:
        folders, files = bucket.listdir(folder)
    except FileNotFoundError:  # nothing was ever stored there
        return
    for name in folders:
        yield from _files_in(bucket, f"{folder}{name}/")
    yield from (f"{folder}{name}" for name in files if name)


def _release_traces(names: Names) -> Iterator[Trace]:
    """Bytes of releases: shards that hold a row of the images, and files that name one of their hashes or row ids."""
    bucket = storages["releases"]
    mine = Item.objects.filter(image__in=names.ids, release=OuterRef("release"), shard=OuterRef("shard"))
    keys = ReleaseFile.objects.filter(Exists(mine)).values_list("key", flat=True).distinct()
    held = {key for key in keys if bucket.exists(key)}
    for key in _files_in(bucket, ""):
        if key not in held and key.endswith(ROWS):
            with bucket.open(key, "rb") as file:
                if _contains(file, names.words()):
                    held.add(key)
    if held:
        yield Trace("releases", ", ".join(sorted(held)[:3]), len(held))


def _zip_traces(names: Names, remarks: list[str]) -> Iterator[Trace]:
    """Zips of libraries that wait for their import, by the hash of what is in them."""
    for key in library_runs.stored_zips() if names.digests else ():
        with library_runs.uploads().open(key, "rb") as file:
            try:
                with zipfile.ZipFile(file) as archive:
                    found = [name for name in archive.namelist() if _digest(archive.open(name)) in names.digests]
            except BROKEN:
                remarks.append(
                    f"The library {key}, which waits for its import, cannot be read, so it was not searched."
                )
                continue
        if found:
            yield Trace("imports", f"{key}: {found[0]}", len(found))


def _digest(file: IO[bytes]) -> str:
    with file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _contains(file: Any, words: Iterable[str]) -> bool:
    """Whether a file has one of the words in it, also across the borders of chunks."""
    wanted = [word.encode() for word in words]
    overlap, rest = max(map(len, wanted), default=0), b""
    while chunk := file.read(CHUNK):
        text = rest + chunk
        if any(word in text for word in wanted):
            return True
        rest = text[-overlap:]
    return False


# --- Caches --------------------------------------------------------------------------------------


def _cache_traces(names: Names, remarks: list[str]) -> Iterator[Trace]:
    """Entries that name the images. What is cached is never a picture; this looks that it stays so."""
    wanted = [word.encode() for word in names.words()]
    for alias in settings.CACHES:
        cache = caches[alias]
        if not isinstance(cache, FileBasedCache | LocMemCache):
            remarks.append(f"The cache {alias} cannot be listed, so it was not searched. No photograph is put there.")
            continue
        held = [where for where, content in _entries(cache) if any(word in content for word in wanted)]
        if held:
            yield Trace("cache", f"{alias}: {held[0]}", len(held))


def _entries(cache: Any) -> Iterator[tuple[str, bytes]]:
    """(where, what it holds) of each entry, keys included if they can be told."""
    if isinstance(cache, FileBasedCache):
        for name in cache._list_cache_files():  # type: ignore[attr-defined]
            with Path(name).open("rb") as file:
                pickle.load(file)  # noqa: S301  # when it expires; our own file, as the cache itself reads it
                yield name, zlib.decompress(file.read())
    else:
        yield from ((key, key.encode() + value) for key, value in list(cache._cache.items()))


# --- Label Studio --------------------------------------------------------------------------------


def _label_studio_traces(names: Names, remarks: list[str]) -> Iterator[Trace]:
    """Tasks there, in every project of ours."""
    tasks = LabelTask.objects.filter(image__in=names.ids)
    assets = list(tasks.values_list("pk", flat=True))
    if not assets:
        return
    if not settings.LABEL_STUDIO_URL:
        if tasks.exclude(state=LabelTask.State.RETRACTED).exclude(project=None).exists():
            remarks.append("Label Studio is not set up here, so it was not asked about the tasks that were sent there.")
        return
    try:
        for project in LabelProject.objects.all():
            there = labelstudio.find_tasks(project=project.external_id, asset_ids=assets)
            if there:
                yield Trace("label studio", f"project {project.external_id}", len(there))
    except LabelStudioError as error:
        yield Trace("label studio", f"it did not answer, so nobody can say: {error}", len(assets))


def _label_studio_files(names: Names, remarks: list[str]) -> Iterator[Trace]:
    """Copies in its data folder: exports, uploads."""
    if settings.LABEL_STUDIO_DATA_DIR:
        for folder in ("export", "media", "upload"):
            found = list(_files_that_hold((Path(settings.LABEL_STUDIO_DATA_DIR) / folder).rglob("*"), names, remarks))
            if found:
                yield Trace("label studio files", str(found[0]), len(found))


# --- Temporary files -----------------------------------------------------------------------------


def _temporary_traces(names: Names, remarks: list[str]) -> Iterator[Trace]:
    """What uploads and workers leave when they are killed (collection.erasure sweeps it)."""
    own = settings.FILE_UPLOAD_TEMP_DIR
    places = {place for pattern in TEMPORARY for place in Path(tempfile.gettempdir()).glob(pattern)}
    places |= set(Path(own).iterdir()) if own and Path(own).is_dir() else set()
    files = (file for place in places for file in (place.rglob("*") if place.is_dir() else [place]))
    found = list(_files_that_hold(files, names, remarks))
    if found:
        yield Trace("temporary files", str(found[0]), len(found))


def _files_that_hold(files: Iterable[Path], names: Names, remarks: list[str]) -> Iterator[Path]:
    """Files whose name or content names the images, or whose bytes are theirs."""
    words = names.words()
    for path in files:
        try:
            if not path.is_file():
                continue
            with path.open("rb") as file:
                by_content = _contains(file, words)
            if by_content or any(word in path.name for word in words) or _digest(path.open("rb")) in names.digests:
                yield path
        except FileNotFoundError:  # just gone
            continue
        except OSError as error:
            remarks.append(f"{path} cannot be read ({error.strerror}), so it was not searched.")
