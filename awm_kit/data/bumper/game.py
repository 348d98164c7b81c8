"""The teacher of `bumper`: exact integer rules, many matches at once.

Positions and velocities have 8 fraction bits. A cart drives where it looks, grips the table a little,
and loses speed by friction. Who is hit hard spins and slides; who leaves the table falls, loses a life,
and returns on its side of the other cart. Nothing is hidden: a frame and two controllers give the next frame.
"""

from __future__ import annotations

import numpy as np

from awm_kit.data.bumper.schema import DIRECTIONS, FRAME, Act
from awm_kit.schema import STATUS_DECIDED, STATUS_PLAYING, STATUS_TIMEOUT, Button

ONE = 256
TABLE_RADIUS = 60  # units
CART_RADIUS = 3
THROTTLE, BOOST, BRAKE = 18, 44, 14  # 1/256 units/frame**2
DRAG_SHIFT, SLIDE_SHIFT, GRIP_SHIFT = (
    5,
    6,
    2,
)  # friction: 1/32; in a spin: 1/64; grip: 1/4 of sideways
STEER, HARD_STEER = 20, 60  # stick beyond which a cart turns by 1 and 2 of 64 directions
HARD_HIT = ONE  # closing speed that makes the slower cart spin
FUEL, FUEL_EVERY = 90, 4  # a frame of boost comes back every fourth frame
SPIN_FRAMES, FALL_FRAMES, RETURN_FRAMES = 24, 40, 50
WEIGHTS = np.array([3, 5])  # light, heavy

_ANGLE = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
COS, SIN = (np.round(f(_ANGLE) * ONE).astype(np.int64) for f in (np.cos, np.sin))


