"""Sealing what was stored before, and replacing the master key: killed at any point nothing is lost."""

import datetime
import io
import itertools
import os
import re
import shutil
import uuid
from pathlib import Path

import pytest
from django.conf import settings as live_settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import CommandError, call_command

from collection import erasure, keys, storage
from collection.models import SubjectKey
from collection.sealing import MAGIC, Altered
from consent.keys import coming_master_key_file, create_master_key, master_key, master_keys, prepare_master_key
from consent.withdrawals import withdraw
from tests.collection.factories import make_image
from tests.collection.pictures import jpeg
from tests.consent.factories import make_consent
from tests.crash import KillableWorker

pytestmark = pytest.mark.django_db
OPENERS = (storage.open_original, storage.open_clean, storage.open_preview)


class Killed(BaseException):
    """Nothing of ours catches it, like the end of the process."""


class Dying(FileSystemStorage):
    """Its n-th write stops in the middle: half of the bytes are there, and the process is gone."""

    writes_left = 10**9
    before_write = staticmethod(lambda name: None)

    def _save(self, name, content):
        Dying.before_write(name)
        Dying.writes_left -= 1
        if Dying.writes_left < 0:
            data = content.read()
            super()._save(name, ContentFile(data[: len(data) // 2]))
            raise Killed
        return super()._save(name, content)


def seal():
    """What the killable worker runs."""
    call_command("seal_photographs", stdout=io.StringIO())


def rotate():
    call_command("rotate_master_key", stdout=io.StringIO())


@pytest.fixture
def place(tmp_path, settings, monkeypatch):
    """Storages and a master key of this test alone."""
    places = {
        name: {
            "BACKEND": f"{__name__}.Dying",
            "OPTIONS": {"location": tmp_path / "storage" / name, "allow_overwrite": True},
        }
        for name in ("originals", "derivatives", "keys")
    }
    settings.STORAGES = {**settings.STORAGES, **places}
    settings.MASTER_KEY_FILE = tmp_path / "master.key"
    create_master_key()
    monkeypatch.setattr(Dying, "writes_left", 10**9)
    monkeypatch.setattr(Dying, "before_write", staticmethod(lambda name: None))
    keys._remembered.clear()
    yield tmp_path
    keys._remembered.clear()


@pytest.fixture
def images(place):
    """Of three people, with their bytes as they were sent and as they are shown."""
    made = [make_image(picture=jpeg(60 + number, 1)) for number in range(3)]
    return {image: contents(image) for image in made}


def contents(image):
    return [read(opener(image)) for opener in OPENERS]


def read(file):
    with file:
        return file.read()


def files_of(image):
    return [
        (storage.originals(), image.original_key),
        *((storage.derivatives(), k) for k in (image.clean_key, image.preview_key)),
    ]


def unseal(image, plain):
    """As it was stored before there were keys."""
    for (bucket, name), content in zip(files_of(image), plain, strict=True):
        Path(bucket.path(name)).write_bytes(content)
    storages["keys"].delete(f"{image.pk.hex[:2]}/{image.pk.hex}/key")


def opens(master, row):
    return keys._opens(master, row.pk, keys._subject_path(row.pk))


def all_sealed(images):
    heads = [Path(bucket.path(name)).read_bytes()[: len(MAGIC)] for image in images for bucket, name in files_of(image)]
    return all(head == MAGIC for head in heads)


# --- Sealing what lies unsealed ----------------------------------------------------------------------


def test_what_was_stored_unsealed_can_be_read_after_it_was_sealed(images, capsys):
    for image, plain in list(images.items())[:2]:
        unseal(image, plain)
        with pytest.raises((Altered, keys.KeyGone)):
            contents(image)
    for files in (6, 0):
        call_command("seal_photographs")
        assert f"3 photographs looked at, {files} files sealed" in capsys.readouterr().out
        assert all(contents(image) == plain for image, plain in images.items())
        assert all_sealed(images)


def test_bytes_that_are_not_what_their_name_says_are_left_and_named(images, caplog):
    image, plain = next(iter(images.items()))
    unseal(image, [plain[0], plain[1], jpeg(70, 1)])
    with pytest.raises(CommandError, match="1 files do not hold"):
        call_command("seal_photographs", verbosity=0)
    assert image.preview_key in caplog.text
    assert [read(opener(image)) for opener in OPENERS[:2]] == plain[:2]
    with pytest.raises(Altered):
        read(storage.open_preview(image))


def test_killed_in_the_middle_of_any_write_it_goes_on(images, monkeypatch):
    for image, plain in images.items():
        unseal(image, plain)
    kills = 0
    for writes in itertools.cycle((0, 1, 2, 1, 4, 0, 3)):
        monkeypatch.setattr(Dying, "writes_left", writes)
        try:
            seal()
            break
        except Killed:
            kills += 1
    monkeypatch.setattr(Dying, "writes_left", 10**9)
    assert kills >= 5
    assert all(contents(image) == plain for image, plain in images.items())
    assert all_sealed(images)
    assert not list(Path(storage.originals().path("")).rglob("*.sealing"))


def test_go_on_behind_a_photograph(images, capsys):
    first, *others = sorted(images, key=lambda image: image.pk)
    for image in images:
        unseal(image, images[image])
    call_command("seal_photographs", after=first.pk)
    assert "2 photographs looked at, 6 files sealed" in capsys.readouterr().out
    assert all_sealed(others)


@pytest.mark.parametrize("write", ["/key", ".sealing"])
def test_what_is_erased_meanwhile_leaves_nothing(images, monkeypatch, write):
    image, plain = next(iter(images.items()))
    unseal(image, plain)
    withdraw(consent=image.consent)
    writes = itertools.count()

    def erase(name):
        if name.endswith(write) and next(writes) == 0:
            erasure.purge_withdrawn()

    monkeypatch.setattr(Dying, "before_write", staticmethod(erase))
    seal()
    assert not [key for bucket in storage.everything() for key in storage.keys_of(bucket, image.pk)]


# --- A new master key --------------------------------------------------------------------------------


def test_every_key_is_wrapped_anew_and_the_old_one_opens_nothing(images, place, capsys):
    old, file = master_key(), (place / "master.key").read_bytes()
    call_command("rotate_master_key")
    assert re.search(r"3 keys wrapped anew", capsys.readouterr().out)
    assert (len(master_keys()), master_key() == old) == (1, False)
    assert oct((place / "master.key").stat().st_mode & 0o777) == "0o600"
    assert sorted(path.name for path in place.glob("master*")) == ["master.key"]
    keys._remembered.clear()
    assert all(contents(image) == plain for image, plain in images.items())
    (place / "master.key").write_bytes(file)
    keys._remembered.clear()
    with pytest.raises(Altered):
        contents(next(iter(images)))


def test_meanwhile_both_open_and_new_people_are_under_the_coming_one(images, place):
    old = master_key()
    call_command("rotate_master_key", prepare=True)
    assert master_keys()[1] == old != master_key()
    newcomer = make_image(picture=jpeg(64, 1))
    row = SubjectKey.objects.get(subject=newcomer.subject)
    assert opens(master_key(), row)
    assert not opens(old, row)
    keys._remembered.clear()
    assert all(contents(image) == plain for image, plain in images.items())
    call_command("rotate_master_key")  # goes on with the key that was prepared
    assert len(master_keys()) == 1
    assert all(opens(master_key(), row) for row in SubjectKey.objects.all())


def test_killed_in_the_middle_of_any_write_the_rotation_goes_on(images, monkeypatch):
    kills = 0
    for writes in itertools.cycle((0, 1, 2, 1, 3)):
        monkeypatch.setattr(Dying, "writes_left", writes)
        try:
            rotate()
            break
        except Killed:
            kills += 1
            keys._remembered.clear()
            assert all(contents(image) == plain for image, plain in images.items())  # at any time
    monkeypatch.setattr(Dying, "writes_left", 10**9)
    assert kills >= 3
    assert len(master_keys()) == 1
    keys._remembered.clear()
    assert all(contents(image) == plain for image, plain in images.items())
    assert not list(keys._stored_ids("rewrapped"))


def test_a_key_that_no_master_key_opens_keeps_the_old_one(images, place):
    image, *others = images
    row = SubjectKey.objects.get(subject=image.subject)
    path = Path(storages["keys"].path(keys._subject_path(row.pk)))
    whole = path.read_bytes()
    path.write_bytes(os.urandom(len(whole)))
    with pytest.raises(CommandError, match=f"1 keys .*{row.pk}"):
        rotate()
    assert len(master_keys()) == 2
    path.write_bytes(whole)
    rotate()
    assert len(master_keys()) == 1
    keys._remembered.clear()
    assert all(contents(one) == images[one] for one in (image, *others))


def test_a_wrong_master_key_makes_no_keys_of_its_own(images, place):
    """Somebody put another file in its place: uploads fail until it is back, and nothing is sealed under that one."""
    whole = (place / "master.key").read_bytes()
    (place / "master.key").unlink()
    create_master_key()
    keys._remembered.clear()
    image = next(iter(images))
    with pytest.raises(Altered):
        make_image(image.consent, picture=jpeg(63, 1))
    assert SubjectKey.objects.filter(subject=image.subject).count() == 1
    (place / "master.key").write_bytes(whole)
    assert contents(image) == images[image]


def test_a_key_that_no_row_names_does_not_hold_it_up(images):
    """Its writer died before the row; sweeps delete it."""
    storages["keys"].save(keys._subject_path(uuid.uuid4()), ContentFile(b"half"))
    rotate()
    assert len(master_keys()) == 1


def test_a_key_that_is_destroyed_meanwhile_does_not_come_back(images, monkeypatch):
    image = next(iter(images))
    row = SubjectKey.objects.get(subject=image.subject)
    withdraw(consent=image.consent)

    def destroy(name):
        if name == keys._spare_path(row.pk):
            erasure.purge_withdrawn()

    monkeypatch.setattr(Dying, "before_write", staticmethod(destroy))
    rotate()
    row.refresh_from_db()
    assert row.destroyed_at
    assert not storages["keys"].exists(keys._subject_path(row.pk))
    assert not storages["keys"].exists(keys._spare_path(row.pk))


def test_whoever_wrapped_by_the_old_key_just_before_wraps_again(images, monkeypatch):
    """A worker read the old key, slept through the start of a rotation, and writes now."""
    rotated = itertools.count()

    def rotate_first(name):
        if name.startswith("subjects/") and next(rotated) == 0:
            prepare_master_key()

    monkeypatch.setattr(Dying, "before_write", staticmethod(rotate_first))
    newcomer = make_image(picture=jpeg(65, 1))
    assert coming_master_key_file().exists()
    assert opens(master_key(), SubjectKey.objects.get(subject=newcomer.subject))


# --- Killed for real ---------------------------------------------------------------------------------


@pytest.mark.timeout(600)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("job", ["seal", "rotate"])
def test_killed_by_the_system_at_any_call_it_goes_on(job, tmp_path, settings):
    var = tmp_path / "var"
    settings.MASTER_KEY_FILE = var / "keys" / "master.key"
    create_master_key()
    options = live_settings.STORAGES["keys"]["OPTIONS"]
    settings.STORAGES = {
        **settings.STORAGES,
        **{
            name: {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {**options, "location": var / "storage" / name},
            }
            for name in settings.STORAGE_BUCKETS
        },
    }
    keys._remembered.clear()
    images = {image: contents(image) for image in (make_image(picture=jpeg(66 + number, 1)) for number in range(3))}
    before = master_key()
    for image, plain in images.items() if job == "seal" else ():
        unseal(image, plain)
    worker = KillableWorker({"LIKENESS_VAR": str(var), "MASTER_KEY_FILE": str(settings.MASTER_KEY_FILE)})
    same_clock = itertools.repeat(datetime.timedelta(0))
    try:
        kills = len(list(worker.kill_until_done([f"{__name__}.{job}"], 7, 25, same_clock)))
    finally:
        worker.close()
    keys._remembered.clear()
    assert kills >= 2
    assert all(contents(image) == plain for image, plain in images.items())
    assert all_sealed(images)
    assert (master_key() == before) == (job == "seal")
    assert len(master_keys()) == 1
    shutil.rmtree(var)


def test_a_key_whose_writer_died_in_the_middle_is_made_anew(place, monkeypatch):
    """The same upload comes again: what was half written must not shut it out for good."""
    consent, image_id = make_consent(), uuid.uuid4()
    subject = str(consent.contributor_id)
    keys.make_image_key(image_id=uuid.uuid4(), subject=subject)  # the person's own is there
    monkeypatch.setattr(Dying, "writes_left", 0)
    with pytest.raises(Killed):
        keys.make_image_key(image_id=image_id, subject=subject)
    monkeypatch.setattr(Dying, "writes_left", 10**9)
    with pytest.raises(keys.KeyGone):
        keys.image_key(image_id)
    keys.make_image_key(image_id=image_id, subject=subject)
    assert len(keys.image_key(image_id)) == keys.KEY_BYTES


def test_photographs_of_one_person_share_what_is_wrapped(place):
    consent = make_consent()
    images = [make_image(consent, picture=jpeg(69 + number, 1)) for number in range(2)]
    plain = [contents(image) for image in images]
    assert keys.rewrap_all() == 0  # by this key already
    prepare_master_key()
    assert keys.rewrap_all() == 1
    keys._remembered.clear()
    assert [contents(image) for image in images] == plain


def test_a_purge_in_the_middle_is_no_error(monkeypatch, capsys):
    make_image()

    def purged_just_now(bucket, image_id):
        names = list(keys_of(bucket, image_id))
        for name in names:
            bucket.delete(name)
        return names

    keys_of = storage.keys_of
    monkeypatch.setattr(storage, "keys_of", purged_just_now)
    call_command("seal_photographs")
    assert "Traceback" not in capsys.readouterr().err


def test_what_a_killed_preparation_left_is_neither_used_nor_kept(tmp_path, settings):
    settings.MASTER_KEY_FILE = tmp_path / "master.key"
    create_master_key()
    left = coming_master_key_file().with_name(f"{coming_master_key_file().name}.{os.getpid()}")
    left.write_bytes(b"")
    prepare_master_key()
    assert len(master_keys()) == 2
    assert not left.exists()
