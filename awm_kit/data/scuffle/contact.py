"""Hits, shields, grabs and throws: what the characters do to each other.

Everything is judged at the positions that the last frame showed, before anybody moves; who is hit
(and who hits) stays put while hitlag lasts, so the kinematics of a frame are either exact or frozen.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.scuffle.actions import (
    FLAGS,
    GRAB_FROM,
    GRAB_REACH,
    GRAB_TO,
    HIT,
    SAFE_FROM,
    SAFE_TO,
    THROW_RELEASE,
    Act,
    Flag,
)
from awm_kit.data.scuffle.params import PERCENT_ONE, SHIELD_ONE, SPEED_ONE, Physics
from awm_kit.data.scuffle.state import State

# Launch speed per unit of knockback, units/frame, and Melee's 1.4 * 200 / 20.
LAUNCH, WEIGHT_FACTOR = 0.03, 14
MAX_PERCENT = 999 * PERCENT_ONE
STEEP, SHALLOW = 886, 460  # sin 60°, sin 27°, Q10


def exchange(s: State, k: Physics, active: np.ndarray) -> None:
    """Attacks that connect, then grabs, then throws letting go. ``active``: not in hitlag."""
    hits = _connect(s, k, active)
    shielding = ((FLAGS[s.action] & Flag.SHIELDING) != 0)[::-1]
    move = s.action.copy()
    away = np.where(s.x[::-1] > s.x, 1, np.where(s.x[::-1] < s.x, -1, s.facing))
    _grab(s, k, active & ~hits & ~hits[::-1])
    if hits.any():
        _strike(s, k, (hits & ~shielding)[::-1], move[::-1], away[::-1], lag=True)
        _block(s, k, (hits & shielding)[::-1], move[::-1], away[::-1])
        s.assign(hits, hitlag=_hitlag(move))
    _let_go(s, k, active & ~hits & ~hits[::-1])


def _hitlag(move: np.ndarray) -> np.ndarray:
    frames: np.ndarray = HIT["damage"][move] // 3 + 3
    return frames


def _vulnerable(s: State) -> np.ndarray:
    open_to_hits: np.ndarray = (s.age < SAFE_FROM[s.action]) | (s.age > SAFE_TO[s.action])
    return open_to_hits


def _connect(s: State, k: Physics, active: np.ndarray) -> np.ndarray:
    """Where the player's attack touches the other now, shape (2, N)."""
    a = s.action
    out: np.ndarray = active & (s.age >= HIT["first"][a]) & (s.age <= HIT["last"][a])
    if not out.any():
        return out
    other = s.action[::-1]
    # One hit per swing: not a victim that was struck since the swing's first active frame.
    just_hit = ((FLAGS[other] & Flag.REELING) != 0) & (s.age[::-1] <= s.age - HIT["first"][a])
    out &= _vulnerable(s)[::-1] & ~just_hit & ((FLAGS[other] & Flag.HELD) == 0)
    out &= ((FLAGS[a] & Flag.HELD) == 0) & ((FLAGS[other] & Flag.HOLDING) == 0)
    reach = k.by_character["reach"][s.character]
    half_body = k.speed("body_half_width")
    dx = s.x + (s.facing * HIT["forward"][a] * reach >> 4) - s.x[::-1]
    half_height = _height(s, k)[::-1] >> 1
    dy = s.y + HIT["up"][a] - s.y[::-1] - half_height
    out &= np.abs(dx) <= (HIT["half_width"][a] * reach >> 4) + half_body
    out &= np.abs(dy) <= HIT["half_height"][a] + half_height
    return out


def _height(s: State, k: Physics) -> np.ndarray:
    """Hurtbox height; half of it when crouching or lying."""
    low = (s.action == Act.SQUAT_WAIT) | (s.action == Act.DOWN_WAIT) | (s.action == Act.DOWN_BOUND)
    full = k.by_character["height"][s.character]
    height: np.ndarray = np.where(low, full >> 1, full)
    return height


