"""Library imports as runs: streamed, gone on with after kill -9, cancelled, dry, from S3, on the staff page."""

import csv
import datetime
import io
import os
import signal
import subprocess
import sys
import tracemalloc
import uuid
import zipfile
from decimal import Decimal

import boto3
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone

from collection import erasure, library, library_manifest, library_runs, licensed_attributes, storage, tasks
from collection.library_sources import FolderLibrary, S3Library, Unreachable, open_library
from collection.models import Image, LibraryImport, LicensedAttributes, RefusedRow, Removal
from consent.models import PriceBasis
from consent.refusals import Refused
from tests.collection.pictures import jpeg
from tests.collection.test_library import make_zip
from tests.collection.test_storage import moto_server
from tests.consent.factories import make_licence, make_user
from tests.crash import ROOT, database_url

__all__ = ("moto_server",)
pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)
HEAD = "path,subject,model_release\n"


def write_folder(folder, files, manifest=None):
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "manifest.csv").write_text(manifest or HEAD + "".join(f"{name},anna,yes\n" for name in files))
    return folder


def small_files(count):
    """Different bytes that begin as a JPEG does: the pipeline is not asked here."""
    return {f"{i}.jpg": b"\xff\xd8\xff\xe0" + f"picture {i}".encode() * 50 for i in range(count)}


def command(*words, **options):
    """What `manage.py import_library` ends with: exit code, and the words of its error."""
    try:
        call_command("import_library", *map(str, words), **options)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, ""


# --- The manifest is a stream --------------------------------------------------------------------


class LongManifest:
    """A library whose manifest is made while it is read."""

    def __init__(self, rows):
        self.rows, self.asked = rows, 0

    def open(self, path):
        def lines():
            yield HEAD.encode()
            for start in range(0, self.rows, 1000):
                yield b"".join(b"folder/%d.jpg,anna,yes\n" % n for n in range(start, min(start + 1000, self.rows)))

        class Stream(io.RawIOBase):
            source = lines()

            def read(self, size=-1):
                return next(self.source, b"")

        return Stream()


