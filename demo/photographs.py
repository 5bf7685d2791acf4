"""What the demo uploads: drawn photographs in every format, copies, bad files, a library. Drawn once, then cached.

`python -m demo.photographs FOLDER PART PARTS` draws its share of what FOLDER lacks: two processes use two cores.
"""

import csv
import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image, ImageEnhance, ImageOps

from demo.portraits import draw

VERSION = "v1"  # raise it when a drawing changes, so that no cached file survives
PEOPLE, SHOTS = 12, 5
LIBRARY_SUBJECTS, LIBRARY_SHOTS = 10, 2
SIZES = [(1600, 1250), (2048, 1536), (1500, 2000), (1920, 1280), (1280, 1600), (2592, 1944), (1600, 1300)]
LARGE = {2: (4000, 3000), 21: (3000, 4000), 44: (3264, 2448)}  # 12, 12 and 8 megapixels
COPIES = {0: "exact", 1: "exact", 2: "recompressed", 3: "recompressed", 4: "resized", 5: "resized", 6: "mirrored",
          7: "mirrored"}  # fmt: skip
DARK_PERSON, BORROWER, BAD_PEOPLE = 8, 10, (9, 11)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"}
GPS = {1: "N", 2: (53.0, 20.0, 59.0), 3: "W", 4: (6.0, 15.0, 37.0)}

pillow_heif.register_heif_opener()


@dataclass(frozen=True)
class Photo:
    """One file to upload: what the contributor calls it, whose it is, what it is meant to show, where its bytes are."""

    name: str
    person: int
    kind: str  # original, own, exact, recompressed, resized, mirrored, borrowed, dark, truncated, text, bomb, empty
    path: Path


def contributions(folder: Path, own: list[Path]) -> list[Photo]:
    """All that contributors upload: the user's `own` files or else 60 drawn ones, then copies, a dark one, bad ones."""
    first = [Photo(path.name, i % PEOPLE, "own", path) for i, path in enumerate(own)]
    people = sorted(COPIES) if own else range(PEOPLE)
    drawn = [_original(folder, person, shot) for person in people for shot in range(1 if own else SHOTS)]
    return first + drawn + list(_copies(folder)) + list(_bad(folder))


def own_images(folder: Path) -> list[Path]:
    """The photographs in a folder of the user's; SystemExit says what to do if there are none."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    if not found:
        raise SystemExit(f"No photographs in {folder}: put JPEG, PNG, WebP or HEIC files there, or leave IMAGES out.")
    return found


def _original(folder: Path, person: int, shot: int) -> Photo:
    suffix = _suffix(person * SHOTS + shot)
    return Photo(f"IMG_{person:02}{shot:02}{suffix}", person, "original", folder / f"p{person:02}-{shot}{suffix}")


def _suffix(index: int) -> str:
    return {3: ".png", 6: ".webp", 9: ".heic"}.get(index % 12, ".jpg")


def _copies(folder: Path) -> Iterator[Photo]:
    for person, kind in COPIES.items():
        source = _original(folder, person, 0)
        path = source.path if kind == "exact" else folder / f"p{person:02}-{kind}.jpg"
        yield Photo(f"copy of {source.path.stem}{path.suffix}", person, kind, path)
    yield Photo("friend.jpg", BORROWER, "borrowed", folder / "borrowed.jpg")  # somebody else's photograph
    yield Photo("evening.jpg", DARK_PERSON, "dark", folder / "dark.jpg")


def _bad(folder: Path) -> Iterator[Photo]:
    kinds = {"truncated": "holiday.jpg", "text": "notes.jpg", "bomb": "wall.png", "empty": "nothing.jpg"}
    for index, (kind, name) in enumerate(kinds.items()):
        yield Photo(name, BAD_PEOPLE[index % 2], kind, folder / f"bad-{name}")


# --- Drawing ------------------------------------------------------------------------------------


def draw_missing(folder: Path, part: int, parts: int) -> None:
    """Draw this part of the files that `folder` lacks. Each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {photo.path: photo for photo in contributions(folder, []) + library_photos(folder)}
    for photo in list(wanted.values())[part::parts]:
        if not photo.path.exists():
            waiting = photo.path.with_suffix(".part")
            waiting.write_bytes(_bytes_of(photo))
            waiting.rename(photo.path)


