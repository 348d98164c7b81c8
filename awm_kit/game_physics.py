"""What recorded games show of characters' physics: the constants that all jumps, falls and runs repeat.

Nobody does experiments in a real game, yet what physics fixes recurs to the last bit whoever plays: the value
seen most often is taken for it. How far a blow sends or a run slides depends on more, and has no one figure.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from awm_kit.data.replay import Replay, check_games
from awm_kit.schema import FIGHTER, N_PLAYERS

FEWEST_FRAMES = 3600  # of a character in all games, without which nothing is said of it
FEWEST_SEEN = 10  # times that a value must recur

RUN, SQUAT, JUMPS, DOUBLE_JUMPS = 21, 24, (25, 26), (27, 28)
# States of jumping and falling in which only gravity and the stick act, and of attacks that leave it so.
LOOSE, AERIALS = range(25, 35), range(65, 70)
FULL_STICK = 80

_SPEED, _HEIGHT = FIGHTER.player("speed_y"), FIGHTER.player("y")


def measure_games(games: Sequence[Replay]) -> dict[int, dict[str, float]]:
    """Physics of each character that is seen enough, the most played one first.

    Parameters
    ----------
    games : sequence of Replay
        Of the schema `FIGHTER`; who changes character within a game is left out.

    Returns
    -------
    dict
        Character -> name of a probe of `awm_kit.probe.PROBES` -> its value in the games, in the probe's unit.

    Raises
    ------
    ValueError
        If no character is seen enough.
    ReplayUnsupportedError
        If the games are of another schema.
    """
    check_games(FIGHTER, games)
    seen: dict[int, list[dict[str, np.ndarray]]] = defaultdict(list)
    frames: Counter[int] = Counter()
    for game in games:
        for player in range(N_PLAYERS):
            track = game.frames["players"][:, player]
            character = int(track["character"][0])
            if (track["character"] == character).all():
                seen[character].append(_samples(track, game.inputs["stick_x"][:, player]))
                frames[character] += len(track)
    played = [character for character, n in frames.most_common() if n >= FEWEST_FRAMES]
    measured = {character: _constants(seen[character]) for character in played}
    if not any(measured.values()):
        raise ValueError(
            f"expected games that show a character for {FEWEST_FRAMES} frames "
            f"(got {len(games)} of at most {max(frames.values(), default=0)})"
        )
    return measured


def _samples(track: np.ndarray, stick: np.ndarray) -> dict[str, np.ndarray]:
    """Every sight of each quantity in one player's frames, stored integers."""
    action, rise = track["action_state"], track["speed_y"].astype(np.int32)
    loose = (track["on_ground"] == 0) & (track["hitlag"] == 0) & np.isin(action, LOOSE)
    floating = loose[1:] & loose[:-1] & (action[1:] == action[:-1])
    running = (action[1:] == RUN) & (action[:-1] == RUN)
    pushed = np.abs(stick[1:].astype(np.int32)) == FULL_STICK
    pulled = rise[:-1] - rise[1:]
    return {
        "gravity": pulled[floating & (pulled > 0)],
        "fall": -rise[1:][floating & (pulled == 0) & (rise[1:] < 0)],
        "run": _steady(track["speed_ground_x"], running & pushed),
        "drift": _steady(track["speed_air_x"], floating & pushed),
        "hop": _hops(track),
    }


def _steady(speed: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Speeds without direction that stayed the same from one frame to the next."""
    steady: np.ndarray = np.abs(speed[1:].astype(np.int32))[where & (speed[1:] == speed[:-1])]
    return steady


def _hops(track: np.ndarray) -> np.ndarray:
    """Take-off speed and height of the jumps that nothing cut short, shape (n, 2)."""
    action, height, rise = track["action_state"], track["y"], track["speed_y"]
    takeoffs = np.flatnonzero((action[:-1] == SQUAT) & np.isin(action[1:], JUMPS)) + 1
    jumping = (track["hitlag"] == 0) & np.isin(action, (*LOOSE, *AERIALS)) & (track["on_ground"] == 0)
    rising = jumping & ~np.isin(action, DOUBLE_JUMPS) & (rise > 0)
    hops = []
    for start in takeoffs.tolist():
        ended = np.flatnonzero(~rising[start:])
        if len(ended) and ended[0] and jumping[top := start + int(ended[0])] and rise[top] <= 0:
            hops.append((rise[start], height[start:top].max() - height[start - 1]))
    return np.array(hops, np.int32).reshape(-1, 2)


def _constants(tracks: Sequence[dict[str, np.ndarray]]) -> dict[str, float]:
    samples = {key: np.concatenate([track[key] for track in tracks]) for key in tracks[0]}
    found: dict[str, float] = {}
    for name, key in (("gravity", "gravity"), ("run speed", "run"), ("air drift", "drift")):
        for value in _usual(samples[key], 1):
            found[name] = _SPEED.to_real(value).item()
    for name, value in zip(("fall speed", "fast-fall speed"), _usual(samples["fall"], 2), strict=False):
        found[name] = _SPEED.to_real(value).item()
    speeds, heights = samples["hop"].T
    for name, speed in zip(("short hop apex", "full hop apex"), _usual(speeds, 2), strict=False):
        for value in _usual(heights[speeds == speed], 1):
            found[name] = _HEIGHT.to_real(value).item()
    return found


def _usual(samples: np.ndarray, count: int) -> list[np.ndarray]:
    """The ``count`` most frequent values, rising; none if one of them is too rare to be a constant."""
    values, seen = np.unique(samples, return_counts=True)
    most = np.argsort(-seen, kind="stable")[:count]
    return sorted(values[most]) if len(most) == count and seen[most].min() >= FEWEST_SEEN else []
