"""Libraries: under a live licence only, again without doubles, and one bad row does not stop the others."""

import csv
import datetime
import hashlib
import io
import os
import threading
import tracemalloc
import zipfile

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import close_old_connections, connection
from django.utils import timezone

from collection import erasure, keys, library, library_check, library_runs, licensed, pipeline, storage
from collection.library_manifest import check_header
from collection.library_sources import open_library
from collection.models import Image, ImageStatus, LibraryImport, ModelRelease, Removal, SubjectKey
from consent.refusals import Refused
from tests.collection.factories import make_image
from tests.collection.pictures import jpeg
from tests.consent.factories import make_licence, make_user

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def make_zip(rows: list[tuple[str, ...]], files: dict[str, bytes]) -> io.BytesIO:
    manifest = io.StringIO()
    writer = csv.writer(manifest)
    writer.writerow(["path", "subject", "model_release", "release"][: len(rows[0]) if rows else 3])
    writer.writerows(rows)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.csv", manifest.getvalue())
        for path, content in files.items():
            archive.writestr(path, content)
    buffer.seek(0)
    return buffer


def run(archive: io.BytesIO, licence):
    with open_library(archive) as files:
        return library_runs.import_library(library=files, licence=licence)


def test_good_rows_come_in_and_bad_ones_say_why():
    rows = [
        ("a/1.jpg", "anna", "yes"),
        ("a/2.jpg", "ben", "no"),
        ("a/3.jpg", "", "yes"),
        ("../../etc/passwd", "eve", "yes"),
        ("/etc/passwd", "eve", "yes"),
        ("missing.jpg", "cleo", "yes"),
        ("note.jpg", "dora", "yes"),
        ("a/4.jpg", "anna", "yes"),
    ]
    archive = make_zip(rows, {"a/1.jpg": jpeg(1), "a/2.jpg": jpeg(2), "note.jpg": b"not a picture", "a/4.jpg": jpeg(4)})
    licence = make_licence()
    done = run(archive, licence)
    assert (done.imported, done.already_there) == (2, 0)
    reasons = {row.path: row.reason for row in done.refused.all()}
    assert set(reasons) == {row[0] for row in rows[1:7]}
    assert "model release" in reasons["a/2.jpg"]
    assert "inside the library" in reasons["../../etc/passwd"]
    subjects = set(Image.objects.values_list("subject", flat=True))
    assert len(subjects) == 1
    assert "anna" not in subjects.pop()  # libraries name people; we keep a pseudonym


def test_a_refused_row_does_not_hide_a_later_one_with_the_same_path():
    """Somebody mended a row by adding it again below: neither lost nor told to be there already."""
    rows = [("a.jpg", "", "yes"), ("a.jpg", "anna", "no"), ("a.jpg", "anna", "yes"), ("./a.jpg", "ben", "yes")]
    archive, licence = make_zip(rows, {"a.jpg": jpeg(1)}), make_licence()
    with open_library(archive) as files:
        foreseen = library_check.check_library(files=files, licence=licence, report=lambda row, refused: None)
    done = run(archive, licence)
    assert (done.imported, done.already_there, done.refused_count) == (1, 1, 2)
    assert (foreseen.new, foreseen.already_there, foreseen.refused) == (1, 1, 2)
    assert [row.line for row in done.refused.order_by("line")] == [2, 3]


def test_importing_again_takes_in_only_what_is_missing():
    licence = make_licence()
    files = {f"{i}.jpg": jpeg(i) for i in range(3)}
    rows = [(path, "anna", "yes") for path in files]
    run(make_zip(rows[:2], files), licence)
    again = run(make_zip(rows, files), licence)
    assert (again.imported, again.already_there) == (1, 2)
    assert Image.objects.count() == 3


def test_an_expired_licence_takes_in_nothing():
    today = timezone.now().date()
    over = make_licence(starts=today - 9 * DAY, ends=today - DAY)
    with pytest.raises(Refused, match="licence"):
        run(make_zip([("1.jpg", "anna", "yes")], {"1.jpg": jpeg()}), over)
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no zip at all", "zip"), (None, "manifest.csv")],
)
def test_what_is_no_library_is_refused(content, message):
    if content is None:
        buffer = io.BytesIO()
        zipfile.ZipFile(buffer, "w").close()
        content = buffer.getvalue()
    with pytest.raises(Refused, match=message):
        run(io.BytesIO(content), make_licence())


