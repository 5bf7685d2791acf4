# /// script
# requires-python = ">=3.11"
# dependencies = ["cryptography", "pyarrow"]
# ///
"""Pull a dataset: `pull.py DATASET[@VERSION] DIR --server URL --token T [--key PEM]`.

First applies the signed notices about people who withdrew to every version in DIR/DATASET, then fetches the wanted one
(the latest when none is named) to DIR/DATASET/VERSION: only what no other version there has, several files at once.
Files that two versions share are linked, so change none in place. A pull that was cut off goes on where it stopped.
Every file is checked against SHA256SUMS and the signed statement. What is found damaged when a notice is applied is
deleted, since it may hold what the notice takes out. Afterwards DIR/DATASET/VERSION.seen.json says how each file was
left: when one is another the next time, perhaps out of a backup, the notices are applied again. This one file needs
nothing else of the project.

--key is the server's public key, got by a way you trust. Without it the server's key is kept at the first pull
(DIR/DATASET/signing.pem) and must stay the same. The token may also be in the environment as LIKENESS_TOKEN.

Exit codes: 0 the copy is complete and up to date; 1 what arrived is not what was signed; 2 wrong arguments; 3 the
server refused or could not be reached; 4 the version holds photographs that were withdrawn: pull a newer one.
"""

import argparse
import base64
import csv
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

OK, BAD, USAGE, REFUSED, WITHDRAWN = range(5)
SUMS, STATEMENT, REMOVED = "SHA256SUMS", "statement.dsse.json", "removed.jsonl"
BEGUN = "SHA256SUMS.begun"  # sums of files that a notice had rewritten, until SHA256SUMS has them
CROISSANT, CARD, METADATA = "croissant.json", "README.md", "metadata.csv"
NOTICE_TYPE = "application/vnd.likeness.notice+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"
NAME = r"[A-Za-z0-9_-][\w.-]*"  # of a file or folder of a release: never hidden, never ".."
TRIES = 5
AT_ONCE = 4  # files
BLOCK = 1 << 20  # bytes
ROW_GROUP = 16  # as the makers write Parquet: what is left of a shard is the next release's, byte for byte
PARTIAL, MOVED, TOO_MANY, LONGEST_PAUSE = 206, 302, 429, 60  # HTTP statuses; seconds
LARGEST_ANSWER = 1 << 28  # bytes of JSON, or of SHA256SUMS