def test_a_manifest_of_any_length_takes_no_memory():
    tracemalloc.start()
    found = library_manifest.survey(LongManifest(200_000))
    rows = sum(1 for _ in library_manifest.read_rows(LongManifest(200_000), after=199_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.rows, rows) == (200_000, 1000)
    assert peak < 2_000_000, "a list of these rows would take over 100 MB"


def test_a_line_without_an_end_is_refused_and_not_held():
    class Endless:
        def open(self, path):
            class Stream(io.RawIOBase):
                def read(self, size=-1):
                    return b"x" * size

            return Stream()

    with pytest.raises(Refused, match="a line has more than"):
        library_manifest.survey(Endless())


def test_rows_know_their_line_also_when_cells_span_lines():
    archive = make_zip([], {})
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("manifest.csv", HEAD + '"a\nb.jpg",anna,yes\n\nc.jpg,ben,yes\n')
    archive.seek(0)
    with open_library(archive) as files:
        assert [(row.line, row.path) for row in library_manifest.read_rows(files)] == [(3, "a\nb.jpg"), (5, "c.jpg")]


def test_nothing_outside_the_folder_is_read(tmp_path):
    (tmp_path / "outside.jpg").write_bytes(jpeg())
    inside = tmp_path / "library"
    inside.mkdir()
    (inside / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    (inside / "up").symlink_to(tmp_path)
    (inside / "good.jpg").write_bytes(b"good")
    (inside / "same.jpg").symlink_to(inside / "good.jpg")
    os.mkfifo(inside / "pipe.jpg")
    files = FolderLibrary(inside)
    for path in ("link.jpg", "up/outside.jpg", "pipe.jpg", "none.jpg", "up"):
        with pytest.raises(KeyError):
            files.read(path, 10)
    assert files.read("good.jpg", 10) == files.read("same.jpg", 10) == b"good"


# --- The command ---------------------------------------------------------------------------------


def test_the_report_has_one_line_per_refused_row(tmp_path, capsys):
    rows = "1.jpg,anna,yes\n2.jpg,ben,no\n=cmd.jpg,eve,yes\n../up.jpg,eve,yes\n"
    write_folder(tmp_path, {"1.jpg": jpeg(1, 1)}, HEAD + rows)
    report = tmp_path / "refused.csv"
    code, words = command(tmp_path, licence=str(make_licence().pk), report=report)
    assert (code, "3 rows were refused" in words) == (3, True)
    lines = list(csv.reader(io.StringIO(report.read_text())))
    assert lines[0] == ["line", "path", "reason"]
    assert [line[:2] for line in lines[1:]] == [["3", "2.jpg"], ["4", "'=cmd.jpg"], ["5", "../up.jpg"]]
    assert "1 imported" in capsys.readouterr().out
    assert command(tmp_path, licence=str(LibraryImport.objects.get().licence_id), report=tmp_path)[0] == 2


def test_exit_codes(tmp_path):
    licence = str(make_licence().pk)
    write_folder(tmp_path, small_files(2))
    assert command(tmp_path, licence=licence)[0] == 0
    assert command(tmp_path / "nothing", licence=licence)[0] == 2
    (tmp_path / "manifest.csv").write_text("path\n")
    assert command(tmp_path, licence=licence)[0] == 2
    assert LibraryImport.objects.count() == 1


def test_a_dry_run_says_everything_and_writes_nothing(tmp_path, capsys):
    licence = make_licence(volume_cap=4, price=Decimal("0.50"), price_basis=PriceBasis.PER_IMAGE)
    files = small_files(4)
    write_folder(tmp_path, {name: files[name] for name in ("0.jpg",)})
    assert command(tmp_path, licence=str(licence.pk))[0] == 0
    rows = [*files, "1.jpg", "missing.jpg", "note.txt"]
    write_folder(tmp_path, files | {"note.txt": b"no picture"}, HEAD + "".join(f"{n},anna,yes\n" for n in rows))
    before = (Image.objects.count(), LibraryImport.objects.count(), set(storage.image_ids(storage.originals())))
    report = tmp_path / "refused.csv"
    code, _ = command(tmp_path, licence=str(licence.pk), dry_run=True, report=report)
    out = capsys.readouterr().out
    assert code == 3
    assert "7 rows: 3 would be imported, 2 are there already or come twice, 2 would be refused" in out
    assert "Price: 1.50 EUR" in out
    assert "0 more images" in out
    assert [line[1] for line in csv.reader(io.StringIO(report.read_text()))][1:] == ["missing.jpg", "note.txt"]
    after = (Image.objects.count(), LibraryImport.objects.count(), set(storage.image_ids(storage.originals())))
    assert before == after
    assert command(tmp_path, licence=str(licence.pk))[0] == 3
    done = LibraryImport.objects.latest("pk")
    assert (done.imported, done.already_there, done.refused_count) == (3, 2, 2), "as the dry run had said"


def test_progress_says_rate_and_time_left(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(library, "BATCH", 5)
    monkeypatch.setattr("collection.management.commands.import_library.TELL_SECONDS", 0.0)
    command(write_folder(tmp_path, small_files(15)), licence=str(make_licence().pk))
    said = capsys.readouterr().err
    assert "10 of 15 rows, " in said
    assert "rows/s, about 0:00:0" in said


# --- Killed, and again ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_killed_by_the_system_at_three_points_the_import_goes_on(tmp_path, settings):
    """kill -9 of the real command, in the middle of three batches; then it is run to its end."""
    licence, count = make_licence(), 60
    folder = tmp_path / "library"
    folder.mkdir()
    write_folder(
        folder, small_files(count), HEAD + "".join(f"{i}.jpg,anna,yes\n" for i in range(count)) + "no.jpg,a,no\n"
    )
    env = {
        **os.environ, "DATABASE_URL": database_url(), "LIKENESS_VAR": str(settings.VAR_DIR),
        "SECRET_KEY": settings.SECRET_KEY, "BROKER_URL": "memory://", "LOG_LEVEL": "ERROR",
    }  # fmt: skip

    def begin(die_at=0):
        steps = [sys.executable, "-m", "tests.library_killer", str(folder), str(licence.pk), str(die_at)]
        return subprocess.run(steps, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)

    for die_at in (7, 25, 12):  # the n-th image of that attempt whose bytes are written
        died = begin(die_at)
        assert died.returncode == -signal.SIGKILL, died.stderr
        run = LibraryImport.objects.get()
        assert run.state == "running"
        LibraryImport.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())  # as if its lease had run out
    done = begin()
    assert done.returncode == 3, done.stderr
    run = LibraryImport.objects.get()
    assert (run.state, run.imported, run.already_there, run.refused_count) == ("done", count, 0, 1)
    images = Image.objects.filter(licence=licence)
    assert sorted(images.values_list("external_id", flat=True)) == sorted(f"{i}.jpg" for i in range(count))
    for image in images:
        with storage.open_original(image) as file:
            assert file.read() == (folder / image.external_id).read_bytes()
    mine = set(images.values_list("pk", flat=True))
    orphans = set(storage.image_ids(storage.originals())) - mine
    for key in (key for image_id in orphans for key in storage.keys_of(storage.originals(), image_id)):
        os.utime(storage.originals().path(key), (1, 1))
    assert erasure.remove_orphans() >= 3, "what the killed ones had written without a row"
    assert all(list(storage.keys_of(storage.originals(), image_id)) for image_id in mine)


def test_a_run_of_another_manifest_or_of_a_living_process_is_left_alone(tmp_path):
    licence, source = make_licence(), str(tmp_path)
    write_folder(tmp_path, small_files(3))

    def go():
        return library_runs.import_library(library=FolderLibrary(tmp_path), licence=licence, source=source)

    first = go()
    living = {"state": "running", "finished_at": None, "rows_done": 2, "imported": 2}
    LibraryImport.objects.filter(pk=first.pk).update(**living, next_attempt_at=timezone.now() + DAY)
    assert go().pk != first.pk
    LibraryImport.objects.filter(pk=first.pk).update(next_attempt_at=timezone.now())
    again = go()
    assert (again.pk, again.state, again.imported, again.already_there) == (first.pk, "done", 2, 1)
    LibraryImport.objects.filter(pk=first.pk).update(**living, already_there=0, next_attempt_at=timezone.now())
    write_folder(tmp_path, small_files(4))
    other = go()
    assert other.pk != first.pk
    assert (other.imported, other.already_there) == (1, 3)


# --- In the background ---------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_zips_of_other_tests():
    for key in library_runs.stored_zips():
        storages["imports"].delete(key)


def send(client, licence, archive):
    archive.name = "library.zip"
    return client.post("/staff/libraries/new/", {"licence": licence.pk, "archive": archive})


def zipped(count):
    files = small_files(count)
    return make_zip([(name, "anna", "yes") for name in files], files)


@pytest.fixture
def manager(client):
    client.force_login(make_user("", "data manager"))
    return client


def test_a_zip_is_stored_first_and_taken_in_by_a_worker(manager):
    archive = make_zip([("1.jpg", "anna", "yes"), ("2.jpg", "ben", "no")], {"1.jpg": jpeg()})
    answer = send(manager, make_licence(), archive)
    run = LibraryImport.objects.get()
    assert (answer.status_code, run.state, run.imported) == (302, "waiting", 0)
    assert storages["imports"].exists(run.key)
    page = manager.get(answer["Location"])
    assert page["Refresh"] == "5"
    assert "waiting" in page.content.decode()
    assert "Refresh" not in manager.get(f"/staff/libraries/{run.pk}/"), "who does not want it is not interrupted"
    key = run.key
    tasks.import_library(run.pk)
    run.refresh_from_db()
    assert (run.state, run.imported, run.refused_count, run.key) == ("done", 1, 1, "")
    assert not storages["imports"].exists(key)
    page = manager.get(f"/staff/libraries/{run.pk}/?watch=1")
    assert "Refresh" not in page
    assert "2.jpg" in page.content.decode()
    report = b"".join(manager.get(f"/staff/libraries/{run.pk}/refused.csv")).decode()
    assert report.startswith("line,path,reason\r\n3,2.jpg,")


def test_without_a_licence_the_page_leads_to_one(manager):
    page = manager.get("/staff/libraries/new/").content.decode()
    assert 'href="/staff/licences/new/"' in page
    assert 'type="file"' not in page
    make_licence()
    assert 'type="file"' in manager.get("/staff/libraries/new/").content.decode()


def test_only_data_managers_see_imports(manager, client):
    send(manager, make_licence(), zipped(1))
    run = LibraryImport.objects.get()
    client.force_login(make_user("", "reviewer"))
    for page in ("new/", f"{run.pk}/", f"{run.pk}/refused.csv"):
        assert client.get(f"/staff/libraries/{page}").status_code == 403
    assert client.post(f"/staff/libraries/{run.pk}/cancel/").status_code == 403


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no zip", "neither a folder nor a zip file"), (make_zip([], {}).getvalue(), None)],
)
def test_what_cannot_begin_is_refused_at_once(manager, content, words):
    if words is None:
        buffer = io.BytesIO()
        zipfile.ZipFile(buffer, "w").close()
        content, words = buffer.getvalue(), "has no manifest.csv"
    page = send(manager, make_licence(), io.BytesIO(content)).content.decode()
    assert words in page
    today = timezone.now().date()
    over = make_licence(starts=today - 9 * DAY, ends=today - DAY)
    assert "nothing can be imported" in send(manager, over, zipped(1)).content.decode()
    assert not LibraryImport.objects.exists()
    assert library_runs.stored_zips() == []


def test_the_sweep_goes_on_when_a_worker_died(manager, monkeypatch):
    monkeypatch.setattr(library, "BATCH", 2)
    send(manager, make_licence(), zipped(5))
    run = LibraryImport.objects.get()
    assert library_runs.work_on(run_id=run.pk, seconds=0) is True  # one batch
    run.refresh_from_db()
    assert (run.state, run.imported, run.rows) == ("running", 2, 5)
    LibraryImport.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now() + DAY)  # held, by one that died
    tasks.sweep_imports()
    assert LibraryImport.objects.get().imported == 2
    LibraryImport.objects.filter(pk=run.pk).update(next_attempt_at=timezone.now())
    tasks.sweep_imports()
    run.refresh_from_db()
    assert (run.state, run.imported, run.key) == ("done", 5, "")