def initial_frame(seed: int, characters: tuple[int, int] = (0, 1), stocks: int = 3) -> np.ndarray:
    """First frame of a match, FRAME scalar: the carts face each other across the table."""
    rng = np.random.default_rng(seed)
    frame = np.zeros((), FRAME)
    frame["seed"] = seed
    turn = int(rng.integers(DIRECTIONS))
    for p in range(2):
        player, angle = frame["players"][p], (turn + p * DIRECTIONS // 2) % DIRECTIONS
        player["x"], player["y"] = 36 * COS[angle], 36 * SIN[angle]
        player["heading"] = (angle + DIRECTIONS // 2) % DIRECTIONS
        player["fuel"], player["stocks"], player["character"] = FUEL, stocks, characters[p]
    return frame


def step(frames: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Advance matches by one frame.

    Parameters
    ----------
    frames : ndarray of bumper's FRAME, shape (n,); those that are over stay as they are
    inputs : ndarray of bumper's CONTROLLER, shape (n, 2)

    Returns
    -------
    ndarray of FRAME, shape (n,)
    """
    new = np.zeros_like(frames)
    for name in frames.dtype.names or ():
        new[name] = frames[name]
    s = {name: frames["players"][name].astype(np.int64) for name in frames["players"].dtype.names or ()}
    _change_states(s, inputs)
    _drive(s, inputs)
    s["x"], s["y"] = s["x"] + s["vx"], s["y"] + s["vy"]
    _collide(s)
    _fall(s)
    playing = frames["status"] == STATUS_PLAYING
    for name, values in s.items():
        new["players"][name][playing] = values[playing]
    new["frame"] += playing.astype(np.uint32)
    decided = playing & (s["stocks"] == 0).any(1)
    late = playing & (frames["time_limit"] > 0) & (new["frame"] >= frames["time_limit"])
    new["status"] = np.where(decided, STATUS_DECIDED, np.where(late, STATUS_TIMEOUT, frames["status"]))
    return new


def _enter(s: dict[str, np.ndarray], who: np.ndarray, act: Act) -> None:
    s["action_state"] = np.where(who, int(act), s["action_state"])
    s["state_age"] = np.where(who, 0, s["state_age"])


def _change_states(s: dict[str, np.ndarray], inputs: np.ndarray) -> None:
    s["state_age"] = np.minimum(s["state_age"] + 1, 4095)
    act, age = s["action_state"].copy(), s["state_age"]
    pressed = inputs["buttons"].astype(np.int64)
    back = (act == Act.FALL) & (age >= FALL_FRAMES) & (s["stocks"] > 0)
    right = s["x"] > s["x"][:, ::-1]  # by where they are, not by who: swapped players, swapped match
    place = np.where(right, 24 * ONE, -24 * ONE)
    for name, value in (("x", place), ("y", 0), ("vx", 0), ("vy", 0), ("percent", 0), ("fuel", FUEL)):
        s[name] = np.where(back, value, s[name])
    s["heading"] = np.where(back, np.where(right, DIRECTIONS // 2, 0), s["heading"])
    _enter(s, back, Act.RETURN)
    moved = (age >= 10) & (pressed & (Button.A | Button.X) != 0)
    _enter(s, (act == Act.RETURN) & (moved | (age >= RETURN_FRAMES)), Act.DRIVE)
    _enter(s, (act == Act.SPIN) & (age >= SPIN_FRAMES), Act.DRIVE)
    wants = pressed & Button.X != 0
    _enter(s, (act == Act.DRIVE) & wants & (s["fuel"] > 8), Act.BOOST)
    _enter(s, (act == Act.BOOST) & (~wants | (s["fuel"] == 0)), Act.DRIVE)
    boosting = s["action_state"] == Act.BOOST
    refill = (s["action_state"] == Act.DRIVE) & (s["state_age"] % FUEL_EVERY == FUEL_EVERY - 1)
    s["fuel"] = np.clip(s["fuel"] - boosting + refill, 0, FUEL)


def _drive(s: dict[str, np.ndarray], inputs: np.ndarray) -> None:
    act, stick = s["action_state"], inputs["stick_x"].astype(np.int64)
    steers = (act == Act.DRIVE) | (act == Act.BOOST)
    turn = (np.abs(stick) >= STEER).astype(np.int64) + (np.abs(stick) >= HARD_STEER)
    s["heading"] = (s["heading"] - np.where(steers, np.sign(stick) * turn, 0)) % DIRECTIONS
    s["heading"] = np.where(act == Act.SPIN, (s["heading"] + 3) % DIRECTIONS, s["heading"])
    cos, sin = COS[s["heading"]], SIN[s["heading"]]
    pressed = inputs["buttons"].astype(np.int64)
    push = THROTTLE * (pressed & Button.A != 0) - BRAKE * (pressed & Button.B != 0)
    push = np.where(act == Act.BOOST, BOOST, np.where(act == Act.DRIVE, push, 0))
    shift = np.where(act == Act.SPIN, SLIDE_SHIFT, DRAG_SHIFT)
    vx, vy = (v - np.sign(v) * (np.abs(v) >> shift) for v in (s["vx"], s["vy"]))
    sideways = np.where(steers, (vy * cos - vx * sin) >> (8 + GRIP_SHIFT), 0)
    s["vx"] = vx + ((push * cos + sideways * sin) >> 8)
    s["vy"] = vy + ((push * sin - sideways * cos) >> 8)
    held = (act == Act.FALL) | (act == Act.RETURN)
    s["vx"], s["vy"] = np.where(held, 0, s["vx"]), np.where(held, 0, s["vy"])


def _collide(s: dict[str, np.ndarray]) -> None:
    """Two discs: an impulse along the line of centres that damage already taken makes larger."""
    solid = (s["action_state"] != Act.FALL) & (s["action_state"] != Act.RETURN)
    dx, dy = s["x"][:, 1] - s["x"][:, 0], s["y"][:, 1] - s["y"][:, 0]
    distance = np.maximum(1, np.sqrt(dx * dx + dy * dy).astype(np.int64))
    touching = solid.all(1) & (distance < 2 * CART_RADIUS * ONE)
    nx, ny = dx * ONE // distance, dy * ONE // distance
    along = (s["vx"] * nx[:, None] + s["vy"] * ny[:, None]) >> 8
    closing = along[:, 0] - along[:, 1]
    hit = touching & (closing > 0)
    weight = WEIGHTS[s["character"]]
    total = weight.sum(1)
    for p, away in ((0, -1), (1, 1)):
        impulse = closing * 2 * weight[:, 1 - p] // total
        impulse += impulse * s["percent"][:, p] // (100 << 6)
        impulse = np.where(hit, np.minimum(impulse, 8 * ONE), 0)
        s["vx"][:, p] += away * (impulse * nx >> 8)
        s["vy"][:, p] += away * (impulse * ny >> 8)
        overlap = np.where(touching, (2 * CART_RADIUS * ONE - distance + 1) >> 1, 0)
        s["x"][:, p] += away * (overlap * nx >> 8)
        s["y"][:, p] += away * (overlap * ny >> 8)
        slower = np.abs(along[:, p]) <= np.abs(along[:, 1 - p])
        damage = np.where(hit & slower, closing >> 1, 0)  # closing / 2**8 units/frame: 8 percent for each
        s["percent"][:, p] = np.minimum(s["percent"][:, p] + damage * 4, 999 << 6)
        spins = np.zeros_like(solid)
        spins[:, p] = hit & slower & (closing >= HARD_HIT)
        _enter(s, spins, Act.SPIN)


def _fall(s: dict[str, np.ndarray]) -> None:
    out = s["x"] ** 2 + s["y"] ** 2 > (TABLE_RADIUS * ONE) ** 2
    out &= (s["action_state"] != Act.FALL) & (s["stocks"] > 0)
    _enter(s, out, Act.FALL)
    s["stocks"] -= out
    s["vx"], s["vy"] = np.where(out, 0, s["vx"]), np.where(out, 0, s["vy"])
