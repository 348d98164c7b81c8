"""Controllers: callables that look at a frame and say what one player presses.

People press *actions* (left, jump, attack, …); `actions_to_controller` turns them into the twelve
bytes that an engine takes. Keyboards and gamepads reach it through `pad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from awm_kit.data.scuffle import STYLE_NAMES, ScriptedPlayer
from awm_kit.model.policy import TEMPERATURE, Policy, PolicyPlayers
from awm_kit.schema import CONTROLLER, Button
from awm_kit.worlds import load_policy

#: What a player may hold down; the position is the bit in a pad message.
ACTIONS = (
    "left", "right", "up", "down", "jump", "attack", "special", "shield", "grab", "walk",
    "c_left", "c_right", "c_up", "c_down", "taunt", "start",
)  # fmt: skip
BIT = {name: 1 << i for i, name in enumerate(ACTIONS)}

Controller = Callable[[np.ndarray], np.ndarray]

STICK_FULL, STICK_WALK, TRIGGER_FULL = 80, 40, 140
#: The bit of ``buttons`` that an action presses.
BUTTONS = {
    "jump": Button.X, "attack": Button.A, "special": Button.B, "shield": Button.R, "grab": Button.Z,
    "taunt": Button.DPAD_UP, "start": Button.START,
}  # fmt: skip


def neutral() -> np.ndarray:
    """A controller with nothing pressed, a `CONTROLLER` scalar."""
    return np.zeros((), CONTROLLER)


def actions_to_controller(actions: int) -> np.ndarray:
    """The controller of somebody who holds a set of actions.

    Parameters
    ----------
    actions : int
        Bits as in `BIT`. Opposite directions cancel; ``walk`` halves the stick.

    Returns
    -------
    ndarray, `CONTROLLER` scalar
    """

    def axis(negative: str, positive: str) -> int:
        return bool(actions & BIT[positive]) - bool(actions & BIT[negative])

    pad = neutral()
    reach = STICK_WALK if actions & BIT["walk"] else STICK_FULL
    x, y = axis("left", "right"), axis("down", "up")
    if x and y:  # a real stick moves in an octagon: a diagonal reaches 56 of 80 on each axis
        reach = round(reach * 0.7)
    pad["stick_x"], pad["stick_y"] = x * reach, y * reach
    pad["cstick_x"] = axis("c_left", "c_right") * STICK_FULL
    pad["cstick_y"] = axis("c_down", "c_up") * STICK_FULL
    pad["buttons"] = sum(mask for name, mask in BUTTONS.items() if actions & BIT[name])
    pad["trigger_r"] = TRIGGER_FULL if actions & BIT["shield"] else 0
    return pad


_MOVES = {"up": "W", "left": "A", "down": "S", "right": "D"}
_LETTERS = {f"Key{letter}": action for action, letter in _MOVES.items()}
_ARROWS = {f"Arrow{name.title()}": name for name in _MOVES}


@dataclass(frozen=True)
class KeyboardMap:
    """Which physical key (`KeyboardEvent.code`) does what, for each player.

    Raises
    ------
    ValueError
        If an action does not exist or two players share a key.
    """

    players: tuple[Mapping[str, str], Mapping[str, str]] = field(default=({}, {}))

    def __post_init__(self) -> None:
        unknown = {a for keys in self.players for a in keys.values()} - set(ACTIONS)
        if unknown:
            raise ValueError(f"expected actions of {ACTIONS} (got {sorted(unknown)})")
        shared = set(self.players[0]) & set(self.players[1])
        if shared:
            raise ValueError(f"expected keys of one player only (got {sorted(shared)} for both)")

    @classmethod
    def solo(cls, player: int = 0) -> KeyboardMap:
        """One person: WASD or arrows, space jumps, J K L U or Z X C V act."""
        acts = {"attack": "JZ", "special": "KX", "shield": "LC", "grab": "UV", "taunt": "T"}
        keys = _LETTERS | _ARROWS | {"Space": "jump"}
        keys |= {f"Key{letter}": action for action, letters in acts.items() for letter in letters}
        keys |= {"ShiftLeft": "walk", "ShiftRight": "walk"}
        return cls((keys, {}) if player == 0 else ({}, keys))

    @classmethod
    def shared(cls) -> KeyboardMap:
        """Two people on one keyboard: WASD with C V B N and space, arrows with the keys around Enter."""
        one = {"KeyC": "attack", "KeyV": "special", "KeyB": "shield", "KeyN": "grab", "Space": "jump"}
        two = {"Comma": "attack", "Period": "special", "Slash": "shield", "KeyL": "grab", "Enter": "jump"}
        return cls((_LETTERS | one | {"ShiftLeft": "walk"}, _ARROWS | two | {"ShiftRight": "walk"}))

    def rebind(self, player: int, code: str, action: str) -> KeyboardMap:
        """A map in which ``code`` is ``player``'s ``action`` and nobody else's."""
        keys = [{c: a for c, a in mapping.items() if c != code} for mapping in self.players]
        keys[player][code] = action
        return replace(self, players=(keys[0], keys[1]))

    def bindings(self) -> dict[str, list[int]]:
        """Code to [player, action bits]: what the page needs."""
        return {c: [i, BIT[a]] for i, mapping in enumerate(self.players) for c, a in mapping.items()}

    def legend(self, player: int, words: Mapping[str, str] | None = None) -> str:
        """The keys of a player in one line, as ``move W A S D · attack J Z · jump Space``.

        Parameters
        ----------
        player : int
        words : mapping of str to str, optional
            What a game calls the actions that it knows; the others are left out then.
        """
        words = (
            {action: "move" if action in _MOVES else action for action in ACTIONS} if words is None else words
        )
        groups: dict[str, list[str]] = {}
        for code, action in self.players[player].items():
            if action in words:
                groups.setdefault(words[action], []).append(key_label(code))
        return " · ".join(f"{action} {' '.join(dict.fromkeys(labels))}" for action, labels in groups.items())


def key_label(code: str) -> str:
    """What stands on a key: ``KeyA`` is A, ``ArrowUp`` an arrow."""
    arrows = {"ArrowLeft": "←", "ArrowRight": "→", "ArrowUp": "↑", "ArrowDown": "↓"}
    signs = {"Comma": ",", "Period": ".", "Slash": "/", "ShiftLeft": "Shift", "ShiftRight": "Shift"}
    return arrows.get(code) or signs.get(code) or code.removeprefix("Key")


# How often a random player holds each of ACTIONS.
_LIKELY = np.array([35, 35, 20, 20, 20, 25, 10, 10, 5, 5, 2, 2, 2, 2, 0, 0]) / 100


class RandomController:
    """Presses random actions for random times; the same seed presses the same.

    Parameters
    ----------
    seed : int
    hold : float
        Mean frames between changes.
    """

    def __init__(self, seed: int, hold: float = 12.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._chance = 1.0 / max(hold, 1.0)
        self._held = neutral()

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The controller for the frame after ``frame``."""
        if self._rng.random() < self._chance:
            chosen = self._rng.random(len(ACTIONS)) < _LIKELY
            self._held = actions_to_controller(int((chosen << np.arange(len(ACTIONS))).sum()))
        return self._held.copy()


