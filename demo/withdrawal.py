"""Stage 7: one contributor withdraws on the web. How long until every door refuses, and nothing is left behind it."""

import functools
import hashlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import httpx

from demo.browser import Browser
from demo.datasets import Dataset, Release, api
from demo.label import Owner
from demo.people import done
from demo.progress import Progress
from demo.records import Records
from demo.stack import Stack

REFUSALS = {403, 404, 410}


@dataclass
class Target:
    """Everything about one contributor's photographs that must be gone, noted down before they withdraw."""

    images: list[str]  # ids, 32 hex digits as the database stores them
    hashes: set[str]  # SHA-256 of originals, clean copies and previews
    needles: list[bytes]  # the same inside other files: in rows and shards as text, in sealed files as bytes
    assets: set[str]  # asset_id of their label tasks
    tasks: list[int]  # ids of their label tasks in Label Studio


@dataclass
class Outcome:
    """What was measured."""

    images: int = 0
    seconds_to_refused: float = -1
    seconds_to_gone: float = -1
    seconds_to_certificate: float = -1
    label_tasks_left: int = -1
    files_left: int = -1
    doors: int = 0
    pulled_rows_removed: int = 0
    traces: list[str] = field(default_factory=list)


def note_target(records: Records, owner: Owner, project: int, image_ids: list[str]) -> Target:
    """What there is to be erased."""
    images = [image_id.replace("-", "") for image_id in image_ids]
    hashes = hashes_only_of(records, images)
    marks = ",".join("?" * len(images))
    pushed = records.rows(f"SELECT asset_id FROM annotation_labeltask WHERE image_id IN ({marks})", *images)  # noqa: S608
    assets = {asset for (asset,) in pushed}
    return Target(
        images=images,
        hashes=hashes,
        needles=needles_of(hashes),
        assets=assets,
        tasks=[task["id"] for task in owner.tasks(project) if task["data"]["asset_id"].replace("-", "") in assets],
    )


def hashes_only_of(records: Records, images: list[str]) -> set[str]:
    """SHA-256 (hex) of originals, clean copies and previews of these images, as the database has them: what lies in our
    storage is sealed. Not of what somebody else, who stays, has given as well."""
    marks = ",".join("?" * len(images))
    columns = "sha256, clean_sha256, preview_key FROM collection_image WHERE id"
    theirs = _hashes(records.rows(f"SELECT {columns} IN ({marks})", *images))
    return theirs - _hashes(records.rows(f"SELECT {columns} NOT IN ({marks})", *images))


def _hashes(rows: list[tuple[str, ...]]) -> set[str]:
    """Of (sha256, clean_sha256, preview_key): a key ends in the hash of its bytes and extensions."""
    named = ((original, clean, PurePosixPath(preview).name.partition(".")[0]) for original, clean, preview in rows)
    return {digest for digests in named for digest in digests if digest}


def needles_of(hashes: set[str]) -> list[bytes]:
    """Each hash as text, and as the bytes that a sealed file begins with (collection.sealing)."""
    return [form for digest in sorted(hashes) for form in (digest.encode(), bytes.fromhex(digest))]


def stored_files(stack: Stack, *folders: str) -> Iterator[Path]:
    """Every file in our storage, in temporary folders, and in Label Studio's data folder."""
    for name in folders or ("storage", "tmp", "label-studio"):
        yield from (path for path in (stack.var / name).rglob("*") if path.is_file())


Doors = dict[str, Callable[[], int]]  # every way to read one of the images: its name → the status it answers now


def page_doors(browser: Browser, addresses: list[str]) -> Doors:
    """Addresses that this person's browser may read."""
    return {f"{browser.name}: {address}": functools.partial(_status, browser, address) for address in addresses}


def _status(browser: Browser, address: str) -> int:
    return browser.client.get(address).status_code


def file_doors(stack: Stack, dataset: Dataset, release: Release, originals: set[str]) -> Doors:
    """The files of a release that hold rows of these originals (by SHA-256), as the engineer's machine reads them."""
    return {
        f"engineer: {path}": functools.partial(_file_status, stack, dataset, path)
        for path in _files_with(release, originals)
    }


def _file_status(stack: Stack, dataset: Dataset, path: str) -> int:
    return api(stack, dataset, path).status_code


