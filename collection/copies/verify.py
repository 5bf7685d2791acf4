"""Do two pictures show the same photograph? A similarity transform between their features, then the pixels under it.

Lookalikes and two shots of one person share features and layout; but only of a copy do the edges agree in
nearly every cell of the overlap, once it lies on the original to within a pixel.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import cv2
import numpy as np

from collection.copies import words
from collection.copies.canonical import canonicalise, decode
from collection.copies.words import Features

MATCHED = 300  # features of the first picture, the strongest: all of them take twice as long and find no more
RATIO = 0.85  # a match must be so much nearer than the next best
REACH = 4.0  # pixels that a feature may lie off
LEAST_INLIERS = 10
PLAIN = 60  # features; a picture with fewer is a wall or a blur
SCALES = (0.3, 3.3)
MOST_TURN = 35.0  # degrees: two copies, each turned by 15
LEAST_CONTAINED = 0.7  # of the smaller picture that must lie in the other
CELLS = 10  # a side
FINE = 0.8  # pixels of blur before edges are compared
COARSE = 2.0  # pixels of blur before shifts are measured
ROUNDS = 3  # of least squares
UNKNOWN, KNOWN = [0, 1, 2, 4], 3  # gain, shift across, shift down, offset; the other picture
STILL = 1.0  # pixels that a cell may lie off
LEAST_EDGE = 2.0  # grey levels a pixel: weaker ones are noise
LEAST_PIXELS = 60  # of a cell that must be edges for it to have a say
AGREES = 0.75  # mean cosine between the edges of a cell
HOPELESS, CLEAR = 0.25, 0.9  # below and above, laying it on more exactly changes nothing
MOST_REFINED = 0.05
STRICT, LIKELY = 0.56, 0.4  # of the cells that have a say, those that agree


@dataclass(frozen=True)
class Described:
    """One picture as it is compared: canonical grey pixels and features, and those of its mirror image."""

    picture: np.ndarray
    features: Features
    mirrored: Features

    def asked(self) -> np.ndarray:
        """int32: the words with which it asks for others, as it is and mirrored; each once, in order."""
        both = [words.words(each).ravel() for each in (self.features, self.mirrored)]
        found: np.ndarray = np.unique(np.concatenate(both))
        return found


@dataclass(frozen=True)
class Verdict:
    """`score` 0..1: the part of the cells that agree. `strict`: the same photograph; else perhaps another shot."""

    score: float
    strict: bool
    mirrored: bool


def describe(preview: bytes) -> Described:
    """From the bytes of a preview. ValueError if it cannot be decoded."""
    seen = describe_candidate(preview)
    mirror = np.ascontiguousarray(seen.picture[:, ::-1])
    return Described(seen.picture, seen.features, words.find_features(mirror))


def describe_candidate(preview: bytes) -> Described:
    """The same without its mirror image, which the first of two that are compared needs alone."""
    picture = canonicalise(decode(preview))
    return Described(picture, words.find_features(picture), words.NO_FEATURES)


def compare(one: Described, other: Described) -> Verdict | None:
    """None: nothing says that they show the same."""
    best: Verdict | None = None
    for mirrored in (False, True):
        score = _compare(one, other, mirrored)
        if score >= LIKELY and (best is None or score > best.score):
            best = Verdict(score, score >= STRICT, mirrored)
        if best and best.strict:
            break
    return best


def featureless(described: Described) -> bool:
    """Too plain for `compare` to say anything: only its hashes can tell."""
    return len(described.features.points) < PLAIN


def _compare(one: Described, other: Described, mirrored: bool) -> float:
    matrix = _similarity(one.mirrored if mirrored else one.features, other.features)
    if matrix is None:
        return 0.0
    picture = np.ascontiguousarray(one.picture[:, ::-1]) if mirrored else one.picture
    return _agreement(picture, other.picture, matrix)


def _similarity(one: Features, other: Features) -> np.ndarray | None:
    """The transform (2 × 3) that lays the first on the second."""
    if min(len(one.points), len(other.points)) < LEAST_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING).knnMatch(one.descriptors[:MATCHED], other.descriptors, k=2)
    good = [pair[0] for pair in pairs if len(pair) > 1 and pair[0].distance < RATIO * pair[1].distance]
    if len(good) < LEAST_INLIERS:
        return None
    source = one.points[[match.queryIdx for match in good]]
    target = other.points[[match.trainIdx for match in good]]
    cv2.setRNGSeed(1)
    matrix, inliers = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=REACH, maxIters=2000, confidence=0.995
    )
    if matrix is None or int(inliers.sum()) < LEAST_INLIERS or not _plausible(matrix):
        return None
    kept = inliers.ravel() > 0
    full, _ = cv2.estimateAffine2D(source[kept], target[kept], method=cv2.LMEDS) if kept.sum() > 30 else (matrix, None)
    return matrix if full is None or np.abs(full[:, :2] - matrix[:, :2]).max() > 0.06 else full


def _plausible(matrix: np.ndarray) -> bool:
    size = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    turn = abs(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))))
    return SCALES[0] < size < SCALES[1] and turn < MOST_TURN


def _agreement(one: np.ndarray, other: np.ndarray, matrix: np.ndarray) -> float:
    """0..1: the part of the overlap's cells whose edges agree. 0 if too little of either lies in the other."""
    size = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if size > 1:  # compare at the scale of the coarser one
        one, other, matrix = other, one, cv2.invertAffineTransform(matrix)
    here = cv2.GaussianBlur(one, (0, 0), max(0.1, 0.4 / min(size, 1 / size) - 0.3))
    shape = other.shape[::-1]
    inside = cv2.warpAffine(np.full_like(one, 255), matrix, shape, flags=cv2.INTER_NEAREST) > 0
    laid = cv2.warpAffine(here, matrix, shape, flags=cv2.INTER_LINEAR)
    covered = float(inside.sum())
    area = one.size * abs(float(np.linalg.det(matrix[:, :2])))
    if max(covered / other.size, covered / max(area, 1.0)) < LEAST_CONTAINED:
        return 0.0
    inside = cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    score = _cells(laid, other, inside)
    if score < HOPELESS or score >= CLEAR:
        return score
    return max(score, _cells(_refine(laid, other, inside), other, inside))


