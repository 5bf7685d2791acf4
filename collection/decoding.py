"""What a decoder does with one file: one decode, everything from it. No Django; run in `decoder_process` only.

`decode` takes the bytes of a file and gives stripped full-size bytes, a preview, and one canonical grey picture
from which every hash and measurement is made. What cannot be opened raises BadImage with a code of collection.reasons.
"""

import datetime
import hashlib
import io
import re
import struct
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass

import pillow_heif
from PIL import AvifImagePlugin, Image, UnidentifiedImageError

from collection import metadata, profiles

pillow_heif.register_heif_opener()
pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

MAX_PIXELS = 80_000_000
MAX_PIXELS_WEBP = 40_000_000  # its decoder holds the picture four times
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
PREVIEW_SIDE = 800  # longest; from 2 megapixels up a JPEG need not be decoded in full for it
CANONICAL_SIDE = 256
ROWS = 256  # hashed at a time
PILLOW_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "heic": "HEIF", "avif": "AVIF", "tif": "TIFF"}
STRIPPERS = {"jpg": metadata.strip_jpeg, "png": metadata.strip_png, "webp": metadata.strip_webp}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
ORIENTATION, EXIF_IFD, TAKEN, CHANGED = 0x0112, 0x8769, 0x9003, 0x0132
UPRIGHT = 1  # EXIF orientation of a picture that needs no turning
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
YEAR_AND_MONTH = re.compile(r"((?:19|20)\d\d):(0[1-9]|1[0-2]):")
# What decoders raise at damaged files.
BROKEN = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error,
    KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError, RuntimeError, AssertionError,
)  # fmt: skip
# What decoders say, and what it means.
TOLD = {"truncated": "truncated", "decoder error -9": "too_demanding", "emory": "too_demanding"}


class BadImage(ValueError):
    """The file cannot be used; `reason` is a code of collection.reasons, the text says more to staff."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True)
class Opened:
    """What one decode yields. `clean` has no metadata; `preview` is a JPEG; `canonical` is upright grey, 256 × 256.

    `taken_in` is the first day of the month in which the camera says it was taken; the day and hour stay behind.
    """

    clean: bytes
    extension: str
    width: int
    height: int
    preview: bytes
    canonical: Image.Image
    pixels_sha256: str
    taken_in: datetime.date | None = None


def sniff(head: bytes) -> str | None:
    """File type by content, from the first 64 bytes: "jpg", "png", "webp", "heic", "avif", "tif" or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    return "tif" if head[:4] in (b"II*\0", b"MM\0*") else None


def _sniff_brands(head: bytes) -> str | None:
    """HEIC and AVIF share their container; "mif1" may be either, and the further brands tell."""
    major = head[8:12]
    further = {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4)}
    if major in AVIF_BRANDS or (major in HEIF_BRANDS and further & AVIF_BRANDS):
        return "avif"
    return "heic" if major in HEIF_BRANDS else None


def decode(data: bytes, side: int = PREVIEW_SIDE) -> Opened:
    """Decode `data` once. BadImage unless it is one whole still picture of a kind that `sniff` knows, of at most 80
    megapixels. The preview has at most `side` pixels on its longer side."""
    kind = sniff(data[:64])
    if kind is None:
        raise BadImage("not_an_image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF, which we drop anyway
            stripped = STRIPPERS[kind](data) if kind in STRIPPERS else b""  # first: it sees a missing end
            return _decode(data, kind, stripped, side)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage("too_many_pixels", str(error)) from error
    except metadata.Truncated as error:
        raise BadImage("truncated", str(error)) from error
    except metadata.Endless as error:
        raise BadImage("too_demanding", str(error)) from error
    except BadImage:
        raise
    except BROKEN as error:
        reason = next((code for words, code in TOLD.items() if words in str(error)), "broken")
        raise BadImage(reason, f"{type(error).__name__}: {error}"[:300]) from error


def _decode(data: bytes, kind: str, stripped: bytes, side: int) -> Opened:
    with Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[kind]]) as picture:
        _refuse_unusable(picture, kind)
        width, height = picture.size
        exif = _exif(picture)
        space, foreign = _colours(picture)
        profile = profiles.profile_of(space) if space in (profiles.P3, profiles.ADOBE) else None
        # Transparent pixels may hide a picture of their own, so what has them is drawn on white and encoded anew.
        opaque = picture.mode in ("RGB", "L", "P") and "transparency" not in picture.info
        untouched = bool(stripped) and opaque and not foreign and _turn(exif) is None
        untouched = untouched and (profile is None or kind == "jpg")
        if untouched and kind == "jpg":
            scale = side / max(width, height)
            picture.draft("RGB", (int(width * scale), int(height * scale)))  # decode at 1/2, 1/4 or 1/8: all we need
        if picture.format == "MPO":
            picture.seek(0)
        picture.load()
        turn = _turn(_exif(picture))  # after loading: some decoders turn the picture themselves
        pixels = _to_rgb(picture if turn is None else picture.transpose(turn))
    if foreign:
        pixels = profiles.to_srgb(pixels, foreign)
    if untouched:
        clean, extension = metadata.with_profile(stripped, profile), kind
    else:
        clean, extension = _jpeg(pixels, 92, profile), "jpg"
        width, height = pixels.size
    pixels_sha256 = _pixels_sha256(pixels, width, height)
    preview = pixels
    preview.thumbnail((side, side), Image.Resampling.BOX, reducing_gap=None)
    return Opened(
        clean=clean,
        extension=extension,
        width=width,
        height=height,
        preview=_jpeg(preview, 85, profile),
        canonical=preview.convert("L").resize((CANONICAL_SIDE, CANONICAL_SIDE), Image.Resampling.BOX),
        pixels_sha256=pixels_sha256,
        taken_in=_taken_in(exif),
    )


