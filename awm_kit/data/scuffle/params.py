"""Every constant of scuffle's physics: change one and you have another world to learn.

Real units here (game units, frames); `Physics` holds the same in the schema's stored integers,
which is what the step computes with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

import numpy as np

from awm_kit.data.scuffle.stage import STAGES

FOX, MARTH = 1, 18


@dataclass(frozen=True)
class CharacterParams:
    """How one character moves. Speeds in units/frame, accelerations in units/frame².

    Attributes
    ----------
    weight : int
        Heavier flies less far; knockback scales with 200 / (weight + 100).
    air_friction : float
        Horizontal slowing in the air with the stick at rest.
    jump_squat : int
        Frames of crouching before a jump leaves the ground.
    special_start, special_rise : int, float
        Frame at which the upwards special leaves, and its speed.
    reach : float
        Factor on how far forward attacks reach and how wide they are.
    height : float
        Of the hurtbox; its half width is `Params.body_half_width`.
    """

    weight: int
    gravity: float
    fall_speed: float
    fast_fall_speed: float
    walk_speed: float
    walk_accel: float
    dash_speed: float
    run_speed: float
    run_accel: float
    friction: float
    air_speed: float
    air_accel: float
    air_friction: float
    jump_speed: float
    hop_speed: float
    double_jump_speed: float
    jump_squat: int
    special_start: int
    special_rise: float
    reach: float
    height: float


FAST_FALLER = CharacterParams(
    weight=75, gravity=0.1875, fall_speed=2.5, fast_fall_speed=3.25, walk_speed=1.5, walk_accel=0.25,
    dash_speed=2.0, run_speed=2.25, run_accel=0.125, friction=0.09375, air_speed=1.0, air_accel=0.0625,
    air_friction=0.03125, jump_speed=3.5, hop_speed=2.0, double_jump_speed=3.75, jump_squat=3,
    special_start=18, special_rise=4.5, reach=1.0, height=12.0,
)  # fmt: skip

FLOATER = CharacterParams(
    weight=90, gravity=0.09375, fall_speed=2.0, fast_fall_speed=2.5, walk_speed=1.25, walk_accel=0.1875,
    dash_speed=1.5, run_speed=1.75, run_accel=0.125, friction=0.0625, air_speed=0.875, air_accel=0.046875,
    air_friction=0.015625, jump_speed=2.5, hop_speed=1.625, double_jump_speed=2.25, jump_squat=4,
    special_start=6, special_rise=3.5, reach=1.3125, height=15.0,
)  # fmt: skip


#: Speeds above 30 would not fit into a frame's int16, and nothing else has reason to be larger, but these.
_MOST = {
    "stocks": 4, "stage": 63, "time_limit": 2**32 - 1, "dizzy_frames": 4000, "grab_frames": 4000,
    "hitstun_min": 4000, "respawn_height": 100, "shield_after_break": 60,
}  # fmt: skip


def _most(name: str) -> int:
    """The largest value of a constant that another world may have; the least is 0."""
    return 8 if name.endswith("_scale") else _MOST.get(name, 30)


@dataclass(frozen=True)
class Params:
    """The physics of one scuffle world.

    Scales multiply the characters' own constants: ``Params(gravity_scale=0.4)`` is moon gravity.

    Attributes
    ----------
    knockback_scale : float
        Factor on launch speed (0.03 units/frame per unit of knockback at 1).
    knockback_decay : float
        By which both components of the knockback speed shrink each frame in the air.
    slide_decay : float
        The same on the ground.
    hitstun_speed : float
        Hitstun lasts until both components of the knockback speed are at most this.
    hitstun_min : int
        ... and at least this many frames, hitlag included.
    launch_speed : float
        Knockback speeds from here on lift a grounded victim and make it tumble.
    max_knockback : float
        Limit on launch speed, units/frame.
    shield_decay, shield_regen : float
        Shield health lost per frame while up, gained per frame while down.
    shield_damage : float
        Shield health lost per percent of an attack.
    shield_push : float
        Speed per percent by which a shielded attack pushes the defender; stun lasts while it slides.
    dizzy_frames : int
        Helplessness after a broken shield.
    grab_frames, grab_frames_per_percent : int, float
        When a captured character that presses a button is released; twice that without.
    special_drift : float
        Sideways speed of the upwards special, where the stick points.
    time_limit : int
        Frames until a timeout; 0 is none.
    """

    gravity_scale: float = 1.0
    speed_scale: float = 1.0
    jump_scale: float = 1.0
    friction_scale: float = 1.0
    weight_scale: float = 1.0
    damage_scale: float = 1.0
    knockback_scale: float = 1.0
    knockback_decay: float = 0.0390625
    slide_decay: float = 0.0625
    hitstun_speed: float = 0.875
    hitstun_min: int = 12
    launch_speed: float = 2.0
    max_knockback: float = 12.0
    shield_decay: float = 0.28125
    shield_regen: float = 0.0703125
    shield_damage: float = 1.0
    shield_push: float = 0.0625
    shield_after_break: float = 30.0
    dizzy_frames: int = 200
    grab_frames: int = 30
    grab_frames_per_percent: float = 0.5
    roll_speed: float = 1.5
    air_dodge_speed: float = 2.75
    air_dodge_decay: float = 0.09375
    special_drift: float = 1.5
    body_half_width: float = 4.0
    respawn_height: float = 60.0
    time_limit: int = 8 * 60 * 60
    stage: int = 31
    stocks: int = 4
    characters: dict[int, CharacterParams] = field(default_factory=lambda: {FOX: FAST_FALLER, MARTH: FLOATER})

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> Params:
        """The default physics but for ``changes``, numbers by field name, as recipes and notes hold them.

        Raises
        ------
        ValueError
            If there is no such constant, or what it is to be is no number or out of its range.
        """
        known = {f.name for f in fields(cls)} - {"characters"}
        if unknown := sorted(set(changes) - known):
            raise ValueError(f"expected physics of {sorted(known)} (got {unknown})")
        for name, value in changes.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"expected a number for {name} (got {value!r})")
            if name == "stage" and value not in STAGES:
                raise ValueError(f"expected a stage of {sorted(STAGES)} (got {value!r})")
            whole, most = isinstance(getattr(cls, name), int), _most(name)
            if not 0 <= value <= most or (whole and value != int(value)):
                kind = "a whole number" if whole else "a number"
                raise ValueError(f"expected {kind} of 0 to {most} for {name} (got {value!r})")
        return cls(**changes)

    def __hash__(self) -> int:
        """Hash by value (``characters`` included), so that derived tables can be cached."""
        scalars = tuple(v for k, v in vars(self).items() if k != "characters")
        return hash((scalars, tuple(sorted(self.characters.items(), key=lambda item: item[0]))))


SPEED_ONE = 1024
SHIELD_ONE = 256
PERCENT_ONE = 64

_SPEED_FIELDS = {
    "gravity": "gravity_scale", "fall_speed": "gravity_scale", "fast_fall_speed": "gravity_scale",
    "walk_speed": "speed_scale", "walk_accel": "friction_scale", "dash_speed": "speed_scale",
    "run_speed": "speed_scale", "run_accel": "friction_scale", "friction": "friction_scale",
    "air_speed": "speed_scale", "air_accel": "speed_scale", "air_friction": "friction_scale",
    "jump_speed": "jump_scale", "hop_speed": "jump_scale", "double_jump_speed": "jump_scale",
    "special_rise": "jump_scale", "height": "",
}  # fmt: skip


@dataclass(frozen=True)
class Physics:
    """`Params` as stored integers; ``by_character[name]`` is an int32 array indexed by character id."""

    params: Params
    by_character: dict[str, np.ndarray]

    def speed(self, name: str) -> np.int32:
        """A scalar parameter (length or speed) in 1/1024 units; int32, so that arrays stay so."""
        value: float = getattr(self.params, name)
        return np.int32(round(value * SPEED_ONE))


@lru_cache(maxsize=64)
def physics(params: Params) -> Physics:
    """Integer tables for ``params``; ids without a character of their own play as the first one."""
    tables: dict[str, np.ndarray] = {}
    default = next(iter(params.characters.values()))
    each = [params.characters.get(i, default) for i in range(33)]
    for name, scale_name in _SPEED_FIELDS.items():
        scale = getattr(params, scale_name) if scale_name else 1.0
        tables[name] = np.array([round(getattr(c, name) * scale * SPEED_ONE) for c in each], np.int32)
    for name in ("jump_squat", "special_start"):
        tables[name] = np.array([getattr(c, name) for c in each], np.int32)
    tables["weight"] = np.array([round(c.weight * params.weight_scale) for c in each], np.int32)
    tables["reach"] = np.array([round(c.reach * 16) for c in each], np.int32)
    return Physics(params, tables)