def test_who_lost_the_lease_in_the_middle_counts_nothing(manager, monkeypatch):
    send(manager, make_licence(), zipped(3))
    run = LibraryImport.objects.get()
    take_in = library.licensed.take_in

    def slow(**words):
        LibraryImport.objects.filter(pk=run.pk).update(holder=uuid.uuid4())  # somebody else went on with it
        return take_in(**words)

    monkeypatch.setattr(library.licensed, "take_in", slow)
    assert library_runs.work_on(run_id=run.pk, seconds=60) is False
    run.refresh_from_db()
    assert (run.rows_done, run.state, Image.objects.count()) == (0, "running", 0)


def test_cancelling_stops_it_and_keeps_what_came_in(manager, monkeypatch):
    monkeypatch.setattr(library, "BATCH", 2)
    send(manager, make_licence(), zipped(5))
    run = LibraryImport.objects.get()
    library_runs.work_on(run_id=run.pk, seconds=0)
    manager.post(f"/staff/libraries/{run.pk}/cancel/")
    tasks.sweep_imports()
    tasks.import_library(run.pk)
    run.refresh_from_db()
    assert (run.state, run.imported, run.key, Image.objects.count()) == ("cancelled", 2, "", 2)
    assert library_runs.stored_zips() == []
    page = manager.post(f"/staff/libraries/{run.pk}/cancel/", follow=True).content.decode()
    assert "had ended before" in page


