"""Odd cases of collection: damaged libraries, hidden pictures, storage that is away, rights that have just ended."""

import datetime
import io
import random
import struct
import zipfile

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.utils import timezone
from PIL import Image as Pillow
from PIL import ImageFilter

from collection import erasure, imaging, library_runs, pipeline, profiles, services
from collection.library_sources import open_library
from collection.models import Image, ImageStatus, LibraryImport
from collection.reasons import describe
from consent import append_only
from consent.refusals import Refused
from consent.withdrawals import withdraw
from tests.collection.factories import make_call, make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait, with_exif
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text, make_user

pytestmark = pytest.mark.django_db


def test_a_blurred_copy_that_a_reviewer_accepts_is_still_a_duplicate():
    consent = make_consent()
    blurred = encoded(portrait(3, 3).filter(ImageFilter.GaussianBlur(14)), quality=90)
    for image in (make_image(consent, picture=blurred), make_image(consent, picture=blurred)):
        assert image.status == ImageStatus.NEEDS_REVIEW
        services.settle_review(image=image, decision="accept", reviewer=make_user())
        pipeline.advance(image.pk)
    assert sorted(Image.objects.values_list("status", flat=True)) == [ImageStatus.ACCEPTED, ImageStatus.DUPLICATE]


def test_nothing_is_a_duplicate_of_what_was_withdrawn_a_moment_ago():
    person, text, picture = make_contributor(), make_text(slug="again"), jpeg(5, 5)
    first = make_consent(person, text=text)
    make_image(first, picture=picture)
    withdraw(consent=first)
    assert make_image(make_consent(person, text=text), picture=picture).status == ImageStatus.ACCEPTED


def test_an_expired_consent_is_erased_and_not_taken_for_a_withdrawn_one():
    make_image()
    now = timezone.now()
    with connection.cursor() as cursor:
        for statement in append_only.drop_sql(connection.vendor, "consent_consent"):
            cursor.execute(statement)
        cursor.execute(
            "UPDATE consent_consent SET signed_at = %s, expires_at = %s",
            [now - datetime.timedelta(days=900), now - datetime.timedelta(days=1)],
        )
    assert not Image.objects.with_live_basis().exists()
    assert erasure.purge_withdrawn() == 1
    assert Image.objects.get().latest_reason() == describe("expired")


def test_one_image_that_cannot_be_deleted_does_not_keep_the_others(monkeypatch):
    consent = make_consent()
    stuck, other = make_image(consent), make_image(consent)
    withdraw(consent=consent)
    delete = FileSystemStorage.delete

    def refuse(storage, name):
        if stuck.pk.hex in name:
            raise PermissionError(name)
        delete(storage, name)

    monkeypatch.setattr(FileSystemStorage, "delete", refuse)
    assert erasure.purge_withdrawn() == 1
    assert Image.objects.get(status=ImageStatus.PURGED) == other
    monkeypatch.setattr(FileSystemStorage, "delete", delete)
    assert erasure.purge_withdrawn() == 1


def test_storage_may_be_away_for_an_hour_and_nothing_is_turned_down(settings, tmp_path):
    image = receive(make_consent(), jpeg(9, 9))
    away = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "away"}}
    settings.STORAGES = {**settings.STORAGES, "originals": away}
    waited = datetime.timedelta()
    for _ in range(10):
        pipeline.advance(image.pk)
        image.refresh_from_db()
        if image.status != ImageStatus.RECEIVED:
            break
        waited += image.next_attempt_at - timezone.now()
        Image.objects.filter(pk=image.pk).update(next_attempt_at=timezone.now())
    assert (image.status, image.latest_reason().says[:9]) == (ImageStatus.REJECTED, "could not")
    assert waited > datetime.timedelta(hours=1)


def test_a_consent_under_another_form_opens_no_call():
    with pytest.raises(Refused, match="another form"):
        receive(make_consent(), jpeg(), call=make_call())


# --- Files ---------------------------------------------------------------------------------------