def test_the_command_does_the_same_from_a_folder(tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("path,subject,model_release\n1.jpg,anna,yes\n2.jpg,ben,no\n")
    (tmp_path / "1.jpg").write_bytes(jpeg())
    with pytest.raises(CommandError, match="1 rows were refused") as refused:
        call_command("import_library", str(tmp_path), licence=str(make_licence().pk))
    assert refused.value.returncode == 3
    out = capsys.readouterr()
    assert "1 imported, 0 there already, 1 refused" in out.out
    assert "2.jpg" in out.err
    with pytest.raises(CommandError, match="no licence") as unknown:
        call_command("import_library", str(tmp_path), licence="nonsense")
    assert unknown.value.returncode == 2


def _archive(manifest, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("manifest.csv", manifest)
    return bytearray(buffer.getvalue())


def test_damaged_and_hostile_archives_are_refused_and_raise_nothing_else():
    head = "path,subject,model_release\n"
    hostile = [_archive(head + "a" * 200_000 + ",anna,yes\n"), _archive(head + "a\x00b.jpg,anna,yes\n")]
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        whole = _archive(head + "1.jpg,anna,yes\n" * 30, compression)
        for at in range(0, len(whole), 5):
            damaged = bytearray(whole)
            damaged[at] ^= 0xFF
            hostile.append(damaged)
    licence = make_licence()
    refused = 0
    for content in hostile:
        try:
            run(io.BytesIO(bytes(content)), licence)
        except Refused:
            refused += 1
    assert refused > 30
    assert not Image.objects.exists()


# --- The volume cap ------------------------------------------------------------------------------


def numbered(count: int, first: int = 0) -> io.BytesIO:
    files = {f"{i}.jpg": jpeg(i, i) for i in range(first, first + count)}
    return make_zip([(path, f"person {path}", "yes") for path in files], files)


def test_an_import_stops_at_the_cap_and_says_so_row_by_row():
    licence = make_licence(volume_cap=3)
    done = run(numbered(5), licence)
    assert (done.imported, [row.path for row in done.refused.order_by("line")]) == (3, ["3.jpg", "4.jpg"])
    assert "covers 3 images" in done.refused.first().reason
    assert licensed.room(licence) == 0
    again = run(numbered(5), licence)
    assert (again.imported, again.already_there, again.refused_count) == (0, 3, 2)
    assert run(numbered(2, first=9), make_licence()).imported == 2  # other licences have room of their own


@pytest.mark.parametrize(
    ("status", "counts"),
    [("received", True), ("accepted", True), ("needs_review", True), ("rejected", False), ("duplicate", False)],
)
def test_what_was_turned_down_does_not_use_up_a_licence(status, counts):
    licence = make_licence(volume_cap=2)
    run(numbered(2), licence)
    image = Image.objects.get(external_id="0.jpg")
    if status != "received":
        pipeline.advance(image.pk)
        Image.objects.filter(pk=image.pk).update(status=status)
    assert licensed.used_by_licence() == {licence.pk: 2 if counts else 1}
    assert run(numbered(1, first=7), licence).imported == (0 if counts else 1)


@pytest.mark.parametrize("kind", ["used", "turned down"])
def test_what_was_used_and_erased_counts_and_what_was_turned_down_and_erased_does_not(kind):
    licence = make_licence(volume_cap=5)
    image = make_image(licence=licence, picture=jpeg(1, 1) if kind == "used" else jpeg(1, 1)[:3000])
    assert image.status == (ImageStatus.ACCEPTED if kind == "used" else ImageStatus.REJECTED)
    Removal.objects.create(image=image, cause="depicted")
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert image.status == ImageStatus.PURGED
    assert licensed.room(licence) == (4 if kind == "used" else 5)


def with_bytes():
    """The ids of images of which there are bytes."""
    bucket = storage.originals()
    return {image_id for image_id in storage.image_ids(bucket) if any(storage.keys_of(bucket, image_id))}


@pytest.mark.django_db(transaction=True)
def test_imports_at_once_never_pass_the_cap_together():
    licence, before = make_licence(volume_cap=10), with_bytes()
    archives = [numbered(6, first=6 * i).getvalue() for i in range(4)]
    ready = threading.Barrier(len(archives))
    reports = []

    def work(content):
        try:
            ready.wait()
            reports.append(run(io.BytesIO(content), licence))
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=work, args=(content,)) for content in archives]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reports) == len(archives)
    assert Image.objects.filter(licence=licence).count() == 10
    assert sum(report.imported for report in reports) == 10
    assert sum(report.refused_count for report in reports) == 14
    assert with_bytes() - before == set(Image.objects.values_list("pk", flat=True))  # nothing of what was refused
    left = {row.path for report in reports for row in report.refused.all()}
    assert not left & set(Image.objects.values_list("external_id", flat=True))


