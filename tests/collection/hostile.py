"""Files that strangers send, made in code: one or more of every publicly known class of malformed pictures.

`every()` gives (name, bytes, outcome): a code of collection.reasons, or OPENS for what is odd but a photograph.
"""

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageCms

from tests.collection import pictures

OPENS = "opens"
SIDE = (700, 700)
Entry = tuple[str, bytes, str]


def every() -> Iterator[Entry]:
    for kind in (no_pictures, jpegs, pngs, webps, containers, tiffs, odd_but_fine):
        yield from kind()


def picture() -> Image.Image:
    return pictures.portrait(3, 3, SIDE)


def encoded(kind: str = "JPEG", **options) -> bytes:
    return pictures.encoded(picture(), kind, **options)


# --- What is no picture --------------------------------------------------------------------------


def no_pictures() -> Iterator[Entry]:
    for name, data in {
        "a text": b"This is a text that calls itself a photograph.",
        "a single byte": b"\xff",
        "only NUL bytes": bytes(5000),
        "random bytes": random.Random(1).randbytes(5000),
        "HTML with a script": b"<html><script>alert(1)</script></html>",
        "SVG with a script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        "an SVG that reads files": b"<!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><svg>&x;</svg>",
        "a GIF": pictures.encoded(Image.new("RGB", SIDE), "GIF"),
        "a BMP": pictures.encoded(Image.new("RGB", SIDE), "BMP"),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n",
        "a PDF": b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n",
        "an ICO": pictures.encoded(Image.new("RGB", (64, 64)), "ICO"),
        "a PSD header": b"8BPS\0\1" + bytes(40),
        "a JPEG 2000 header": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
        "a program": b"\x7fELF\x02\x01\x01" + bytes(60),
        "an MP4": b"\0\0\0\x20ftypisom" + bytes(60),
        "ImageMagick's own language": b"push graphic-context\nfill 'url(https://x/\"|id\")'\n",
        "a zip archive": _zip(),
        "BigTIFF": b"II+\0\x08\0\0\0" + bytes(40),
        "a camera's raw file": b"FUJIFILMCCD-RAW 0201" + bytes(60),
    }.items():
        yield name, data, "not_an_image"


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "a" * 1000)
    return buffer.getvalue()


