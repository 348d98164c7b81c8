"""The same match in every place where a world can run: frames a second, and one hash for all."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from awm_kit.errors import VerificationError
from awm_kit.play.engines import make_engine
from awm_kit.play.headless import HOMES, play_headless
from awm_kit.quant.cartridge import Cartridge


def measure_homes(cartridge: Cartridge, frames: int = 60, seed: int = 1) -> dict[str, Any]:
    """Give the inputs of one scripted match to every engine.

    Returns
    -------
    dict
        ``frames``, ``state_hash``, and ``frames_per_second`` by engine (the players' time not counted).

    Raises
    ------
    VerificationError
        If two engines end in different states.
    """
    replay = play_headless(cartridge, "native", frames, seed).match.replay()
    rates, hashes = {}, {}
    for home in HOMES:
        rates[home], hashes[home] = _run(cartridge, home, replay.frames[0, ...], replay.inputs[1:])
    if len(set(hashes.values())) != 1:
        raise VerificationError(f"the engines disagree after {frames} frames: {hashes}")
    return {"frames": replay.n_frames - 1, "state_hash": hashes["native"], "frames_per_second": rates}


def _run(cartridge: Cartridge, home: str, start: np.ndarray, inputs: np.ndarray) -> tuple[float, str]:
    engine = make_engine(home, cartridge, start)
    begun = time.perf_counter()
    for pads in inputs:
        engine.step(pads)
    return round(len(inputs) / (time.perf_counter() - begun), 1), engine.state_hash()