@pytest.mark.django_db(transaction=True)
def test_the_same_library_twice_at_once_comes_in_once():
    licence = make_licence()
    content = numbered(8).getvalue()
    ready = threading.Barrier(3)
    reports = []

    def work():
        try:
            ready.wait()
            reports.append(run(io.BytesIO(content), licence))
        finally:
            close_old_connections()
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.imported for report in reports) == 8
    assert sum(report.already_there for report in reports) == 16
    assert Image.objects.count() == 8


def test_bytes_of_what_another_import_was_faster_with_are_deleted():
    licence = make_licence(volume_cap=1)
    parcels = [
        licensed.store_parcel(licence=licence, external_id=f"{i}.jpg", subject="a", file=ContentFile(jpeg(i)))
        for i in range(2)
    ]
    taken = licensed.take_in(licence=licence, parcels=parcels)
    assert taken == parcels[:1]
    licensed.discard(parcels[1:])
    assert storage.originals().exists(parcels[0].image.original_key)
    assert not storage.originals().exists(parcels[1].image.original_key)


# --- Model releases ------------------------------------------------------------------------------


def test_r31_the_signed_release_of_each_image_is_kept_with_its_hash(client):
    rows = [("1.jpg", "anna", "yes", "signed/Anna Doe.PDF"), ("2.jpg", "ben", "yes", "")]
    files = {"1.jpg": jpeg(1, 1), "2.jpg": jpeg(2, 2), "signed/Anna Doe.PDF": b"I agree. Anna Doe"}
    assert run(make_zip(rows, files), make_licence()).imported == 2
    kept = ModelRelease.objects.get()
    assert kept.image.external_id == "1.jpg"
    assert kept.sha256 == hashlib.sha256(b"I agree. Anna Doe").hexdigest()
    assert "Anna" not in kept.key + kept.name
    address = f"/staff/images/{kept.pk}/model-release"
    client.force_login(make_user("", "reviewer"))
    assert client.get(address).status_code == 403
    client.force_login(make_user("", "data-protection officer"))
    assert client.get(address).content == b"I agree. Anna Doe"


def test_r31_without_a_release_of_everybody_each_row_needs_its_own():
    rows = [
        ("1.jpg", "anna", "yes", ""),
        ("2.jpg", "ben", "yes", "missing.pdf"),
        ("3.jpg", "cleo", "yes", "../up.pdf"),
        ("4.jpg", "dora", "yes", "empty.pdf"),
        ("5.jpg", "eve", "no", "good.pdf"),
        ("6.jpg", "fay", "yes", "good.pdf"),
    ]
    files = {f"{i}.jpg": jpeg(i, i) for i in range(1, 7)} | {"empty.pdf": b"", "good.pdf": b"signed"}
    done = run(make_zip(rows, files), make_licence(model_release=False))
    assert done.imported == 1
    reasons = {row.path: row.reason for row in done.refused.all()}
    for path, words in {
        "1.jpg": "no model release of everybody",
        "2.jpg": "missing.pdf",
        "3.jpg": "inside the library (column release)",
        "4.jpg": "empty",
        "5.jpg": "column model_release",
    }.items():
        assert words in reasons[path]
    assert Image.objects.get().model_release.sha256 == hashlib.sha256(b"signed").hexdigest()


def test_the_release_is_erased_with_its_image_and_its_hash_stays():
    files = {"1.jpg": jpeg(1, 1), "r.pdf": b"signed"}
    run(make_zip([("1.jpg", "anna", "yes", "r.pdf")], files), make_licence())
    kept = ModelRelease.objects.get()
    Removal.objects.create(image=kept.image, cause="depicted")
    erasure.purge_withdrawn()
    assert not storage.evidence().exists(kept.key)
    assert ModelRelease.objects.get().sha256 == kept.sha256


# --- Killed, and again ---------------------------------------------------------------------------


class Killed(BaseException):
    """What no code of ours catches, as nothing runs after SIGKILL."""


class Dying:
    """A library whose reader dies at the given read."""

    def __init__(self, files, reads):
        self.files, self.left, self.lock = files, reads, threading.Lock()

    def read(self, path, limit):
        with self.lock:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return self.files.read(path, limit)

    def open(self, path):
        return self.files.open(path)