# --- JPEG ----------------------------------------------------------------------------------------


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def _with_size(data: bytes, width: int, height: int) -> bytes:
    """A JPEG whose frame header claims another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def jpegs() -> Iterator[Entry]:
    data, progressive = encoded(quality=90), encoded(progressive=True)
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    frame = data.index(b"\xff\xc0")
    yield "JPEG: only its first bytes", b"\xff\xd8\xff\xe0" + bytes(40), "truncated"
    yield "JPEG: half of it", data[: len(data) // 2], "truncated"
    yield "JPEG: without its end marker", data[:-2], "truncated"
    yield "JPEG: a segment longer than the file", data[:2] + b"\xff\xe1\xff\xff", "truncated"
    yield "JPEG: a segment of length 0", data[:2] + b"\xff\xe1\0\0" + data[2:], "truncated"
    yield "JPEG: nothing but an end", b"\xff\xd8\xff\xd9" + bytes(100), "broken"
    yield "JPEG: no frame", data[:2] + b"\xff\xd9", "broken"
    yield "JPEG: claims 65,535 × 65,535", _with_size(data, 65535, 65535), "too_many_pixels"
    yield "JPEG: claims no width", _with_size(data, 0, 700), "broken"
    yield "JPEG: claims no height", _with_size(data, 700, 0), "broken"
    yield "JPEG: no quantisation tables", _without(data, 0xDB), "broken"
    yield "JPEG: 12 bits a sample", data[: frame + 4] + b"\x0c" + data[frame + 5 :], "broken"
    yield "JPEG: nine components", data[: frame + 9] + b"\x09" + data[frame + 10 :], "broken"
    yield "JPEG: arithmetic coding marker", data[:frame] + b"\xff\xc9" + data[frame + 2 :], OPENS
    yield "JPEG: lossless marker", data[:frame] + b"\xff\xc3" + data[frame + 2 :], "broken"
    yield "JPEG: sixty scans", progressive[:-2] + scan * 60 + b"\xff\xd9", "too_demanding"
    yield "JPEG: five thousand scans", progressive[:-2] + scan[:40] * 5000 + b"\xff\xd9", "too_demanding"
    yield "JPEG: 200,000 empty segments", data[:2] + b"\xff\xe1\0\2" * 200_000 + data[2:], "too_demanding"
    yield "JPEG: five megabytes of fill bytes", data[:2] + b"\xff" * 5_000_000 + data[2:], "too_demanding"
    yield "JPEG: an archive behind its end", data + _zip(), OPENS
    yield "JPEG: a script in a comment", data[:2] + segment(0xFE, b"<script>alert(1)</script>") + data[2:], OPENS
    yield "JPEG: PHP in EXIF", data[:2] + segment(0xE1, b"Exif\0\0<?php system($_GET[0]); ?>") + data[2:], OPENS
    yield "JPEG: EXIF that points at itself", data[:2] + segment(0xE1, b"Exif\0\0" + _looping_ifd()) + data[2:], OPENS
    yield "JPEG: EXIF of 65,535 entries", data[:2] + segment(0xE1, b"Exif\0\0" + _huge_ifd()) + data[2:], OPENS
    yield "JPEG: EXIF value of 4 GB", data[:2] + segment(0xE1, b"Exif\0\0" + _huge_value()) + data[2:], OPENS
    yield "JPEG: orientation 99", _with_orientation(99), OPENS
    yield "JPEG: a profile of random bytes", encoded(icc_profile=random.Random(2).randbytes(3000)), OPENS
    yield "JPEG: a profile that promises a million tags", encoded(icc_profile=_odd_profile()), OPENS
    yield "JPEG: a profile for paper", encoded(icc_profile=_lab_profile()), OPENS
    yield "JPEG: a second picture for 3-D (MPO)", _mpo(), OPENS
    yield "JPEG: CMYK", pictures.encoded(picture().convert("CMYK")), OPENS


def _without(data: bytes, marker: int) -> bytes:
    while (at := data.find(bytes([0xFF, marker]))) > 0:
        data = data[:at] + data[at + 2 + struct.unpack_from(">H", data, at + 2)[0] :]
    return data


def _looping_ifd() -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)


def _huge_ifd() -> bytes:
    return b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x010F, 2, 4, 0) * 5000


def _huge_value() -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x010F, 2, 0xFFFFFFFF, 8) + bytes(4)


def _with_orientation(value: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(exif=exif)


def _odd_profile() -> bytes:
    head = struct.pack(">I4xI4s4s4s", 200, 0x04200000, b"mntr", b"RGB ", b"XYZ ").ljust(36, b"\0") + b"acsp"
    return head.ljust(128, b"\0") + struct.pack(">I", 1_000_000) + bytes(68)


def _lab_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _mpo() -> bytes:
    return pictures.encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", SIDE)])


# --- PNG -----------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int = 700, height: int = 700, depth: int = 8, colour: int = 2, *, extra=b"", body=b"\0" * 1000) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND")


def pngs() -> Iterator[Entry]:
    data, bomb = encoded("PNG"), zlib.compress(bytes(100_000_000))
    whole = b"".join(b"\0" + bytes(700 * 3) for _ in range(700))
    yield "PNG: claims 30,000 × 30,000", pictures.png_bomb(), "too_many_pixels"
    yield "PNG: claims 2,147,483,647 × 1", png(2147483647, 1), "too_many_pixels"
    yield "PNG: claims no width", png(0, 700), "broken"
    yield "PNG: claims no height", png(700, 0), "broken"
    yield "PNG: cut off", data[:-50_000], "truncated"
    yield "PNG: no IEND", data[:-12], "truncated"
    yield "PNG: only its signature", data[:8], "truncated"
    yield "PNG: fewer rows than it claims", png(), "truncated"
    yield "PNG: a chunk longer than the file", data[:33] + b"\x7f\xff\xff\xfftEXt" + data[33:], "truncated"
    yield "PNG: a wrong checksum", data[:29] + b"\0\0\0\0" + data[33:], "broken"
    yield "PNG: a colour type that is none", png(colour=5, body=whole), "broken"
    yield "PNG: no header", data[:8] + data[33:], "broken"
    yield "PNG: palette picture without palette", png(colour=3, body=bytes(701 * 700)), OPENS
    yield "PNG: 100 MB in the profile", png(extra=chunk(b"iCCP", b"x\0\0" + bomb), body=whole), "broken"
    yield "PNG: 100 MB in a text", png(extra=chunk(b"zTXt", b"x\0\0" + bomb), body=whole), "broken"
    yield "PNG: 100 MB in an international text", png(extra=chunk(b"iTXt", b"x\0\1\0\0\0" + bomb), body=whole), "broken"
    yield "PNG: 100 MB too many pixels", png(body=whole + bytes(100_000_000)), OPENS
    yield "PNG: 200,000 empty texts", data[:33] + chunk(b"tEXt") * 200_000 + data[33:], "too_demanding"
    yield "PNG: animated", pictures.animated_png(), "animated"
    yield "PNG: a script in a text", png(extra=chunk(b"tEXt", b"Comment\0<script>alert(1)</script>"), body=whole), OPENS
    yield "PNG: 16 bits grey", pictures.sixteen_bit_png(), OPENS
    yield "PNG: Apple's own dialect", b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", b"\x50\0\x20\2") + data[8:], OPENS


# --- WebP ----------------------------------------------------------------------------------------


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def webps() -> Iterator[Entry]:
    data = encoded("WEBP")
    lossless = encoded("WEBP", lossless=True)
    huge = struct.pack("<I", 0x10)[:4] + b"\xff\x3f\0" + b"\xff\x3f\0"
    yield "WebP: cut off", data[:-5000], "truncated"
    yield "WebP: says it is 4 GB", data[:4] + b"\xf0\xff\xff\xff" + data[8:], "truncated"
    yield "WebP: says it is 4 bytes", data[:4] + b"\x04\0\0\0" + data[8:], "broken"
    yield "WebP: only a head", data[:12], "truncated"
    yield "WebP: an empty header chunk", riff(b"VP8X\0\0\0\0"), "broken"
    yield "WebP: a picture larger than its canvas", riff(b"VP8X\x0a\0\0\0" + bytes(10), data[12:]), "broken"
    yield "WebP: a canvas of 16,384 × 16,384", riff(b"VP8X\x0a\0\0\0" + huge), "too_many_pixels"
    yield "WebP: a lying chunk", data[:16] + b"\xff\xff\xff\x7f" + data[20:], "broken"
    yield "WebP: damaged Huffman tables", lossless[:25] + b"\xff" * 4000 + lossless[4025:], "broken"
    yield "WebP: 200,000 empty chunks", riff(data[12:], b"abcd\0\0\0\0" * 200_000), "too_demanding"
    yield "WebP: animated", pictures.animated_webp(), "animated"
    yield "WebP: transparent, over a hidden picture", _transparent("WEBP"), OPENS


def _transparent(kind: str) -> bytes:
    hidden = picture().convert("RGBA")
    hidden.putalpha(0)
    return pictures.encoded(hidden, kind)


# --- HEIC and AVIF -------------------------------------------------------------------------------


def containers() -> Iterator[Entry]:
    for kind, name in (("HEIF", "HEIC"), ("AVIF", "AVIF")):
        data = encoded(kind)
        size = data.index(b"ispe") + 8
        yield f"{name}: cut off", data[: len(data) // 2], "broken"
        yield f"{name}: only its brand", data[:24], "broken"
        yield f"{name}: boxes of length 0", data[:24] + bytes(200), "broken"
        yield (
            f"{name}: a box longer than the file",
            data[:24] + b"\xff\xff\xff\xf0meta" + data[32:],
            "broken" if kind == "HEIF" else OPENS,
        )
        yield f"{name}: a box inside itself", data[:24] + b"\0\0\0\x08meta" * 5000, "broken"
        yield f"{name}: damaged data", data[:-3000] + random.Random(3).randbytes(3000), OPENS
        claimed = data[:size] + struct.pack(">II", 60_000, 60_000) + data[size + 8 :]
        yield f"{name}: claims 60,000 × 60,000", claimed, "too_many_pixels" if kind == "HEIF" else "broken"
    several = pictures.encoded(picture(), "HEIF", save_all=True, append_images=[picture()])
    yield "HEIC: two pictures", several, "animated"
    moving = pictures.encoded(picture(), "AVIF", save_all=True, append_images=[Image.new("RGB", SIDE)])
    yield "AVIF: animated", moving, "animated"


# --- TIFF ----------------------------------------------------------------------------------------


def tiff(*entries: tuple[int, int, int, int], following: int = 0, tail: bytes = b"") -> bytes:
    """Little-endian, one directory of (tag, type, count, value)."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + body + struct.pack("<I", following) + tail


