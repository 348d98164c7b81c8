"""Scuffle's moves: how long each action lasts, what follows, and what it can hit with.

Everything is a table indexed by action-state id, so that a step is a handful of look-ups.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from awm_kit.action_states import FOX_SPECIAL_AIR_HI, MARTH_SPECIAL_AIR_HI
from awm_kit.data.scuffle.params import FOX, MARTH

N_ACTIONS = 400
FOREVER = 1 << 30


class Act(IntEnum):
    """The action states that scuffle uses, under Melee's ids."""

    DEAD_DOWN = 0
    DEAD_LEFT = 1
    DEAD_RIGHT = 2
    DEAD_UP = 4
    REBIRTH = 12
    REBIRTH_WAIT = 13
    WAIT = 14
    WALK_SLOW = 15
    WALK_MIDDLE = 16
    WALK_FAST = 17
    TURN = 18
    TURN_RUN = 19
    DASH = 20
    RUN = 21
    RUN_BRAKE = 23
    KNEE_BEND = 24
    JUMP_F = 25
    JUMP_B = 26
    JUMP_AERIAL_F = 27
    JUMP_AERIAL_B = 28
    FALL = 29
    FALL_SPECIAL = 35
    DAMAGE_FALL = 38
    SQUAT = 39
    SQUAT_WAIT = 40
    SQUAT_RV = 41
    LANDING = 42
    LANDING_SPECIAL = 43
    JAB = 44
    DASH_ATTACK = 50
    F_TILT = 53
    U_TILT = 56
    D_TILT = 57
    F_SMASH = 60
    U_SMASH = 63
    D_SMASH = 64
    N_AIR = 65
    F_AIR = 66
    B_AIR = 67
    U_AIR = 68
    D_AIR = 69
    LANDING_N_AIR = 70
    LANDING_F_AIR = 71
    LANDING_B_AIR = 72
    LANDING_U_AIR = 73
    LANDING_D_AIR = 74
    DAMAGE_N1 = 78
    DAMAGE_N2 = 79
    DAMAGE_N3 = 80
    DAMAGE_AIR1 = 84
    DAMAGE_AIR2 = 85
    DAMAGE_AIR3 = 86
    DAMAGE_FLY_N = 88
    DAMAGE_FLY_LW = 89
    DAMAGE_FLY_TOP = 90
    GUARD_ON = 178
    GUARD = 179
    GUARD_OFF = 180
    GUARD_SET_OFF = 181
    DOWN_BOUND = 183
    DOWN_WAIT = 184
    DOWN_STAND = 186
    DOWN_ATTACK = 187
    DOWN_FORWARD = 188
    DOWN_BACK = 189
    PASSIVE = 199
    SHIELD_BREAK_FLY = 205
    SHIELD_BREAK_DOWN = 207
    SHIELD_BREAK_STAND = 209
    FURA_FURA = 211
    CATCH = 212
    CATCH_PULL = 213
    CATCH_DASH = 214
    CATCH_WAIT = 216
    CATCH_CUT = 218
    THROW_F = 219
    THROW_B = 220
    THROW_HI = 221
    THROW_LW = 222
    CAPTURE_PULLED = 223
    CAPTURE_WAIT = 224
    CAPTURE_CUT = 229
    ESCAPE_F = 233
    ESCAPE_B = 234
    ESCAPE = 235
    ESCAPE_AIR = 236
    THROWN_F = 239
    THROWN_B = 240
    THROWN_HI = 241
    THROWN_LW = 242
    PASS = 244
    CLIFF_CATCH = 252
    CLIFF_WAIT = 253
    CLIFF_CLIMB = 255
    CLIFF_ATTACK = 257
    CLIFF_ESCAPE = 259
    CLIFF_JUMP = 262
    SPECIAL_HI_FOX = FOX_SPECIAL_AIR_HI
    SPECIAL_HI_MARTH = MARTH_SPECIAL_AIR_HI


