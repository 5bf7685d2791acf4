"""Libraries: under a live licence only, again without doubles, and one bad row does not stop the others."""

import csv
import datetime
import io
import zipfile

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from collection import library
from collection.models import Image
from consent.refusals import Refused
from tests.collection.pictures import jpeg
from tests.consent.factories import make_licence, make_user

pytestmark = pytest.mark.django_db
DAY = datetime.timedelta(days=1)


def make_zip(rows: list[tuple[str, str, str]], files: dict[str, bytes]) -> io.BytesIO:
    manifest = io.StringIO()
    writer = csv.writer(manifest)
    writer.writerow(["path", "subject", "model_release"])
    writer.writerows(rows)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.csv", manifest.getvalue())
        for path, content in files.items():
            archive.writestr(path, content)
    buffer.seek(0)
    return buffer


def run(archive: io.BytesIO, licence):
    with library.open_library(archive) as files:
        return library.import_library(library=files, licence=licence)


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
    reasons = {row["path"]: row["reason"] for row in done.refused}
    assert set(reasons) == {row[0] for row in rows[1:7]}
    assert "model release" in reasons["a/2.jpg"]
    assert "inside the library" in reasons["../../etc/passwd"]
    subjects = set(Image.objects.values_list("subject", flat=True))
    assert len(subjects) == 1
    assert "anna" not in subjects.pop()  # libraries name people; we keep a pseudonym


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
    call_command("import_library", tmp_path, licence=str(make_licence().pk))
    out = capsys.readouterr()
    assert "1 imported, 0 there already, 1 refused" in out.out
    assert "2.jpg" in out.err
    with pytest.raises(CommandError, match="no licence"):
        call_command("import_library", tmp_path, licence="nonsense")


def test_a_data_manager_imports_on_the_web(client):
    licence = make_licence()
    client.force_login(make_user("", "data manager"))
    archive = make_zip([("1.jpg", "anna", "yes")], {"1.jpg": jpeg()})
    archive.name = "library.zip"
    page = client.post("/staff/libraries/new/", {"licence": licence.pk, "archive": archive}).content.decode()
    assert "1 imported" in page
    client.force_login(make_user("", "reviewer"))
    assert client.get("/staff/libraries/new/").status_code == 403


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
