"""Scripted drivers, and the recordings that a world learns from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from awm_kit.data.bumper.game import COS, ONE, SIN, TABLE_RADIUS, initial_frame, step
from awm_kit.data.bumper.schema import CONTROLLER, DIRECTIONS, FRAME
from awm_kit.data.replay import Replay
from awm_kit.schema import STATUS_PLAYING, Button

DRIVERS = ("hunter", "dodger", "random")


class Drivers:
    """Both drivers of many matches, each fixed by its match's seed.

    A hunter steers at the other cart and boosts when it looks at it; a dodger circles and brakes at the
    edge; a random one holds whatever it last drew.
    """

    def __init__(self, seeds: Iterable[int]) -> None:
        self.rngs = [np.random.default_rng([7, seed]) for seed in seeds]
        self.styles = np.array([[r.integers(len(DRIVERS)) for _ in range(2)] for r in self.rngs])
        self.held = np.zeros((len(self.rngs), 2), CONTROLLER)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Controllers for frames of shape (n,): CONTROLLER of shape (n, 2)."""
        draws = np.stack([r.random((2, 4)) for r in self.rngs])
        think = draws[..., 0] < 0.25  # a decision every fourth frame or so, each driver in its own time
        chosen = self._choose(frames, draws)
        for name in ("stick_x", "buttons"):
            self.held[name] = np.where(think, chosen[name], self.held[name])
        return self.held.copy()

    def _choose(self, frames: np.ndarray, draws: np.ndarray) -> np.ndarray:
        p = frames["players"]
        x, y = p["x"].astype(np.float64) / ONE, p["y"].astype(np.float64) / ONE
        edge = np.hypot(x, y) > TABLE_RADIUS - 16
        to_x, to_y = x[:, ::-1] - x, y[:, ::-1] - y
        hunts = (self.styles == 0) & ~edge
        aim_x, aim_y = np.where(hunts, to_x, -x - y / 2), np.where(hunts, to_y, -y + x / 2)
        wanted = np.arctan2(aim_y, aim_x) * DIRECTIONS / (2 * np.pi)
        off = (wanted - p["heading"] + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2
        inputs = np.zeros(p.shape, CONTROLLER)
        noise = (draws[..., 1] - 0.5) * 6
        inputs["stick_x"] = np.clip(-20 * (off + noise), -80, 80).astype(np.int8)
        speed = np.hypot(p["vx"], p["vy"]) / ONE
        facing = (COS[p["heading"]] * x + SIN[p["heading"]] * y) / ONE
        boost = (np.abs(off) < 3) & (draws[..., 2] < 0.6) & hunts
        brake = edge & (facing > 0) & (speed > 0.3)
        gas = draws[..., 3] < 0.9
        inputs["buttons"] = np.where(
            brake, Button.B, np.where(gas, Button.A, 0) | np.where(boost, Button.X, 0)
        )
        wild = self.styles == 2
        inputs["stick_x"] = np.where(wild, np.round((draws[..., 1] - 0.5) * 160), inputs["stick_x"])
        any_ = np.where(draws[..., 2] < 0.7, Button.A, Button.B) | np.where(draws[..., 3] < 0.15, Button.X, 0)
        inputs["buttons"] = np.where(wild, any_, inputs["buttons"])
        return inputs


def scripted_matches(seeds: Iterable[int]) -> tuple[np.ndarray, Drivers]:
    """Start frames, FRAME of shape (n,), and drivers of the matches that seeds stand for."""
    numbers = [int(seed) for seed in seeds]
    starts = np.zeros(len(numbers), FRAME)
    for i, seed in enumerate(numbers):
        starts[i] = initial_frame(seed, (seed % 2, seed // 2 % 2))
    return starts, Drivers(numbers)


def generate(seeds: Iterable[int], n_frames: int) -> list[Replay]:
    """One scripted match per seed, at most ``n_frames`` long, in the order of the seeds."""
    numbers = [int(s) for s in seeds]
    starts, drivers = scripted_matches(numbers)
    return record(starts, drivers, n_frames, [f"bumper {seed}" for seed in numbers])


def record(starts: np.ndarray, drivers: Drivers, n_frames: int, names: Sequence[str]) -> list[Replay]:
    """Let drivers play from ``starts``, FRAME of shape (n,), for ``n_frames`` or until a match is over."""
    frames = np.zeros((n_frames, len(starts)), FRAME)
    inputs = np.zeros((n_frames, len(starts), 2), CONTROLLER)
    frames[0] = starts
    for t in range(1, n_frames):
        inputs[t] = drivers.act(frames[t - 1])
        frames[t] = step(frames[t - 1], inputs[t])
    replays = []
    for i, name in enumerate(names):
        over = np.flatnonzero(frames["status"][:, i] != STATUS_PLAYING)
        end = int(over[0]) + 1 if len(over) else n_frames
        meta = {"teacher": "bumper", "drivers": [DRIVERS[k] for k in drivers.styles[i]]}
        replays.append(Replay(frames[:end, i].copy(), inputs[:end, i].copy(), name, meta))
    return replays