#: The upwards special's action state by character id.
SPECIAL_HI = np.full(33, Act.SPECIAL_HI_FOX, np.int32)
SPECIAL_HI[[FOX, MARTH]] = Act.SPECIAL_HI_FOX, Act.SPECIAL_HI_MARTH


class Flag:
    """Bits of `FLAGS`: what an action allows. Plain ints: they are looked up hundreds of times a step."""

    DEAD = 1  # waiting to respawn, or out
    STATIC = 2  # no movement of any kind
    GROUND_FREE = 4  # may start any action on the ground
    AIR_FREE = 8  # may start any action in the air
    DRIFT = 16  # the stick accelerates in the air
    AERIAL = 32  # attack that ends in its own landing
    SHIELDING = 64  # attacks hit the shield
    HITSTUN = 128  # leaves when the knockback has worn off
    TUMBLE = 256  # lands lying down
    SLIDES_OFF = 512  # may leave a floor's edge; the others stop there
    LEDGE_GRAB = 1024  # may catch the ledge
    CLIMB = 2048  # follows a fixed path from the ledge onto the stage
    SPECIAL_LANDING = 4096  # lands with `LANDING_SPECIAL`
    HOLDING = 8192  # has grabbed the other
    HELD = 16384  # has been grabbed
    THROWN = 32768
    REELING = 65536  # was just hit: immune to the attack that began before
    SPECIAL = 131072  # the upwards special
    LEAP = 262144  # no gravity on the first frame


FLAGS = np.zeros(N_ACTIONS, np.int32)
DURATION = np.full(N_ACTIONS, FOREVER, np.int32)
NEXT = np.full(N_ACTIONS, Act.WAIT, np.int32)
SAFE_FROM = np.full(N_ACTIONS, FOREVER, np.int32)
SAFE_TO = np.full(N_ACTIONS, -1, np.int32)


def _mark(flag: int, *acts: int) -> None:
    FLAGS[list(acts)] |= flag


def _lasts(frames: int, then: int, *acts: int) -> None:
    DURATION[list(acts)] = frames
    NEXT[list(acts)] = then


def _safe(first: int, last: int, *acts: int) -> None:
    SAFE_FROM[list(acts)] = first
    SAFE_TO[list(acts)] = last


_DEATHS = (Act.DEAD_DOWN, Act.DEAD_LEFT, Act.DEAD_RIGHT, Act.DEAD_UP)
_JUMPS = (Act.JUMP_F, Act.JUMP_B, Act.JUMP_AERIAL_F, Act.JUMP_AERIAL_B)
_SPECIALS = (Act.SPECIAL_HI_FOX, Act.SPECIAL_HI_MARTH)
_AERIALS = (Act.N_AIR, Act.F_AIR, Act.B_AIR, Act.U_AIR, Act.D_AIR)
_STAGGERS = (
    Act.DAMAGE_N1, Act.DAMAGE_N2, Act.DAMAGE_N3, Act.DAMAGE_AIR1, Act.DAMAGE_AIR2, Act.DAMAGE_AIR3,
)  # fmt: skip
_FLIGHTS = (Act.DAMAGE_FLY_N, Act.DAMAGE_FLY_LW, Act.DAMAGE_FLY_TOP)
_WALKS = (Act.WALK_SLOW, Act.WALK_MIDDLE, Act.WALK_FAST)
_CLIMBS = (Act.CLIFF_CLIMB, Act.CLIFF_ATTACK, Act.CLIFF_ESCAPE)
_THROWS = (Act.THROW_F, Act.THROW_B, Act.THROW_HI, Act.THROW_LW)
_THROWN = (Act.THROWN_F, Act.THROWN_B, Act.THROWN_HI, Act.THROWN_LW)
_CAPTURED = (Act.CAPTURE_PULLED, Act.CAPTURE_WAIT)

