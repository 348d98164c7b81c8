"""Where players are between two frames."""

from __future__ import annotations

import numpy as np

from awm_kit.schema import FIGHTER

#: Who moves further than this in a frame, in game units, did not walk there: no picture shows the way.
LEAP = 12.0
_UNIT = 1 << FIGHTER.player("x").frac_bits


def between(before: np.ndarray, after: np.ndarray, share: float) -> np.ndarray:
    """The frame ``after`` with its players on their way there.

    Parameters
    ----------
    before, after : ndarray, `FRAME` scalar
        Consecutive frames.
    share : float
        0 at ``before``, 1 at ``after``.

    Returns
    -------
    ndarray, `FRAME` scalar
        To look at, not to compute with: all but the positions is as in ``after``.
    """
    frame = after.copy()
    for old, new, shown in zip(before["players"], after["players"], frame["players"], strict=True):
        way = np.array([int(new[axis]) - int(old[axis]) for axis in ("x", "y")])
        if int(new["stocks"]) != int(old["stocks"]) or np.hypot(*way) > LEAP * _UNIT:
            continue
        for axis, moved in zip("xy", way.tolist(), strict=True):
            shown[axis] = int(old[axis]) + round(share * moved)
    return frame
