"""Long free runs of a world and what goes wrong in them: events that the game's rules exclude."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from awm_kit.data.replay import Replay
from awm_kit.data.scuffle import STAGES, Params, generate
from awm_kit.data.scuffle.matches import scripted_matches
from awm_kit.data.scuffle.state import State
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import FIGHTER, FRAME, STATUS_PLAYING

LAST_DEAD_STATE = 10
LAST_RESPAWN_STATE = 13
BLAST_MARGIN = 12.0  # units beyond a blast zone that one frame of the fastest launch may take
STUCK_FRAMES = 600
FRAMES_PER_MINUTE = 3600


@dataclass
class SoakReport:
    """Impossible events and knock-outs of free-running play.

    Attributes
    ----------
    minutes : float
        Played, both players together counting once.
    events : dict
        Kind -> frames (or runs, for ``stuck``) in which it happened.
    kos_per_minute, reference_kos_per_minute : float
        Stocks lost in the world, and in the teacher or the real games.
    """

    minutes: float
    events: dict[str, int] = field(default_factory=dict)
    kos_per_minute: float = 0.0
    reference_kos_per_minute: float = 0.0
    hits_per_minute: float = 0.0
    reference_hits_per_minute: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "minutes": round(self.minutes, 3),
            "impossible_events": self.events,
            "kos_per_minute": self.kos_per_minute,
            "reference_kos_per_minute": self.reference_kos_per_minute,
            "hits_per_minute": self.hits_per_minute,
            "reference_hits_per_minute": self.reference_hits_per_minute,
        }


def free_run(world: NativeWorld, starts: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Frames of many matches under given inputs.

    Parameters
    ----------
    starts : ndarray of FRAME, shape (n,)
    inputs : ndarray of CONTROLLER, shape (n, T, 2)
        ``inputs[:, 0]`` is unused.

    Returns
    -------
    ndarray of FRAME, shape (n, T)
    """
    n, length = inputs.shape[:2]
    states = np.zeros((n, world.state_bytes), np.uint8)
    frames = np.zeros((n, length), FRAME)
    frames[:, 0] = starts
    for t in range(1, length):
        frames[:, t] = world.step_many(states, frames[:, t - 1].copy(), np.ascontiguousarray(inputs[:, t]))
    return frames


def soak_replays(cartridge: Cartridge, replays: Sequence[Replay]) -> SoakReport:
    """Free-run whole recorded games from their first frames under their true inputs."""
    world = NativeWorld(cartridge)
    runs = [free_run(world, r.frames[:1], r.inputs[None])[0] for r in replays]
    return report(runs, [r.frames for r in replays])


def soak_scripted(
    cartridge: Cartridge, minutes: float, seed: int = 1_000_000, matches: int = 32, progress: bool = True
) -> SoakReport:
    """Let scripted players play in the world, and the same players in the teacher for comparison."""
    length = max(2, round(minutes * FRAMES_PER_MINUTE / matches))
    seeds = list(range(seed, seed + matches))
    params = Params(**cartridge.manifest.notes.get("data", {}).get("params", {}))
    starts, players = scripted_matches(seeds, params)
    world = NativeWorld(cartridge)
    states = np.zeros((matches, world.state_bytes), np.uint8)
    frames = np.zeros((matches, length), FRAME)
    frames[:, 0] = starts
    for t in tqdm(range(1, length), disable=not progress, unit="frame"):
        inputs = np.ascontiguousarray(players.act(State.from_frames(frames[:, t - 1])).to_inputs())
        frames[:, t] = world.step_many(states, frames[:, t - 1].copy(), inputs)
    runs = [_until_decided(f) for f in frames]
    return report(runs, [r.frames for r in generate(seeds, length, params)])


def _until_decided(frames: np.ndarray) -> np.ndarray:
    over = np.flatnonzero(frames["status"] != STATUS_PLAYING)
    return frames[: over[0] + 1] if len(over) else frames


def report(runs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> SoakReport:
    """Count what happened in ``runs`` and, for comparison, in ``reference``, sequences of FRAME arrays."""
    counts: dict[str, int] = {}
    for run in runs:
        for kind, n in impossible_events(run).items():
            counts[kind] = counts.get(kind, 0) + n
    minutes = sum(len(r) for r in runs) / FRAMES_PER_MINUTE
    kos, hits = _rates(runs)
    true_kos, true_hits = _rates(reference)
    return SoakReport(minutes, counts, kos, true_kos, hits, true_hits)


def _rates(runs: Sequence[np.ndarray]) -> tuple[float, float]:
    minutes = max(sum(len(r) for r in runs) / FRAMES_PER_MINUTE, 1e-9)
    kos = sum(int((np.diff(r["players"]["stocks"].astype(int), axis=0) < 0).sum()) for r in runs)
    hits = sum(int((np.diff(r["players"]["percent"].astype(int), axis=0) > 0).sum()) for r in runs)
    return kos / minutes, hits / minutes


def impossible_events(frames: np.ndarray) -> dict[str, int]:
    """Count events that no match can hold.

    Parameters
    ----------
    frames : ndarray of FRAME, shape (T,)
        Consecutive frames of one match.

    Returns
    -------
    dict
        ``stocks_rise``, ``stocks_skip``, ``percent_falls`` (without a lost stock nearby), ``outside``
        (alive beyond the blast zones), ``air_and_ground``, ``stuck`` (the same action, still unchanged,
        for ten seconds while the controller moves on).
    """
    p = frames["players"]
    stocks = np.diff(p["stocks"].astype(int), axis=0)
    percent = np.diff(p["percent"].astype(int), axis=0)
    alive = p["action_state"] > LAST_RESPAWN_STATE
    stage = STAGES.get(int(frames["stage"][0]), STAGES[31])
    x, y = FIGHTER.player("x").to_real(p["x"]), FIGHTER.player("y").to_real(p["y"])
    left, right, top, bottom = stage.blast
    beyond = (x < left - BLAST_MARGIN) | (x > right + BLAST_MARGIN) | (y < bottom - BLAST_MARGIN)
    dead_or_back = ~alive[1:] | ~alive[:-1]
    floating = (
        (p["on_ground"] == 1) & alive & ((np.abs(x) > stage.floor.right + BLAST_MARGIN) | (y < -BLAST_MARGIN))
    )
    return {
        "stocks_rise": int((stocks > 0).sum()),
        "stocks_skip": int((stocks < -1).sum()),
        "percent_falls": int(((percent < 0) & ~dead_or_back).sum()),
        "outside": int((beyond & alive).sum() + ((y > top + 100) & alive).sum()),
        "air_and_ground": int(floating.sum()),
        "stuck": int(
            (p["state_age"] == STUCK_FRAMES).sum() - (p["state_age"][alive & _waits(p)] == STUCK_FRAMES).sum()
        ),
    }


def _waits(players: np.ndarray) -> np.ndarray:
    """States in which a player may stay as long as they like: waiting, crouching, on a respawn platform."""
    return np.isin(players["action_state"], (14, 39, 40, 13))
