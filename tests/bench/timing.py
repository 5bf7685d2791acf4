"""Interleaved medians: every contestant runs once per round, so that a slow moment hits all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

ROUNDS = 7


def medians(contestants: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds per call of each contestant: the median over `rounds` interleaved rounds, after one to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_number in range(rounds + 1):
        for name, work in contestants.items():
            begun = time.perf_counter()
            work()
            if round_number:
                times[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in times.items()}
