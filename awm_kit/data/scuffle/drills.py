"""Drills: short matches in which one player stands still close to the other, damaged by any amount.

In ordinary matches most attacks meet a shield, a dodge or another attack. Here what a hit does is seen
plainly, from every percent.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle.game import Scuffle
from awm_kit.data.scuffle.matches import scripted_matches
from awm_kit.data.scuffle.params import Params
from awm_kit.data.scuffle.state import State
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, STATUS_PLAYING

MOST_PERCENT, NEAREST, FURTHEST = 150, 4, 30


def drills(seeds: Iterable[int], n_frames: int = 500, params: Params | None = None) -> list[Replay]:
    """One drill per seed, at most ``n_frames`` long, in the order of the seeds."""
    params, numbers = params or Params(), [int(seed) for seed in seeds]
    starts, players = scripted_matches(numbers, params)
    idle = np.zeros((len(numbers), 2), bool)
    for i, seed in enumerate(numbers):
        idle[i] = _set_up(starts[i], np.random.default_rng([11, seed]))
    frames = np.zeros((n_frames, len(numbers)), FRAME)
    inputs = np.zeros((n_frames, len(numbers), 2), CONTROLLER)
    frames[0] = starts
    game = Scuffle.from_frames(starts, params)
    for t in range(1, n_frames):
        pads = players.act(State.from_frames(frames[t - 1])).to_inputs()
        for item in FIGHTER.controller_fields:
            pads[item.name][idle] = 0
        inputs[t] = pads
        frames[t] = game.step(pads)
    over = (frames["status"] != STATUS_PLAYING).argmax(0)
    ends = [int(at) + 1 if at else n_frames for at in over]
    return [
        Replay(frames[:end, i].copy(), inputs[:end, i].copy(), f"drill {seed}")
        for i, (seed, end) in enumerate(zip(numbers, ends, strict=True))
    ]


def _set_up(start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change a start frame in place; says who stands still, bool of shape (2,)."""
    percent, x = FIGHTER.player("percent"), FIGHTER.player("x")
    start["players"]["percent"] = percent.to_stored(rng.integers(0, MOST_PERCENT, 2))
    middle, gap = rng.integers(-40, 40), rng.integers(NEAREST, FURTHEST) * rng.choice([-1, 1])
    start["players"]["x"] = x.to_stored(np.array([middle, middle + gap]))
    idle: np.ndarray = np.arange(2) == rng.integers(2)
    return idle
