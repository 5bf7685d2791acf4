"""Photographs are sealed at rest, and whoever destroys a key destroys every copy of the bytes below it."""

import datetime
import hashlib
import io
import os
import shutil
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import IntegrityError, transaction
from django.utils import timezone

from collection import erasure, keys, storage
from collection.models import Image, ImageStatus, SubjectKey
from collection.removals import remove_images
from collection.sealing import CHUNK, HEAD, TAG, Altered, Unsealed, seal
from consent.accounts import delete_account
from consent.withdrawals import withdraw
from tests.collection.factories import make_image, receive
from tests.collection.pictures import encoded, jpeg, portrait, with_exif
from tests.consent.factories import make_consent, make_contributor, make_licence, make_text

KEY, NAME = bytes(range(32)), "ab/abcd/0.jpg"


def sealed(content: bytes, key: bytes = KEY, name: str = NAME) -> bytes:
    return b"".join(seal(key, name, hashlib.sha256(content).hexdigest(), io.BytesIO(content)))


def unsealed(data: bytes, key: bytes = KEY, name: str = NAME) -> Unsealed:
    return Unsealed(key, name, io.BytesIO(data), len(data))


# --- The seal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 200_000])
def test_what_was_sealed_comes_back(size):
    content = os.urandom(size)
    data = sealed(content)
    assert io.BufferedReader(unsealed(data)).read() == content
    assert data == sealed(content)  # two workers that write it at once write the same
    assert content[:64] not in data or size < 16


def test_it_is_read_from_anywhere_and_says_how_long_it_is():
    content = os.urandom(3 * CHUNK + 5)
    reader = io.BufferedReader(unsealed(sealed(content)))
    assert reader.seek(0, io.SEEK_END) == len(content)
    for at in (2 * CHUNK + 7, 3, CHUNK - 1, 3 * CHUNK, 0):
        reader.seek(at)
        assert reader.read(40) == content[at : at + 40]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:HEAD] + bytes([data[HEAD] ^ 1]) + data[HEAD + 1 :],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: b"\xff\xd8\xff" + data[3:],
        lambda data: data[: HEAD + CHUNK + TAG],  # the last chunks cut off
        lambda data: data[:HEAD] + data[HEAD + CHUNK + TAG :],  # the first one
        lambda data: data[:HEAD] + data[HEAD + CHUNK + TAG : HEAD + 2 * (CHUNK + TAG)] + data[HEAD:],
        lambda data: data + b"x",
        lambda data: data[:-40],
        lambda data: data[:HEAD],
        lambda data: b"",
        lambda data: sealed(b"another", name="ab/abcd/1.jpg"),
        lambda data: sealed(b"another", key=bytes(32)),
    ],
)
def test_any_change_is_noticed(change):
    data = sealed(os.urandom(2 * CHUNK + 99))
    with pytest.raises(Altered, match=NAME):
        io.BufferedReader(unsealed(change(data))).read()


# --- In the storages -----------------------------------------------------------------------------


def files_of(image: Image, *buckets: str) -> list[Path]:
    folders = [Path(storages[name].path("")) / image.pk.hex[:2] / image.pk.hex for name in buckets]
    return [path for folder in folders for path in folder.glob("*")]


def read(file) -> bytes:
    with file:
        return file.read()


