"""Files that strangers send: each hostile class has its reason, and what leaves is free of metadata."""

import io

import pytest
from PIL import Image

from collection.imaging import BadImage, open_safely, sniff
from collection.metadata import strip_jpeg
from tests.collection import pictures

BAD = {
    "empty": (b"", "not_an_image"),
    "text": (b"This is a text that calls itself a photograph.", "not_an_image"),
    "html": (b"<html><script>alert(1)</script></html>", "not_an_image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_an_image"),
    "gif": (pictures.encoded(Image.new("RGB", (700, 700)), "GIF"), "not_an_image"),
    "only a JPEG head": (b"\xff\xd8\xff\xe0" + b"\0" * 40, "truncated"),
    "truncated JPEG": (pictures.jpeg()[:-4000], "truncated"),
    "truncated PNG": (pictures.encoded(pictures.portrait(), "PNG")[:-50_000], "truncated"),
    "truncated WebP": (pictures.encoded(pictures.portrait(), "WEBP")[:-5_000], "truncated"),
    "bomb": (pictures.png_bomb(), "too_many_pixels"),
    "animated PNG": (pictures.animated_png(), "animated"),
    "animated WebP": (pictures.animated_webp(), "animated"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_end_in_a_reason(name):
    data, reason = BAD[name]
    with pytest.raises(BadImage) as caught:
        open_safely(data)
    assert caught.value.reason == reason


def test_any_truncation_of_a_jpeg_ends_in_a_reason_or_in_a_whole_picture():
    data = pictures.jpeg(size=(640, 700))
    for cut in range(0, len(data) - 1, 997):
        with pytest.raises(BadImage):
            open_safely(data[:cut])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_the_formats_of_phones_open(kind):
    opened = open_safely(pictures.encoded(pictures.portrait(), kind))
    assert (opened.width, opened.height) == pictures.SIZE
    assert Image.open(io.BytesIO(opened.clean)).size == pictures.SIZE
    assert Image.open(io.BytesIO(opened.preview)).format == "JPEG"
    assert opened.canonical.size == (256, 256)


def test_metadata_is_gone_and_the_pixels_of_an_upright_jpeg_are_untouched():
    data = pictures.with_exif(pictures.portrait())
    assert b"SECRET-CAMERA" in data
    assert b"SECRET-XMP" in data
    assert b"SECRET-COMMENT" in data
    opened = open_safely(data)
    for leaving in (opened.clean, opened.preview):
        assert b"SECRET" not in leaving
        assert dict(Image.open(io.BytesIO(leaving)).getexif()) == {}
    assert Image.open(io.BytesIO(opened.clean)).tobytes() == Image.open(io.BytesIO(data)).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "HEIF"])
def test_metadata_is_gone_from_other_formats(kind):
    exif = Image.Exif()
    exif[0x010F] = "SECRET-CAMERA"
    opened = open_safely(pictures.encoded(pictures.portrait(), kind, exif=exif))
    assert b"SECRET" not in opened.clean
    assert dict(Image.open(io.BytesIO(opened.clean)).getexif()) == {}


def test_the_orientation_is_applied():
    upright = pictures.portrait(size=(800, 640))
    opened = open_safely(pictures.with_exif(upright, orientation=6))
    assert (opened.width, opened.height) == (640, 800)
    assert Image.open(io.BytesIO(opened.clean)).size == (640, 800)


def test_what_follows_the_end_of_the_picture_is_cut():
    data = pictures.jpeg()
    assert strip_jpeg(data + b"PK\x03\x04 an archive in disguise") == strip_jpeg(data)


def test_sixteen_bits_are_scaled_not_clipped():
    opened = open_safely(pictures.sixteen_bit_png())
    low, high = Image.open(io.BytesIO(opened.clean)).convert("L").getextrema()
    assert low < 10
    assert high > 245


def test_cmyk_becomes_rgb():
    opened = open_safely(pictures.encoded(pictures.portrait().convert("CMYK"), "JPEG"))
    assert Image.open(io.BytesIO(opened.clean)).mode == "RGB"


def test_content_not_name_decides():
    assert sniff(pictures.encoded(pictures.portrait(), "PNG")[:16]) == "png"
    assert sniff(b"\xff\xd8\xff\xe1") == "jpg"
    assert sniff(b"GIF89a") is None


def test_a_webp_whose_header_chunk_is_empty_ends_in_a_reason():
    body = b"WEBPVP8X" + b"\0" * 4
    with pytest.raises(BadImage):
        open_safely(b"RIFF" + len(body).to_bytes(4, "little") + body)


@pytest.mark.parametrize(
    ("kind", "part"),
    [("JPEG", b"\xff\xe1\x00\x02"), ("PNG", b"\0\0\0\0teXt\x4a\x8b\x91\x7c"), ("WEBP", b"abcd\0\0\0\0")],
)
def test_millions_of_empty_parts_are_refused_at_once(kind, part):
    data = pictures.encoded(pictures.portrait(), kind)
    at = {"JPEG": 2, "PNG": 33, "WEBP": len(data)}[kind]
    data = data[:at] + part * 200_000 + data[at:]
    if kind == "WEBP":
        data = data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:]
    with pytest.raises(BadImage, match="more than 100000"):
        open_safely(data)


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded():
    data = pictures.encoded(pictures.portrait(), progressive=True)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(BadImage, match="more than 50 scans"):
        open_safely(data[:-2] + data[last:-2] * 60 + data[-2:])


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe0\x00\x18JFIF\0\1\1\0\0\1\0\1\x01\x01SECRET!!",  # a thumbnail in the JFIF header
        b"\xff\xe0\x00\x0eJFXX\0\x10SECRET",
        b"\xff\xee\x00\x16Adobe\0\x64\0\0\0\0\1SECRET!!",
        b"\xff\xee\x00\x0aSECRET!!",
        b"\xff\xff\xe1\x00\x0aSECRET!!",  # after a fill byte
        b"\xff\xdc\x00\x0aSECRET!!",  # decoders skip it
    ],
)
def test_nothing_hides_in_the_segments_that_stay(segment):
    data = pictures.jpeg(size=(700, 700))
    assert b"SECRET" not in strip_jpeg(data[:2] + segment + data[2:])
