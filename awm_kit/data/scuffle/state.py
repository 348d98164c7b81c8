"""Scuffle's working state: the frame's fields as arrays of shape (2, N), player first.

Player-major arrays make "the other player's" a view (``a[::-1]``). Besides the frame there is only
what is needed to see a button go down: the controllers of the frame before.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from awm_kit.schema import CONTROLLER, FRAME, Button

#: State attribute -> frame field, per player.
PLAYER_FIELDS = {
    "x": "x", "y": "y", "vx": "speed_air_x", "vy": "speed_y", "kx": "speed_attack_x", "ky": "speed_attack_y",
    "percent": "percent", "shield": "shield", "action": "action_state", "age": "state_age",
    "hitlag": "hitlag", "stocks": "stocks", "facing": "facing", "ground": "on_ground",
    "jumps": "jumps_left", "character": "character",
}  # fmt: skip
GLOBAL_FIELDS = ("frame", "stage", "status", "time_limit", "seed")
PAD_FIELDS = ("sx", "sy", "cx", "cy", "left", "right", "buttons")
_PAD_SOURCES = ("stick_x", "stick_y", "cstick_x", "cstick_y", "trigger_l", "trigger_r", "buttons")

JUMP_BUTTONS = Button.X | Button.Y
SHIELD_BUTTONS = Button.L | Button.R
MASH_BUTTONS = Button.A | Button.B | JUMP_BUTTONS | SHIELD_BUTTONS | Button.Z


class PadParts:
    """What a controller consists of, each an array of int32: `PAD_FIELDS`."""

    sx: np.ndarray
    sy: np.ndarray
    cx: np.ndarray
    cy: np.ndarray
    left: np.ndarray
    right: np.ndarray
    buttons: np.ndarray


class Pad(PadParts):
    """Both players' controllers, int32 arrays of shape (2, N)."""

    def __init__(self, n: int) -> None:
        for name in PAD_FIELDS:
            setattr(self, name, np.zeros((2, n), np.int32))

    @classmethod
    def from_inputs(cls, inputs: np.ndarray) -> Pad:
        """From CONTROLLER records, shape (N, 2)."""
        pad = cls(0)
        for name, source in zip(PAD_FIELDS, _PAD_SOURCES, strict=True):
            setattr(pad, name, np.ascontiguousarray(inputs[source].T, np.int32))
        return pad

    def write(self, out: np.ndarray) -> None:
        """Into CONTROLLER records, shape (N, 2)."""
        for name, source in zip(PAD_FIELDS, _PAD_SOURCES, strict=True):
            out[source] = getattr(self, name).T

    def to_inputs(self) -> np.ndarray:
        """As CONTROLLER records, shape (N, 2)."""
        out = np.zeros(self.sx.shape[::-1], CONTROLLER)
        self.write(out)
        return out

    def take(self, keep: np.ndarray) -> Pad:
        """The controllers of matches ``keep`` (indices or mask)."""
        pad = Pad(0)
        for name in PAD_FIELDS:
            setattr(pad, name, getattr(self, name)[:, keep])
        return pad

    def copy(self) -> Pad:
        """A copy that shares nothing."""
        pad = Pad(0)
        for name in PAD_FIELDS:
            setattr(pad, name, getattr(self, name).copy())
        return pad

    @property
    def shielding(self) -> np.ndarray:
        """True where L or R is down or either analog trigger is pressed past its dead zone."""
        pressed = (self.buttons & SHIELD_BUTTONS) != 0
        either: np.ndarray = pressed | (np.maximum(self.left, self.right) >= 43)
        return either


class State:
    """N matches; int32 arrays, players (2, N), the rest (N,), in stored integers."""

    x: np.ndarray
    y: np.ndarray
    vx: np.ndarray
    vy: np.ndarray
    kx: np.ndarray
    ky: np.ndarray
    percent: np.ndarray
    shield: np.ndarray
    action: np.ndarray
    age: np.ndarray
    hitlag: np.ndarray
    stocks: np.ndarray
    facing: np.ndarray
    ground: np.ndarray
    jumps: np.ndarray
    character: np.ndarray
    frame: np.ndarray
    stage: np.ndarray
    status: np.ndarray
    time_limit: np.ndarray
    seed: np.ndarray
    held: Pad

    @classmethod
    def from_frames(cls, frames: np.ndarray, held: np.ndarray | None = None) -> State:
        """From FRAME records, shape (N,), and the controllers of those frames, (N, 2), if known."""
        state = cls()
        for name, source in PLAYER_FIELDS.items():
            setattr(state, name, np.ascontiguousarray(frames["players"][source].T, np.int32))
        for name in GLOBAL_FIELDS:
            setattr(state, name, frames[name].astype(np.int64 if name != "stage" else np.int32))
        state.held = Pad(len(frames)) if held is None else Pad.from_inputs(held)
        return state

    def write(self, out: np.ndarray) -> None:
        """Into FRAME records, shape (N,)."""
        players = out["players"]
        for name, source in PLAYER_FIELDS.items():
            players[source] = getattr(self, name).T
        players["speed_ground_x"] = (self.vx * self.ground).T
        for name in GLOBAL_FIELDS:
            out[name] = getattr(self, name)

    def to_frames(self) -> np.ndarray:
        """As FRAME records, shape (N,)."""
        out = np.zeros(self.frame.shape, FRAME)
        self.write(out)
        return out

    def take(self, keep: np.ndarray) -> State:
        """The matches ``keep`` (indices or mask), copied."""
        part = State()
        for name in PLAYER_FIELDS:
            setattr(part, name, getattr(self, name)[:, keep])
        for name in GLOBAL_FIELDS:
            setattr(part, name, getattr(self, name)[keep])
        part.held = self.held.take(keep)
        return part

    def put(self, where: np.ndarray, part: State) -> None:
        """Write the matches of ``part`` back to positions ``where``; inverse of `take`."""
        for name in PLAYER_FIELDS:
            getattr(self, name)[:, where] = getattr(part, name)
        for name in GLOBAL_FIELDS:
            getattr(self, name)[where] = getattr(part, name)
        for name in PAD_FIELDS:
            getattr(self.held, name)[:, where] = getattr(part.held, name)

    def enter(self, mask: np.ndarray, action: np.ndarray | int) -> None:
        """Start ``action`` (scalar or array) afresh where ``mask``."""
        np.copyto(self.action, action, where=mask, casting="unsafe")
        np.copyto(self.age, 0, where=mask)

    def assign(self, mask: np.ndarray, **values: np.ndarray | np.integer[Any] | int) -> None:
        """Set fields where ``mask``."""
        for name, value in values.items():
            np.copyto(getattr(self, name), value, where=mask, casting="unsafe")
