"""Timing of short functions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of ``repeats`` calls: the one that the machine disturbed least."""
    fastest = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - begun)
    return fastest


def alternate(
    runs: Mapping[str, Callable[[], object]], rounds: int = 12, turn: float = 0.004
) -> dict[str, float]:
    """Seconds of one call of each, measured in turns, so that a busy minute of the machine meets all alike.

    A turn is one call that brings the caches back, then as many as fill ``turn`` seconds; the fastest of
    ``rounds`` turns counts.
    """
    best = {}
    for name, run in runs.items():
        best[name] = best_seconds(run, 3)
    for _ in range(rounds):
        for name, run in runs.items():
            calls = max(1, int(turn / best[name]))
            run()
            begun = time.perf_counter()
            for _ in range(calls):
                run()
            best[name] = min(best[name], (time.perf_counter() - begun) / calls)
    return best