def _exif(picture: Image.Image) -> Image.Exif:
    """Empty if it makes no sense: a good photograph is not turned down for what we drop anyway."""
    with suppress(*BROKEN):
        return picture.getexif()
    return Image.Exif()


def _turn(exif: Image.Exif) -> Image.Transpose | None:
    orientation = exif.get(ORIENTATION, UPRIGHT)
    return TURNS.get(orientation) if isinstance(orientation, int) else None


def _taken_in(exif: Image.Exif) -> datetime.date | None:
    with suppress(*BROKEN):
        for text in (exif.get_ifd(EXIF_IFD).get(TAKEN), exif.get(CHANGED)):
            if found := YEAR_AND_MONTH.match(str(text)):
                return datetime.date(int(found[1]), int(found[2]), 1)
    return None


def _colours(picture: Image.Image) -> tuple[str | None, bytes | None]:
    """The space whose profile of ours fits, and the profile of one that has to be converted to sRGB."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "P"):
        return None, None
    space = profiles.space_of(profile)
    return space, None if space else profile


def _pixels_sha256(pixels: Image.Image, width: int, height: int) -> str:
    """Of "<width>x<height>:" and the RGB bytes, some rows at a time."""
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    for top in range(0, pixels.height, ROWS):  # copying all of 80 megapixels at once would take 240 MB
        digest.update(pixels.crop((0, top, pixels.width, min(top + ROWS, pixels.height))).tobytes())
    return digest.hexdigest()


def _refuse_unusable(picture: Image.Image, kind: str) -> None:
    """Before any pixel is decoded."""
    width, height = picture.size
    if width * height > (MAX_PIXELS_WEBP if kind == "webp" else MAX_PIXELS):
        raise BadImage("too_many_pixels", f"{width} x {height}")
    if kind == "tif":
        _refuse_pages(picture)
    # A phone's JPEG may carry a second picture (MPO); the first is the photograph.
    elif kind != "jpg" and getattr(picture, "n_frames", 1) > 1:
        raise BadImage("animated", f"{getattr(picture, 'n_frames', 0)} frames")


def _refuse_pages(picture: Image.Image) -> None:
    """Looks no further than the second page: a file may claim millions, or go round in a circle."""
    try:
        picture.seek(1)
    except EOFError:
        picture.seek(0)
        return
    raise BadImage("several_pages")


def _to_rgb(picture: Image.Image) -> Image.Image:
    """8-bit RGB on white; 16-bit grey is scaled instead of clipped."""
    if picture.mode in ("I", "I;16", "I;16B", "I;16L"):
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        alpha = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        white = Image.new("RGB", alpha.size, "white")
        white.paste(alpha, mask=alpha)
        return white
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _jpeg(picture: Image.Image, quality: int, profile: bytes | None) -> bytes:
    """`profile` (ICC) stays, or a phone's wide colours would turn dull."""
    buffer = io.BytesIO()
    picture.info = {}  # leaves EXIF, XMP and comments of the source behind
    picture.save(buffer, "JPEG", quality=quality, icc_profile=profile)
    return buffer.getvalue()