def test_an_attempt_that_fails_is_repeated_and_at_last_given_up(manager, time_machine):
    send(manager, make_licence(), zipped(1))
    run = LibraryImport.objects.get()
    path = storages["imports"].path(run.key)
    os.rename(path, f"{path}.away")
    for attempt in range(1, len(library_runs.DELAYS) + 1):
        tasks.sweep_imports()
        run.refresh_from_db()
        assert (run.state, run.attempts) == ("running", attempt)
        assert "will be repeated" in manager.get(f"/staff/libraries/{run.pk}/").content.decode()
        time_machine.move_to(run.next_attempt_at)
    os.rename(f"{path}.away", path)
    os.rename(path, f"{path}.away")
    tasks.sweep_imports()
    run.refresh_from_db()
    assert (run.state, "Given up after 5 attempts" in run.last_error) == ("failed", True)
    os.remove(f"{path}.away")


def test_zips_that_nobody_owns_are_swept(manager):
    uploads = storages["imports"]
    for name in ("old.zip", "young.zip"):
        uploads.save(name, ContentFile(b"x"))
    os.utime(uploads.path("old.zip"), (1, 1))
    send(manager, make_licence(), zipped(1))
    run = LibraryImport.objects.get()
    os.utime(uploads.path(run.key), (1, 1))
    assert library_runs.remove_leftovers() == 1
    assert sorted(library_runs.stored_zips()) == sorted([run.key, "young.zip"])
    LibraryImport.objects.filter(pk=run.pk).update(state="done", finished_at=timezone.now())  # killed before deleting
    assert library_runs.remove_leftovers() == 1
    uploads.delete("young.zip")


