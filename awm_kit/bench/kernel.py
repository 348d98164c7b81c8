"""How fast the native kernel computes frames, backend by backend."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from awm_kit.bench.timing import best_seconds
from awm_kit.data.scuffle import initial_frame
from awm_kit.kernel import NativeWorld, available_backends
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.random_model import random_inputs


def measure_kernel(cartridge: Cartridge, frames: int = 300, repeats: int = 5) -> dict[str, Any]:
    """Microseconds a frame of one match on one thread, for every backend that this CPU has.

    Returns
    -------
    dict
        ``macs_per_frame``; ``backends``: name to ``us_per_frame``, ``frames_per_second`` and
        ``gmac_per_second`` (matrix multiply-accumulates; everything else a frame does is in the time).
    """
    inputs = random_inputs(np.random.default_rng(1), frames)
    start, macs = initial_frame(1), cartridge.manifest.macs_per_frame
    backends = {}
    for name in available_backends():
        world = NativeWorld(cartridge, name)
        seconds = best_seconds(partial(_play, world, start, inputs), repeats) / frames
        backends[name] = {
            "us_per_frame": round(1e6 * seconds, 2),
            "frames_per_second": round(1 / seconds),
            "gmac_per_second": round(macs / seconds / 1e9, 3),
        }
    return {"macs_per_frame": macs, "backends": backends}


def _play(world: NativeWorld, start: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    return world.run(world.initial_state(), start, inputs)