_mark(Flag.DEAD, *_DEATHS)
_mark(
    Flag.STATIC,
    *_DEATHS,
    Act.REBIRTH_WAIT,
    Act.CLIFF_CATCH,
    Act.CLIFF_WAIT,
    Act.CLIFF_JUMP,
    *_CAPTURED,
    *_THROWN,
)
_mark(
    Flag.GROUND_FREE, Act.WAIT, *_WALKS, Act.TURN, Act.TURN_RUN, Act.DASH, Act.RUN, Act.RUN_BRAKE, Act.SQUAT,
    Act.SQUAT_WAIT, Act.SQUAT_RV,
)  # fmt: skip
_mark(Flag.AIR_FREE, *_JUMPS, Act.FALL, Act.PASS, Act.DAMAGE_FALL)
_mark(Flag.DRIFT, *_JUMPS, Act.FALL, Act.PASS, Act.DAMAGE_FALL, Act.FALL_SPECIAL, *_AERIALS)
_mark(Flag.AERIAL, *_AERIALS)
_mark(Flag.SHIELDING, Act.GUARD_ON, Act.GUARD, Act.GUARD_SET_OFF)
_mark(Flag.HITSTUN, *_STAGGERS, *_FLIGHTS)
_mark(Flag.TUMBLE, *_FLIGHTS, Act.DAMAGE_FALL)
_mark(
    Flag.SLIDES_OFF, Act.WAIT, *_WALKS, Act.DASH, Act.RUN, Act.RUN_BRAKE, Act.TURN_RUN, Act.KNEE_BEND,
    *_STAGGERS, Act.LANDING, Act.LANDING_SPECIAL,
)  # fmt: skip
_mark(Flag.LEDGE_GRAB, *_JUMPS, Act.FALL, Act.FALL_SPECIAL, Act.DAMAGE_FALL, *_SPECIALS)
_mark(Flag.CLIMB, *_CLIMBS)
_mark(Flag.SPECIAL_LANDING, Act.FALL_SPECIAL, Act.ESCAPE_AIR, *_SPECIALS)
_mark(Flag.HOLDING, Act.CATCH_PULL, Act.CATCH_WAIT, *_THROWS)
_mark(Flag.HELD, *_CAPTURED, *_THROWN)
_mark(Flag.THROWN, *_THROWN)
_mark(
    Flag.REELING,
    *_STAGGERS,
    *_FLIGHTS,
    Act.GUARD_SET_OFF,
    Act.DAMAGE_FALL,
    Act.DOWN_BOUND,
    Act.SHIELD_BREAK_FLY,
)
_mark(Flag.SPECIAL, *_SPECIALS)
_mark(Flag.LEAP, *_JUMPS)

DEAD_FRAMES, REBIRTH_FRAMES = 60, 40
#: Climbing: frames straight up from the hanging position, then inwards, both at one unit a frame.
CLIMB_UP, CLIMB_IN = 16, 12
CLIFF_JUMP_FRAMES = 8
ESCAPE_AIR_FLOAT = 28
ROLL_FROM, ROLL_TO = 4, 22
THROW_RELEASE = 12