def test_reports_and_runs_of_commands_that_never_came_back_end(time_machine):
    with open_library(make_zip([("1.jpg", "anna", "no")], {})) as files:
        run = library_runs.import_library(library=files, licence=make_licence())
    dead = LibraryImport.objects.create(licence=run.licence, state="running", source="/mnt/disk")
    assert RefusedRow.objects.count() == 1
    library_runs.remove_leftovers()
    assert RefusedRow.objects.count() == 1
    time_machine.move_to(timezone.now() + 8 * DAY)
    library_runs.remove_leftovers()
    dead.refresh_from_db()
    assert dead.state == "failed"


# --- S3 ------------------------------------------------------------------------------------------


@pytest.fixture
def s3_library(moto_server, settings):
    settings.S3_ENDPOINT_URL, settings.S3_ACCESS_KEY, settings.S3_SECRET_KEY = moto_server, "distinct", "keys"
    client = boto3.client(
        "s3", endpoint_url=moto_server, aws_access_key_id="distinct", aws_secret_access_key="keys",
        region_name=settings.S3_REGION,
    )  # fmt: skip
    bucket = f"library-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    files = small_files(5)
    files["manifest.csv"] = (HEAD + "".join(f"{name},anna,yes\n" for name in [*files, "missing.jpg"])).encode()
    for name, content in files.items():
        client.put_object(Bucket=bucket, Key=f"some/prefix/{name}", Body=content)
    return f"s3://{bucket}/some/prefix/"


def test_a_prefix_on_s3_is_a_library(s3_library):
    licence = str(make_licence().pk)
    code, _ = command(s3_library, licence=licence)
    assert (code, Image.objects.count()) == (3, 5)
    assert list(RefusedRow.objects.values_list("path", flat=True)) == ["missing.jpg"]
    image = Image.objects.get(external_id="3.jpg")
    with storage.open_original(image) as file:
        assert file.read() == small_files(5)["3.jpg"]
    assert command(s3_library, licence=licence)[0] == 3
    assert Image.objects.count() == 5


