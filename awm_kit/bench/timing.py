"""Timing of short functions."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_seconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Seconds of the fastest of ``repeats`` calls: the one that the machine disturbed least."""
    fastest = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - begun)
    return fastest