_lasts(DEAD_FRAMES, Act.REBIRTH, *_DEATHS)
_lasts(REBIRTH_FRAMES, Act.REBIRTH_WAIT, Act.REBIRTH)
_lasts(180, Act.FALL, Act.REBIRTH_WAIT)
_lasts(6, Act.WAIT, Act.TURN)
_lasts(14, Act.WAIT, Act.DASH, Act.TURN_RUN)
_lasts(16, Act.WAIT, Act.RUN_BRAKE)
_lasts(4, Act.SQUAT_WAIT, Act.SQUAT)
_lasts(4, Act.WAIT, Act.SQUAT_RV, Act.LANDING)
_lasts(12, Act.WAIT, Act.LANDING_SPECIAL)
_lasts(10, Act.FALL, Act.PASS)
_lasts(6, Act.GUARD, Act.GUARD_ON)
_lasts(12, Act.WAIT, Act.GUARD_OFF)
_lasts(26, Act.DOWN_WAIT, Act.DOWN_BOUND)
_lasts(90, Act.DOWN_STAND, Act.DOWN_WAIT)
_lasts(28, Act.WAIT, Act.DOWN_STAND)
_lasts(34, Act.WAIT, Act.DOWN_FORWARD, Act.DOWN_BACK)
_lasts(24, Act.WAIT, Act.PASSIVE)
_lasts(26, Act.SHIELD_BREAK_STAND, Act.SHIELD_BREAK_DOWN)
_lasts(28, Act.FURA_FURA, Act.SHIELD_BREAK_STAND)
_lasts(30, Act.WAIT, Act.CATCH)
_lasts(36, Act.WAIT, Act.CATCH_DASH)
_lasts(4, Act.CATCH_WAIT, Act.CATCH_PULL)
_lasts(4, Act.CAPTURE_WAIT, Act.CAPTURE_PULLED)
_lasts(24, Act.WAIT, Act.CATCH_CUT, Act.CAPTURE_CUT)
_lasts(34, Act.WAIT, *_THROWS)
_lasts(THROW_RELEASE + 20, Act.FALL, *_THROWN)
_lasts(30, Act.WAIT, Act.ESCAPE_F, Act.ESCAPE_B)
_lasts(24, Act.WAIT, Act.ESCAPE)
_lasts(46, Act.FALL_SPECIAL, Act.ESCAPE_AIR)
_lasts(7, Act.CLIFF_WAIT, Act.CLIFF_CATCH)
_lasts(300, Act.FALL, Act.CLIFF_WAIT)
_lasts(32, Act.WAIT, Act.CLIFF_CLIMB)
_lasts(36, Act.WAIT, Act.CLIFF_ESCAPE)
_lasts(CLIFF_JUMP_FRAMES, Act.JUMP_F, Act.CLIFF_JUMP)
_lasts(44, Act.FALL_SPECIAL, *_SPECIALS)
for _act, _lag in zip(_AERIALS, (8, 10, 10, 8, 14), strict=True):
    _lasts(_lag, Act.WAIT, _act + 5)

_safe(0, FOREVER, *_DEATHS, Act.REBIRTH, Act.REBIRTH_WAIT, Act.CLIFF_CATCH, *_THROWN)
_safe(0, 30, Act.CLIFF_WAIT)
_safe(0, 26, Act.CLIFF_CLIMB)
_safe(0, 20, Act.CLIFF_ATTACK, Act.DOWN_STAND, Act.DOWN_FORWARD, Act.DOWN_BACK)
_safe(0, 30, Act.CLIFF_ESCAPE)
_safe(0, 18, Act.PASSIVE, Act.DOWN_ATTACK)
_safe(0, FOREVER, Act.SHIELD_BREAK_FLY, Act.SHIELD_BREAK_DOWN)
_safe(4, 19, Act.ESCAPE_F, Act.ESCAPE_B)
_safe(3, 16, Act.ESCAPE)
_safe(4, ESCAPE_AIR_FLOAT, Act.ESCAPE_AIR)
_safe(0, 10, Act.CATCH_CUT, Act.CAPTURE_CUT)


@dataclass(frozen=True)
class Attack:
    """One attack's timing and hit: frames of state age, percent, degrees, game units.

    The hitbox is ``2*half_width`` by ``2*half_height`` around (``forward``, ``up``) from the feet.
    ``angle`` is above the horizontal, away from the attacker; below 0 it is a spike.
    """

    act: Act
    first: int
    last: int
    total: int
    damage: int
    angle: float
    base: int
    growth: int
    forward: float
    up: float
    half_width: float
    half_height: float


