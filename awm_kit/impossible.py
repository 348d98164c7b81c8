"""Events that no match can hold, counted in the frames of one: where a world breaks the game's rules.

Each kind is absent from the teacher's matches. 25 real games hold a little of three: ``ko_inside`` 8 times,
when a player gave up in mid-stage, ``no_floor`` in 130 frames, mostly on Yoshi's cloud, and 13 of
``through_floor``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from awm_kit.action_states import LAST_RESPAWN_STATE, Family, family_of
from awm_kit.data.scuffle import STAGES
from awm_kit.data.scuffle.stage import BATTLEFIELD, Stage
from awm_kit.schema import FIGHTER

LAST_DEAD_STATE = 10
CEILING = 100.0  # units that a launch may pass the top without a KO: only knockback counts there
FLOOR_MARGIN = 12.0  # units from the main floor within which real stages have ground
SOLID = 0.6  # of the main floor's half width: beyond it Yoshi's floor slopes
SOON, FAR_BELOW = 6, 6.0  # frames and units: a landing sinks in by less
KO_MARGIN = 20.0  # units inside the blast zones: no launch crosses more in a frame
STUCK_FRAMES = 600

#: States in which a player may stay as long as they like.
_CHOSEN = (Family.IDLE, Family.WALK, Family.RUN, Family.CROUCH, Family.SHIELD, Family.LEDGE, Family.RESPAWN)
_WAITS = np.array([family_of(s) in _CHOSEN for s in range(400)])


def _states(*spans: tuple[int, int]) -> np.ndarray:
    marks = np.zeros(400, bool)
    for first, last in spans:
        marks[first : last + 1] = True
    return marks


#: Never seen off the ground: standing to running, crouching and landing, ground attacks, shielding.
GROUND_ONLY = _states((14, 23), (39, 64), (70, 74), (178, 182))
#: Never seen on it: jumps and falls, attacks in the air.
AIR_ONLY = _states((25, 37), (65, 69))


@dataclass(frozen=True)
class Normal:
    """What games that obey the rules show, so that anything beyond it is seen.

    Attributes
    ----------
    longest : dict
        Action state -> frames of its longest stay.
    reached : frozenset
        (field, stored value) of limits of fields that such games do reach, as full shields.
    """

    longest: dict[int, int] = field(default_factory=dict)
    reached: frozenset[tuple[str, int]] = frozenset({("percent", 0), ("shield", 0), ("shield", 60 << 8)})

    @classmethod
    def of(cls, games: Sequence[np.ndarray]) -> Normal:
        """Read it off ``games``, FRAME arrays of whole matches."""
        longest: dict[int, int] = {}
        reached = set(cls.reached)
        for frames in games:
            for state, length in stays(frames):
                longest[state] = max(longest.get(state, 0), length)
            reached |= {end for end in _limits() if (frames["players"][end[0]] == end[1]).any()}
        return cls(longest, frozenset(reached))

    def limit(self, state: int) -> float:
        """The longest stay in ``state`` that is still believed, frames."""
        if _WAITS[state]:
            return np.inf
        if not self.longest:
            return STUCK_FRAMES
        # A stay lasts as long as its cause; half as long again leaves room for causes not sampled.
        known = self.longest.get(state, max((n for s, n in self.longest.items() if not _WAITS[s]), default=0))
        return 1.5 * known + 30


def impossible_events(frames: np.ndarray, normal: Normal | None = None) -> dict[str, int]:
    """Count events that no match can hold.

    Parameters
    ----------
    frames : ndarray of FRAME, shape (T,)
        Consecutive frames of one match.
    normal : Normal, optional
        What real games show; without it, only stays of ten seconds count as stuck.

    Returns
    -------
    dict
        Kind -> frames in which it happened to a player: ``stocks_rise``; ``stocks_skip``, more than one
        lost at once; ``percent_falls`` without a death; ``outside``, alive beyond a blast zone;
        ``ko_inside``, a stock lost far from any; ``air_and_ground``, an action of the air on the ground or
        the reverse; ``no_floor``, standing where no stage has ground; ``through_floor``, falling through
        the main one; ``saturated``, a position or speed at the end of its range. ``stuck`` counts
        stays in a state longer than any real one.
    """
    normal = normal or Normal()
    p = frames["players"]
    stocks = np.diff(p["stocks"].astype(int), axis=0)
    percent = np.diff(p["percent"].astype(int), axis=0)
    action = np.minimum(p["action_state"], 399)
    alive = action > LAST_RESPAWN_STATE
    stage = STAGES.get(int(frames["stage"][0]), STAGES[BATTLEFIELD])
    x, y = FIGHTER.player("x").to_real(p["x"]), FIGHTER.player("y").to_real(p["y"])
    inside = _depth(stage, x, y)
    ground = p["on_ground"] == 1
    off_floor = (np.abs(x) > stage.floor.right + FLOOR_MARGIN) | (y < -FLOOR_MARGIN)
    return {
        "stocks_rise": int((stocks > 0).sum()),
        "stocks_skip": int((stocks < -1).sum()),
        "percent_falls": int(((percent < 0) & alive[1:] & alive[:-1]).sum()),
        "outside": int(((inside < 0) & alive).sum()),
        "ko_inside": int(((stocks < 0) & (inside[1:] > KO_MARGIN) & (inside[:-1] > KO_MARGIN)).sum()),
        "air_and_ground": int(((GROUND_ONLY[action] & ~ground) | (AIR_ONLY[action] & ground)).sum()),
        "no_floor": int((ground & alive & off_floor).sum()),
        "through_floor": int(_falls_through(alive & (np.abs(x) < SOLID * stage.floor.right), y).sum()),
        "saturated": _saturated(p, normal),
        "stuck": sum(length > normal.limit(state) for state, length in stays(frames)),
    }


def stays(frames: np.ndarray) -> Iterator[tuple[int, int]]:
    """(state, frames) of every unbroken stay of a player in an action state; entering it anew breaks it."""
    for player in range(frames["players"].shape[1]):
        p = frames["players"][:, player]
        state, age = np.minimum(p["action_state"], 399).astype(int), p["state_age"].astype(int)
        cut = np.flatnonzero((np.diff(state) != 0) | (np.diff(age) < 0)) + 1
        ends = [0, *cut.tolist(), len(state)]
        for first, end in pairwise(ends):
            yield int(state[first]), end - first


def _depth(stage: Stage, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Units inside the nearest blast zone; negative beyond it."""
    left, right, top, bottom = stage.blast
    above = np.where(y > top + CEILING, -1.0, np.maximum(top - y, 0.0))
    depth: np.ndarray = np.minimum.reduce([x - left, right - x, y - bottom, above])
    return depth


def _falls_through(above: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Frames in which a player passes height 0 and soon is far below, above solid ground all the while."""
    if len(y) <= SOON:
        return np.zeros(0, bool)
    there = np.lib.stride_tricks.sliding_window_view(above, SOON + 1, axis=0).all(-1)
    passes: np.ndarray = (y[:-SOON] >= 0) & (y[1 : 1 - SOON] < 0) & (y[SOON:] < -FAR_BELOW) & there
    return passes


def _limits() -> list[tuple[str, int]]:
    """Ends of the ranges of all fields that a network regresses."""
    ends = []
    for item in FIGHTER.player_fields:
        if item.update.free:
            ends += [(item.name, round(end * (1 << item.frac_bits))) for end in (item.lo, item.hi)]
    return ends


def _saturated(players: np.ndarray, normal: Normal) -> int:
    full = [players[name] == end for name, end in _limits() if (name, end) not in normal.reached]
    return int(np.any(full, axis=0).sum()) if full else 0