def _bytes_of(photo: Photo) -> bytes:
    if photo.kind in BAD_FILES:
        return BAD_FILES[photo.kind]()
    if photo.kind == "library":
        shot = int(photo.path.stem.rsplit("-", 1)[1])
        return encode(draw(100 + photo.person, shot, SIZES[shot]), ".jpg")
    if photo.kind == "original":
        index = photo.person * SHOTS + int(photo.path.stem.rsplit("-", 1)[1])
        return encode(
            _portrait(index),
            photo.path.suffix,
            turned=index % 6 == 1,
            located=index % 4 == 0,
            artist=artist(photo.person),
        )
    return _edited(photo)


def artist(person: int) -> str:
    """The name that a contributor's camera writes into EXIF; nobody beyond the sanitizer may ever see it."""
    return f"Owner Of Camera {person:02}"


def _portrait(index: int) -> Image.Image:
    small = _suffix(index) in {".png", ".heic", ".webp"}
    size = SIZES[0] if small else LARGE.get(index, SIZES[index % len(SIZES)])
    return draw(index // SHOTS, index % SHOTS, size)


def _edited(photo: Photo) -> bytes:
    if photo.kind == "dark":
        return encode(ImageEnhance.Brightness(draw(photo.person, 99, SIZES[0])).enhance(0.04), ".jpg")
    picture = _portrait(0 if photo.kind == "borrowed" else photo.person * SHOTS)
    if photo.kind == "resized":
        picture = picture.resize((picture.width * 5 // 8, picture.height * 5 // 8), Image.Resampling.LANCZOS)
    if photo.kind == "mirrored":
        picture = ImageOps.mirror(picture)
    return encode(picture, ".jpg", quality=60 if photo.kind in ("recompressed", "borrowed") else 88)


def encode(
    picture: Image.Image,
    suffix: str,
    *,
    turned: bool = False,
    located: bool = False,
    artist: str = "",
    quality: int = 88,
) -> bytes:
    """The picture as a JPEG, PNG, WebP or HEIC file by suffix, `turned` as phones do it (EXIF orientation 6)."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Likeness", "Drawn camera"
    if artist:
        exif[0x013B] = artist
    if located:
        exif.get_ifd(0x8825).update(GPS)
    if turned and suffix == ".jpg":
        picture, exif[0x0112] = picture.transpose(Image.Transpose.ROTATE_90), 6
    out = io.BytesIO()
    kind = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".heic": "HEIF"}[suffix]
    options = {"PNG": {"compress_level": 1}, "WEBP": {"quality": quality, "method": 2}}.get(kind, {"quality": quality})
    picture.save(out, kind, exif=exif, **options)
    return out.getvalue()


# --- Bad files ----------------------------------------------------------------------------------


def truncated() -> bytes:
    """A JPEG whose second half never arrived."""
    whole = encode(draw(50, 0, SIZES[0]), ".jpg")
    return whole[: len(whole) // 2]


def text() -> bytes:
    """A note that somebody renamed to .jpg."""
    return b"Dear all, the photographs are on the other disk.\n" * 40


def bomb() -> bytes:
    """A valid PNG of a few hundred kilobytes that would unpack to 30,000 x 30,000 grey pixels."""
    side = 30_000
    packer, rows = zlib.compressobj(9), b""
    for _ in range(side):
        rows += packer.compress(bytes(side + 1))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in (
            (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
            (b"IDAT", rows + packer.flush()),
            (b"IEND", b""),
        )
    )


BAD_FILES: dict[str, Callable[[], bytes]] = {"truncated": truncated, "text": text, "bomb": bomb, "empty": lambda: b""}

# --- The library --------------------------------------------------------------------------------


def library_photos(folder: Path) -> list[Photo]:
    """Twenty photographs of ten people whom an agency licensed to us."""
    return [
        Photo(f"studio/{person:02}-{shot}.jpg", person, "library", folder / f"library-{person:02}-{shot}.jpg")
        for person in range(LIBRARY_SUBJECTS)
        for shot in range(LIBRARY_SHOTS)
    ]


def write_library(photos: list[Photo], archive: Path) -> None:
    """A zip of the photographs with the manifest.csv that the import asks for."""
    manifest = io.StringIO()
    rows = csv.writer(manifest)
    rows.writerow(("path", "subject", "model_release"))
    with zipfile.ZipFile(archive, "w") as out:
        for photo in photos:
            out.write(photo.path, photo.name)
            rows.writerow((photo.name, f"model-{photo.person:02}", "yes"))
        out.writestr("manifest.csv", manifest.getvalue())


if __name__ == "__main__":
    draw_missing(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