class Trouble(Exception):
    """The pull cannot go on; carries the exit code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


# --- The server ----------------------------------------------------------------------------------------------------


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token elsewhere: Server follows one without it."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


class Server:
    """The recipients' API of one server, read with one token."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("https://", "http://")):
            raise Trouble(USAGE, f"--server must begin with https:// (or http://), not {url!r}")
        self.url, self.token = url.rstrip("/"), token
        self.opener = urllib.request.build_opener(_NoRedirect)

    def open(self, path: str, *, start: int = 0, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json, application/octet-stream"}
        if start:
            headers["Range"] = f"bytes={start}-"
        data = None if body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.url + quote(path), data=data, headers=headers)  # noqa: S310 -- http(s) only
        for _ in range(TRIES):
            try:
                return self._ask(request, path)
            except urllib.error.HTTPError as busy:  # too many requests: the server says when to come back
                pause = busy.headers.get("Retry-After", "")
                seconds = min(int(pause), LONGEST_PAUSE) if pause.isdecimal() else LONGEST_PAUSE
                say(f"{self.url} asks to wait {seconds} s")
                time.sleep(seconds)
        raise Trouble(REFUSED, f"{self.url} has too many requests of this token. Try again later.")

    def _ask(self, request: urllib.request.Request, path: str) -> Any:
        """One request; HTTPError if it came too early (429)."""
        try:
            return self.opener.open(request, timeout=60)
        except urllib.error.HTTPError as error:
            if error.code == TOO_MANY:
                raise
            if error.code == MOVED:
                return self._follow(request, error.headers.get("Location", ""))
            code = WITHDRAWN if error.code == 410 else REFUSED
            raise Trouble(code, f"{self.url}{path} answered {error.code}: {_detail(error)}") from error
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(REFUSED, f"{self.url} cannot be reached: {error}. Try again later.") from error

    def _follow(self, request: urllib.request.Request, location: str) -> Any:
        """The storage that the server points to for a moment. It gets the range that is asked for, and no token."""
        address = urljoin(request.full_url, location)
        if not address.startswith(("https://", self.url.partition("/")[0])):
            raise Trouble(REFUSED, f"{self.url} points to an address that is less safe than its own: {address!r}")
        headers = {"Range": value} if (value := request.get_header("Range")) else {}
        place = address.partition("?")[0]  # what follows is the right to read it
        try:
            return self.opener.open(urllib.request.Request(address, headers=headers), timeout=60)  # noqa: S310
        except (OSError, http.client.HTTPException) as error:
            raise Trouble(REFUSED, f"{place}, where {self.url} keeps the file, failed: {error}. Try again.") from error

    def read(self, path: str, body: dict[str, Any] | None = None) -> bytes:
        with self.open(path, body=body) as answer:
            try:
                content: bytes = answer.read(LARGEST_ANSWER)
                if answer.length:  # still to come, but nothing comes
                    raise http.client.IncompleteRead(content, answer.length)
            except (OSError, http.client.HTTPException) as error:
                raise Trouble(REFUSED, f"{self.url}{path} was cut off: {error}. Try again.") from error
        return content

    def json(self, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return json.loads(self.read(path, body))
        except (ValueError, RecursionError) as error:
            raise Trouble(REFUSED, f"{self.url}{path} did not answer in JSON: {error}") from error


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


# --- Signatures and sums -------------------------------------------------------------------------------------------


def open_dsse(envelope: str, payload_type: str, key: Ed25519PublicKey, what: str) -> Any:
    """The JSON inside a signed envelope."""
    try:
        parsed = json.loads(envelope)
        payload = base64.b64decode(parsed["payload"], validate=True)
        kind = parsed["payloadType"].encode()
        signatures = [base64.b64decode(one["sig"], validate=True) for one in parsed["signatures"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Trouble(BAD, f"{what} is not a signed envelope: {error}") from error
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    if kind.decode() == payload_type and any(_verifies(key, signature, signed) for signature in signatures):
        return json.loads(payload)
    raise Trouble(BAD, f"{what} is not signed with the key that this dataset is signed with")


def _verifies(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def trusted_key(server: Server, base: Path, given: Path | None) -> Ed25519PublicKey:
    """The key of --key, else the one kept at the first pull."""
    kept = given or base / "signing.pem"
    if not kept.exists():
        if given:
            raise Trouble(USAGE, f"there is no key file {given}")
        _replace(kept, server.read("/keys/signing.pem"))
    try:
        key = load_pem_public_key(kept.read_bytes())
    except ValueError as error:
        raise Trouble(USAGE, f"{kept} is not a public key in PEM form") from error
    if not isinstance(key, Ed25519PublicKey):
        raise Trouble(USAGE, f"{kept} is not an Ed25519 public key")
    return key


def parse_sums(text: str) -> dict[str, str]:
    """Path to sha256. Refuses paths that would leave the folder."""
    sums = {}
    for line in text.splitlines():
        sha256, _, path = line.partition("  ")
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not re.fullmatch(rf"{NAME}(/{NAME})*", path):
            raise Trouble(BAD, f"{SUMS} has a line that is not a sum of a file of the release: {line!r}")
        sums[path] = sha256
    return sums


def served_sums(text: str) -> dict[str, str]:
    """As a server sends them: they name none of the files that only the recipient's side writes."""
    sums = parse_sums(text)
    for path in sums:
        if path.lower() in {SUMS.lower(), REMOVED} or path.lower().partition("/")[0] == "notices":
            raise Trouble(BAD, f"{SUMS} names {path}, which is no file of a release")
    if STATEMENT not in sums:
        raise Trouble(BAD, f"{SUMS} does not name {STATEMENT}")
    return sums


def local_sums(target: Path) -> dict[str, str]:
    """What SHA256SUMS of a copy says; nothing if it is not there or damaged."""
    try:
        return parse_sums((target / SUMS).read_text())
    except (OSError, ValueError, Trouble):
        return {}


def signed_sums(envelope: str, target: Path, key: Ed25519PublicKey) -> dict[str, str]:
    """What a signed statement says of the files of the version in `target`."""
    statement = open_dsse(envelope, STATEMENT_TYPE, key, STATEMENT)
    about = (statement["predicate"]["dataset"], statement["predicate"]["version"])
    if about != (target.parent.name, target.name):  # signed, but long ago or for others
        raise Trouble(BAD, f"{STATEMENT} is about {' '.join(about)}, not about {target.parent.name} {target.name}")
    return {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}


def check_statement(envelope: str, target: Path, sums: dict[str, str], key: Ed25519PublicKey) -> None:
    """The signed statement names the files that the server's sums name."""
    if signed_sums(envelope, target, key) != {path: sha256 for path, sha256 in sums.items() if path != STATEMENT}:
        raise Trouble(BAD, f"{STATEMENT} does not name the files that {SUMS} names")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


# --- Notices -------------------------------------------------------------------------------------------------------


def apply_notices(server: Server, base: Path, slug: str, key: Ed25519PublicKey, told: Iterable[dict[str, Any]]) -> None:
    """Take withdrawn rows out of every version under `base`, and tell the server. Trouble with one stops no other."""
    by_version: dict[str, dict[int, str]] = {}
    for notice in told:
        by_version.setdefault(_safe_version(notice["version"]), {})[int(notice["id"])] = notice["envelope"]
    failed: list[Trouble | OSError] = []
    for version, envelopes in by_version.items():
        if not (base / version).exists():
            continue
        try:
            rows = {number: _notice_rows(text, number, slug, version, key) for number, text in envelopes.items()}
            apply_to_copy(base / version, envelopes, rows, key)
            for number, named in rows.items():
                server.json(f"/api/datasets/{slug}/notices/{number}/acknowledge/", {"rows_removed": len(named)})
        except (Trouble, OSError) as error:
            failed.append(error)
    for trouble in failed[1:]:
        say(f"pull: {trouble}")
    if failed:
        raise failed[0]


def _notice_rows(envelope: str, number: int, slug: str, version: str, key: Ed25519PublicKey) -> list[dict[str, Any]]:
    payload = open_dsse(envelope, NOTICE_TYPE, key, f"notice {number}")
    if (payload["dataset"], payload["version"]) != (slug, version):
        raise Trouble(BAD, f"notice {number} is about {payload['dataset']} {payload['version']}, not {slug} {version}")
    return list(payload["rows"])


def apply_to_copy(
    target: Path, envelopes: dict[int, str], rows: dict[int, list[dict[str, Any]]], key: Ed25519PublicKey
) -> None:
    """Rewrite one copy without the rows, and delete what is damaged: who knows whose photographs are in it.

    SHA256SUMS comes last: a notice it lacks is applied again. It goes on naming what was deleted, so that whoever
    checks the copy misses it; the next pull of this version fetches it, if it can still be had.
    """
    sums = local_sums(target)
    if all(f"notices/{number}.dsse.json" in sums for number in envelopes) and not _has_changed(target, sums):
        (target / BEGUN).unlink(missing_ok=True)
        return
    signed = _signed_here(target, key)
    if not (target / SUMS).exists() or not (sums or signed):
        _remove_version(target)  # never complete, and never will be, or nothing says what should be in it
        return
    gone = {row["row_id"] for named in rows.values() for row in named}
    left, damaged, seen = _sort_out(target, sums, signed, gone)
    removed = [{**row, "notice": number} for number, named in rows.items() for row in named]
    lines = [json.dumps(row, sort_keys=True) + "\n" for row in sorted(removed, key=lambda row: row["position"])]
    ours = {REMOVED: "".join(lines)} | {f"notices/{number}.dsse.json": text for number, text in envelopes.items()}
    for path, text in ours.items():
        if (target / path).is_dir():
            _remove(target / path)
        _replace(target / path, text.encode())
        left[path] = sha256_of(target / path)
    _patch_documents(target, left)
    _write_sums(target, left)
    _note_seen(target, seen)
    say(f"{target}: withdrawn rows taken out: {len(gone)}")
    if damaged:
        again = f"A pull of {target.parent.name}@{target.name} fetches what can still be had."
        say(f"{target}: damaged, and deleted for what it may have held: {', '.join(damaged)}. {again}")


def _sort_out(
    target: Path, sums: dict[str, str], signed: dict[str, str], gone: set[str]
) -> tuple[dict[str, str], list[str], dict[str, list[int]]]:
    """The sums of all files of the release, without these rows; which were damaged and are deleted; how those that stay
    look from outside."""
    begun, left, damaged, seen = _begun(target), {}, [], {}
    for path, sha256 in sorted((sums | signed).items()):
        _drop_leftovers(target / path, ".part", ".new")
        _bring_home(target / path)
        if path == REMOVED or path.startswith("notices/"):
            continue  # made anew
        before = _status(target / path)  # what somebody puts there while it is read is seen by the next pull
        found = _sha256_here(target / path)
        if found in {sha256, sums.get(path)} or (path, found) in begun:
            rewritten = _take_out(target, path, gone)
            left[path], seen[path] = rewritten or found, _status(target / path) if rewritten else before
        else:
            _remove(target / path)
            left[path] = sha256
            damaged.append(path)
    return left, damaged, seen


def _seen(target: Path) -> Path:
    """The file that says how the notices left a version."""
    return target.with_name(f"{target.name}.seen.json")


def _note_seen(target: Path, seen: Mapping[str, list[int]]) -> None:
    """Without this note every later pull looks again, which is slow and no more."""
    try:
        for place in (_seen(target), _seen(target).with_suffix(".json.new")):
            if place.is_dir():
                _remove(place)
        _replace(_seen(target), json.dumps(seen).encode())
    except OSError as error:
        say(f"{_seen(target)} cannot be written ({error}): the next pull reads all of this version again")


def _status(path: Path) -> list[int]:
    """Size and time of change of a file; nothing if there is none. Reading all of them at each pull takes too long."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _has_changed(target: Path, sums: Iterable[str]) -> bool:
    """Whether a file with rows is there that the notices did not leave so."""
    try:
        seen = dict(json.loads(_seen(target).read_text()))
    except (OSError, ValueError, TypeError, RecursionError):  # none was written, or it is damaged
        return True
    with_rows = [path for path in sums if path.partition("/")[0] in REWRITE and (target / path).exists()]
    changed = [path for path in with_rows if seen.get(path) != _status(target / path)]
    if changed:
        say(f"{target}: looked at again, for it changed since withdrawn rows were taken out: {', '.join(changed)}")
    return bool(changed)


def _signed_here(target: Path, key: Ed25519PublicKey) -> dict[str, str]:
    """What the copy's own statement says of its files; nothing if that is damaged."""
    try:
        return signed_sums((target / STATEMENT).read_text(), target, key)
    except (OSError, ValueError, Trouble):
        return {}


def _bring_home(path: Path) -> None:
    """A file that lies elsewhere, with a link in its place, comes here: its rows are to leave that disk as well."""
    if path.is_symlink() and path.is_file():
        fresh, there = path.with_name(path.name + ".new"), path.resolve()
        shutil.copyfile(there, fresh)
        fresh.replace(path)
        there.unlink()


def _remove(path: Path) -> None:
    """Delete a file, a link, or a folder that lies where a file should."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_version(target: Path) -> None:
    """Delete a version, also where a link leads to its folder."""
    shutil.rmtree(target.resolve())
    _remove(_seen(target))
    if target.is_symlink():
        target.unlink()


def _sha256_here(path: Path) -> str:
    """Nothing if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _begun(target: Path) -> set[tuple[str, str]]:
    """Path and sum of each file that a killed pull may have rewritten. The last line may not be whole."""
    if not (target / BEGUN).is_file():
        _remove(target / BEGUN)
        return set()
    text = (target / BEGUN).read_text(errors="replace")
    return {(path, sha256) for sha256, path in re.findall("^([0-9a-f]{64})  (.+)$", text, re.MULTILINE)}


def _put(target: Path, path: str, fresh: Path) -> str:
    """A rewritten file takes its place; its sum, which is noted first: else a killed pull leaves what seems damaged."""
    sha256 = sha256_of(fresh)
    with (target / BEGUN).open("a") as file:
        file.write(f"\n{sha256}  {path}\n")  # on a line of its own, whatever a killed pull left
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target / path)
    return sha256


def _write_sums(target: Path, sums: Mapping[str, str]) -> None:
    _replace(target / SUMS, "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode())
    (target / BEGUN).unlink(missing_ok=True)


def _take_out(target: Path, path: str, gone: set[str]) -> str | None:
    """Rewrite a file without these rows; its new sum, or None if it holds none of them."""
    rewrite, fresh = REWRITE.get(path.partition("/")[0]), (target / path).with_name(Path(path).name + ".new")
    if rewrite:
        rewrite(target / path, fresh, gone)
    return _put(target, path, fresh) if fresh.exists() else None


def _rewrite_records(path: Path, fresh: Path, gone: set[str]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["row_id"] not in gone]
    if len(kept) < len(lines):
        fresh.write_bytes(b"".join(kept))


def _rewrite_parquet(path: Path, fresh: Path, gone: set[str]) -> None:
    import pyarrow as pa  # noqa: PLC0415 -- it takes longer than a small pull, and most take no rows out
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    names = pq.read_table(path, columns=["row_id"])["row_id"].to_pylist()
    if not gone & set(names):
        return
    lost = pa.array(sorted(gone), pa.string())
    with (
        pq.ParquetFile(path) as old,
        pq.ParquetWriter(fresh, old.schema_arrow, compression="none", use_dictionary=False) as new,
    ):
        waiting = old.schema_arrow.empty_table()
        for batch in old.iter_batches(batch_size=ROW_GROUP):
            kept = batch.filter(pc.invert(pc.is_in(batch["row_id"], value_set=lost)))
            waiting = pa.concat_tables([waiting, pa.Table.from_batches([kept])])
            if waiting.num_rows >= ROW_GROUP:
                new.write_table(waiting.slice(0, ROW_GROUP).combine_chunks())
                waiting = waiting.slice(ROW_GROUP)
        if waiting.num_rows:
            new.write_table(waiting.combine_chunks())


def _rewrite_tar(path: Path, fresh: Path, gone: set[str]) -> None:
    with tarfile.open(path) as old:
        if not any(member.name.partition(".")[0] in gone for member in old):
            return
        with tarfile.open(fresh, "w", format=tarfile.USTAR_FORMAT) as new:
            for member in old.getmembers():
                if member.name.partition(".")[0] not in gone:
                    new.addfile(member, old.extractfile(member))


def _rewrite_zip(path: Path, fresh: Path, gone: set[str]) -> None:
    with zipfile.ZipFile(path) as old:
        if not any(name.partition(".")[0] in gone for name in old.namelist()):
            return
        lines = list(csv.reader(io.StringIO(old.read(METADATA).decode(), newline="")))
        kept, place = io.StringIO(newline=""), lines[0].index("row_id")
        csv.writer(kept).writerows(line for line in lines if line[place] not in gone)
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_STORED) as new:
            for member in old.infolist():
                if member.filename == METADATA:
                    new.writestr(member, kept.getvalue())
                elif member.filename.partition(".")[0] not in gone:
                    new.writestr(member, old.read(member))


def _rewrite_coco(path: Path, fresh: Path, gone: set[str]) -> None:
    document = json.loads(path.read_text())
    lost = {image["id"] for image in document["images"] if image["row_id"] in gone}
    if lost:
        document["images"] = [image for image in document["images"] if image["id"] not in lost]
        document["annotations"] = [one for one in document["annotations"] if one["image_id"] not in lost]
        fresh.write_bytes(_compact(document))


def _rewrite_tasks(path: Path, fresh: Path, gone: set[str]) -> None:
    tasks = json.loads(path.read_text())
    kept = [task for task in tasks if task["data"]["row_id"] not in gone]
    if len(kept) < len(tasks):
        fresh.write_bytes(_compact(kept))


# By folder of a release: writes the second file, if the first holds one of the rows.
REWRITE: dict[str, Callable[[Path, Path, set[str]], None]] = {
    "rows": _rewrite_records,
    "data": _rewrite_parquet,
    "webdataset": _rewrite_tar,
    "folder": _rewrite_zip,
    "coco": _rewrite_coco,
    "label-studio": _rewrite_tasks,
}


def _compact(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _patch_documents(target: Path, sums: dict[str, str]) -> None:
    """Only what rewritten files changed: sums, sizes, and splits that are empty now (loaders refuse those).

    `sums` are those of all files, and then those of the documents as well.
    """
    for path, patched in ((CROISSANT, _patched_croissant), (CARD, _patched_card)):
        if not (target / path).exists():  # deleted: it was damaged
            continue
        fresh = target / f"{path}.new"
        fresh.write_bytes(patched(target, sums))
        sums[path] = _put(target, path, fresh)


def _patched_croissant(target: Path, sums: Mapping[str, str]) -> bytes:
    document = json.loads((target / CROISSANT).read_text())
    for entry in document["distribution"]:
        if "sha256" in entry and (file := target / entry["contentUrl"]).exists():
            entry["sha256"], entry["contentSize"] = sums[entry["contentUrl"]], f"{file.stat().st_size} B"
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _patched_card(target: Path, sums: Iterable[str]) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415 -- as above

    card = (target / CARD).read_bytes().decode()  # read_text would change line ends, and what was signed with them
    left: Counter[str] = Counter()
    for path in (path for path in sums if path.startswith("data/")):
        rows = pq.read_metadata(target / path).num_rows if (target / path).exists() else 1  # it may be fetched again
        left[path.removeprefix("data/").partition("-")[0]] += rows
    for split, rows in left.items():
        if not rows:
            card = card.replace(f"  - split: {split}\n    path: data/{split}-*.parquet\n", "")
    return card.encode()


# --- Files ---------------------------------------------------------------------------------------------------------


class Fetch:
    """The files of one version as they come: what is there stays, what another version has is linked, the rest moves.

    One object for all threads of a pull; `stopped` ends them.
    """

    def __init__(self, server: Server, there: str, target: Path, files: list[dict[str, Any]]) -> None:
        self.server, self.there, self.target = server, there, target
        self.sizes = {file["path"]: int(file["size"]) for file in files}
        self.gone = {file["path"] for file in files if file["gone"]}
        self.mine = local_sums(target)
        self.stopped = threading.Event()
        self.elsewhere: dict[str, Path] = {}
        for sums in sorted(target.parent.glob(f"*/{SUMS}")):
            if sums.parent != target:
                self.elsewhere |= {sha256: sums.parent / path for path, sha256 in local_sums(sums.parent).items()}

    def all(self, sums: Mapping[str, str]) -> int:
        """Make the copy complete; bytes that moved. The first trouble ends it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            waiting = [pool.submit(self.one, path, sha256) for path, sha256 in sums.items()]
            moved = 0
            try:
                for count, done in enumerate(as_completed(waiting), start=1):
                    moved += done.result()
                    if sys.stderr.isatty():
                        end = "\n" if count == len(waiting) else ""
                        sys.stderr.write(f"\r{count} of {len(waiting)} files, {moved / 1e6:,.1f} MB fetched{end}")
                return moved
            except BaseException:
                self.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def one(self, path: str, sha256: str) -> int:
        """See that one file is there; bytes that moved."""
        local = self.target / path
        here = _is_there(local, sha256, self.mine.get(path) if REMOVED in self.mine else None)
        if path in self.gone and not (here and self.mine):  # a copy that was complete waits for its notice
            raise Trouble(WITHDRAWN, f"{path} holds photographs that may no longer be used. Pull a newer version.")
        _drop_leftovers(local, ".new")
        if here or ((other := self.elsewhere.get(sha256)) and reuse(other, local, sha256)):
            _drop_leftovers(local, ".part")
            return 0
        download(self.server, f"{self.there}files/{path}", local, sha256, self.sizes[path], self.stopped)
        return self.sizes[path]


def _drop_leftovers(path: Path, *endings: str) -> None:
    """What a pull that was killed had begun beside a file: it may hold rows that a later notice takes out."""
    for ending in endings:
        _remove(path.with_name(path.name + ending))


def reuse(other: Path, path: Path, sha256: str) -> bool:
    """Have a file that another version has: a second name of the same bytes, or a copy where the disk has no links.

    Whatever a notice takes out of either is written anew under its name, so the other keeps what is its own.
    """
    fresh = path.with_name(path.name + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        fresh.hardlink_to(other)
    except FileNotFoundError:
        return False
    except OSError:
        shutil.copyfile(other, fresh)
    if sha256_of(fresh) != sha256:  # damaged there, too
        fresh.unlink()
        return False
    fresh.replace(path)
    return True


def fetch(server: Server, target: Path, slug: str, release: dict[str, Any], key: Ed25519PublicKey) -> None:
    """Make the copy of one release complete."""
    there = f"/api/datasets/{slug}/{release['version']}/"
    listed = server.json(there)["files"]
    text = server.read(f"{there}files/{SUMS}")
    if hashlib.sha256(text).hexdigest() != release["sums_sha256"]:
        raise Trouble(BAD, f"{SUMS} is not the one that names {slug} {release['version']}")
    sums = served_sums(text.decode())
    moved = fetch_statement(server, there, target, sums, key)  # before anything that nobody signed is stored
    files = Fetch(server, there, target, listed)
    moved += files.all({path: sha256 for path, sha256 in sums.items() if path != STATEMENT})
    if not files.mine:
        _replace(target / SUMS, text)
    elif REMOVED in files.mine and (moved or _is_before_notices(target, sums, files.mine)):
        _patch_documents(target, files.mine)
        _write_sums(target, files.mine)
    whole = sum(files.sizes[path] for path in sums)
    say(f"{target}: {moved / 1e6:,.1f} of {whole / 1e6:,.1f} MB were fetched, the rest was here")


def fetch_statement(server: Server, there: str, target: Path, sums: dict[str, str], key: Ed25519PublicKey) -> int:
    """See that the signed statement is there; bytes that moved. One that is not right takes no other's place."""
    kept = target / STATEMENT
    here = _is_there(kept, sums[STATEMENT], None)
    content = kept.read_bytes() if here else server.read(f"{there}files/{STATEMENT}")
    if hashlib.sha256(content).hexdigest() != sums[STATEMENT]:
        raise Trouble(BAD, f"{STATEMENT} is not the one that {SUMS} names")
    check_statement(content.decode(), target, sums, key)
    if here:
        return 0
    _replace(kept, content)
    return len(content)


def _is_before_notices(target: Path, served: Mapping[str, str], mine: Mapping[str, str]) -> bool:
    """Whether a document was damaged, came as it was before the notice, and this pull was then killed."""
    return sha256_of(target / CROISSANT) == served[CROISSANT] or sha256_of(target / CARD) != mine[CARD]


def _is_there(path: Path, sha256: str, rewritten: str | None) -> bool:
    return path.exists() and sha256_of(path) in {sha256, rewritten}


def download(server: Server, address: str, path: Path, sha256: str, size: int, stopped: threading.Event) -> None:
    """Fetch one file through `<name>.part`, which the next pull continues."""
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        found = _receive(server, address, part, size, stopped)
        if part.stat().st_size < size:
            continue  # cut off: go on from there
        if found == sha256:
            part.replace(path)
            return
        part.unlink()
    raise Trouble(BAD, f"{path.name} did not arrive as it was signed, {TRIES} times. Report this to the data manager.")


def _receive(server: Server, address: str, part: Path, size: int, stopped: threading.Event) -> str:
    """Go on with `part`, to a byte more than `size` at most: a server may send without end. The SHA-256 of all of it.

    It is not forced to the disk: what a power cut takes from a file is found by its hash and fetched by the next pull.
    """
    start, digest = 0, hashlib.sha256()
    if part.exists():
        start = part.stat().st_size
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    if start and start >= size:
        return digest.hexdigest()
    with server.open(address, start=start) as answer:
        if start and answer.status != PARTIAL:
            start, digest = 0, hashlib.sha256()
        with part.open("ab" if start else "wb") as file:
            try:
                while start <= size and (some := answer.read(min(BLOCK, size + 1 - start))):
                    if stopped.is_set():
                        raise Trouble(REFUSED, f"{part.name}: the pull was ended")
                    file.write(some)
                    digest.update(some)
                    start += len(some)
            except (OSError, http.client.HTTPException) as error:
                say(f"{part.name}: {error or 'cut off'}; going on")
    return digest.hexdigest()


def pull(server: Server, slug: str, version: str | None, folder: Path, key_file: Path | None) -> Path:
    """Apply notices, then fetch. Returns the folder of the version."""
    told = server.json(f"/api/datasets/{slug}/notices/")["notices"]  # which a token reads that has ended, too
    base = folder / slug
    key = trusted_key(server, base, key_file)
    apply_notices(server, base, slug, key, told)
    about = server.json(f"/api/datasets/{slug}/")
    wanted = version or about["latest"]
    release = next((one for one in about["releases"] if one["version"] == wanted), None)
    if release is None:
        raise Trouble(REFUSED, f"{slug} has no {f'version {wanted}' if wanted else 'published version yet'}.")
    target = base / _safe_version(release["version"])
    try:
        fetch(server, target, slug, release, key)
    except Trouble as trouble:
        if trouble.code == WITHDRAWN and not (target / SUMS).exists() and target.exists():
            _remove_version(target)
        raise
    return target


def _safe_version(version: str) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise Trouble(BAD, f"{version!r} is not a version number")
    return version


def say(text: str) -> None:
    sys.stderr.write(text + "\n")


def _arguments(argv: Iterable[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pull", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dataset", metavar="DATASET[@VERSION]")
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.add_argument("--server", required=True, metavar="URL")
    parser.add_argument("--token", default=os.environ.get("LIKENESS_TOKEN"), help="or the variable LIKENESS_TOKEN")
    parser.add_argument("--key", type=Path, metavar="PEM")
    arguments = parser.parse_args(None if argv is None else list(argv))
    if not arguments.token:
        parser.error("give --token, or set LIKENESS_TOKEN")
    if not re.fullmatch(r"[\w-]+(@\d+\.\d+\.\d+)?", arguments.dataset):
        parser.error("DATASET[@VERSION] looks like portraits or portraits@1.0.0")
    return arguments


def main(argv: Iterable[str] | None = None) -> int:
    """The command; returns the exit code."""
    arguments = _arguments(argv)
    slug, _, version = arguments.dataset.partition("@")
    try:
        target = pull(Server(arguments.server, arguments.token), slug, version or None, arguments.folder, arguments.key)
    except Trouble as trouble:
        say(f"pull: {trouble}")
        return trouble.code
    except OSError as error:
        say(f"pull: {error}")
        return REFUSED
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        say(f"pull: the server's answer is not in the expected form ({type(error).__name__}: {error})")
        return BAD
    sys.stdout.write(f"{target}\n")
    return OK


if __name__ == "__main__":
    sys.exit(main())
