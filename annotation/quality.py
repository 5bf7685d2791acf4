"""How far annotators agree, and what they say together. Pure functions on plain values."""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

Ratings = Sequence[Sequence[Any]]  # observers × units, None where an observer said nothing
Frequencies = Mapping[Any, float]  # how often each value was given, in ascending order of values


def krippendorff_alpha(ratings: Ratings, level: str) -> float | None:
    """Krippendorff's alpha of `ratings` (observers × units, None for missing).

    `level` is nominal, ordinal, interval or ratio. None when nothing can be compared: no unit has two values, or all
    values are the same. Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    if level not in DISTANCES:
        raise ValueError(f"level must be one of {', '.join(DISTANCES)}, not {level!r}")
    units = (Counter(value for value in unit if value is not None) for unit in zip(*ratings, strict=True))
    return alpha_of_units(((unit, 1) for unit in units), level)


def alpha_of_units(units: Iterable[tuple[Counter[Any], int]], level: str) -> float | None:
    """Krippendorff's alpha of kinds of units: how often each value was given in one, and how many units are like it."""
    paired = [(unit, times) for unit, times in units if unit.total() > 1]
    frequencies = _frequencies(paired, level)
    distance = _table(frequencies, level)
    expected = _disagreement(frequencies, distance)
    if not expected:
        return None
    observed = sum(times * _disagreement(unit, distance) / (unit.total() - 1) for unit, times in paired)
    return 1 - (sum(frequencies.values()) - 1) * observed / expected


def _frequencies(units: Iterable[tuple[Counter[Any], int]], level: str) -> dict[Any, float]:
    """How often each value was given in all units, in the order of values where they have one."""
    total: Counter[Any] = Counter()
    for unit, times in units:
        total.update({value: count * times for value, count in unit.items()})
    return {value: float(total[value]) for value in (total if level == "nominal" else sorted(total))}


def _table(frequencies: Frequencies, level: str) -> dict[frozenset[Any], float]:
    """The squared distance of every two different values."""
    return {frozenset(pair): DISTANCES[level](*pair, frequencies) for pair in combinations(frequencies, 2)}


def _disagreement(counts: Mapping[Any, float], distance: Mapping[frozenset[Any], float]) -> float:
    """Distances summed over all ordered pairs of values."""
    return 2 * sum(counts[a] * counts[b] * distance[frozenset((a, b))] for a, b in combinations(counts, 2))


def _nominal(a: Any, b: Any, frequencies: Frequencies) -> float:
    return 1.0


def _ordinal(a: Any, b: Any, frequencies: Frequencies) -> float:
    between = sum(count for value, count in frequencies.items() if a <= value <= b)
    return float(between - (frequencies[a] + frequencies[b]) / 2) ** 2


def _interval(a: Any, b: Any, frequencies: Frequencies) -> float:
    return float(a - b) ** 2


def _ratio(a: Any, b: Any, frequencies: Frequencies) -> float:
    return (float(a - b) / float(a + b)) ** 2 if a + b else 0.0


DISTANCES: dict[str, Callable[[Any, Any, Frequencies], float]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
    "ratio": _ratio,
}


# --- What several annotators say together --------------------------------------------------------

CHANGE = 1e-10  # in any posterior: EM has converged
MOST_ROUNDS = 10_000


@dataclass(frozen=True)
class DawidSkene:
    """Maximum-likelihood estimates of how common each label is, how each observer errs, and what each unit is.

    `error_rates[observer][true][given]` is 0 for every `given` where nothing is known: the observer met no unit that
    may be `true`.
    """

    prior: dict[Any, float]
    error_rates: dict[Any, dict[Any, dict[Any, float]]]
    posterior: dict[Any, dict[Any, float]]
    rounds: int


def dawid_skene(rows: Iterable[tuple[Hashable, Hashable, Hashable]]) -> DawidSkene:
    """What `rows` of (unit, observer, label) say together; an observer may rate a unit more than once.

    Plain EM from the share of each label in a unit, without smoothing; ValueError if it does not settle.
    Source: A. P. Dawid and A. M. Skene, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm,
    Applied Statistics 28 (1979), 20-28.
    """
    columns = list(zip(*rows, strict=True))
    if not columns:
        return DawidSkene(prior={}, error_rates={}, posterior={}, rounds=0)
    (units, unit), (observers, observer), (labels, label) = (_numbered(column) for column in columns)
    posterior = np.zeros((len(units), len(labels)))
    np.add.at(posterior, (unit, label), 1.0)
    posterior /= posterior.sum(axis=1, keepdims=True)
    for rounds in range(1, MOST_ROUNDS + 1):  # noqa: B007  # told in the result
        prior, rates = _most_likely(posterior, unit, observer, label, (len(observers), len(labels), len(labels)))
        before, posterior = posterior, _posterior(prior, rates, unit, observer, label, posterior.shape)
        if np.abs(posterior - before).max() < CHANGE:
            break
    else:
        raise ValueError(f"the estimates still move after {MOST_ROUNDS} rounds")
    return DawidSkene(
        prior=_named(labels, prior),
        error_rates={
            who: {true: _named(labels, row) for true, row in zip(labels, rates[k], strict=True)}
            for k, who in enumerate(observers)
        },
        posterior={what: _named(labels, posterior[i]) for i, what in enumerate(units)},
        rounds=rounds,
    )


