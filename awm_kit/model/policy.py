"""A player as a small network: it looks at one frame and says which controls to take up next.

Inference is NumPy and needs no PyTorch; `awm_kit.model.clone` trains one from replays. Everything is
seen as if the opponent stood to the right: the game is the same when mirrored.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from awm_kit.data.replay import read_npz
from awm_kit.data.scuffle.dice import hash32
from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole
from awm_kit.schema import CONTROLLER, FIGHTER, Button

FORMAT = 1
#: Units of the network's linear features; sidewise ones turn their sign in the mirror.
SIDEWISE = {
    "x": 64.0, "speed_air_x": 2.0, "speed_ground_x": 2.0, "speed_attack_x": 2.0, "facing": 1.0,
}  # fmt: skip
UPRIGHT = {
    "y": 32.0, "speed_y": 2.0, "speed_attack_y": 2.0, "percent": 80.0, "shield": 30.0, "state_age": 16.0,
    "hitlag": 8.0, "stocks": 2.0, "on_ground": 1.0, "jumps_left": 2.0,
}  # fmt: skip
LINEAR = 2 * (len(SIDEWISE) + len(UPRIGHT)) + 2
N_ACTIONS, N_CHARACTERS = (FIGHTER.player(name).classes for name in ("action_state", "character"))

STICK, TRIGGER = 80, 140
_HALF, _FULL = 15, 60
_SHIELD, _BUTTONS = Button.R, Button.A | Button.B | Button.X | Button.Z


@dataclass(frozen=True)
class Seen:
    """What one player sees of frames.

    Attributes
    ----------
    linear : ndarray of float32, shape (n, LINEAR)
    actions : ndarray of int64, shape (n, 2)
        Action states, one's own first.
    characters : ndarray of int64, shape (n, 2)
    mirror : ndarray of int8, shape (n,)
        -1 where the picture was mirrored, else 1.
    """

    linear: np.ndarray
    actions: np.ndarray
    characters: np.ndarray
    mirror: np.ndarray


def look(frames: np.ndarray, player: np.ndarray | int) -> Seen:
    """What ``player`` (0 or 1, one for all or one a frame) sees of ``frames``, FRAME of shape (n,)."""
    rows = np.arange(len(frames))
    own = np.broadcast_to(np.asarray(player), rows.shape)
    sides = [frames["players"][rows, who] for who in (own, 1 - own)]
    apart = sides[1]["x"].astype(np.int64) - sides[0]["x"]
    mirror = np.where(apart >= 0, 1, -1)
    columns = [apart * mirror / 1024 / 32, (sides[1]["y"].astype(np.int64) - sides[0]["y"]) / 1024 / 32]
    for side in sides:
        columns += [_real(side, name) * mirror / unit for name, unit in SIDEWISE.items()]
        columns += [_real(side, name) / unit for name, unit in UPRIGHT.items()]
    linear = np.clip(np.stack(columns, 1), -4, 4).astype(np.float32)
    actions, characters = (
        np.stack([side[name].astype(np.int64) for side in sides], 1) for name in ("action_state", "character")
    )
    return Seen(linear, actions, characters, mirror.astype(np.int8))


def _real(side: np.ndarray, name: str) -> np.ndarray:
    return FIGHTER.player(name).to_real(side[name])


def coarse(pads: np.ndarray, mirror: np.ndarray | int = 1) -> np.ndarray:
    """Controllers reduced to what a policy tells apart, mirrored where ``mirror`` is -1.

    Sticks take five positions an axis, C-sticks three; either trigger is R, Y is X; the rest is dropped.
    """
    out: np.ndarray = np.zeros(pads.shape, CONTROLLER)
    for name in ("stick_x", "stick_y"):
        push = np.abs(pads[name].astype(int))
        size = np.where(push >= _FULL, STICK, np.where(push >= _HALF, STICK // 2, 0))
        out[name] = np.sign(pads[name]) * size
    for name in ("cstick_x", "cstick_y"):
        out[name] = np.sign(pads[name]) * np.where(np.abs(pads[name].astype(int)) >= 2 * _HALF, STICK, 0)
    for name in ("stick_x", "cstick_x"):
        out[name] = out[name] * mirror
    buttons = pads["buttons"]
    pulled = (np.maximum(pads["trigger_l"], pads["trigger_r"]) > TRIGGER // 4) | (
        buttons & (Button.L | Button.R) > 0
    )
    out["trigger_r"] = np.where(pulled, TRIGGER, 0)
    jump = np.where(buttons & (Button.X | Button.Y), Button.X, 0)
    out["buttons"] = buttons & (Button.A | Button.B | Button.Z) | jump | np.where(pulled, _SHIELD, 0)
    return out


@dataclass(frozen=True)
class Policy:
    """A trained player.

    Attributes
    ----------
    choices : ndarray of CONTROLLER, shape (k,)
        What it can press, as `coarse` gives it.
    action_rows, character_rows : ndarray of float32, shape (N_ACTIONS, a), (N_CHARACTERS, c)
        Embeddings.
    layers : tuple of (ndarray, ndarray)
        Weight (out, in) and bias of each layer; ReLU between them.
    notes : dict
        JSON-able facts: what it was cloned from.
    """

    choices: np.ndarray
    action_rows: np.ndarray
    character_rows: np.ndarray
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Policy {self.n_params:,} parameters, {len(self.choices)} choices>"

    @property
    def n_params(self) -> int:
        """Number of weights."""
        parts = [self.action_rows, self.character_rows, *(a for layer in self.layers for a in layer)]
        return sum(part.size for part in parts)

    def logits(self, seen: Seen) -> np.ndarray:
        """Log odds of every choice, float32, shape (n, k)."""
        n = len(seen.linear)
        actions = np.clip(seen.actions, 0, N_ACTIONS - 1)
        characters = np.clip(seen.characters, 0, N_CHARACTERS - 1)
        rows = [self.action_rows[actions].reshape(n, -1), self.character_rows[characters].reshape(n, -1)]
        x = np.concatenate([seen.linear, *rows], 1)
        for index, (weight, bias) in enumerate(self.layers):
            x = x @ weight.T + bias
            if index < len(self.layers) - 1:
                x = np.maximum(x, 0)
        return x

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write an ``.npz`` with 16-bit weights."""
        target = Path(path)
        arrays: dict[str, Any] = {"action_rows": self.action_rows, "character_rows": self.character_rows}
        for index, (weight, bias) in enumerate(self.layers):
            arrays |= {f"layer{index}_w": weight, f"layer{index}_b": bias}
        halves: dict[str, Any] = {name: array.astype(np.float16) for name, array in arrays.items()}
        header = json.dumps({"format": FORMAT, "layers": len(self.layers), "notes": self.notes})
        with written_whole(target) as part, open(part, "wb") as out:
            np.savez_compressed(
                out,
                header=np.frombuffer(header.encode(), np.uint8),
                choices=np.frombuffer(self.choices.tobytes(), np.uint8),
                **halves,
            )
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Policy:
        """Read what `save` wrote.

        Raises
        ------
        ModelFileError
            If the file is damaged or no policy.
        FileNotFoundError
            If there is none.
        """
        try:
            file = read_npz(path)
            header = json.loads(file["header"].tobytes())
            if header["format"] != FORMAT:
                raise ModelFileError(f"{path}: expected policy format {FORMAT} (got {header['format']})")
            names = [(f"layer{i}_w", f"layer{i}_b") for i in range(int(header["layers"]))]
            policy = cls(
                choices=np.frombuffer(file["choices"].tobytes(), CONTROLLER),
                action_rows=file["action_rows"].astype(np.float32),
                character_rows=file["character_rows"].astype(np.float32),
                layers=tuple((file[w].astype(np.float32), file[b].astype(np.float32)) for w, b in names),
                notes=header["notes"],
            )
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelFileError(f"{path} is damaged or no policy: {error}") from error
        return policy._checked(path)

    def _checked(self, path: str | os.PathLike[str]) -> Policy:
        rows = (self.action_rows.shape, self.character_rows.shape)
        if [shape[:1] for shape in rows] != [(N_ACTIONS,), (N_CHARACTERS,)] or not self.layers:
            raise ModelFileError(
                f"{path}: expected embeddings of {N_ACTIONS} and {N_CHARACTERS} (got {rows})"
            )
        width = LINEAR + 2 * (rows[0][-1] + rows[1][-1])
        for weight, bias in self.layers:
            if weight.shape != (bias.size, width) or bias.ndim != 1:
                raise ModelFileError(
                    f"{path}: expected a layer of {bias.size} × {width} (got {weight.shape})"
                )
            width = bias.size
        if width != len(self.choices):
            raise ModelFileError(f"{path}: expected {len(self.choices)} outputs (got {width})")
        return self


