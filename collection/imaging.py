"""Opening a file that a stranger sent: one decode, everything from it. Pure; no Django.

`open_safely` takes the bytes of a file and gives stripped full-size bytes, a preview, and one canonical grey picture
from which every hash and measurement is made. What cannot be opened raises BadImage with a code of collection.reasons.
"""

import hashlib
import io
import struct
import warnings
from dataclasses import dataclass

import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from collection import metadata

pillow_heif.register_heif_opener()

MAX_PIXELS = 80_000_000
MAX_PIXELS_WEBP = 40_000_000  # its decoder holds the picture four times
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
PREVIEW_SIDE = 800  # longest; from 2 megapixels up a JPEG need not be decoded in full for it
CANONICAL_SIDE = 256
ROWS = 256  # hashed at a time
UPRIGHT = 1  # EXIF orientation of a picture that needs no turning
ORIENTATION = 0x0112
PILLOW_FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "heic": "HEIF"}
STRIPPERS = {"jpg": metadata.strip_jpeg, "png": metadata.strip_png, "webp": metadata.strip_webp}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1"}


class BadImage(ValueError):
    """The file cannot be used; `reason` is a code of collection.reasons, the text says more to staff."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(detail or reason)
        self.reason = reason


@dataclass(frozen=True)
class Opened:
    """What one decode yields. `clean` has no metadata; `preview` is a JPEG; `canonical` is upright grey, 256 × 256."""

    clean: bytes
    extension: str
    width: int
    height: int
    preview: bytes
    canonical: Image.Image
    pixels_sha256: str


def sniff(head: bytes) -> str | None:
    """File type by content, from the first 16 bytes: "jpg", "png", "webp", "heic" or None."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS:
        return "heic"
    return None


def open_safely(data: bytes) -> Opened:
    """Decode `data` once. BadImage unless it is one whole still JPEG, PNG, WebP or HEIC of at most 80 megapixels."""
    kind = sniff(data[:16])
    if kind is None:
        raise BadImage("not_an_image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF, which we drop anyway
            stripped = STRIPPERS[kind](data) if kind in STRIPPERS else b""  # first: it sees a missing end
            return _open(data, kind, stripped)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage("too_many_pixels", str(error)) from error
    except metadata.Truncated as error:
        raise BadImage("truncated", str(error)) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error) as error:
        if isinstance(error, BadImage):
            raise
        reason = "truncated" if "truncated" in str(error) else "broken"
        raise BadImage(reason, f"{type(error).__name__}: {error}"[:300]) from error


def _open(data: bytes, kind: str, stripped: bytes) -> Opened:
    with Image.open(io.BytesIO(data), formats=[PILLOW_FORMATS[kind]]) as picture:
        _refuse_unusable(picture, kind)
        width, height = picture.size
        turned = picture.getexif().get(ORIENTATION, UPRIGHT) not in (UPRIGHT, 0, None)
        # Transparent pixels may hide a picture of their own, so what has them is drawn on white and encoded anew.
        opaque = picture.mode in ("RGB", "L", "P") and "transparency" not in picture.info
        untouched = bool(stripped) and not turned and opaque
        profile = picture.info.get("icc_profile") if picture.mode in ("RGB", "RGBA", "P") else None
        if untouched and kind == "jpg":
            scale = PREVIEW_SIDE / max(width, height)
            picture.draft("RGB", (int(width * scale), int(height * scale)))  # decode at 1/2, 1/4 or 1/8: all we need
        if picture.format == "MPO":
            picture.seek(0)
        picture.load()
        if turned:
            ImageOps.exif_transpose(picture, in_place=True)  # in place: at 80 megapixels each copy takes 320 MB
        pixels = _to_rgb(picture)
    clean, extension = (stripped, kind) if untouched else (_jpeg(pixels, 92, profile), "jpg")
    if not untouched:
        width, height = pixels.size
    pixels_sha256 = _pixels_sha256(pixels, width, height)
    preview = pixels
    preview.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BOX, reducing_gap=None)
    canonical = preview.convert("L").resize((CANONICAL_SIDE, CANONICAL_SIDE), Image.Resampling.BOX)
    return Opened(
        clean=clean,
        extension=extension,
        width=width,
        height=height,
        preview=_jpeg(preview, 85, profile),
        canonical=canonical,
        pixels_sha256=pixels_sha256,
    )


def _pixels_sha256(pixels: Image.Image, width: int, height: int) -> str:
    """Of "<width>x<height>:" and the RGB bytes, some rows at a time."""
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    for top in range(0, pixels.height, ROWS):
        digest.update(pixels.crop((0, top, pixels.width, min(top + ROWS, pixels.height))).tobytes())
    return digest.hexdigest()


def _refuse_unusable(picture: Image.Image, kind: str) -> None:
    """Before any pixel is decoded."""
    width, height = picture.size
    if width * height > (MAX_PIXELS_WEBP if kind == "webp" else MAX_PIXELS):
        raise BadImage("too_many_pixels", f"{width} x {height}")
    # A phone's JPEG may carry a second picture (MPO); the first is the photograph.
    if kind != "jpg" and getattr(picture, "n_frames", 1) > 1:
        raise BadImage("animated", f"{getattr(picture, 'n_frames', 0)} frames")


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
