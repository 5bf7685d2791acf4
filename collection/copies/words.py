"""Words of a picture: sampled bits of its ORB descriptors. The vocabulary needs no training; it is these few lines.

A word is `table` in the high bits and BITS sampled bits in the low ones. A picture is indexed under the words of its
strongest features only and asks with those of all, as it is and mirrored: what survives an edit is among them.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LOOKED_AT = 2000
FEATURES = 600  # kept of one picture
CELLS = 8  # a side, over which they are spread
INDEXED = 150  # the strongest, under which a picture is found
TABLES, BITS = 4, 20
SEED = 18

_samples = np.stack([np.random.default_rng([SEED, table]).permutation(256)[:BITS] for table in range(TABLES)])
_weights = 1 << np.arange(BITS)


@dataclass(frozen=True)
class Features:
    """`points` float32 (n, 2) in pixels, `descriptors` uint8 (n, 32); strongest first."""

    points: np.ndarray
    descriptors: np.ndarray


NO_FEATURES = Features(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))


def find_features(picture: np.ndarray) -> Features:
    """ORB features of a canonical picture, spread over it: a line of text has no more of them than its place."""
    orb = cv2.ORB.create(
        nfeatures=LOOKED_AT, scaleFactor=1.2, nlevels=8, edgeThreshold=16, patchSize=31, fastThreshold=5
    )
    points, descriptors = orb.detectAndCompute(picture, None)  # type: ignore[call-overload]  # its stubs want a mask
    if descriptors is None:
        return NO_FEATURES
    found = np.array([point.pt for point in points], np.float32)
    strength = np.array([point.response for point in points])
    order = _spread(found, strength, picture.shape)
    return Features(found[order], descriptors[order])


def _spread(found: np.ndarray, strength: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The first FEATURES: the strongest of each cell, then each cell's second, and so on."""
    column = (found[:, 0] * CELLS / shape[1]).astype(int)
    cell = (found[:, 1] * CELLS / shape[0]).astype(int) * CELLS + column
    order = np.lexsort((-strength, cell))
    starts = np.searchsorted(cell[order], cell[order])
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order)) - starts
    first: np.ndarray = np.lexsort((-strength, rank))[:FEATURES]
    return first


def words(features: Features) -> np.ndarray:
    """int32 (n, TABLES): a word of each feature in each table."""
    bits = np.unpackbits(features.descriptors, axis=1)
    read = (bits[:, _samples] * _weights).sum(axis=2)  # n, tables
    told: np.ndarray = (read + (np.arange(TABLES) << BITS)).astype(np.int32)
    return told


def indexed(features: Features) -> list[int]:
    """The words under which a picture is to be found, each once, in order."""
    found: list[int] = np.unique(words(features)[:INDEXED]).tolist()
    return found
