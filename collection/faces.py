"""Where the faces in a picture are: Haar cascades that ship inside OpenCV's package. Pure; no Django.

Boxes only: nothing here recognises or describes anybody. The detector overlooks faces, dark and turned ones more often
than others, so finding none means nothing (docs/decisions/0017).
"""

import threading
from pathlib import Path

import cv2
import numpy as np

from collection.boxes import Box

CASCADES = Path(cv2.__file__).parent / "data"
FRONTAL_SIDE = 512  # longest side of the picture in which frontal faces are looked for
PROFILE_SIDE = 256  # profiles cost four times as much a pixel
SMALLEST = 1 / 16  # of the longest side
SCALE_STEP, PROFILE_STEP = 1.15, 1.2
NEIGHBOURS = 4  # hits that must agree on a face
PROFILE_NEIGHBOURS = 6
SAME_FACE = 0.35  # shared part of the smaller box

cv2.setNumThreads(1)  # workers are processes: threads of theirs would only take turns on the same cores
_cascades = threading.local()  # a classifier holds state while it looks


def find_faces(grey: np.ndarray) -> list[Box]:
    """Every face found in a grey picture (uint8, height × width): frontal ones first, each kind the largest first."""
    found: list[Box] = []
    for box in (*_frontal(grey), *_profiles(grey)):
        if all(box.covers(known) < SAME_FACE for known in found):
            found.append(box)
    return found


def _frontal(grey: np.ndarray) -> list[Box]:
    return _look(_shrunk(grey, FRONTAL_SIDE), "haarcascade_frontalface_alt2", SCALE_STEP, NEIGHBOURS)


def _profiles(grey: np.ndarray) -> list[Box]:
    """The cascade knows faces that look left only: those that look right are found in the mirror."""
    small = _shrunk(grey, PROFILE_SIDE)
    left = _look(small, "haarcascade_profileface", PROFILE_STEP, PROFILE_NEIGHBOURS)
    right = _look(np.ascontiguousarray(small[:, ::-1]), "haarcascade_profileface", PROFILE_STEP, PROFILE_NEIGHBOURS)
    return [*left, *(Box(1 - box.x - box.w, box.y, box.w, box.h) for box in right)]


def _look(grey: np.ndarray, cascade: str, step: float, neighbours: int) -> list[Box]:
    height, width = grey.shape
    least = round(max(height, width) * SMALLEST)
    hits = _classifier(cascade).detectMultiScale(grey, step, neighbours, minSize=(least, least))
    boxes = [Box(float(x / width), float(y / height), float(w / width), float(h / height)) for x, y, w, h in hits]
    return sorted(boxes, key=lambda box: -box.w * box.h)


def _classifier(name: str) -> cv2.CascadeClassifier:
    if not hasattr(_cascades, name):
        setattr(_cascades, name, cv2.CascadeClassifier(str(CASCADES / f"{name}.xml")))
    found: cv2.CascadeClassifier = getattr(_cascades, name)
    return found


def _shrunk(grey: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(grey.shape)
    if scale >= 1:
        return grey
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