@pytest.mark.django_db
def test_nothing_of_a_photograph_lies_in_the_storages_as_it_is():
    data = with_exif(portrait(1, 1))
    image = make_image(picture=data)
    plain = [read(open_(image)) for open_ in (storage.open_original, storage.open_clean, storage.open_preview)]
    assert plain[0] == data
    assert [content[:3] for content in plain] == [b"\xff\xd8\xff"] * 3
    stored = [path.read_bytes() for path in files_of(image, "originals", "derivatives")]
    assert len(stored) == 3
    for content in plain:
        middle = content[len(content) // 2 :][:32]
        assert not [one for one in stored if middle in one or b"JFIF" in one or b"SECRET" in one]


@pytest.mark.django_db
def test_bytes_cannot_be_swapped_between_photographs_nor_changed():
    consent = make_consent()
    mine, other = make_image(consent), make_image(consent)
    at = storages["derivatives"].path
    shutil.copy(at(other.clean_key), at(mine.clean_key))
    with pytest.raises(Altered, match=mine.pk.hex):
        read(storage.open_clean(mine))
    Path(at(mine.preview_key)).write_bytes(jpeg())  # not sealed at all
    with pytest.raises(Altered, match=mine.pk.hex):
        read(storage.open_preview(mine))


@pytest.mark.django_db
def test_a_big_upload_is_sealed_piece_by_piece():
    consent = make_consent()
    data = jpeg(2, 2) + bytes(storage.IN_MEMORY + 5)
    image = receive(consent, data)
    assert read(storage.open_original(image)) == data
    assert storages["originals"].size(image.original_key) == HEAD + len(data) + TAG * (len(data) // CHUNK + 1)


@pytest.mark.django_db
def test_other_storages_are_left_as_they_are():
    storage.write_once(storages["evidence"], "aa/bb/contract.pdf", b"a contract")
    with storages["evidence"].open("aa/bb/contract.pdf") as file:
        assert file.read() == b"a contract"


@pytest.mark.django_db
def test_without_its_key_nothing_is_written():
    image = make_image()
    storages["keys"].delete(f"{image.pk.hex[:2]}/{image.pk.hex}/key")
    with pytest.raises(keys.KeyGone):
        storage.write_once(storage.derivatives(), image.clean_key, b"x")


# --- Destroying ----------------------------------------------------------------------------------


@pytest.fixture
def backup(tmp_path):
    """Makes a copy of originals and derivatives, and puts it back."""

    class Backup:
        def make(self) -> None:
            for name in ("originals", "derivatives"):
                shutil.copytree(storages[name].path(""), tmp_path / name)

        def restore(self) -> None:
            for name in ("originals", "derivatives"):
                shutil.copytree(tmp_path / name, storages[name].path(""), dirs_exist_ok=True)

    return Backup()


@pytest.mark.django_db
def test_a_backup_of_the_bytes_of_an_erased_photograph_cannot_be_read(backup):
    consent = make_consent()
    erased, kept = make_image(consent), make_image(consent)
    backup.make()
    remove_images(images=[erased], cause="withdrawn")
    assert erasure.purge_withdrawn() == 1
    backup.restore()
    assert len(files_of(erased, "originals", "derivatives")) == 3
    for open_ in (storage.open_original, storage.open_clean, storage.open_preview):
        with pytest.raises(keys.KeyGone):
            open_(erased)
        assert read(open_(kept))
    assert SubjectKey.objects.get(subject=kept.subject).destroyed_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "how", [lambda consent: withdraw(consent=consent), lambda consent: delete_account(contributor=consent.contributor)]
)
def test_with_the_last_photograph_the_persons_key_goes(how):
    consent, other = make_consent(), make_image()
    first, second = make_image(consent), make_image(consent)
    row = SubjectKey.objects.get(subject=first.subject)
    image_key = files_of(first, "keys")[0].read_bytes()
    how(consent)
    assert erasure.purge_withdrawn() == 2
    row.refresh_from_db()
    assert row.destroyed_at >= row.closed_at
    assert not storages["keys"].exists(f"subjects/{row.pk.hex[:2]}/{row.pk.hex}")
    assert files_of(first, "keys") == files_of(second, "keys") == []
    # Even the photograph's own key, brought back, opens nothing.
    path = f"{first.pk.hex[:2]}/{first.pk.hex}/key"
    storages["keys"].save(path, ContentFile(image_key))
    keys._remembered.clear()
    with pytest.raises(keys.KeyGone):
        keys.image_key(first.pk)
    storages["keys"].delete(path)
    assert read(storage.open_clean(other))


@pytest.mark.django_db
def test_a_licensed_person_has_a_key_of_their_own():
    licence = make_licence()
    first, again, other = (make_image(licence=licence, subject=name) for name in ("anna", "anna", "ben"))
    assert set(SubjectKey.objects.values_list("subject", flat=True)) == {first.subject, other.subject}
    remove_images(images=[first, again], cause="depicted")
    assert erasure.purge_withdrawn() == 2
    # Under a licence in force more may arrive at any moment: the key goes once it has been quiet for an hour.
    assert SubjectKey.objects.filter(destroyed_at__isnull=True).count() == 2
    SubjectKey.objects.update(used_at=timezone.now() - datetime.timedelta(hours=2))
    assert keys.destroy_unused() == 1
    assert SubjectKey.objects.get(destroyed_at__isnull=True).subject == other.subject


@pytest.mark.django_db
def test_an_upload_that_is_on_its_way_keeps_the_key():
    """Its key comes before its row; whoever destroyed in between would lose the photograph."""
    consent = make_consent()
    row = SubjectKey.objects.get(subject=make_image(consent).subject)
    Image.objects.update(subject="somebody else")  # so that no row is there
    assert keys.destroy_unused() == 0
    SubjectKey.objects.filter(pk=row.pk).update(used_at=timezone.now() - datetime.timedelta(hours=2))
    stale = SubjectKey.objects.get(pk=row.pk)
    keys.make_image_key(image_id=Image.objects.get().pk, subject=str(consent.contributor_id))
    assert not keys._destroy(stale)  # it was looked at before the upload began
    row.refresh_from_db()
    assert row.closed_at is None


@pytest.mark.django_db
def test_somebody_who_comes_back_gets_another_key():
    person, text = make_contributor(), make_text(slug="back")
    first = make_consent(person, text=text)
    make_image(first)
    withdraw(consent=first)
    erasure.purge_withdrawn()
    image = make_image(make_consent(person, text=text))
    assert image.status == ImageStatus.ACCEPTED
    old, new = SubjectKey.objects.filter(subject=str(person.pk)).order_by("made_at")
    assert (old.destroyed_at is None, new.destroyed_at is None) == (False, True)


@pytest.mark.django_db
def test_keys_that_come_back_with_a_backup_are_found():
    consent = make_consent()
    image = make_image(consent)
    row = SubjectKey.objects.get(subject=image.subject)
    subject_path, image_path = f"subjects/{row.pk.hex[:2]}/{row.pk.hex}", f"{image.pk.hex[:2]}/{image.pk.hex}/key"
    contents = {path: read(storages["keys"].open(path)) for path in (subject_path, image_path)}
    withdraw(consent=consent)
    erasure.purge_withdrawn()
    for path, content in contents.items():
        storages["keys"].save(path, ContentFile(content))
        os.utime(storages["keys"].path(path), (1, 1))
    assert erasure.remove_orphans() >= 2  # other tests leave orphans as well
    assert not [path for path in contents if storages["keys"].exists(path)]


@pytest.mark.django_db
def test_a_row_whose_key_is_gone_is_closed_and_another_key_made():
    """A database backup brings back the row, and never the key."""
    consent = make_consent()
    row = SubjectKey.objects.get(subject=make_image(consent).subject)
    storages["keys"].delete(f"subjects/{row.pk.hex[:2]}/{row.pk.hex}")
    keys._remembered.clear()
    image = make_image(consent)
    assert image.status == ImageStatus.ACCEPTED
    row.refresh_from_db()
    assert row.closed_at is not None
    assert SubjectKey.objects.filter(subject=image.subject, closed_at__isnull=True).exclude(pk=row.pk).exists()


@pytest.mark.django_db
def test_a_subject_has_one_open_key_and_a_destroyed_one_is_closed():
    row = SubjectKey.objects.create(subject="anna")
    with pytest.raises(IntegrityError), transaction.atomic():
        SubjectKey.objects.create(subject="anna")
    with pytest.raises(IntegrityError), transaction.atomic():
        SubjectKey.objects.filter(pk=row.pk).update(destroyed_at=timezone.now())


def test_keys_are_wrapped_by_the_master_key():
    from consent.keys import master_key

    assert len(master_key()) == 32
    assert oct(settings.MASTER_KEY_FILE.stat().st_mode & 0o777) == "0o600"


# --- When it was taken ---------------------------------------------------------------------------


def taken(text: str) -> bytes:
    from PIL import Image as Pillow

    exif = Pillow.Exif()
    exif.get_ifd(0x8769)[0x9003] = text
    return encoded(portrait(8, 8), exif=exif)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2023:07:29 11:42:07", datetime.date(2023, 7, 1)),
        ("2023:13:29 11:42:07", None),
        ("0000:00:00 00:00:00", None),
        ("yesterday", None),
        ("1023:07:29 11:42:07", None),
    ],
)
def test_of_the_time_of_capture_only_the_month_stays(text, month):
    image = make_image(picture=taken(text))
    assert image.taken_in == month
    for open_ in (storage.open_clean, storage.open_preview):
        assert b"2023:" not in read(open_(image))


@pytest.mark.django_db
def test_the_month_goes_with_the_photograph():
    consent = make_consent()
    image = make_image(consent, picture=taken("2023:07:29 11:42:07"))
    withdraw(consent=consent)
    erasure.purge_withdrawn()
    image.refresh_from_db()
    assert (image.status, image.taken_in) == (ImageStatus.PURGED, None)
    with pytest.raises(IntegrityError), transaction.atomic():
        Image.objects.update(taken_in=datetime.date(2023, 7, 1))
