"""Is a photograph good enough to label? Measured on the preview, on the face where one was found. Pure; no Django.

Nothing here judges how bright a face is: under the same good light one person's face has ten times the luma of
another's. What is judged is clipping of the whole picture, and contrast on the face *relative* to its own brightness,
which light makes and skin does not (docs/decisions/0017). Only two verdicts are final, and neither looks at a face:
nothing in the whole picture is lit, or nothing in it is darker than paper. The rest asks a person.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from collection.boxes import Box

# --- Thresholds, each with its reason ---------------------------------------------------------------

MIN_SIDE = 640  # pixels of the shorter side: what labelling and training need
UNLIT = 48.0  # luma of the brightest 0.5 %: eyes, teeth, cloth and shine of any skin lie far above it in any light
WASHED_OUT = 200.0  # luma of the darkest 1 %: pupils, hair and shadows lie far below it
BLACK, WHITE = 6, 250  # luma at which a sensor says nothing any more
CLIPPED = 0.7  # of the picture: studio walls may be all black or all white, so only without contrast in the middle
BRIGHT_SURROUND = 170.0  # median luma around the face: a window, the sky
CRUSHED = 70.0  # luma of the brightest 5 % of the face; alone it says nothing, with a flat face and a bright surround
SILHOUETTE = 0.22  # relative contrast; portraits in good light have 0.35 and more in every tone
FLAT = 0.12  # relative contrast of a face in fog, behind dirty glass, or burnt out
BLUR = 0.62  # 0 is sharp, 1 is blurred
GLARE = 8.0  # luma that lens and sensor add to black; keeps noise from counting as contrast

FACE_SIDE = 160  # pixels at which the face is judged for blur, so that all faces are judged alike
WHOLE_SIDE = 512
TILES = 4  # without a face the sharpest of 4 × 4 tiles counts: a blurred background is no fault
MIDDLE = Box(0.3, 0.2, 0.4, 0.5)  # where a portrait's face is when none was found
INNER = 0.15  # cut off each side of a face's box, which holds hair and wall too
BLUR_KERNEL = 11


@dataclass(frozen=True)
class Measures:
    """What was measured: luma 0..255, shares and contrasts 0..1. `face` says whether the middle was a face."""

    shorter_side: int
    highlight: float
    shadow: float
    black_share: float
    white_share: float
    surround: float
    face: bool
    face_highlight: float
    face_contrast: float
    blur: float


@dataclass(frozen=True)
class Failure:
    """`reason` is a code of collection.reasons; not `final`: a person decides."""

    reason: str
    final: bool
    detail: str


def decode_grey(jpeg: bytes) -> np.ndarray:
    """The preview as a grey picture (uint8, height × width)."""
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ValueError("the preview cannot be decoded")
    return grey


def measure(grey: np.ndarray, faces: list[Box], shorter_side: int) -> Measures:
    """Measure a preview. `shorter_side` is that of the full-size copy, in pixels."""
    box = max(faces, key=lambda face: face.w * face.h) if faces else MIDDLE
    face = _cut(grey, box, INNER if faces else 0)
    low, high = _percentiles(_shares(face), (0.05, 0.95))
    shares = _shares(grey)
    shadow, highlight = _percentiles(shares, (0.01, 0.995))
    return Measures(
        shorter_side=shorter_side,
        highlight=highlight,
        shadow=shadow,
        black_share=float(shares[BLACK]),
        white_share=float(1 - shares[WHITE - 1]),
        surround=_surround(grey, box),
        face=bool(faces),
        face_highlight=high,
        face_contrast=(high - low) / (high + low + GLARE),
        blur=_face_blur(grey, box) if faces else _whole_blur(grey),
    )


def failures(found: Measures) -> list[Failure]:
    """What is wrong, the gravest first: final verdicts before those that a person decides."""
    judged = (_size(found), _darkness(found), _brightness(found), _backlight(found), _flatness(found), _blur(found))
    return sorted((failure for failure in judged if failure), key=lambda failure: not failure.final)


# --- Verdicts ----------------------------------------------------------------------------------------


def _size(found: Measures) -> Failure | None:
    if found.shorter_side >= MIN_SIDE:
        return None
    return Failure("too_small", True, f"the shorter side has {found.shorter_side} pixels")


def _darkness(found: Measures) -> Failure | None:
    if found.highlight < UNLIT:
        return Failure("too_dark", True, f"the brightest half percent has luma {found.highlight:.0f}")
    if found.black_share > CLIPPED and found.face_contrast < SILHOUETTE:
        return Failure("too_dark", False, f"{found.black_share:.0%} is black")
    return None


def _brightness(found: Measures) -> Failure | None:
    if found.shadow > WASHED_OUT:
        return Failure("too_bright", True, f"the darkest percent has luma {found.shadow:.0f}")
    if found.white_share > CLIPPED and found.face_contrast < SILHOUETTE:
        return Failure("too_bright", False, f"{found.white_share:.0%} is white")
    return None


def _backlight(found: Measures) -> Failure | None:
    dark_and_flat = found.face_highlight < CRUSHED and found.face_contrast < SILHOUETTE
    if not dark_and_flat or found.surround < BRIGHT_SURROUND:
        return None
    return Failure("backlit", False, f"contrast {found.face_contrast:.2f} before luma {found.surround:.0f}")


def _flatness(found: Measures) -> Failure | None:
    if not found.face or found.face_contrast >= FLAT:
        return None
    return Failure("flat_face", False, f"contrast on the face {found.face_contrast:.2f}")


def _blur(found: Measures) -> Failure | None:
    if found.blur <= BLUR:
        return None
    return Failure("blurred", False, f"{found.blur:.2f} of 1")


# --- Measuring ---------------------------------------------------------------------------------------


def _cut(grey: np.ndarray, box: Box, margin: float) -> np.ndarray:
    height, width = grey.shape
    left, right = (box.x + box.w * part for part in (margin, 1 - margin))
    top, bottom = (box.y + box.h * part for part in (margin, 1 - margin))
    cut = grey[int(top * height) : max(int(bottom * height), 1), int(left * width) : max(int(right * width), 1)]
    return cut if cut.size else grey


def _shares(grey: np.ndarray) -> np.ndarray:
    """For each luma, the share of pixels that are at most so bright: 256 numbers from one look at the picture."""
    counts = cv2.calcHist([np.ascontiguousarray(grey)], [0], None, [256], [0, 256]).ravel()
    return np.cumsum(counts) / grey.size


def _percentiles(shares: np.ndarray, parts: tuple[float, float]) -> tuple[float, float]:
    low, high = (int(np.searchsorted(shares, part)) for part in parts)
    return float(low), float(min(high, 255))


def _surround(grey: np.ndarray, box: Box) -> float:
    """Median luma of the upper part of the picture without the face and what is below it (the body)."""
    height, width = grey.shape
    left, right, bottom = int(box.x * width), int((box.x + box.w) * width), int((box.y + box.h) * height)
    beside = np.concatenate((grey[:bottom, : max(left, 1)].ravel(), grey[:bottom, right:].ravel()))
    return _percentiles(_shares(beside if beside.size else grey), (0.5, 0.5))[0]


def _face_blur(grey: np.ndarray, box: Box) -> float:
    face = _cut(grey, box, 0)
    scale = min(1.0, FACE_SIDE / max(face.shape))
    return blur_effect(cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))


def _whole_blur(grey: np.ndarray) -> float:
    scale = min(1.0, WHOLE_SIDE / max(grey.shape))
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    tiles = [tile for row in np.array_split(small, TILES, axis=0) for tile in np.array_split(row, TILES, axis=1)]
    detail = [float(np.abs(np.diff(cv2.blur(tile, (3, 3)).astype(np.int16), axis=1)).mean()) for tile in tiles]
    # In a tile without detail only the sensor's noise is left, and noise is sharp.
    return min(blur_effect(tile) for tile, much in zip(tiles, detail, strict=True) if much >= max(detail) / 2)


def blur_effect(grey: np.ndarray) -> float:
    """How much less neighbouring pixels vary once the picture is blurred: little in one that was blurred before.

    F. Crete et al., "The blur effect: perception and estimation with a new no-reference perceptual blur metric"
    (2007). It does not depend on contrast, so neither on skin nor on light. A uniform picture counts as 0.
    """
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (3, 3), 0)  # noise would count as sharpness
    return max(_blur_along(smooth, axis) for axis in (0, 1))


def _blur_along(grey: np.ndarray, axis: int) -> float:
    size = (1, BLUR_KERNEL) if axis == 0 else (BLUR_KERNEL, 1)
    before = _steps(grey, axis)
    lost = cv2.subtract(before, _steps(cv2.blur(grey, size), axis))
    total = float(before.sum())
    return 1 - float(np.maximum(lost, 0).sum()) / total if total > before.size * 0.05 else 0.0


def _steps(grey: np.ndarray, axis: int) -> np.ndarray:
    """How much each pixel differs from its neighbour."""
    return cv2.absdiff(grey[1:], grey[:-1]) if axis == 0 else cv2.absdiff(grey[:, 1:], grey[:, :-1])