def test_an_import_killed_anywhere_goes_on_and_takes_everything_once(monkeypatch):
    monkeypatch.setattr(library, "BATCH", 3)
    licence = make_licence(volume_cap=7, model_release=False)
    files = {f"{i}.jpg": jpeg(i, i) for i in range(7)}
    rows = [(path, f"person {path}", "yes", "r.pdf") for path in files]
    archive = make_zip(rows, {**files, "r.pdf": b"signed"}).getvalue()
    for reads in (0, 1, 4, 7, 3, 7):
        with open_library(io.BytesIO(archive)) as opened, pytest.raises(Killed):
            library_runs.import_library(library=Dying(opened, reads), licence=licence)
    done = run(io.BytesIO(archive), licence)
    assert Image.objects.count() == ModelRelease.objects.count() == 7
    assert sum(report.imported for report in LibraryImport.objects.all()) == 7  # what was killed had said its part
    assert done.refused_count == 0
    mine = set(Image.objects.values_list("pk", flat=True))
    for bucket in (storage.originals(), storage.evidence()):
        left = set(storage.image_ids(bucket)) - mine
        for key in (key for image_id in left for key in storage.keys_of(bucket, image_id)):
            os.utime(bucket.path(key), (1, 1))
    assert erasure.remove_orphans() > 0
    for bucket in (storage.originals(), storage.evidence()):
        assert all(list(storage.keys_of(bucket, one)) for one in mine)
        assert not any(list(storage.keys_of(bucket, one)) for one in set(storage.image_ids(bucket)) - mine)


def test_the_report_is_written_by_batches(django_assert_max_num_queries):
    """As many queries for 200 people as for one: keys and "was it erased before" are asked for once per batch."""
    licence = make_licence(volume_cap=1000)
    small = jpeg(1, 1)
    files = {f"{i}.jpg": small for i in range(200)}
    archive = make_zip([(path, f"person {path}", "yes") for path in files], files)
    with django_assert_max_num_queries(60):
        assert run(archive, licence).imported == 200


def test_a_batch_has_one_key_per_person_and_makes_anew_what_is_gone():
    licence = make_licence()
    files = {f"{i}.jpg": jpeg(i, i) for i in range(4)}
    archive = make_zip([(path, "anna" if path < "2" else "ben", "yes") for path in files], files).getvalue()
    anna, ben = (licensed.subject_of(licence, name) for name in ("anna", "ben"))
    old = keys.Ring([anna])
    gone, _ = old.key_of(anna)
    storages["keys"].delete(f"subjects/{gone.hex[:2]}/{gone.hex}")  # its row came back with a backup
    keys._remembered.clear()
    assert run(io.BytesIO(archive), licence).imported == 4
    for image in Image.objects.all():
        with storage.open_original(image) as file:
            assert file.read() == files[image.external_id]
    in_use = SubjectKey.objects.filter(closed_at__isnull=True)
    assert sorted(in_use.values_list("subject", flat=True)) == sorted([anna, ben])
    assert not in_use.filter(pk=gone).exists()


def test_importing_again_does_not_bring_back_what_was_removed():
    licence = make_licence()
    run(numbered(2), licence)
    gone = Image.objects.get(external_id="0.jpg")
    Removal.objects.create(image=gone, cause="depicted")
    erasure.purge_withdrawn()
    gone.refresh_from_db()
    assert "0.jpg" not in gone.external_id
    again = run(numbered(2), licence)
    assert (again.imported, again.already_there) == (0, 2)


def test_a_licence_that_ends_during_an_import_takes_in_nothing_more(monkeypatch, time_machine):
    monkeypatch.setattr(library, "BATCH", 2)
    licence = make_licence(ends=timezone.now().date())

    class Slow(Dying):
        def read(self, path, limit):
            if path == "3.jpg":
                time_machine.move_to(timezone.now() + DAY)
            return self.files.read(path, limit)

    with open_library(numbered(4)) as opened, pytest.raises(Refused, match="nothing can be imported"):
        library_runs.import_library(library=Slow(opened, 0), licence=licence)
    assert sorted(Image.objects.values_list("external_id", flat=True)) == ["0.jpg", "1.jpg"]
    assert LibraryImport.objects.get().imported == 2


def test_one_file_under_two_names_is_one_photograph():
    rows = [("a.jpg", "anna", "yes"), ("./a.jpg", "anna", "yes"), (".//a.jpg", "anna", "yes")]
    done = run(make_zip(rows, {"a.jpg": jpeg(4)}), make_licence())
    assert (done.imported, done.already_there) == (1, 2)


BOMBS = {
    "packed by bzip2": (zipfile.ZIP_BZIP2, b"path,subject,model_release\n" + b"\n" * 30_000_000, "unusual way"),
    "one row over all lines": (
        zipfile.ZIP_DEFLATED,
        b'path,subject,model_release\n"' + b'","abcdefgh\n' * 1_000_000,
        "quotation mark",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_zip_takes_no_memory(bomb):
    how, manifest, says = BOMBS[bomb]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        archive.writestr("manifest.csv", manifest)
    tracemalloc.start()
    with open_library(buffer) as files, pytest.raises(Refused, match=says):
        check_header(files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20
