"""Small drawn pictures and hostile files for tests."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from demo import portraits

SIZE = (800, 1000)


def portrait(person: int = 1, shot: int = 1, size: tuple[int, int] = SIZE) -> Image.Image:
    return portraits.draw(person, shot, size)


def encoded(picture: Image.Image, kind: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(person: int = 1, shot: int = 1, size: tuple[int, int] = SIZE, quality: int = 90) -> bytes:
    return encoded(portrait(person, shot, size), quality=quality)


def with_exif(picture: Image.Image, orientation: int = 1) -> bytes:
    """A JPEG that says where it was taken, by which camera, with XMP and a comment."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SECRET-CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (53.0, 20.0, 30.0)
    return encoded(picture, exif=exif, xmp=b"<x>SECRET-XMP</x>", comment=b"SECRET-COMMENT", quality=90)


def png_bomb() -> bytes:
    """A few hundred bytes that claim 30,000 × 30,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def sixteen_bit_png() -> bytes:
    ramp = np.linspace(0, 65535, 800 * 1000).reshape(1000, 800).astype("uint16")
    return encoded(Image.fromarray(ramp), "PNG")


def animated_png() -> bytes:
    frames = [Image.new("RGB", (700, 700), colour) for colour in ("red", "green")]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])


def animated_webp() -> bytes:
    frames = [Image.new("RGB", (700, 700), colour) for colour in ("red", "green")]
    return encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100)
