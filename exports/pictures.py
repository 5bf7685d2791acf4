"""The bytes of a release's photographs: as they are, or made smaller once into the folder of the build."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Picture

from collection.imaging import open_safely
from collection.storage import derivatives, read_sealed
from consent.signing import sha256_hex
from exports.selection import Photograph


@dataclass(frozen=True)
class Facts:
    """What a row says of its photograph's file."""

    sha256: str
    width: int
    height: int
    format: str  # file extension without the dot
    clean_key: str = ""  # where its bytes are stored; empty if they were made for this release


class Pictures:
    """Photographs with at most `longest_side` pixels on the longer side (None: as they are), one at a time.

    Those that are larger are made smaller by a decoder apart (ADR 0015) and wait in `folder` until they are read.
    `beat` is called now and then. The same photograph gives the same bytes, with the same Pillow.
    """

    def __init__(self, longest_side: int | None, folder: Path, beat: Callable[[], object] = lambda: None) -> None:
        self.longest_side, self.folder, self.beat = longest_side, folder, beat

    def look(self, image: Photograph) -> Facts:
        """What the photograph is in this release."""
        assert image.width is not None  # noqa: S101 -- a CHECK constraint: accepted images have a size
        assert image.height is not None  # noqa: S101
        if self.longest_side is None or max(image.width, image.height) <= self.longest_side:
            return Facts(image.clean_sha256, image.width, image.height, image.clean_format, image.clean_key)
        kept = self._kept(image)
        if not kept.exists():
            kept.write_bytes(open_safely(self._clean(image), beat=self.beat, side=self.longest_side).preview)
        content = kept.read_bytes()
        with Picture.open(io.BytesIO(content)) as picture:
            width, height = picture.size
        return Facts(sha256_hex(content), width, height, "jpg")

    def _kept(self, image: Photograph) -> Path:
        return self.folder / f"{image.pk.hex}.jpg"

    def _clean(self, image: Photograph) -> bytes:
        return _stored(image.pk.hex, image.clean_key, image.clean_sha256)


def read_picture(folder: Path, image: str, clean_key: str, sha256: str) -> bytes:
    """The bytes of an image (id in hex) as `Pictures(…, folder).look` described them, in any process.

    ValueError if what is stored is not what was accepted.
    """
    return _stored(image, clean_key, sha256) if clean_key else (folder / f"{image}.jpg").read_bytes()


def _stored(image: str, clean_key: str, sha256: str) -> bytes:
    content = read_sealed(derivatives(), clean_key)
    if sha256_hex(content) != sha256:
        raise ValueError(f"the stored bytes of image {image} are not those that were accepted")
    return content
