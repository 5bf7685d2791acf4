"""The drawn photographs: different people, different shots, copies that are copies, bad files that are bad."""

import io
import itertools

import imagehash
import pytest
from PIL import Image, ImageOps, UnidentifiedImageError

from demo import photographs
from demo.portraits import draw

SMALL = (400, 320)


def test_the_same_portrait_every_time():
    assert draw(3, 1, SMALL).tobytes() == draw(3, 1, SMALL).tobytes()


def test_no_two_portraits_are_near_duplicates():
    hashes = [imagehash.phash(draw(person, shot, SMALL), 16) for person in range(12) for shot in range(3)]
    assert min(a - b for a, b in itertools.combinations(hashes, 2)) > 60


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".heic"])
def test_every_format_opens_and_carries_metadata(suffix):
    data = photographs.encode(draw(1, 1, SMALL), suffix, located=True, artist="Somebody")
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == SMALL
        exif = picture.getexif()
    assert exif[0x013B] == "Somebody"
    assert exif.get_ifd(0x8825)


def test_a_turned_photograph_is_upright_again_when_opened_as_phones_do():
    upright = draw(1, 1, SMALL)
    with Image.open(io.BytesIO(photographs.encode(upright, ".jpg", turned=True))) as stored:
        assert stored.size == SMALL[::-1]
        opened = ImageOps.exif_transpose(stored)
    assert imagehash.phash(opened) - imagehash.phash(upright) <= 2


def test_bad_files_are_bad():
    for kind in ("text", "empty"):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(photographs.BAD_FILES[kind]()))
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(photographs.truncated())).load()
    bomb = photographs.bomb()
    assert len(bomb) < 2_000_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(bomb))


def test_what_is_uploaded(tmp_path):
    photos = photographs.contributions(tmp_path, [])
    kinds = {photo.kind for photo in photos}
    assert sum(photo.kind == "original" for photo in photos) == 60
    assert kinds >= {"exact", "recompressed", "resized", "mirrored", "borrowed", "dark", *photographs.BAD_FILES}
    assert {photo.person for photo in photos} == set(range(photographs.PEOPLE))


def test_own_photographs_are_spread_over_the_contributors(tmp_path):
    own = [tmp_path / f"{number}.jpg" for number in range(15)]
    photos = [photo for photo in photographs.contributions(tmp_path, own) if photo.kind == "own"]
    assert [photo.path for photo in photos] == own
    assert {photo.person for photo in photos} == set(range(photographs.PEOPLE))