def test_an_embedded_thumbnail_is_gone():
    """It may show what was cropped away."""
    data = jpeg(2, 2)
    body = b"JFXX\0\x13\x02\x02" + b"THUMBNAILPIX"
    opened = imaging.open_safely(data[:20] + b"\xff\xe0" + struct.pack(">H", len(body) + 2) + body + data[20:])
    assert b"THUMBNAILPIX" not in opened.clean
    assert Pillow.open(io.BytesIO(opened.clean)).tobytes() == Pillow.open(io.BytesIO(data)).tobytes()


def test_fill_bytes_hide_no_metadata():
    data = with_exif(portrait(2, 2))
    assert b"SECRET" not in imaging.open_safely(data[:20] + b"\xff" + data[20:]).clean


def test_colours_survive_turning():
    profile = profiles.profile_of(profiles.P3)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    opened = imaging.open_safely(encoded(portrait(2, 2), exif=exif, icc_profile=profile))
    for data in (opened.clean, opened.preview):
        assert Pillow.open(io.BytesIO(data)).info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_pixels_hide_nothing(kind):
    picture = portrait(1, 1).convert("RGBA")
    picture.putalpha(0)
    clean = Pillow.open(io.BytesIO(imaging.open_safely(encoded(picture, kind)).clean))
    assert (clean.mode, clean.convert("L").getextrema()) == ("RGB", (255, 255))


def test_any_damage_to_any_format_ends_in_a_reason_or_a_picture():
    picture, dice = portrait(1, 1, (320, 400)), random.Random(4)
    files = [
        with_exif(picture),
        encoded(picture, progressive=True),
        encoded(picture.convert("CMYK")),
        *(encoded(picture, kind) for kind in ("PNG", "WEBP", "HEIF")),
        encoded(picture.quantize(), "PNG"),
    ]
    ends = set()
    for _ in range(400):
        data = bytearray(dice.choice(files))
        for _ in range(dice.randint(1, 12)):
            data[dice.randrange(2, min(len(data), dice.choice([40, 400, len(data)])))] = dice.randrange(256)
        try:
            ends.add(imaging.open_safely(bytes(data)).extension)
        except imaging.BadImage as bad:
            ends.add(bad.reason)
    assert {"jpg", "truncated"} <= ends


# --- Libraries -----------------------------------------------------------------------------------


def zipped(manifest: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.csv", manifest)
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def damaged(archive: bytes, member: str) -> io.BytesIO:
    """The zip with a few wrong bytes inside one member."""
    data = bytearray(archive)
    info = zipfile.ZipFile(io.BytesIO(archive)).getinfo(member)
    start = info.header_offset + 30 + len(member)
    data[start : start + 8] = b"\xff" * 8
    return io.BytesIO(data)


def run_import(source) -> LibraryImport:
    with open_library(source) as files:
        return library_runs.import_library(library=files, licence=make_licence())


def test_a_damaged_file_in_a_zip_does_not_stop_the_others():
    archive = zipped(
        "path,subject,model_release\na.jpg,anna,yes\nb.jpg,ben,yes\n", {"a.jpg": bytes(20_000), "b.jpg": jpeg(7, 7)}
    )
    run = run_import(damaged(archive, "a.jpg"))
    assert (run.imported, [row.path for row in run.refused.all()]) == (1, ["a.jpg"])


def test_a_damaged_manifest_is_said_to_be_damaged():
    archive = zipped("path,subject,model_release\n" + "a.jpg,anna,yes\n" * 50, {})
    with pytest.raises(Refused, match="cannot be read"):
        run_import(damaged(archive, "manifest.csv"))


def test_a_manifest_that_is_no_table_is_refused():
    with pytest.raises(Refused, match="not a table"):
        run_import(io.BytesIO(zipped("path,subject,model_release\n" + "x" * 200_000 + ",anna,yes\n", {})))


def test_a_purged_library_image_names_nobody():
    yesterday = timezone.now().date() - datetime.timedelta(days=1)
    image = make_image(licence=make_licence(), subject="Jane Doe")
    assert "Jane" not in image.subject
    with connection.cursor() as cursor:
        for statement in append_only.drop_sql(connection.vendor, "consent_licence"):
            cursor.execute(statement)
        cursor.execute("UPDATE consent_licence SET ends_on = %s", [yesterday])
    path = image.external_id
    assert erasure.purge_withdrawn() == 1
    image.refresh_from_db()
    assert path not in image.external_id