def _numbered(column: Sequence[Hashable]) -> tuple[list[Hashable], np.ndarray]:
    """The different values in order of appearance, and the column as numbers of them."""
    numbers = {value: number for number, value in enumerate(dict.fromkeys(column))}
    return list(numbers), np.array([numbers[value] for value in column], dtype=np.intp)


def _named(labels: Sequence[Hashable], values: np.ndarray) -> dict[Any, float]:
    return dict(zip(labels, values.tolist(), strict=True))


def _most_likely(
    posterior: np.ndarray, unit: np.ndarray, observer: np.ndarray, label: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The M step (their equations 2.3 and 2.4): prior (labels) and error rates (observers × true × given)."""
    given = np.zeros((shape[0], shape[2], shape[1]))
    np.add.at(given, (observer, label), posterior[unit])
    rates = given.transpose(0, 2, 1)
    total = rates.sum(axis=2, keepdims=True)
    return posterior.mean(axis=0), np.divide(rates, total, out=np.zeros(shape), where=total > 0)


def _posterior(
    prior: np.ndarray,
    rates: np.ndarray,
    unit: np.ndarray,
    observer: np.ndarray,
    label: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """The E step (their equation 2.5), in logarithms: a unit may have many ratings."""
    with np.errstate(divide="ignore"):  # the logarithm of nothing is minus infinity, which is what is meant
        weight = np.tile(np.log(prior), (shape[0], 1))
        np.add.at(weight, unit, np.log(rates[observer, :, label]))
    likely = np.exp(weight - weight.max(axis=1, keepdims=True))
    found: np.ndarray = likely / likely.sum(axis=1, keepdims=True)
    return found


# --- How sure alpha is ---------------------------------------------------------------------------

DRAWS = 500
MIDDLE_95 = (2.5, 97.5)


def alpha_interval(ratings: Ratings, level: str, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """The 95 % percentile interval of `krippendorff_alpha` when units are drawn again, with replacement.

    None when alpha itself is not defined. The same seed gives the same interval. A draw without variation is left out.
    """
    units = [Counter(value for value in unit if value is not None) for unit in zip(*ratings, strict=True)]
    paired = [unit for unit in units if unit.total() > 1]
    values = list(_frequencies(((unit, 1) for unit in paired), level))
    if len(values) < 2:
        return None
    counts = np.array([[unit[value] for value in values] for unit in paired], dtype=float)
    weight = 1 / (counts.sum(axis=1) - 1)
    generator = np.random.default_rng(seed)
    alphas = []
    for _ in range(draws):
        drawn = np.bincount(generator.integers(len(paired), size=len(paired)), minlength=len(paired))
        total = drawn @ counts
        distance = _distances(values, total, level)
        expected = total @ distance @ total
        if expected:
            observed = np.sum((counts.T * (drawn * weight)) @ counts * distance)
            alphas.append(1 - (total.sum() - 1) * observed / expected)
    if not alphas:
        return None
    low, high = np.percentile(alphas, MIDDLE_95)
    return float(low), float(high)


def _distances(values: Sequence[Any], total: np.ndarray, level: str) -> np.ndarray:
    """Values × values: their squared distances, nought on the diagonal."""
    frequencies = dict(zip(values, total.tolist(), strict=True))
    square = np.zeros((len(values), len(values)))
    for (i, a), (j, b) in combinations(enumerate(values), 2):
        square[i, j] = square[j, i] = DISTANCES[level](a, b, frequencies)
    return square


# --- Whether two answers say the same ------------------------------------------------------------

ONE_STEP = 1  # two ratings next to each other are a matter of taste
SAME_BOX = 0.5  # intersection over union: what PASCAL VOC counts as found
SAME_POINT = 5.0  # percent of the photograph's side


def box_overlap(a: Sequence[Any], b: Sequence[Any]) -> float:
    """Intersection over union of two boxes [x, y, width, height]: 0 to 1."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    # Divided as it came: what is more than nought as Decimal may be nought as float.
    return float(shared / (a[2] * a[3] + b[2] * b[3] - shared))


def is_same(kind: str, a: Any, b: Any) -> bool:
    """Whether two answers to a control of this kind ("rating", "choices", "box", "point") say the same."""
    return SAME[kind](a, b)


SAME: dict[str, Callable[[Any, Any], bool]] = {
    "rating": lambda a, b: bool(abs(a - b) <= ONE_STEP),
    "choices": lambda a, b: bool(a == b),
    "box": lambda a, b: box_overlap(a, b) >= SAME_BOX,
    "point": lambda a, b: math.dist(a, b) <= SAME_POINT,
}
