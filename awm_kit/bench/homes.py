"""The same match in every place where a world can run: frames a second, and one hash for all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awm_kit.errors import VerificationError
from awm_kit.play.engine import Engine
from awm_kit.play.engines import make_engine
from awm_kit.play.headless import HOMES, play_headless
from awm_kit.quant.cartridge import Cartridge

#: What results call an engine, where that is not its name.
_CALLED = {"chain": "sbf"}
_EVERY = 60


@dataclass
class HomeRun:
    """What one engine made of the inputs.

    Attributes
    ----------
    seconds : float
    hashes : list of str
        State hashes (hex) after every 60th frame and after each match's last one.
    """

    seconds: float = 0.0
    hashes: list[str] = field(default_factory=list)

    def play(self, engine: Engine, inputs: np.ndarray) -> None:
        """Give a match's controllers, shape (T, 2), to an engine."""
        for t, pads in enumerate(inputs, 1):
            begun = time.perf_counter()
            engine.step(pads)
            self.seconds += time.perf_counter() - begun
            if t % _EVERY == 0 or t == len(inputs):
                self.hashes.append(engine.state_hash())


def measure_homes(cartridge: Cartridge, frames: int = 60, seed: int = 1) -> dict[str, Any]:
    """Give the inputs of scripted matches to every engine; a match that is decided is followed by another.

    Returns
    -------
    dict
        ``frames``; ``matches``; ``hashes_compared``, one for every 60 frames and match; the last of them
        by home (``reference``, ``native``, ``sbf``, ``wasm``) and as ``state_hash``;
        ``frames_per_second`` by engine (the players' time not counted).

    Raises
    ------
    VerificationError
        At the first hash in which two engines differ.
    """
    runs = {home: HomeRun() for home in HOMES}
    played = matches = 0
    while played < frames:
        replay = play_headless(cartridge, "native", frames - played, seed + matches).match.replay()
        inputs = replay.inputs[1:]
        for home, run in runs.items():
            run.play(make_engine(home, cartridge, replay.frames[0, ...]), inputs)
        _compare({home: run.hashes for home, run in runs.items()})
        played, matches = played + len(inputs), matches + 1
    last = {home: run.hashes[-1] for home, run in runs.items()}
    return {
        "frames": played,
        "matches": matches,
        "hashes_compared": len(runs["native"].hashes),
        "state_hash": last["native"],
        **{_CALLED.get(home, home): last[home] for home in ("reference", "native", "chain", "wasm")},
        "frames_per_second": {home: round(played / run.seconds, 1) for home, run in runs.items()},
    }


def _compare(hashes: dict[str, list[str]]) -> None:
    for at, row in enumerate(zip(*hashes.values(), strict=True)):
        if len(set(row)) != 1:
            named = dict(zip(hashes, row, strict=True))
            raise VerificationError(f"the engines disagree at hash {at}: {named}")