def _files_with(release: Release, originals: set[str]) -> list[str]:
    """The release's files, as the API names them, that hold rows of these originals."""
    records = {path.stem: path.read_text() for path in release.folder.glob("rows/*.jsonl")}
    shards = {shard for shard, text in records.items() if any(digest in text for digest in originals)}
    holding = [path.relative_to(release.folder) for path in release.folder.glob("*/*") if path.stem in shards]
    return [f"{release.version}/files/{name}" for name in sorted(map(str, holding))]


def open_doors(doors: Doors) -> Doors:
    return {name: status for name, status in doors.items() if status() == 200}


def withdraw(contributor: Browser) -> tuple[float, str]:
    """Take back everything, by the page's own form; when the button was pressed, and the certificate's address."""
    page = contributor.get("/me/withdraw/")
    pressed = time.monotonic()
    certificate = done(contributor.fill(page, {"consent": "all", "purpose": ""}))
    return pressed, certificate.url


def certified_after(pressed: float, address: str, stack: Stack, progress: Progress) -> float:
    """Seconds until the signed certificate was there, asked for without an account; it is kept in var."""
    document = f"{address.rstrip('/')}.json"

    def is_issued() -> bool:
        answer = httpx.get(document)
        if answer.status_code == 200:
            (stack.var / "erasure-certificate.json").write_bytes(answer.content)
        return answer.status_code == 200

    progress.wait(is_issued, "the erasure certificate is signed", 90)
    return time.monotonic() - pressed


def refused_after(pressed: float, watched: Doors, progress: Progress) -> float:
    """Seconds from the button to the moment when every watched door had refused."""
    still = dict(watched)

    def all_refuse() -> bool:
        for name, status in list(still.items()):
            if status() in REFUSALS:
                del still[name]
        return not still

    progress.wait(all_refuse, "every read refuses", 60, lambda: ", ".join(list(still)[:3]))
    return time.monotonic() - pressed


def gone_after(pressed: float, left: Callable[[], list[str]], progress: Progress) -> float:
    """Seconds from the button to the moment when nothing was left."""
    progress.wait(lambda: not left(), "bytes, hashes and label tasks go", 90, lambda: ", ".join(left()[:4]))
    return time.monotonic() - pressed


def traces(stack: Stack, records: Records, owner: Owner, project: int, target: Target) -> list[str]:
    """What is left of the target, looked up on disk, in the database, and in Label Studio."""
    found = [f"file {path}" for path in files_left(stored_files(stack), target)]
    marks = ",".join("?" * len(target.images))
    for table in ("fingerprint", "resemblance"):
        if records.one(f"SELECT count(*) FROM collection_{table} WHERE image_id IN ({marks})", *target.images):  # noqa: S608
            found.append(f"rows in collection_{table}")
    held = f"SELECT count(*) FROM collection_image WHERE id IN ({marks}) AND status != 'purged'"  # noqa: S608
    if unpurged := records.one(held, *target.images):
        found.append(f"{unpurged} images not purged")
    return found + [f"label task {task}" for task in label_tasks_left(owner, project, target)]


def files_left(files: Iterable[Path], target: Target) -> list[Path]:
    """Those of `files` with something of the target: by key, by SHA-256 of the file, and by hashes inside larger or
    sealed files."""
    assets = [str_uuid(asset).encode() for asset in target.assets]
    left = []
    for path in files:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue  # deleted between listing and reading
        inside = [*target.needles, *([] if path.name.startswith("label_studio.sqlite3") else assets)]
        named = any(image in str(path) for image in target.images)
        if named or hashlib.sha256(content).hexdigest() in target.hashes or any(part in content for part in inside):
            left.append(path)
    return left


def str_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def label_tasks_left(owner: Owner, project: int, target: Target) -> list[int]:
    """Their tasks that Label Studio still knows: by our asset_id, and by the ids they had."""
    there = {task["id"]: task["data"]["asset_id"].replace("-", "") for task in owner.tasks(project)}
    by_asset = [task for task, asset in there.items() if asset in target.assets]
    reused = [task for task in target.tasks if task in there and there[task] not in target.assets]
    return sorted({*by_asset, *(task for task in target.tasks if task not in reused and owner.has_task(task))})
