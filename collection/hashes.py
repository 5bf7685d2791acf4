"""Perceptual hashes of a grey picture, equal to `imagehash.phash` bit by bit. Pure; no Django.

Written here because one cosine transform gives the hash of the picture and of its mirror image, and because imagehash
brings SciPy into every worker. Lists of known harm and fingerprints from before are compared with these.
"""

import cv2
import numpy as np
from PIL import Image

SCALE = 4  # the picture is shrunk to so many pixels for each bit of a side


def phash(grey: Image.Image, side: int) -> tuple[int, int]:
    """Two unsigned numbers of `side` × `side` bits: of a picture (mode "L"), and of its mirror image."""
    small = grey.resize((side * SCALE, side * SCALE), Image.Resampling.LANCZOS)
    low: np.ndarray = cv2.dct(np.asarray(small, dtype=np.float64))[:side, :side]
    low[0] *= np.sqrt(2)  # OpenCV's transform is orthonormal, imagehash's is not
    low[:, 0] *= np.sqrt(2)
    mirrored = low.copy()
    mirrored[:, 1::2] *= -1  # what reversing the rows' order does to a cosine transform
    return _bits(low), _bits(mirrored)


def _bits(low: np.ndarray) -> int:
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")
