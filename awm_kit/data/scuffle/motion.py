"""Speeds, positions, floors, ledges, blast zones.

Wherever no floor, wall, ledge, grab or respawn interferes and hitlag is 0,
``x += speed_air_x + speed_attack_x`` and ``y += speed_y + speed_attack_y`` hold exactly.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.actions import (
    CLIMB_IN,
    CLIMB_UP,
    ESCAPE_AIR_FLOAT,
    FLAGS,
    ROLL_FROM,
    ROLL_TO,
    Act,
    Flag,
)
from awm_kit.data.scuffle.control import DEAD_ZONE, DOWN, Press
from awm_kit.data.scuffle.params import SHIELD_ONE, SPEED_ONE, Physics
from awm_kit.data.scuffle.stage import MAX_FLOORS, stage_tables
from awm_kit.data.scuffle.state import State

HELD_DISTANCE = 8 * SPEED_ONE
# Where a hanging character is, from the corner, and the window below the corner where it catches on.
HANG_OUT, HANG_DOWN = 2 * SPEED_ONE, CLIMB_UP * SPEED_ONE
CATCH_OUT, CATCH_LOW, CATCH_HIGH, CATCH_AGE = 11 * SPEED_ONE, -24 * SPEED_ONE, -2 * SPEED_ONE, 6


def _approach(value: np.ndarray, target: np.ndarray | int, step: np.ndarray | int) -> np.ndarray:
    moved: np.ndarray = value + np.clip(target - value, -step, step)
    return moved


def move(s: State, p: Press, k: Physics, active: np.ndarray) -> None:
    """One frame of motion for the players not in hitlag, shape (2, N), then falls, landings and KOs."""
    geometry = stage_tables()
    left, right, floor = (table[:, None, s.stage] for table in (geometry.left, geometry.right, geometry.y))
    flags = FLAGS[s.action]
    lo, hi = _lose_footing(s, active, flags, left, right, floor)
    flags = FLAGS[s.action]
    free = active & ((flags & Flag.STATIC) == 0)
    grounded = s.ground == 1
    s.vx = np.where(free, np.where(grounded, _ground_speed(s, k), _air_speed(s, p, k, flags)), s.vx)
    s.vy = np.where(free, np.where(grounded, 0, _fall_speed(s, p, k, flags)), s.vy)
    _climb_speeds(s, free & ((flags & Flag.CLIMB) != 0))
    fresh = (s.age == 0) & ((flags & (Flag.HITSTUN | Flag.SHIELDING)) != 0)
    decay = np.where(grounded, k.speed("slide_decay"), k.speed("knockback_decay")) * (free & ~fresh)
    s.kx = _approach(s.kx, 0, decay)
    s.ky = np.where(grounded & free, 0, _approach(s.ky, 0, decay))
    s.assign(active & ((flags & Flag.STATIC) != 0), vx=0, vy=0, kx=0, ky=0)

    old_x, old_y = s.x, s.y
    s.x = s.x + (s.vx + s.kx) * free
    s.y = s.y + (s.vy + s.ky) * free
    _snap_held(s)
    _stop_or_slide_off(s, free & grounded & ((flags & Flag.CLIMB) == 0), lo, hi, flags)
    airborne = free & ~grounded & ((flags & Flag.CLIMB) == 0) & (s.action != Act.REBIRTH)
    _land(s, p, airborne, old_y, left, right, floor, flags)
    _hit_wall(s, airborne, old_x, left[0], right[0])
    _catch_ledge(s, p, active, left[0], right[0])
    _cross_blast_zones(s, geometry.blast[:, None, s.stage])
    s.assign(s.ground == 1, jumps=2)
    s.assign((s.ground == 0) & (s.jumps > 1), jumps=1)


def wear_shields(s: State, k: Physics, active: np.ndarray) -> np.ndarray:
    """Shields wear while up and mend while down; returns where one wore out."""
    up = (s.action == Act.GUARD_ON) | (s.action == Act.GUARD)
    stunned = s.action == Act.GUARD_SET_OFF
    loss, gain = (
        np.int32(round(rate * SHIELD_ONE)) for rate in (k.params.shield_decay, k.params.shield_regen)
    )
    change = np.where(up, -loss, np.where(stunned, 0, gain)) * active
    s.shield = np.clip(s.shield + change, 0, 60 * SHIELD_ONE)
    worn_out: np.ndarray = up & (s.shield == 0)
    return worn_out


def _lose_footing(
    s: State, active: np.ndarray, flags: np.ndarray, left: np.ndarray, right: np.ndarray, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the floor under each player; who stands on nothing starts to fall.

    So does who stands in an action of the air, or is in the air in one of the ground. Nobody does or is here,
    but networks that play err, and this is what corrects them: how they go on has to be a way back.
    """
    s.assign(active & (s.ground == 1) & ((flags & Flag.DRIFT) != 0), ground=0)
    s.enter(active & (s.ground == 0) & ((flags & Flag.GROUND_FREE) != 0), Act.FALL)
    lo, hi = np.full_like(s.x, 1), np.zeros_like(s.x)
    for i in range(MAX_FLOORS):
        here = (s.y == floor[i]) & (s.x >= left[i]) & (s.x <= right[i])
        np.copyto(lo, left[i], where=here)
        np.copyto(hi, right[i], where=here)
    exempt = (flags & (Flag.CLIMB | Flag.HELD)) != 0
    lost = active & (s.ground == 1) & (lo > hi) & ~exempt
    s.assign(lost, ground=0)
    s.enter(lost & ((flags & Flag.HITSTUN) == 0), Act.FALL)
    return lo, hi


