"""Events that no match of `bumper` can hold, counted in the frames of one.

Its teacher's matches have none, to the last bit of a position. A learned world is let off what nobody sees.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.bumper.game import CART_RADIUS, FALL_FRAMES, ONE, RETURN_FRAMES, SPIN_FRAMES, TABLE_RADIUS
from awm_kit.data.bumper.schema import BUMPER, Act
from awm_kit.impossible import stays

MARGIN = 1.0  # units: a sixth of a cart
FURTHEST = 16.0  # units in one frame: a hit changes a velocity by 8 at most
LONGEST = {Act.SPIN: SPIN_FRAMES, Act.FALL: FALL_FRAMES, Act.RETURN: RETURN_FRAMES}  # frames


def impossible_cart_events(frames: np.ndarray) -> dict[str, int]:
    """Count events that no match can hold.

    Parameters
    ----------
    frames : ndarray of bumper's FRAME, shape (T,)
        Consecutive frames of one match.

    Returns
    -------
    dict
        Kind -> frames in which it happened to a cart: ``stocks_rise``; ``stocks_skip``, more than one lost
        at once; ``percent_falls``, but on return; ``beyond_table``, on wheels where there is no table;
        ``fall_inside``, a life lost on the table; ``overlap``, one cart inside the other;
        ``moves_off_table``, moving while it falls or waits to go on; ``leaps``, further than any hit sends;
        ``saturated``, a position or velocity at the end of its range. ``stuck`` counts stays in a state half
        as long again as the longest of the rules.
    """
    p = frames["players"]
    x, y = (BUMPER.player(axis).to_real(p[axis]) for axis in ("x", "y"))
    act, reach = p["action_state"], np.hypot(x, y)
    stocks, percent = (np.diff(p[name].astype(int), axis=0) for name in ("stocks", "percent"))
    moved = np.hypot(np.diff(x, axis=0), np.diff(y, axis=0))
    returns = (act[1:] == Act.RETURN) & (act[:-1] != Act.RETURN)
    held = ((act == Act.FALL) | (act == Act.RETURN)) & (p["stocks"] > 0)
    solid = (act != Act.FALL) & (act != Act.RETURN)
    gap = np.hypot(np.diff(x, axis=1), np.diff(y, axis=1))
    inside = reach < TABLE_RADIUS - MARGIN
    return {
        "stocks_rise": int((stocks > 0).sum()),
        "stocks_skip": int((stocks < -1).sum()),
        "percent_falls": int(((percent < 0) & ~returns).sum()),
        "beyond_table": int(((reach > TABLE_RADIUS + MARGIN) & (act != Act.FALL)).sum()),
        "fall_inside": int(((stocks < 0) & inside[1:] & inside[:-1]).sum()),
        "overlap": int(((gap < 2 * CART_RADIUS - MARGIN) & solid.all(1, keepdims=True)).sum()),
        "moves_off_table": int(((moved > 1 / 16) & held[1:] & (act[1:] == act[:-1])).sum()),
        "leaps": int(((moved > FURTHEST) & ~returns).sum()),
        "saturated": int(_saturated(p).sum()),
        "stuck": sum(length > 1.5 * LONGEST.get(Act(state), np.inf) for state, length in stays(frames)),
    }


def _saturated(players: np.ndarray) -> np.ndarray:
    """Where a position or velocity is at the end of its range, (T, 2)."""
    at_end = np.zeros(players.shape, bool)
    for name in ("x", "y", "vx", "vy"):
        item = BUMPER.player(name)
        at_end |= (players[name] <= item.lo * ONE) | (players[name] >= item.hi * ONE)
    return at_end