class ScriptedController:
    """One of the teacher's scripted players.

    Parameters
    ----------
    style : str
        See `awm_kit.data.scuffle.STYLES`.
    player : int
        Whom it plays, 0 or 1.
    seed : int
    """

    def __init__(self, style: str, player: int, seed: int = 0) -> None:
        self.style = style
        self._script = ScriptedPlayer(style, player, seed)

    def __repr__(self) -> str:
        return f"<ScriptedController {self.style}>"

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The controller for the frame after ``frame``."""
        return self._script.controller(frame)


class ClonedController:
    """A small network that learned from replays what to press; it sees the frame and nothing else.

    Parameters
    ----------
    player : int
        Whom it plays, 0 or 1.
    seed : int
        The same frames and seed press the same.
    policy : Policy or path, optional
        The shipped one by default.
    temperature : float
        Below 1 it keeps to what its models did most.

    Raises
    ------
    ModelFileError
        If the file is no policy.
    """

    def __init__(
        self,
        player: int,
        seed: int = 0,
        policy: Policy | Path | str | None = None,
        temperature: float = TEMPERATURE,
    ) -> None:
        self.policy = policy if isinstance(policy, Policy) else load_policy(policy or "scuffle")
        self._players = PolicyPlayers(self.policy, player, np.array([seed], np.uint32), temperature)

    def __repr__(self) -> str:
        return f"<ClonedController {self.policy!r}>"

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The controller for the frame after ``frame``."""
        return self._players.act(np.asarray(frame).reshape(1))[0, ...]


#: Scripted players by strength, weakest first: shares of games won against all the styles of
#: `awm_kit.data.scuffle.STYLES` in the teacher were 0.07, 0.30, 0.57, 0.74 and 0.86.
LEVELS = ("masher", "novice", "dancer", "balanced", "rusher")
#: The player that `ClonedController` is.
CLONED = "cloned"
#: Everybody who plays by themselves, by name; `opponent` makes one.
OPPONENTS = (*LEVELS, CLONED, *(style for style in STYLE_NAMES if style not in LEVELS), "random")


def opponent(name: str, player: int, seed: int = 0) -> Controller:
    """A player who needs nobody; ``ValueError`` unless one of `OPPONENTS`."""
    if name == CLONED:
        return ClonedController(player, seed)
    if name == "random":
        return RandomController(2 * seed + player)
    if name not in STYLE_NAMES:
        raise ValueError(f"expected a player of {OPPONENTS} (got {name!r})")
    return ScriptedController(name, player, seed)


class RecordedController:
    """Plays a recording back, then lets go.

    Parameters
    ----------
    inputs : ndarray of `CONTROLLER`, shape (T,)
        ``inputs[t]`` is given at the t-th call.
    """

    def __init__(self, inputs: np.ndarray) -> None:
        if inputs.ndim != 1 or inputs.dtype != CONTROLLER:
            raise ValueError(
                f"expected one player's controllers (got shape {inputs.shape}, dtype {inputs.dtype})"
            )
        self._inputs, self._next = inputs, 0

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The next controller of the recording."""
        if self._next >= len(self._inputs):
            return neutral()
        self._next += 1
        return np.array(self._inputs[self._next - 1], CONTROLLER)


def held(actions: Iterable[str]) -> Controller:
    """A controller that always holds the same actions: for tests and demonstrations."""
    pad = actions_to_controller(sum(BIT[a] for a in actions))
    return lambda frame: pad.copy()
