"""Gamepads: what their buttons do. Sticks and triggers keep their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from awm_kit.play.controllers import ACTIONS, BIT

#: Actions of the buttons of a standard gamepad, by index; 6 and 7, the triggers, are analogue.
GAMEPAD = {0: "attack", 1: "special", 2: "jump", 3: "jump", 4: "grab", 5: "grab", 9: "start",
           12: "taunt", 13: "down", 14: "left", 15: "right"}  # fmt: skip
MAX_BUTTONS = 32
DEAD_ZONE, MAX_DEAD_ZONE = 0.2, 0.6


@dataclass(frozen=True)
class GamepadMap:
    """Which button of a standard gamepad does what, and how far its sticks must move to count.

    Parameters
    ----------
    buttons : mapping of int to str
        Index in `Gamepad.buttons` to action. The triggers, 6 and 7, shield by how far they are pulled unless
        they are bound.
    dead_zone : float
        Share of a stick's way that counts as none, 0 to `MAX_DEAD_ZONE`.

    Raises
    ------
    ValueError
        If an action or a button does not exist, or the dead zone is none.
    """

    buttons: Mapping[int, str] = field(default_factory=lambda: dict(GAMEPAD))
    dead_zone: float = DEAD_ZONE

    def __post_init__(self) -> None:
        if unknown := set(self.buttons.values()) - set(ACTIONS):
            raise ValueError(f"expected actions of {ACTIONS} (got {sorted(unknown)})")
        if wrong := [index for index in self.buttons if index not in range(MAX_BUTTONS)]:
            raise ValueError(f"expected buttons 0 to {MAX_BUTTONS - 1} (got {wrong})")
        if not 0 <= self.dead_zone <= MAX_DEAD_ZONE:
            raise ValueError(f"expected a dead zone of 0 to {MAX_DEAD_ZONE} (got {self.dead_zone})")

    def rebind(self, index: int, action: str) -> GamepadMap:
        """A map in which a button is this action."""
        return replace(self, buttons={**self.buttons, index: action})

    def unbind(self, action: str) -> GamepadMap:
        """A map in which no button is that action."""
        return replace(self, buttons={i: a for i, a in self.buttons.items() if a != action})

    def bits(self) -> dict[str, int]:
        """Button to action bits: what the page needs."""
        return {str(index): BIT[action] for index, action in self.buttons.items()}


def button_label(index: int) -> str:
    """What stands on a button of a standard gamepad, by the names of its index: 0 is A, 12 the cross's up."""
    names = (
        "A",
        "B",
        "X",
        "Y",
        "L",
        "R",
        "LT",
        "RT",
        "back",
        "start",
        "L stick",
        "R stick",
        "↑",
        "↓",
        "←",
        "→",
    )
    return names[index] if index < len(names) else f"button {index}"
