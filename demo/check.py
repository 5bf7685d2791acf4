"""The ten promises of Likeness, each checked from outside: by what pages, files and commands answered, and on a copy of
the database on which an auditor tries what must be impossible. Each check returns its evidence or raises Broken."""

import base64
import collections
import hashlib
import io
import json
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from PIL import Image
from pyarrow import parquet

from demo import cast, datasets, label, photographs, withdrawal
from demo.records import Records
from demo.walk import Walk

APPEND_ONLY = {
    "consent_consent", "consent_withdrawal", "consent_licence", "consent_formtext", "consent_ledgerentry",
    "collection_transition", "annotation_annotation", "annotation_earning",
}  # fmt: skip
PAST_RECEIVED = ("sanitized", "screened", "accepted", "needs_review", "duplicate")


class Broken(Exception):
    """A promise was not kept."""


def hold(kept: bool, otherwise: str) -> None:
    if not kept:
        raise Broken(otherwise)


class Audit:
    """What the checks look at: the walk's notes and a copy of the database."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.path = walk.records.copy(walk.stack.var / "audit.sqlite3")
        self.records = Records(self.path)

    def refused(self, statement: str) -> str:
        """Try a statement on the copy; what the database said to it. Broken if it was taken."""
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA recursive_triggers=ON")
        try:
            changed = connection.execute(statement).rowcount
        except sqlite3.IntegrityError as error:
            return str(error)
        finally:
            connection.rollback()
            connection.close()
        raise Broken(f"the database took it ({changed} rows): {statement}")

    def none(self, what: str, sql: str) -> None:
        """The query must count nothing."""
        count = self.records.one(sql)
        hold(count == 0, f"{count} {what}")

    def uploaded(self, purpose: str) -> tuple[set[str], set[str]]:
        """SHA-256 of the files of contributors who chose this purpose, and of those who did not."""
        chose: set[str] = set()
        others: set[str] = set()
        for person, uploads in self.walk.uploads.items():
            hashes = {hashlib.sha256(one.photo.path.read_bytes()).hexdigest() for one in uploads}
            (chose if purpose in cast.CHOICES[person] else others).update(hashes)
        return chose, others - chose


def promise_1(audit: Audit) -> str:
    """No image goes past `received` without a live basis; exactly one of consent, licence."""
    walk = audit.walk
    hold(bool(walk.undecided_refused and walk.minor_refused), "an upload without a consent was not refused")
    statuses = ", ".join(repr(status) for status in PAST_RECEIVED)
    audit.none(
        "images without exactly one basis",
        "SELECT count(*) FROM collection_image WHERE (consent_id IS NULL) = (licence_id IS NULL)",
    )
    audit.none(
        "moves without a live consent",
        f"SELECT count(*) FROM collection_transition t JOIN collection_image i ON i.id = t.image_id "  # noqa: S608
        f"JOIN consent_consent c ON c.id = i.consent_id WHERE t.new IN ({statuses}) AND (t.at < c.signed_at OR "
        "t.at > c.expires_at OR t.at > "
        "(SELECT min(w.made_at) FROM consent_withdrawal w WHERE w.consent_id = c.id AND w.purpose_id IS NULL))",
    )
    said = audit.refused(
        "UPDATE collection_image SET licence_id = (SELECT id FROM consent_licence LIMIT 1) WHERE consent_id IS NOT NULL"
    )
    audit.refused("UPDATE collection_image SET consent_id = NULL")
    moves = audit.records.one("SELECT count(*) FROM collection_transition")
    return f"an upload without a consent was refused; {moves} moves, all under a live basis; two bases: “{said}”"


def promise_2(audit: Audit) -> str:
    """Nobody labels and no release contains an image for a purpose its basis does not cover."""
    audit.none(
        "label tasks of images without research",
        "SELECT count(*) FROM annotation_labeltask t JOIN collection_image i ON i.id = t.image_id "
        "WHERE i.consent_id IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM consent_consentpurpose p WHERE p.consent_id = i.consent_id AND p.purpose_id = 'research')",
    )
    walk = audit.walk
    told = []
    for purpose, rows in (("research", walk.first_rows), ("product", walk.noted["other release"].rows())):
        chose, others = audit.uploaded(purpose)
        consented = {row["original_sha256"] for row in rows if row["basis"]["kind"] == "consent"}
        hold(bool(consented) and consented <= chose, f"rows for {purpose} of people who did not choose it")
        hold(all(purpose in row["basis"]["purposes"] for row in rows), f"a row's basis does not name {purpose}")
        told.append(f"{len(rows)} rows for {purpose}, none of the {len(others)} files of people who did not choose it")
    return "; ".join(told)


def promise_3(audit: Audit) -> str:
    """Append-only tables refuse UPDATE and DELETE."""
    triggers = audit.records.rows(
        "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%_no_update'"
    )
    tables = {table for (table,) in triggers}
    hold(tables >= APPEND_ONLY, f"no trigger guards {', '.join(sorted(APPEND_ONLY - tables))}")
    tried, said = 0, ""
    for table in sorted(tables - {"exports_release"}):  # a release may change until it is published: promise 4
        if audit.records.one(f"SELECT count(*) FROM {table}"):  # noqa: S608
            column = audit.records.rows(f"PRAGMA table_info({table})")[-1][1]
            said = audit.refused(f"UPDATE {table} SET {column} = {column}")  # noqa: S608
            audit.refused(f"DELETE FROM {table}")  # noqa: S608
            tried += 1
    return f"UPDATE and DELETE refused on {tried} tables with rows in them (“{said}”), triggers on {len(tables)}"


def promise_4(audit: Audit) -> str:
    """A release never changes, and every row leads back to basis, original, annotations, pay."""
    walk = audit.walk
    first = walk.noted["sums of release 1"]
    told = {
        one["version"]: one["sums_sha256"]
        for one in datasets.api(walk.stack, walk.noted["main"], "").json()["releases"]
    }
    hold(first == walk.noted["sums of release 1, again"] == told[walk.releases[0].version], "SHA256SUMS changed")
    audit.refused("UPDATE exports_release SET snapshot_at = '2000-01-01' WHERE state = 'published'")
    audit.refused("DELETE FROM exports_item")
    rate = Decimal(cast.CAMPAIGN["rate"])
    known = {hashlib.sha256(one.photo.path.read_bytes()).hexdigest() for ups in walk.uploads.values() for one in ups}
    known |= {hashlib.sha256(one.path.read_bytes()).hexdigest() for one in photographs.library_photos(walk.drawn)}
    for row in walk.first_rows:
        hold(row["original_sha256"] in known, f"row {row['row_id']} leads to no file that was given to us")
        hold(
            bool(row["basis"]["id"]) and len(row["annotations"]) == len(walk.annotators),
            f"row {row['row_id']} lacks annotations",
        )
        hold(
            all(Decimal(one["paid"]) == rate for one in row["annotations"]), f"row {row['row_id']} was not paid {rate}"
        )
    return (
        f"SHA256SUMS {first[:16]}… in two pulls and still at the server; "
        f"{len(walk.first_rows)} rows lead to original, basis, labels, pay"
    )


def promise_5(audit: Audit) -> str:
    """After a withdrawal nothing is served at once, nothing is left within a minute, recipients get a signed notice."""
    walk, outcome = audit.walk, audit.walk.outcome
    hold(0 <= outcome.seconds_to_refused < 5, f"reads refused only after {outcome.seconds_to_refused} s")
    hold(0 <= outcome.seconds_to_gone < 60 and not outcome.traces, f"left behind: {outcome.traces[:5]}")
    mails = [text for text in walk.place.mailbox.messages(cast.ENGINEER.email) if cast.DATASET["slug"] in text]
    hold(bool(mails), "the engineer got no mail about the notice")
    hold(outcome.pulled_rows_removed > 0, "the next pull removed no row")
    gone = {row["row_id"] for row in walk.first_rows} - {row["row_id"] for row in walk.releases[0].rows()}
    hold(not gone & {row["row_id"] for row in walk.releases[1].rows()}, "release 2 has a withdrawn row")
    pulled = (path for release in walk.releases for path in release.folder.rglob("*") if path.is_file())
    found = withdrawal.files_left(pulled, walk.noted["target"])
    hold(not found, f"withdrawn bytes are still in the pulled {found}")
    return (
        f"{outcome.doors} ways to read refused after {outcome.seconds_to_refused} s; bytes, hashes and tasks of "
        f"{outcome.images} images gone after {outcome.seconds_to_gone} s; {outcome.pulled_rows_removed} rows "
        "removed by the next pull, none in release 2"
    )


def promise_6(audit: Audit) -> str:
    """An accepted annotation is paid exactly once; the budget is not exceeded; sums agree."""
    accepted = audit.records.one(
        "SELECT count(DISTINCT unique_id) FROM annotation_annotation WHERE verdict = 'accepted'"
    )
    paid, total = audit.records.rows("SELECT count(*), coalesce(sum(amount), 0) FROM annotation_earning")[0]
    amount = Decimal(cast.CAMPAIGN["rate"]) * paid
    hold(0 < accepted == paid, f"{accepted} accepted, {paid} paid")
    hold(abs(Decimal(str(total)) - amount) < Decimal("0.001"), f"{total} was earned, not {amount}")
    pages = sum(label.balance(one) for one in audit.walk.annotators)
    hold(pages == amount, f"the pay pages say {pages}, not {amount}")
    made = sum(one.labelled for one in audit.walk.annotators)
    hold(made == paid, f"{made} were made in Label Studio, {paid} paid")
    audit.none("campaigns over budget", "SELECT count(*) FROM annotation_campaign WHERE reserved > budget")
    audit.refused("INSERT INTO annotation_earning (annotation_id, task_id, annotator_id, amount, currency, earned_at) "
                  "SELECT annotation_id, task_id, annotator_id, amount, currency, earned_at "
                  "FROM annotation_earning LIMIT 1")  # fmt: skip
    hold(audit.walk.dropped > 0, "no webhook was dropped")
    return (
        f"{paid} annotations made = accepted = paid = {amount} {cast.CAMPAIGN['currency']} on the pay pages, "
        f"{audit.walk.dropped} of them without a webhook"
    )


def promise_7(audit: Audit) -> str:
    """Any process may be killed at any instruction: nothing is lost, nothing is done twice."""
    walk = audit.walk
    received = {one.image_id.replace("-", "") for uploads in walk.uploads.values() for one in uploads if one.image_id}
    there = {image for (image,) in audit.records.rows("SELECT id FROM collection_image WHERE consent_id IS NOT NULL")}
    hold(received == there, f"{len(received)} files were taken, {len(there)} are there")
    audit.none(
        "images between two steps",
        "SELECT count(*) FROM collection_image WHERE status IN ('received', 'sanitized', 'screened')",
    )
    audit.none(
        "moves made twice",
        "SELECT count(*) FROM (SELECT 1 FROM collection_transition GROUP BY image_id, old, new HAVING count(*) > 1)",
    )
    assets = [task["data"]["asset_id"] for task in walk.owner.tasks(walk.project)]
    hold(len(assets) == len(set(assets)), "a task was pushed twice")
    hold(walk.kills > 0, "no worker was killed")
    return (
        f"the worker was killed with -9 {walk.kills} times during take-in: {len(there)} images at rest, no move twice, "
        "each task in Label Studio once"
    )


def promise_8(audit: Audit) -> str:
    """One person, and near-duplicates, in one split; no image changes split between releases."""
    first, second = audit.walk.first_rows, audit.walk.releases[1].rows()
    splits: dict[str, set[str]] = collections.defaultdict(set)
    for row in first + second:
        splits[row["subject"]].add(row["split"])
    hold(all(len(names) == 1 for names in splits.values()), "a person is in two splits")
    before = {row["row_id"]: row["split"] for row in first}
    hold(all(before.get(row["row_id"], row["split"]) == row["split"] for row in second), "an image changed its split")
    audit.none(
        "resembling images in two splits",
        "SELECT count(*) FROM collection_resemblance r JOIN exports_split a ON a.image_id = r.image_id "
        "JOIN exports_split b ON b.image_id = r.original_id AND b.dataset_id = a.dataset_id WHERE a.name != b.name",
    )
    sizes = collections.Counter(row["split"] for row in first)
    rows = ", ".join(f"{number} {name}" for name, number in sorted(sizes.items()))
    return f"{len(splits)} people, each in one split ({rows}), the same in release 2"


def promise_9(audit: Audit) -> str:
    """No names, EXIF or e-mail for annotators and the ML team; pseudonyms of two datasets cannot be joined."""
    walk = audit.walk
    secret = [one for person in walk.contributors for one in (person.name, person.email)]
    secret += [photographs.artist(number) for number in range(len(walk.contributors))] + ["Drawn camera"]
    ids = audit.records.rows(
        "SELECT id FROM consent_contributor UNION SELECT id FROM consent_consent UNION SELECT id FROM collection_image"
    )
    needles = [one.encode() for one in secret] + [
        form.encode() for (digits,) in ids for form in (digits, _dashed(digits))
    ]
    texts, released = _apart(walk.noted["files of release 1"])
    hold(not (found := _names_in(texts, needles)), f"release 1 tells {found}")
    tasks = {f"task {task['id']}": json.dumps(task).encode() for task in walk.owner.tasks(walk.project)}
    hold(not (found := _names_in(tasks, needles)), f"Label Studio tells {found}")
    shown = [content for one in walk.annotators for content in one.images.values()]
    pictures = [*shown, *released]
    hold(not any(_has_metadata(content) for content in pictures), "a picture carries EXIF or GPS")
    subjects = [{row["subject"] for row in rows} for rows in (walk.first_rows, walk.noted["other release"].rows())]
    hold(all(subjects) and not subjects[0] & subjects[1], "two datasets share pseudonyms")
    return (
        f"{len(needles)} names, addresses and ids looked for in {len(texts)} texts and {len(tasks)} tasks: none found; "
        f"no metadata in {len(pictures)} pictures; {len(subjects[0])} and {len(subjects[1])} subjects in two datasets "
        "share no pseudonym"
    )


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _names_in(contents: dict[str, bytes], needles: list[bytes]) -> list[str]:
    anyone = re.compile(b"|".join(re.escape(needle) for needle in needles))
    return [f"{found.group()!r} in {name}" for name, content in contents.items() if (found := anyone.search(content))]


def _apart(files: dict[str, bytes]) -> tuple[dict[str, bytes], list[bytes]]:
    """The texts of a release, those inside its shards and its signed statement included, and its pictures."""
    texts = {name: content for name, content in files.items() if not name.endswith((".tar", ".parquet"))}
    texts["statement"] = base64.b64decode(json.loads(files["statement.dsse.json"])["payload"])
    pictures = []
    for name, content in files.items():
        for inside, held in _members(content) if name.endswith(".tar") else ():
            if inside.endswith((".json", ".txt", ".cls")):
                texts[f"{name}/{inside}"] = held
            else:
                pictures.append(held)
        if name.endswith(".parquet"):
            table = parquet.read_table(io.BytesIO(content))
            texts[name] = repr([table.drop_columns("image").to_pylist(), table.schema.metadata]).encode()
            pictures += [row["bytes"] for row in table["image"].to_pylist()]
    return texts, pictures


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            if inside := archive.extractfile(member):
                yield member.name, inside.read()


def _has_metadata(content: bytes) -> bool:
    if b"Drawn camera" in content or b"Owner Of Camera" in content:
        return True
    with Image.open(io.BytesIO(content)) as picture:
        return bool(picture.getexif()) or "xmp" in picture.info or "exif" in picture.info


def promise_10(audit: Audit) -> str:
    """Anybody with the export, the public key and no access to us can check all of it."""
    walk, key = audit.walk, audit.walk.noted["key"]
    receipts = sorted((walk.stack.var / "receipts").rglob("*.json"))
    hold(len(receipts) >= len(walk.contributors), f"only {len(receipts)} receipts")
    walk.stack.manage_at_once([("verify_receipt", str(receipts[0]), "--key", str(key))])
    content, said = datasets.verify(walk.stack, walk.noted["other release"].folder, key)
    hold(content and len(walk.verified) >= 3, f"verify: {said[-300:]}")  # the others were verified as they were pulled
    copy = walk.stack.var / "tmp" / "tampered"
    for change in (_change_row, _change_picture):
        shutil.copytree(walk.releases[1].folder, copy)
        change(copy)
        content, said = datasets.verify(walk.stack, copy, key)
        shutil.rmtree(copy)
        hold(not content, f"{change.__name__} went unnoticed")
    last = said.splitlines()[-1]
    return (
        f"with the public key alone, verify was content {len(walk.verified) + 1} times, before and after the "
        f"withdrawal, and refuses two tampered copies (“{last}”); a receipt of {len(receipts)} verified"
    )


def _change_row(folder: Path) -> None:
    """Another word in one row, and SHA256SUMS made to fit."""
    rows = next(folder.glob("rows/*.jsonl"))
    rows.write_text(rows.read_text().replace("research", "reseerch", 1))
    _fit_sums(folder, f"rows/{rows.name}")


def _change_picture(folder: Path) -> None:
    """One bit in the middle of a picture, and SHA256SUMS made to fit."""
    path = next(folder.glob("webdataset/*.tar"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    _fit_sums(folder, str(path.relative_to(folder)))


def _fit_sums(folder: Path, name: str) -> None:
    sums, digest = folder / "SHA256SUMS", hashlib.sha256((folder / name).read_bytes()).hexdigest()
    lines = [f"{digest}  {name}" if line.endswith(f"  {name}") else line for line in sums.read_text().splitlines()]
    sums.write_text("\n".join(lines) + "\n")


PROMISES: list[Callable[[Audit], str]] = [
    promise_1, promise_2, promise_3, promise_4, promise_5, promise_6, promise_7, promise_8, promise_9, promise_10,
]  # fmt: skip


def check_all(walk: Walk) -> list[dict[str, Any]]:
    """Every promise: whether it held, and the evidence. A check that cannot be made is a promise not held."""
    audit = Audit(walk)
    told = []
    for number, promise in enumerate(PROMISES, 1):
        try:
            held, evidence = True, promise(audit)
        except Exception as error:  # whatever hinders a check, the promise is not shown to hold
            held, evidence = False, f"{type(error).__name__}: {error}"
        walk.progress.say(f"  {number:2} {'held  ' if held else 'BROKEN'} {evidence}")
        told.append({"number": number, "held": held, "evidence": evidence})
    return told
