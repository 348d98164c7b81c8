"""How a fighter holds itself in each action state: joint angles at key frames, interpolated.

Angles are degrees, 0 hanging straight down (the torso: standing straight up), positive towards
where the fighter faces. Elbows and knees add to the limb above them; knees bend backwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from awm_kit.action_states import Family, family_of

#: Order of the numbers of a pose.
JOINTS = (
    "lean", "head", "arm", "elbow", "rear_arm", "rear_elbow", "leg", "knee", "rear_leg", "rear_knee",
    "spin",
)  # fmt: skip
Key = tuple[float, ...]


class Clip(NamedTuple):
    """Key poses by frame; after the last, hold it, or start again after ``period`` frames.

    ``swing`` names what leaves a trail while it moves fast: the hand, the foot, or nothing.
    """

    keys: tuple[tuple[float, Key], ...]
    period: float = 0.0
    swing: str = ""


_STAND = (3, 0, 30, 62, -6, 58, 20, 16, -18, 12, 0)
_BREATHE = (6, 3, 36, 70, -2, 64, 23, 22, -20, 17, 0)
_CROUCH = (32, -16, 40, 70, 20, 60, 72, 104, 12, 96, 0)
_RISE = (8, -14, 140, 30, -60, 40, 44, 78, -22, 34, 0)
_DROP = (4, 8, 104, 26, -92, 24, 26, 34, -26, 52, 0)
_BALL = (38, 24, 46, 96, 30, 96, 96, 124, 78, 124, 0)
_RECOIL = (-30, -24, 62, 30, 84, 24, 26, 14, -30, 26, 0)
_GUARD = (14, 10, 66, 96, 52, 104, 34, 44, -24, 34, 0)
_REACH = (26, 8, 88, 6, 72, 14, 40, 34, -34, 12, 0)
_HANG = (-8, -14, 172, 8, 166, 12, 14, 18, -8, 22, 0)
_LIE = (0, 6, 30, 12, -20, 10, 8, 14, -6, 8, -86)
_DIZZY = (14, 20, 12, 10, -12, 10, 16, 24, -12, 20, 0)

_CLIPS: dict[str, Clip] = {
    "idle": Clip(((0, _STAND), (26, _BREATHE), (52, _STAND)), 52),
    "walk": Clip(
        (
            (0, (7, 2, -24, 30, 30, 34, 30, 8, -26, 18, 0)),
            (10, (9, 2, 4, 34, 4, 34, -2, 6, 8, 54, 0)),
            (20, (7, 2, 30, 34, -24, 30, -26, 18, 30, 8, 0)),
            (30, (9, 2, 4, 34, 4, 34, 8, 54, -2, 6, 0)),
            (40, (7, 2, -24, 30, 30, 34, 30, 8, -26, 18, 0)),
        ),
        40,
    ),
    "run": Clip(
        (
            (0, (28, -14, -62, 70, 66, 92, 60, 18, -46, 46, 0)),
            (4, (30, -14, -10, 84, 14, 92, 6, 14, 26, 108, 0)),
            (8, (28, -14, 66, 92, -62, 70, -46, 46, 60, 18, 0)),
            (12, (30, -14, 14, 92, -10, 84, 26, 108, 6, 14, 0)),
            (16, (28, -14, -62, 70, 66, 92, 60, 18, -46, 46, 0)),
        ),
        16,
    ),
    "dash": Clip(((0, _STAND), (4, (42, -24, -70, 40, -96, 30, 66, 40, -52, 10, 0)))),
    "brake": Clip(((0, (-22, 14, 70, 30, 40, 40, 48, 6, 4, 44, 0)),)),
    "squat": Clip(((0, _STAND), (4, _CROUCH))),
    "jump": Clip(((0, _CROUCH), (4, _RISE), (26, _DROP))),
    "flip": Clip(((0, _BALL[:-1] + (0,)), (18, _BALL[:-1] + (360,)), (24, _DROP[:-1] + (360,)))),
    "fall": Clip(((0, _DROP), (12, (2, 10, 122, 20, -116, 20, 30, 40, -22, 60, 0)), (24, _DROP)), 24),
    "helpless": Clip(((0, (20, 30, 40, 20, 60, 20, 30, 30, -10, 40, 0)),)),
    "land": Clip(((0, _CROUCH), (10, _STAND))),
    "jab": Clip(
        ((0, _STAND), (2, (8, 0, -20, 110, 20, 90, 26, 16, -24, 8, 0)),
         (4, (20, -6, 92, 2, -34, 70, 42, 26, -34, 6, 0)), (16, _STAND)),
        0, "hand",
    ),
    "dash_attack": Clip(
        ((0, (30, -10, -50, 80, 40, 80, 30, 60, -30, 30, 0)),
         (5, (-24, 16, -40, 40, -64, 40, 92, 4, -14, 74, 0)), (26, _CROUCH), (34, _STAND)),
        0, "foot",
    ),
    "tilt_side": Clip(
        ((0, _STAND), (4, (-16, 6, -70, 60, 30, 70, 30, 20, -20, 10, 0)),
         (8, (18, -4, 96, 4, -40, 50, 40, 26, -36, 4, 0)), (26, _STAND)),
        0, "hand",
    ),
    "tilt_up": Clip(
        ((0, _STAND), (3, (20, 0, -40, 40, 20, 60, 30, 30, -20, 20, 0)),
         (7, (-6, -16, 186, 4, -30, 40, 22, 14, -22, 10, 0)),
         (11, (-10, -10, 236, 6, -30, 40, 22, 14, -22, 10, 0)),
         (24, _STAND)),
        0, "hand",
    ),
    "tilt_down": Clip(
        ((0, _CROUCH), (4, (36, -18, 20, 80, -10, 60, 60, 110, 10, 96, 0)),
         (8, (20, -12, 40, 40, -40, 30, 88, 2, 14, 104, 0)), (24, _CROUCH)),
        0, "foot",
    ),
    "smash_side": Clip(
        ((0, _STAND), (8, (-26, 10, -110, 30, 20, 70, 34, 22, -16, 30, 0)),
         (11, (-26, 10, -114, 30, 20, 70, 34, 22, -16, 30, 0)),
         (15, (38, -20, 102, 0, -70, 30, 62, 40, -48, 2, 0)),
         (22, (36, -18, 84, 6, -60, 30, 62, 40, -48, 2, 0)),
         (40, _STAND)),
        0, "hand",
    ),
    "smash_up": Clip(
        ((0, _STAND), (7, _CROUCH), (11, (-14, -22, 176, 0, 158, 6, 12, 6, -14, 4, 0)),
         (18, (-10, -14, 206, 6, 170, 6, 12, 6, -14, 4, 0)), (36, _STAND)),
        0, "hand",
    ),
    "smash_down": Clip(
        ((0, _STAND), (5, (10, 0, 100, 50, -100, 50, 60, 96, -30, 96, 0)),
         (8, (4, 0, 120, 10, -120, 10, 78, 6, -78, -4, 0)),
         (20, (4, 0, 120, 10, -120, 10, 74, 10, -74, 0, 0)),
         (34, _STAND)),
        0, "foot",
    ),
    "air_neutral": Clip(
        ((0, _BALL), (4, (8, 0, 96, 10, -96, 10, 84, 8, -62, 30, 0)),
         (24, (6, 4, 90, 20, -80, 20, 70, 20, -50, 40, 0)),
         (36, _DROP)),
        0, "foot",
    ),
    "air_forward": Clip(
        ((0, _RISE), (5, (-14, 0, 190, 20, -40, 40, 30, 70, -20, 40, 0)),
         (9, (30, -10, 70, 0, -60, 30, 30, 70, -30, 40, 0)),
         (13, (34, -10, 20, 0, -60, 30, 30, 70, -30, 40, 0)),
         (34, _DROP)),
        0, "hand",
    ),
    "air_back": Clip(
        ((0, _RISE), (5, (24, -10, 60, 60, 20, 60, 70, 110, 40, 110, 0)),
         (8, (52, -30, 70, 50, 60, 30, 40, 90, -94, -4, 0)),
         (20, (48, -26, 70, 50, 60, 30, 40, 90, -86, 0, 0)),
         (34, _DROP)),
        0, "rear_foot",
    ),
    "air_up": Clip(
        ((0, _RISE), (4, (10, -20, -40, 30, -60, 30, 60, 90, -10, 40, 0)),
         (8, (-40, -30, -70, 30, -90, 30, 150, 4, 40, 70, 0)),
         (14, (-60, -30, -80, 30, -90, 30, 176, 6, 60, 70, 0)),
         (34, _DROP)),
        0, "foot",
    ),
    "air_down": Clip(
        ((0, _RISE), (6, _BALL), (9, (-8, 10, 140, 20, -140, 20, 4, 0, -4, 2, 0)),
         (26, (-8, 10, 140, 20, -140, 20, 4, 0, -4, 2, 0)), (40, _DROP)),
        0, "foot",
    ),
    "leap": Clip(((0, _CROUCH), (6, (6, -20, 178, 0, 150, 10, 8, 10, -14, 20, 0)), (30, _HANG)), 0, "hand"),
    "hit": Clip(((0, _RECOIL), (14, (-16, -10, 40, 40, 50, 40, 24, 20, -26, 26, 0)))),
    "tumble": Clip(
        ((0, (-20, -20, 120, 20, 70, 30, 60, 30, -20, 50, 0)),
         (24, (-20, -20, 100, 30, 90, 20, 30, 50, 20, 30, -360))),
        24,
    ),
    "guard": Clip(((0, _STAND), (3, _GUARD))),
    "dizzy": Clip(((0, _DIZZY), (20, (-8, -18, 16, 12, -8, 10, 14, 20, -14, 24, 0)), (40, _DIZZY)), 40),
    "grab": Clip(((0, _STAND), (5, _REACH), (20, _REACH), (34, _STAND)), 0, "hand"),
    "hold": Clip(((0, _REACH),)),
    "throw": Clip(((0, _REACH), (8, (-20, 0, -40, 40, -60, 30, 30, 20, -20, 20, 0)), (13, _REACH),
    (30, _STAND)), 0, "hand"),
    "held": Clip(((0, (-14, -20, 40, 10, 30, 14, 12, 20, -8, 24, 0)),
    (6, (-8, -24, 46, 16, 20, 14, 18, 26, -14, 20, 0)),
                  (12, (-14, -20, 40, 10, 30, 14, 12, 20, -8, 24, 0))), 12),
    "roll": Clip(((0, _BALL[:-1] + (0,)), (24, _BALL[:-1] + (360,)), (31, _CROUCH[:-1] + (360,)))),
    "dodge": Clip(((0, _STAND), (5, (-26, -16, -30, 40, -50, 40, 30, 40, -10, 50, 0)), (22, _STAND))),
    "lie": Clip(((0, _LIE),)),
    "get_up": Clip(((0, _LIE), (12, _CROUCH), (26, _STAND))),
    "sweep": Clip(((0, _LIE), (10, (30, -10, 60, 40, -60, 30, 90, 4, -80, 4, 0)),
    (30, _CROUCH)), 0, "foot"),
    "hang": Clip(((0, _HANG), (24, (-4, -10, 174, 6, 168, 10, 20, 26, -2, 26, 0)), (48, _HANG)), 48),
    "climb": Clip(((0, _HANG), (12, _CROUCH), (30, _STAND))),
    "pose": Clip(((0, _STAND), (10, (-10, -14, 168, 10, 40, 90, 20, 10, -20, 10, 0)))),
}  # fmt: skip

# First and last action state, clip. What is not listed falls back to its family.
_BY_STATE: tuple[tuple[int, int, str], ...] = (
    (20, 20, "dash"), (23, 23, "brake"), (24, 24, "squat"), (25, 26, "jump"), (27, 28, "flip"),
    (35, 37, "helpless"), (44, 49, "jab"), (50, 50, "dash_attack"), (51, 55, "tilt_side"),
    (56, 56, "tilt_up"),
    (57, 57, "tilt_down"), (58, 62, "smash_side"), (63, 63, "smash_up"), (64, 64, "smash_down"),
    (65, 65, "air_neutral"), (66, 66, "air_forward"), (67, 67, "air_back"), (68, 68, "air_up"),
    (69, 69, "air_down"), (183, 185, "lie"), (186, 186, "get_up"), (187, 187, "sweep"), (188, 189, "roll"),
    (191, 193, "lie"), (194, 194, "get_up"), (195, 195, "sweep"), (196, 197, "roll"), (199, 199, "land"),
    (200, 201, "roll"), (205, 206, "tumble"), (207, 208, "lie"), (209, 210, "get_up"), (216, 217, "hold"),
    (219, 222, "throw"), (233, 234, "roll"), (235, 236, "dodge"), (252, 253, "hang"), (264, 265, "pose"),
)  # fmt: skip

_BY_FAMILY: dict[Family, str] = {
    Family.DEAD: "tumble", Family.RESPAWN: "idle", Family.IDLE: "idle", Family.WALK: "walk",
    Family.RUN: "run", Family.CROUCH: "squat", Family.JUMP: "jump", Family.FALL: "fall",
    Family.LANDING: "land", Family.ATTACK: "tilt_side", Family.AERIAL: "air_neutral",
    Family.SPECIAL: "leap", Family.HIT: "hit", Family.TUMBLE: "tumble", Family.SHIELD: "guard",
    Family.SHIELD_BREAK: "dizzy", Family.GRAB: "grab", Family.GRABBED: "held", Family.DODGE: "dodge",
    Family.DOWN: "lie", Family.LEDGE: "climb",
}  # fmt: skip

_CLIP_OF = {state: clip for first, last, clip in _BY_STATE for state in range(first, last + 1)}


def clip_name(action_state: int, on_ground: bool) -> str:
    """The clip that shows an action state; unknown states stand or fall."""
    fallback = _BY_FAMILY.get(family_of(action_state), "idle" if on_ground else "fall")
    return _CLIP_OF.get(action_state, fallback)


def clip(name: str) -> Clip:
    """The clip called ``name``; ``KeyError`` if there is none."""
    return _CLIPS[name]


def clip_names() -> tuple[str, ...]:
    """Every clip, in the order of this file."""
    return tuple(_CLIPS)


def pose_at(name: str, age: float) -> np.ndarray:
    """Joint angles of a clip ``age`` frames after the action state began, in degrees.

    Returns
    -------
    ndarray of float64, shape (11,)
        In the order of `JOINTS`.
    """
    keys, period, _ = _CLIPS[name]
    age = max(age, 0.0) % period if period else max(age, 0.0)
    after = next((i for i, (frame, _) in enumerate(keys) if frame > age), len(keys))
    if after in (0, len(keys)):
        return np.array(keys[min(after, len(keys) - 1)][1], np.float64)
    (t0, a), (t1, b) = keys[after - 1], keys[after]
    share = (age - t0) / (t1 - t0)
    share = share * share * (3 - 2 * share)
    return np.array(a, np.float64) * (1 - share) + np.array(b, np.float64) * share
