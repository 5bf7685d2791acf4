"""What screening costs per image, and how many drawn portraits the face detector finds in each tone.

Goal: measures under 10 ms. The floor is one grey decode of the preview. Faces cost what Haar
cascades cost: the same cascade at full preview size stands beside it. There is no goal for the share of faces found,
because nothing is decided by it; the table shows why it must not be.
"""

import io

import cv2
import numpy as np
from PIL import Image

from collection import faces, quality
from demo import portraits
from tests.bench.timing import medians
from tests.collection import monk

WALLS = (monk.WHITE_WALL, monk.GREY_WALL, monk.DARK_WALL)
SIDES = (360, 480, 800)  # widths of the whole portrait: near and far
DRAWN = 40  # cartoon portraits of the demo


def preview_of(picture: Image.Image) -> bytes:
    small = picture.copy()
    small.thumbnail((800, 800))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue()


def main() -> None:
    costs()
    print()
    found_per_tone()


def costs() -> None:
    preview = preview_of(monk.portrait(6, size=(2400, 3000)))
    grey = quality.decode_grey(preview)
    boxes = faces.find_faces(grey)
    cascade = cv2.CascadeClassifier(str(faces.CASCADES / "haarcascade_frontalface_alt2.xml"))
    found = medians(
        {
            "floor: grey decode": lambda: quality.decode_grey(preview),
            "measures with a face": lambda: quality.measure(grey, boxes, 2400),
            "measures without": lambda: quality.measure(grey, [], 2400),
            "faces, three looks": lambda: faces.find_faces(grey),
            "one frontal look, 800 px": lambda: cascade.detectMultiScale(grey, 1.1, 5, minSize=(50, 50)),
        }
    )
    floor = found["floor: grey decode"]
    for name, seconds in found.items():
        print(f"{name:26}{seconds * 1000:8.1f} ms{seconds / floor:9.2f}×")


def found_per_tone() -> None:
    print(f"{'tone':8}{'found':>9}{'more than one':>16}{'held for light':>17}")
    for tone in monk.TONES:
        pictures = [_far(monk.portrait(tone, wall), side) for wall in WALLS for side in SIDES]
        _row(f"Monk {tone}", pictures)
    _row("cartoons", [portraits.draw(person, 1, (800, 1000)) for person in range(DRAWN)])


def _far(picture: Image.Image, width: int) -> Image.Image:
    """The person in the middle of a larger wall."""
    wall = Image.new("RGB", picture.size, picture.getpixel((5, 5)))  # type: ignore[arg-type]
    small = picture.resize((width, width * picture.height // picture.width))
    wall.paste(small, ((wall.width - small.width) // 2, (wall.height - small.height) // 2))
    return wall


def _row(name: str, pictures: list[Image.Image]) -> None:
    counts, held = [], 0
    for picture in pictures:
        grey = quality.decode_grey(preview_of(picture))
        boxes = faces.find_faces(grey)
        counts.append(len(boxes))
        held += bool(quality.failures(quality.measure(grey, boxes, 800)))
    shares = np.array(counts)
    print(f"{name:8}{np.mean(shares > 0):9.0%}{np.mean(shares > 1):16.0%}{held:11d} of {len(pictures)}")
