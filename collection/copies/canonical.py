"""The photograph inside a picture: borders, the corners that a rotation leaves and a screen around it are cut away."""

import cv2
import numpy as np

SIDE = 512  # longest, of the canonical grey picture
SEARCH_SIDE = 256  # at which the surround is looked for
TOLERANCE = 14  # grey levels that a surround may vary by
UNIFORM = 0.6  # of the rim must be of one colour, or it is no surround
LEAST_AREA = 0.12  # of the picture that a photograph inside it covers
LEAST_FILL = 0.93  # of its rectangle that it fills; what stands before a plain wall is no rectangle
INSET = 0.006  # of the side, cut further: resampled rims are neither photograph nor surround
ROUNDS = 2  # a border inside a screenshot

Picture = np.ndarray  # uint8, grey


def decode(preview: bytes) -> Picture:
    """Grey pixels of a JPEG. ValueError if it is none."""
    picture = cv2.imdecode(np.frombuffer(preview, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("the preview cannot be decoded")
    return picture


def canonicalise(picture: Picture) -> Picture:
    """Cut the surround, turn upright, and scale the longest side to SIDE."""
    for _ in range(ROUNDS):
        inner = _inside(picture)
        if inner is None:
            break
        picture = inner
    return scale(picture)


def scale(picture: Picture) -> Picture:
    """The whole picture at SIDE."""
    return _scaled(picture, SIDE / max(picture.shape))


def _scaled(picture: Picture, factor: float) -> Picture:
    height, width = picture.shape
    size = (max(16, round(width * factor)), max(16, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(picture, size, interpolation=how)


def _inside(picture: Picture) -> Picture | None:
    factor = min(1.0, SEARCH_SIDE / max(picture.shape))
    small = _scaled(picture, factor)
    rim = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    level = int(np.median(rim))
    if (np.abs(rim.astype(np.int16) - level) <= TOLERANCE).mean() < UNIFORM:
        return None
    rectangle = _rectangle(cv2.absdiff(small, np.full_like(small, level)) > TOLERANCE)
    return None if rectangle is None else _cut(picture, rectangle, picture.shape[1] / small.shape[1])


def _rectangle(mask: np.ndarray) -> tuple | None:
    """(centre, size, angle) of the largest thing in `mask`, if it is a rectangle."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    area, whole = cv2.contourArea(hull), mask.shape[0] * mask.shape[1]
    left, top, width, height = cv2.boundingRect(hull)
    centre, size, angle = cv2.minAreaRect(hull)
    if area < LEAST_AREA * whole or area < LEAST_FILL * size[0] * size[1]:
        return None
    if area >= LEAST_FILL * (width - 1) * (height - 1):  # upright as it is
        if width * height >= 0.985 * whole:
            return None
        return (left + (width - 1) / 2, top + (height - 1) / 2), (width, height), 0.0
    if angle > 45:
        size, angle = (size[1], size[0]), angle - 90
    return centre, size, angle


def _cut(picture: Picture, rectangle: tuple, factor: float) -> Picture:
    (x, y), (width, height), angle = rectangle
    width, height = width * factor, height * factor
    inset = INSET * max(width, height) + factor / 2
    width, height = round(width - 2 * inset), round(height - 2 * inset)
    matrix: np.ndarray = cv2.getRotationMatrix2D(((x + 0.5) * factor, (y + 0.5) * factor), angle, 1.0)
    matrix[:, 2] += np.array((width / 2 - (x + 0.5) * factor, height / 2 - (y + 0.5) * factor))
    return cv2.warpAffine(picture, matrix, (max(16, width), max(16, height)), flags=cv2.INTER_LINEAR)