#: What plays best: at 1 it would also copy its models' blunders.
TEMPERATURE = 0.8


class PolicyPlayers:
    """One policy as one player of each of n matches: decides a few times a second, as people do.

    Parameters
    ----------
    policy : Policy
    player : int
        Whom it plays, 0 or 1.
    seeds : ndarray of uint32, shape (n,)
        Choices are drawn by hashes of seed, player and frame number: the same frames, the same controls.
    temperature : float
        Below 1 it takes likely choices more often than those it learned from did.
    """

    def __init__(
        self, policy: Policy, player: int, seeds: np.ndarray, temperature: float = TEMPERATURE
    ) -> None:
        if player not in (0, 1):
            raise ValueError(f"expected player 0 or 1 (got {player})")
        if not temperature > 0:
            raise ValueError(f"expected a temperature above 0 (got {temperature})")
        self.policy, self.player, self.temperature = policy, player, temperature
        self._key = hash32(np.asarray(seeds), player, 0x5EED)
        self._pads = np.zeros(len(self._key), CONTROLLER)
        self._wait = np.zeros(len(self._key), np.int64)
        self._action = np.full(len(self._key), -1, np.int64)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """Controllers for the step after ``frames``, FRAME of shape (n,); CONTROLLER, shape (n,)."""
        action = frames["players"][:, self.player]["action_state"].astype(np.int64)
        # Something happened to it (landed, hit, grabbed, …): it notices a little later.
        self._wait = np.minimum(self._wait - 1, np.where(action != self._action, _NOTICE, HOLD))
        self._action = action
        # A button goes up in time to be pressed anew by the next decision; a shield stays up.
        up = self._wait <= 1
        self._pads["buttons"][up] &= np.uint16(0xFFFF ^ _BUTTONS)
        self._pads["cstick_x"][up] = self._pads["cstick_y"][up] = 0
        due = np.flatnonzero(self._wait <= 0)
        if len(due):
            self._decide(frames, due)
        out: np.ndarray = self._pads.copy()
        out["sequence"] = frames["frame"] + 1
        return out

    def _decide(self, frames: np.ndarray, due: np.ndarray) -> None:
        seen = look(frames[due], self.player)
        logits = self.policy.logits(seen).astype(np.float64) / self.temperature
        odds = np.cumsum(np.exp(logits - logits.max(1, keepdims=True)), 1)
        dice = hash32(self._key[due], frames["frame"][due]) / 2.0**32
        chosen = (odds < dice[:, None] * odds[:, -1:]).sum(1)
        self._pads[due] = coarse(self.policy.choices[chosen], seen.mirror)
        self._wait[due] = HOLD + hash32(self._key[due], frames["frame"][due], 1) % _HOLD_SPREAD


#: Frames that a decision is held, at least; up to `_HOLD_SPREAD` - 1 more.
HOLD = 4
_HOLD_SPREAD, _NOTICE = 5, 3