def _refine(laid: np.ndarray, other: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Shift the last pixels away: ECC at half size; left as it is where that finds nothing."""
    one, two = (cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in (other, laid))
    mask = cv2.resize(inside.astype(np.uint8) * 255, one.shape[::-1], interpolation=cv2.INTER_NEAREST)
    step: np.ndarray = np.eye(2, 3, dtype=np.float32)
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 10, 1e-3)
    try:
        _, step = cv2.findTransformECC(one, two, step, cv2.MOTION_AFFINE, until, mask, 3)
    except cv2.error:
        return laid
    if np.abs(step - np.eye(2, 3))[:, :2].max() > MOST_REFINED:
        return laid
    step = step * np.array([1, 1, 2], np.float32)
    return cv2.warpAffine(
        laid,
        step,
        other.shape[::-1],
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _edges(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    soft = cv2.GaussianBlur(picture, (0, 0), FINE).astype(np.float32)
    return cv2.Scharr(soft, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(soft, cv2.CV_32F, 0, 1) / 32


def _cells(laid: np.ndarray, other: np.ndarray, inside: np.ndarray) -> float:
    """The better of both directions: a copy keeps the original's edges, and may have further ones of its own."""
    if not inside.any():
        return 0.0
    one, two = _edges(laid), _edges(other)
    own, theirs = np.hypot(*one), np.hypot(*two)
    cosine = (one[0] * two[0] + one[1] * two[1]) / (own * theirs + 1e-3)
    which = _cell_numbers(inside)
    still = _shift(laid, other, which, inside) <= STILL
    return max(
        _part_agreeing(cosine, which, inside & (edges > _floor(edges, inside)), still) for edges in (own, theirs)
    )


def _shift(laid: np.ndarray, other: np.ndarray, which: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Pixels by which each cell still lies off, whatever its brightness: least squares of
    other = gain * laid + offset + shift * slope. Where parts of a picture moved, it is another shot.
    """
    own, theirs = (cv2.GaussianBlur(each, (0, 0), COARSE).astype(np.float32) for each in (laid, other))
    across, down = cv2.Scharr(own, cv2.CV_32F, 1, 0) / 32, cv2.Scharr(own, cv2.CV_32F, 0, 1) / 32
    # Softened like this, every second pixel of every second row says it all.
    inside, which = inside[::2, ::2], which[::2, ::2]
    terms = [each[::2, ::2][inside].astype(np.float64) for each in (own, across, down, theirs)]
    terms.append(np.ones_like(terms[0]))
    cells = which[inside]
    seen = np.ones(len(cells))
    for _ in range(ROUNDS):
        solved = _solve(terms, cells, seen)
        # What was written over the picture fits worst: it has less of a say in the next round.
        missed = np.abs(terms[KNOWN] - sum(solved[cells, i] * terms[term] for i, term in enumerate(UNKNOWN)))
        usual = np.bincount(cells, weights=missed * seen, minlength=CELLS * CELLS)
        mean = usual / np.maximum(np.bincount(cells, weights=seen, minlength=CELLS * CELLS), 1.0)
        seen = 1 / (1 + (missed / (mean[cells] + 1.0)) ** 2) ** 2
    gain, right, below, _ = solved.T
    shift: np.ndarray = np.hypot(right, below) / np.maximum(np.abs(gain), 0.1)
    return shift


def _solve(terms: list[np.ndarray], cells: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """float64 (cells, 4): the coefficients of the UNKNOWN terms that give the KNOWN one, by cell."""
    products = np.zeros((CELLS * CELLS, len(terms), len(terms)))
    for one, other in combinations_with_replacement(range(len(terms)), 2):
        total = np.bincount(cells, weights=terms[one] * terms[other] * seen, minlength=CELLS * CELLS)
        products[:, one, other] = products[:, other, one] = total
    square = products[:, UNKNOWN][:, :, UNKNOWN] + np.diag([1.0, 1.0, 1.0, 1e-3])
    solved: np.ndarray = np.linalg.solve(square, products[:, UNKNOWN, KNOWN][:, :, None])[:, :, 0]
    return solved


def _cell_numbers(inside: np.ndarray) -> np.ndarray:
    """For each pixel the number of its cell in a grid over what is `inside`."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    down = (np.arange(inside.shape[0]) - rows[0]) * CELLS // (rows[-1] + 1 - rows[0])
    across = (np.arange(inside.shape[1]) - columns[0]) * CELLS // (columns[-1] + 1 - columns[0])
    numbers: np.ndarray = down[:, None] * CELLS + across[None, :]
    return numbers


def _part_agreeing(cosine: np.ndarray, which: np.ndarray, strong: np.ndarray, still: np.ndarray) -> float:
    count = np.bincount(which[strong], minlength=CELLS * CELLS)
    total = np.bincount(which[strong], weights=cosine[strong], minlength=CELLS * CELLS)
    say = count >= LEAST_PIXELS
    if say.sum() < CELLS:
        return 0.0
    return float(((total[say] / count[say] >= AGREES) & still[say]).mean())


def _floor(strength: np.ndarray, inside: np.ndarray) -> float:
    """Contrast may have been changed: a picture's edges are judged against its own."""
    return max(LEAST_EDGE, float(np.quantile(strength[inside], 0.75)) * 0.5)