def test_an_s3_that_is_away_refuses_no_row(s3_library, settings):
    licence = str(make_licence().pk)
    code, words = command("s3://no-such-bucket-here/x", licence=licence)
    assert (code, "cannot be read" in words) == (1, True)
    assert not LibraryImport.objects.exists()
    away = S3Library(s3_library.replace("s3://library", "s3://gone"))
    with pytest.raises(Unreachable):
        away.read("0.jpg", 10)


# --- Attributes ----------------------------------------------------------------------------------

ATTRIBUTED = "path,subject,model_release,skin_tone,gender\n"


def attributed(folder, *rows):
    files = small_files(len(rows))
    lines = "".join(f"{name},{row}\n" for name, row in zip(files, rows, strict=True))
    return write_folder(folder, files, ATTRIBUTED + lines)


def test_attributes_are_taken_only_under_a_licence_that_covers_them(tmp_path, capsys):
    attributed(tmp_path, "anna,yes,7,woman")
    assert command(tmp_path, licence=str(make_licence().pk))[0] == 0
    assert not LicensedAttributes.objects.exists()
    assert "Not read: skin_tone, gender" in capsys.readouterr().err
    licence = make_licence(self_reported_attributes=True)
    assert command(tmp_path, licence=str(licence.pk))[0] == 0
    kept = LicensedAttributes.objects.get()
    assert (kept.skin_tone, kept.gender, kept.age_band) == ("7", "woman", "")
    assert kept.delete_on == licence.ends_on + DAY
    assert "anna" not in kept.subject
    assert kept.subject == Image.objects.get(licence=licence).subject
    assert licensed_attributes.count_said()["skin_tone"] == {"7": 1}


def test_attributes_that_cannot_be_are_refused_row_by_row(tmp_path):
    attributed(tmp_path, "anna,yes,7,woman", "ben,yes,11,man", "anna,yes,3,woman", "cleo,yes,,", "dora,yes,prefer_not,")
    licence = make_licence(self_reported_attributes=True)
    assert command(tmp_path, licence=str(licence.pk))[0] == 3
    reasons = dict(RefusedRow.objects.values_list("path", "reason"))
    assert set(reasons) == {"1.jpg", "2.jpg"}
    assert "no answer for the column skin_tone" in reasons["1.jpg"]
    assert "something else of the same person (column skin_tone)" in reasons["2.jpg"]
    assert LicensedAttributes.objects.count() == 2  # who said nothing has no row


def test_attributes_go_with_the_last_image_of_the_person_and_on_their_day(tmp_path):
    attributed(tmp_path, "anna,yes,7,woman", "anna,yes,7,woman", "ben,yes,3,man")
    licence = make_licence(self_reported_attributes=True)
    command(tmp_path, licence=str(licence.pk))
    first, second, _ = Image.objects.order_by("external_id")
    for image, left in ((first, 2), (second, 1)):
        Removal.objects.create(image=image, cause="depicted")
        erasure.purge_withdrawn()
        assert LicensedAttributes.objects.count() == left
    assert licensed_attributes.delete_due() == 0
    assert licensed_attributes.delete_due(clock=timezone.now() + 400 * DAY) == 1


def test_the_ledger_says_whether_a_licence_covers_attributes():
    from consent import audit
    from consent.models import LedgerEntry

    make_licence(), make_licence(self_reported_attributes=True)
    assert LedgerEntry.objects.filter(payload__contains='"self_reported_attributes":true').count() == 1
    assert list(audit.problems()) == []


def test_purging_an_image_deletes_the_reports_line_about_it(tmp_path):
    licence = str(make_licence().pk)
    write_folder(tmp_path, small_files(1), HEAD + "0.jpg,anna,no\n")
    command(tmp_path, licence=licence)
    write_folder(tmp_path, small_files(1), HEAD + "0.jpg,anna,yes\n")
    command(tmp_path, licence=licence)
    assert RefusedRow.objects.count() == 1
    Removal.objects.create(image=Image.objects.get(), cause="depicted")
    erasure.purge_withdrawn()
    assert not RefusedRow.objects.exists()
