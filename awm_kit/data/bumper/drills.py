"""Drills: short matches that begin where a match is decided, at the table's edge or just before a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from awm_kit.data.bumper.game import ONE, TABLE_RADIUS, initial_frame
from awm_kit.data.bumper.players import Drivers, record
from awm_kit.data.bumper.schema import BUMPER, DIRECTIONS, FRAME
from awm_kit.data.replay import Replay

MOST_DAMAGE, FASTEST = 200, 3.0  # percent; units/frame: nobody drives faster, few are pushed faster

Setup = Callable[[np.ndarray, np.random.Generator], None]


def crashes(seeds: Iterable[int], n_frames: int = 120) -> list[Replay]:
    """Two carts of any damage that drive at each other from a second away or less."""
    return _drills("crash", seeds, n_frames, _crash)


def brinks(seeds: Iterable[int], n_frames: int = 200) -> list[Replay]:
    """Carts at the edge with any velocity: some fall, and return."""
    return _drills("brink", seeds, n_frames, _brink)


def _drills(name: str, seeds: Iterable[int], n_frames: int, setup: Setup) -> list[Replay]:
    numbers = [int(seed) for seed in seeds]
    starts = np.zeros(len(numbers), FRAME)
    for i, seed in enumerate(numbers):
        rng = np.random.default_rng([17, seed])
        models = int(rng.integers(2)), int(rng.integers(2))
        starts[i] = initial_frame(seed, models, stocks=int(rng.integers(1, 4)))
        players = starts[i]["players"]
        players["percent"] = BUMPER.player("percent").to_stored(rng.integers(0, MOST_DAMAGE, 2))
        players["fuel"] = rng.integers(0, 91, 2)
        players["state_age"] = rng.integers(0, 200, 2)
        setup(players, rng)
    return record(starts, Drivers(numbers), n_frames, [f"{name} {seed}" for seed in numbers])


def _crash(players: np.ndarray, rng: np.random.Generator) -> None:
    middle, gap, along = _polar(rng.uniform(0, 50), rng), rng.uniform(7, 26), rng.uniform(0, 2 * np.pi)
    for p, side in enumerate((-1, 1)):
        place = middle + side * gap / 2 * np.array([np.cos(along), np.sin(along)])
        towards = along + (np.pi if side > 0 else 0) + rng.normal(0, 0.3)
        _put(players[p], place, towards, rng.uniform(0, FASTEST), rng)


def _brink(players: np.ndarray, rng: np.random.Generator) -> None:
    at = rng.uniform(0, 2 * np.pi)
    for p in range(2):
        at += np.pi * rng.uniform(0.3, 1.7)
        reach = TABLE_RADIUS - 18 * rng.random() ** 2
        place = reach * np.array([np.cos(at), np.sin(at)])
        _put(players[p], place, at + rng.normal(0, 1.2), rng.uniform(0, FASTEST), rng)


def _put(player: np.ndarray, place: np.ndarray, way: float, speed: float, rng: np.random.Generator) -> None:
    """A cart on its way, looking there or, now and then, anywhere; never beyond the edge."""
    reach = np.hypot(*place)
    place = place * min(1.0, (TABLE_RADIUS - 0.5) / max(reach, 1.0))
    player["x"], player["y"] = np.round(place * ONE)
    player["vx"], player["vy"] = np.round(speed * ONE * np.array([np.cos(way), np.sin(way)]))
    looks = way if rng.random() < 0.7 else rng.uniform(0, 2 * np.pi)
    player["heading"] = round(looks * DIRECTIONS / (2 * np.pi)) % DIRECTIONS


def _polar(radius: float, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return radius * np.array([np.cos(angle), np.sin(angle)])
