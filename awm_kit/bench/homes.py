"""The same match in every place where a world can run: frames a second, and one hash for all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from awm_kit.errors import VerificationError
from awm_kit.play.engine import Engine
from awm_kit.play.engines import make_engine
from awm_kit.play.headless import play_headless
from awm_kit.quant.cartridge import Cartridge

#: Engines that need no server; the rollup's program is the chain's.
HOMES = ("native", "chain", "wasm", "reference")
#: What results call an engine, where that is not its name.
_CALLED = {"chain": "sbf"}
_EVERY = 60
_LOG = logging.getLogger(__name__)


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
    makers = {home: partial(make_engine, home, cartridge) for home in HOMES}
    runs, matches = play_everywhere(cartridge, makers, frames, seed)
    last = {home: run.hashes[-1] for home, run in runs.items()}
    return {
        "frames": frames,
        "matches": matches,
        "hashes_compared": len(runs["native"].hashes),
        "state_hash": last["native"],
        **{_CALLED.get(home, home): last[home] for home in ("reference", "native", "chain", "wasm")},
        "frames_per_second": {home: round(frames / run.seconds, 1) for home, run in runs.items()},
    }


def play_everywhere(
    cartridge: Cartridge, makers: Mapping[str, Callable[[np.ndarray], Engine]], frames: int, seed: int = 1
) -> tuple[dict[str, HomeRun], int]:
    """Play scripted matches, ``frames`` frames together, on engines made from a start frame.

    Returns
    -------
    runs : dict of HomeRun, by engine
    matches : int

    Raises
    ------
    VerificationError
        At the first hash in which two engines differ.
    """
    runs = {name: HomeRun() for name in makers}
    played = matches = 0
    while played < frames:
        replay = play_headless(cartridge, "native", frames - played, seed + matches).match.replay()
        inputs = replay.inputs[1:]
        for name, make in makers.items():
            _LOG.info(f"match {matches + 1}: {len(inputs):,} frames on {name}")
            runs[name].play(make(replay.frames[0, ...]), inputs)
        _compare({name: run.hashes for name, run in runs.items()})
        played, matches = played + len(inputs), matches + 1
    return runs, matches


def _compare(hashes: dict[str, list[str]]) -> None:
    for at, row in enumerate(zip(*hashes.values(), strict=True)):
        if len(set(row)) != 1:
            named = dict(zip(hashes, row, strict=True))
            raise VerificationError(f"the engines disagree at hash {at}: {named}")