def _ground_speed(s: State, k: Physics) -> np.ndarray:
    by, a = k.by_character, s.action
    walk = by["walk_speed"][s.character]
    target = np.zeros_like(s.vx)
    step = by["friction"][s.character]
    walking = (a >= Act.WALK_SLOW) & (a <= Act.WALK_FAST)
    np.copyto(target, s.facing * (walk * (a - Act.WALK_SLOW + 1) // 3), where=walking)
    np.copyto(step, by["walk_accel"][s.character], where=walking)
    np.copyto(target, s.facing * by["run_speed"][s.character], where=a == Act.RUN)
    np.copyto(step, by["run_accel"][s.character], where=a == Act.RUN)
    at_once = (a == Act.DASH) | ((a == Act.DASH_ATTACK) & (s.age == 0))
    np.copyto(target, s.facing * by["dash_speed"][s.character], where=at_once)
    forward, back = (a == Act.ESCAPE_F) | (a == Act.DOWN_FORWARD), (a == Act.ESCAPE_B) | (a == Act.DOWN_BACK)
    rolling = (s.age >= ROLL_FROM) & (s.age <= ROLL_TO)
    direction = (forward.astype(np.int32) - back) * rolling
    np.copyto(target, s.facing * direction * k.speed("roll_speed"), where=forward | back)
    np.copyto(step, SPEED_ONE * 31, where=at_once | forward | back)
    return _approach(s.vx, target, step)


def _air_speed(s: State, p: Press, k: Physics, flags: np.ndarray) -> np.ndarray:
    by = k.by_character
    steer = ((flags & Flag.DRIFT) != 0) & (p.abs_x >= DEAD_ZONE)
    limit = by["air_speed"][s.character]
    target = np.where(steer, p.side * np.where(p.abs_x < 50, limit >> 1, limit), 0)
    step = np.where(steer, by["air_accel"][s.character], by["air_friction"][s.character])
    dodging = s.action == Act.ESCAPE_AIR
    np.copyto(step, k.speed("air_dodge_decay"), where=dodging)
    special = (flags & Flag.SPECIAL) != 0
    start = by["special_start"][s.character]
    np.copyto(step, 0, where=special | (dodging & (s.age == 0)))
    leave = special & (s.age == start)
    return np.where(leave, p.side * k.speed("special_drift"), _approach(s.vx, target, step))


def _fall_speed(s: State, p: Press, k: Physics, flags: np.ndarray) -> np.ndarray:
    by = k.by_character
    terminal = -by["fall_speed"][s.character]
    vy = np.where(s.vy <= terminal, s.vy, np.maximum(s.vy - by["gravity"][s.character], terminal))
    special = (flags & Flag.SPECIAL) != 0
    start = by["special_start"][s.character]
    still = ((flags & Flag.LEAP) != 0) & (s.age == 0)
    still |= (special & (s.age < start)) | ((s.action == Act.SHIELD_BREAK_FLY) & (s.age == 0))
    vy = np.where(still, s.vy, vy)
    floating = (s.action == Act.ESCAPE_AIR) & (s.age <= ESCAPE_AIR_FLOAT)
    vy = np.where(floating, _approach(s.vy, 0, k.speed("air_dodge_decay") * (s.age > 0)), vy)
    np.copyto(vy, by["special_rise"][s.character], where=special & (s.age == start))
    np.copyto(vy, -(SPEED_ONE * 3 // 2), where=s.action == Act.REBIRTH)
    fast = ((flags & Flag.DRIFT) != 0) & (p.sy <= DOWN) & (s.vy < 0) & ~still
    np.copyto(vy, -by["fast_fall_speed"][s.character], where=fast)
    return vy


def _climb_speeds(s: State, climbing: np.ndarray) -> None:
    """From hanging up to the floor's height, then inwards, one unit a frame."""
    inward = climbing & (s.age > CLIMB_UP)
    moving_in = inward & (s.age <= CLIMB_UP + CLIMB_IN)
    s.assign(climbing, vx=0, vy=SPEED_ONE * ((s.age >= 1) & ~inward), kx=0, ky=0)
    s.assign(inward, ground=1, vx=s.facing * SPEED_ONE * moving_in)


def _snap_held(s: State) -> None:
    held = ((FLAGS[s.action] & Flag.HELD) != 0) & ((FLAGS[s.action] & Flag.HOLDING) != 0)[::-1]
    s.assign(held, x=s.x[::-1] + s.facing[::-1] * HELD_DISTANCE, y=s.y[::-1])


def _stop_or_slide_off(
    s: State, walking: np.ndarray, lo: np.ndarray, hi: np.ndarray, flags: np.ndarray
) -> None:
    off = walking & ((s.x < lo) | (s.x > hi)) & (lo <= hi)
    slides = off & ((flags & Flag.SLIDES_OFF) != 0)
    s.assign(slides, ground=0)
    s.enter(slides & ((flags & Flag.HITSTUN) == 0), Act.FALL)
    s.assign(off & ~slides, x=np.clip(s.x, lo, hi), vx=0, kx=0)


def _land(
    s: State, p: Press, airborne: np.ndarray, old_y: np.ndarray, left: np.ndarray, right: np.ndarray,
    floor: np.ndarray, flags: np.ndarray,
) -> None:  # fmt: skip
    through = (s.action == Act.PASS) | (((flags & Flag.DRIFT) != 0) & (p.sy <= DOWN))
    falling = airborne & (s.y <= old_y)
    landing = np.zeros_like(airborne)
    height = np.zeros_like(s.y)
    for i in range(MAX_FLOORS):
        touch = falling & (old_y >= floor[i]) & (s.y <= floor[i]) & (s.x >= left[i]) & (s.x <= right[i])
        if i > 0:
            touch &= ~through
        np.copyto(height, floor[i], where=touch)
        landing |= touch
    if not landing.any():
        return
    s.assign(landing, y=height, vy=0, ky=0, ground=1)
    act = np.full_like(s.action, Act.LANDING)
    np.copyto(act, s.action + (Act.LANDING_N_AIR - Act.N_AIR), where=(flags & Flag.AERIAL) != 0)
    np.copyto(act, Act.LANDING_SPECIAL, where=(flags & Flag.SPECIAL_LANDING) != 0)
    tumbling = (flags & Flag.TUMBLE) != 0
    np.copyto(act, np.where(p.shield, Act.PASSIVE, Act.DOWN_BOUND), where=tumbling)
    np.copyto(act, Act.SHIELD_BREAK_DOWN, where=s.action == Act.SHIELD_BREAK_FLY)
    staggered = ((flags & Flag.HITSTUN) != 0) & ~tumbling
    s.enter(landing & ~staggered, act)
    s.assign(landing & tumbling, kx=s.kx >> 1)


def _hit_wall(s: State, airborne: np.ndarray, old_x: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """The main body's sides, solid below the floor."""
    inside = airborne & (s.ground == 0) & (s.y < 0) & (s.x > left) & (s.x < right)
    side = np.where(old_x >= 0, right, left)
    s.assign(inside, x=side, vx=0, kx=0)


def _catch_ledge(s: State, p: Press, active: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    out = np.maximum(s.x - right, left - s.x)
    can = active & (s.ground == 0) & ((FLAGS[s.action] & Flag.LEDGE_GRAB) != 0) & (s.age >= CATCH_AGE)
    can &= (out >= 0) & (out <= CATCH_OUT) & (s.y >= CATCH_LOW) & (s.y <= CATCH_HIGH)
    can &= (s.vy + s.ky <= 0) & (p.sy > DOWN)
    if not can.any():
        return
    side = np.where(s.x > 0, 1, -1)
    hanging = (s.action == Act.CLIFF_CATCH) | (s.action == Act.CLIFF_WAIT)
    can &= ~(hanging & (side != 0))[::-1] | (side[::-1] != side)
    both = can & can[::-1] & (side == side[::-1])
    both[0] = False  # the left ledge and the right one belong to player 0 when both reach them at once
    can &= ~both
    corner = np.where(side > 0, right + HANG_OUT, left - HANG_OUT)
    s.enter(can, Act.CLIFF_CATCH)
    s.assign(can, x=corner, y=-HANG_DOWN, vx=0, vy=0, kx=0, ky=0, facing=-side, jumps=1)


def _cross_blast_zones(s: State, blast: np.ndarray) -> None:
    alive = (FLAGS[s.action] & (Flag.DEAD | Flag.STATIC)) == 0
    alive &= (s.action != Act.REBIRTH) & (s.stocks > 0)
    act = np.full_like(s.action, -1)
    np.copyto(act, Act.DEAD_UP, where=s.y > blast[2])
    np.copyto(act, Act.DEAD_DOWN, where=s.y < blast[3])
    np.copyto(act, Act.DEAD_LEFT, where=s.x < blast[0])
    np.copyto(act, Act.DEAD_RIGHT, where=s.x > blast[1])
    dead = alive & (act >= 0)
    if not dead.any():
        return
    s.enter(dead, act)
    # Speeds stay for this frame, so that the last position is still where they lead.
    s.assign(dead, stocks=s.stocks - 1, percent=0, hitlag=0, ground=0, jumps=1)