def strips(width: int, height: int, compression: int = 1, offset: int = 200) -> list[tuple[int, int, int, int]]:
    """Grey, 8 bits, one strip."""
    return [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
        (273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height % 2**32),
    ]  # fmt: skip


def tiffs() -> Iterator[Entry]:
    data = encoded("TIFF")
    yield "TIFF: only its first bytes", b"II*\0", "broken"
    yield "TIFF: a directory beyond the end", b"II*\0\xff\xff\xff\x7f" + bytes(40), "broken"
    yield "TIFF: claims 60,000 × 60,000", tiff(*strips(60_000, 60_000)), "too_many_pixels"
    yield "TIFF: claims no width", tiff(*strips(0, 700)), "broken"
    yield "TIFF: directories in a circle", tiff(*strips(700, 700), following=8, tail=bytes(500_000)), OPENS
    yield "TIFF: a second directory", _pages(), "several_pages"
    yield "TIFF: strip beyond the end", tiff(*strips(700, 700, offset=0x7FFFFFFF)), "truncated"
    yield "TIFF: cut off", data[: len(data) // 2], "truncated"
    yield "TIFF: damaged LZW", tiff(*strips(700, 700, compression=5), tail=b"\xff" * 600_000), "broken"
    yield "TIFF: damaged JPEG inside", tiff(*strips(700, 700, compression=7), tail=b"\xff\xd8" * 9000), "broken"
    yield "TIFF: fax of nothing", tiff(*strips(700, 700, compression=4), tail=bytes(9000)), "broken"
    yield "TIFF: an unknown compression", tiff(*strips(700, 700, compression=31337), tail=bytes(9000)), "broken"
    yield "TIFF: 65,535 entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(12 * 100), "broken"
    yield "TIFF: a deflate bomb", _deflate_bomb(), "too_many_pixels"
    yield "TIFF: floating point", pictures.encoded(Image.fromarray(np.zeros((700, 700), "float32")), "TIFF"), OPENS


def _pages() -> bytes:
    return pictures.encoded(picture(), "TIFF", save_all=True, append_images=[picture()])


def _deflate_bomb() -> bytes:
    return tiff(*strips(40_000, 40_000, compression=8), tail=bytes(100) + zlib.compress(bytes(10_000_000)))


# --- Odd, but photographs ------------------------------------------------------------------------


def odd_but_fine() -> Iterator[Entry]:
    modes: dict[str, Callable[[], bytes]] = {
        "one bit a pixel": lambda: pictures.encoded(picture().convert("1"), "PNG"),
        "grey with transparency": lambda: pictures.encoded(picture().convert("LA"), "PNG"),
        "a palette": lambda: pictures.encoded(picture().quantize(), "PNG"),
        "a transparent palette": lambda: pictures.encoded(picture().quantize(), "PNG", transparency=0),
        "Lab": lambda: pictures.encoded(_lab(), "TIFF"),
        "grey JPEG": lambda: pictures.encoded(picture().convert("L")),
        "TIFF by LZW": lambda: encoded("TIFF", compression="tiff_lzw"),
        "HEIC": lambda: encoded("HEIF"),
        "AVIF": lambda: encoded("AVIF"),
    }
    for name, make in modes.items():
        yield f"odd: {name}", make(), OPENS


def _lab() -> Image.Image:
    lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return ImageCms.applyTransform(picture(), lab)
