"""Timing of short functions."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


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


def machine() -> dict[str, Any]:
    """The facts that timings depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "load": round(os.getloadavg()[0], 1),
        "system": platform.system(),
    }