def _strike(s: State, k: Physics, hit: np.ndarray, move: np.ndarray, away: np.ndarray, lag: bool) -> None:
    """Damage and launch the players ``hit`` by action ``move``, in direction ``away`` (+1 right)."""
    p = k.params
    damage = HIT["damage"][move]
    percent = s.percent + np.round(damage * (PERCENT_ONE * p.damage_scale)).astype(np.int32)
    percent = np.minimum(percent, MAX_PERCENT)
    weight = k.by_character["weight"][s.character] + 100
    growth = percent.astype(np.int64) * (2 + damage) * WEIGHT_FACTOR // weight + 18 * PERCENT_ONE
    knockback = growth * HIT["growth"][move] // 100 + HIT["base"][move] * PERCENT_ONE
    launch = round(LAUNCH * SPEED_ONE / PERCENT_ONE * 256 * p.knockback_scale)
    speed = np.minimum(knockback * launch >> 8, k.speed("max_knockback"))

    on_ground = s.ground == 1
    sin = np.where(on_ground, np.abs(HIT["sin"][move]), HIT["sin"][move])
    strong = speed >= k.speed("launch_speed")
    stays = on_ground & ~strong & lag
    kx = np.where(stays, speed, speed * HIT["cos"][move] >> 10) * away
    ky = np.where(stays, 0, speed * sin >> 10)
    third = np.clip(speed * 4 // k.speed("launch_speed") - 1, 0, 2)
    flight = np.where(
        sin >= STEEP, Act.DAMAGE_FLY_TOP, np.where(sin <= SHALLOW, Act.DAMAGE_FLY_LW, Act.DAMAGE_FLY_N)
    )
    stagger = np.where(stays, Act.DAMAGE_N1, Act.DAMAGE_AIR1) + third
    s.enter(hit, np.where(strong, flight, stagger))
    s.assign(hit, percent=percent, kx=kx, ky=ky, vx=0, vy=0, facing=-away)
    s.assign(hit & ~stays, ground=0, jumps=np.minimum(s.jumps, 1))
    if lag:
        s.assign(hit, hitlag=_hitlag(move))


def _block(s: State, k: Physics, hit: np.ndarray, move: np.ndarray, away: np.ndarray) -> None:
    """The shields of the players ``hit`` take action ``move``."""
    damage = HIT["damage"][move]
    loss = damage * round(k.params.shield_damage * k.params.damage_scale * SHIELD_ONE)
    s.enter(hit, Act.GUARD_SET_OFF)
    s.assign(
        hit,
        shield=np.maximum(s.shield - loss, 0),
        kx=damage * k.speed("shield_push") * away,
        vx=0,
        hitlag=_hitlag(move),
    )
    break_shields(s, k, hit & (s.shield == 0))


def break_shields(s: State, k: Physics, broken: np.ndarray) -> None:
    """Pop the players up, helpless; the shield comes back half full."""
    s.enter(broken, Act.SHIELD_BREAK_FLY)
    s.assign(
        broken,
        shield=round(k.params.shield_after_break * SHIELD_ONE),
        vy=5 * SPEED_ONE // 2,
        kx=0,
        ky=0,
        vx=0,
        ground=0,
        jumps=1,
        hitlag=0,
    )


def _grab(s: State, k: Physics, active: np.ndarray) -> None:
    a = s.action
    catching = active & ((a == Act.CATCH) | (a == Act.CATCH_DASH)) & (s.age >= GRAB_FROM) & (s.age <= GRAB_TO)
    catching &= ~catching[::-1]
    if not catching.any():
        return
    ahead = (s.x[::-1] - s.x) * s.facing
    reach = round(GRAB_REACH * 64) * k.by_character["reach"][s.character]
    catching &= (ahead >= 0) & (ahead <= reach) & (np.abs(s.y[::-1] - s.y) <= 10 * SPEED_ONE)
    catching &= (_vulnerable(s) & ((FLAGS[a] & (Flag.HELD | Flag.STATIC)) == 0) & (s.hitlag == 0))[::-1]
    catching &= ((FLAGS[s.action] & Flag.TUMBLE) == 0)[::-1]
    s.enter(catching, Act.CATCH_PULL)
    s.assign(catching, vx=0)
    caught = catching[::-1]
    s.enter(caught, Act.CAPTURE_PULLED)
    s.assign(caught, facing=-s.facing[::-1], ground=1, jumps=2)


def _let_go(s: State, k: Physics, active: np.ndarray) -> None:
    """Throws reach their release frame: the thrown are launched from where they were held."""
    throwing = (s.action >= Act.THROW_F) & (s.action <= Act.THROW_LW)
    release = active & throwing & (s.age == THROW_RELEASE) & ((FLAGS[s.action] & Flag.THROWN) != 0)[::-1]
    if release.any():
        away = np.where(s.action == Act.THROW_B, -s.facing, s.facing)
        _strike(s, k, release[::-1], s.action[::-1].copy(), away[::-1], lag=False)
