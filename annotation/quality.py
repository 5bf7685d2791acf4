"""How far annotators agree. Pure functions on plain values."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

Ratings = Sequence[Sequence[Any]]  # observers × units, None where an observer said nothing
Frequencies = Mapping[Any, float]  # how often each value was given, in ascending order of values


def krippendorff_alpha(ratings: Ratings, level: str) -> float | None:
    """Krippendorff's alpha of `ratings` (observers × units, None for missing).

    `level` is nominal, ordinal, interval or ratio. None when nothing can be compared: no unit has two values, or all
    values are the same. Source: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011).
    """
    if level not in DISTANCES:
        raise ValueError(f"level must be one of {', '.join(DISTANCES)}, not {level!r}")
    units = [Counter(value for value in unit if value is not None) for unit in zip(*ratings, strict=True)]
    paired = [unit for unit in units if unit.total() > 1]
    frequencies = _frequencies(paired, ordered=level != "nominal")
    distance = _table(frequencies, level)
    expected = _disagreement(frequencies, distance)
    if not expected:
        return None
    observed = sum(_disagreement(unit, distance) / (unit.total() - 1) for unit in paired)
    return 1 - (sum(frequencies.values()) - 1) * observed / expected


def _frequencies(units: Sequence[Counter[Any]], *, ordered: bool) -> dict[Any, float]:
    total: Counter[Any] = sum(units, Counter())
    return {value: float(total[value]) for value in (sorted(total) if ordered else total)}


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
