"""One frame of N matches: clock, controllers, contact, motion, in that order."""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.contact import break_shields, exchange
from awm_kit.data.scuffle.control import Press, choose_actions, run_clock
from awm_kit.data.scuffle.motion import move, wear_shields
from awm_kit.data.scuffle.params import Physics
from awm_kit.data.scuffle.state import Pad, State
from awm_kit.schema import STATUS_DECIDED, STATUS_PLAYING, STATUS_TIMEOUT

MAX_AGE = 4095


def step(s: State, pad: Pad, k: Physics) -> None:
    """Advance every match of ``s`` in place; matches that are over stay as they are."""
    live = s.status == STATUS_PLAYING
    if live.all():
        _advance(s, pad, k)
    elif live.any():
        part = s.take(live)
        _advance(part, pad.take(live), k)
        s.put(live, part)


def _advance(s: State, pad: Pad, k: Physics) -> None:
    press = Press(pad, s.held)
    s.frame = s.frame + 1
    s.hitlag = np.maximum(s.hitlag - 1, 0)
    s.age = np.minimum(s.age + 1, MAX_AGE)
    active = s.hitlag == 0
    run_clock(s, press, k, active)
    choose_actions(s, press, k, active)
    exchange(s, k, active)
    active = s.hitlag == 0
    break_shields(s, k, wear_shields(s, k, active))
    move(s, press, k, active)
    s.held = pad
    over = (s.stocks == 0).any(axis=0)
    timeout = (s.time_limit > 0) & (s.frame >= s.time_limit)
    s.status = np.where(over, STATUS_DECIDED, np.where(timeout, STATUS_TIMEOUT, s.status))