ATTACKS: tuple[Attack, ...] = (
    Attack(Act.JAB, 3, 4, 16, 3, 60, 16, 50, 8, 8, 5, 3),
    Attack(Act.DASH_ATTACK, 6, 11, 34, 8, 60, 45, 70, 5, 6, 6, 5),
    Attack(Act.F_TILT, 6, 8, 27, 8, 40, 25, 85, 10, 7, 6, 3),
    Attack(Act.U_TILT, 5, 8, 25, 8, 85, 35, 90, 2, 14, 7, 6),
    Attack(Act.D_TILT, 6, 8, 25, 8, 70, 30, 75, 9, 2, 7, 3),
    Attack(Act.F_SMASH, 12, 15, 42, 15, 40, 35, 105, 11, 8, 7, 4),
    Attack(Act.U_SMASH, 9, 12, 40, 15, 85, 38, 103, 2, 16, 7, 8),
    Attack(Act.D_SMASH, 7, 9, 42, 12, 25, 35, 95, 0, 3, 14, 3),
    Attack(Act.N_AIR, 4, 11, 36, 8, 45, 25, 90, 1, 6, 8, 6),
    Attack(Act.F_AIR, 7, 9, 34, 12, 40, 25, 90, 9, 7, 6, 5),
    Attack(Act.B_AIR, 6, 8, 34, 12, 40, 30, 95, -9, 7, 6, 4),
    Attack(Act.U_AIR, 6, 8, 32, 12, 80, 30, 90, 1, 15, 7, 6),
    Attack(Act.D_AIR, 10, 13, 40, 12, -75, 25, 80, 1, -2, 6, 5),
    Attack(Act.DOWN_ATTACK, 15, 18, 40, 8, 45, 50, 50, 0, 4, 13, 4),
    Attack(Act.CLIFF_ATTACK, 22, 25, 46, 8, 45, 45, 60, 8, 6, 8, 5),
    Attack(Act.SPECIAL_HI_FOX, 18, 24, 44, 12, 75, 40, 65, 2, 8, 7, 8),
    Attack(Act.SPECIAL_HI_MARTH, 6, 11, 44, 12, 75, 40, 65, 2, 8, 6, 8),
    Attack(Act.THROW_F, FOREVER, -1, 34, 8, 45, 60, 65, 0, 0, 0, 0),
    Attack(Act.THROW_B, FOREVER, -1, 34, 8, 45, 60, 70, 0, 0, 0, 0),
    Attack(Act.THROW_HI, FOREVER, -1, 34, 8, 87, 65, 75, 0, 0, 0, 0),
    Attack(Act.THROW_LW, FOREVER, -1, 34, 8, 65, 60, 45, 0, 0, 0, 0),
)

#: Ages at which a grab reaches, and how far in front of the feet, in units.
GRAB_FROM, GRAB_TO, GRAB_REACH = 6, 8, 13.0


def _attack_tables() -> dict[str, np.ndarray]:
    tables = {
        name: np.zeros(N_ACTIONS, np.int32)
        for name in ("damage", "base", "growth", "cos", "sin", "forward", "up", "half_width", "half_height")
    }
    tables["first"] = np.full(N_ACTIONS, FOREVER, np.int32)
    tables["last"] = np.full(N_ACTIONS, -1, np.int32)
    for attack in ATTACKS:
        i = int(attack.act)
        DURATION[i] = attack.total
        for name in ("first", "last", "damage", "base", "growth"):
            tables[name][i] = getattr(attack, name)
        for name in ("forward", "up", "half_width", "half_height"):
            tables[name][i] = round(getattr(attack, name) * 1024)
        tables["cos"][i] = round(float(np.cos(np.radians(attack.angle))) * 1024)
        tables["sin"][i] = round(float(np.sin(np.radians(attack.angle))) * 1024)
    return tables


#: Hit data by action-state id, int32: ages ``first``..``last``, lengths in 1/1024 units.
HIT = _attack_tables()
NEXT[[*_AERIALS]] = Act.FALL
