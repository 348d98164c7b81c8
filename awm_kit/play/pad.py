"""The controller widget: keys and gamepads of one or more browser tabs, as controllers of two players.

Live data comes as binary messages, in whatever thread the kernel likes; only settings are traits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from awm_kit.play.controllers import Controller, KeyboardMap, actions_to_controller
from awm_kit.play.gamepads import GamepadMap
from awm_kit.schema import N_PLAYERS

#: One message; pad.js writes the same fields.
MESSAGE = np.dtype(
    [
        ("client", "<u4"), ("sequence", "<u2"), ("player", "u1"), ("zero", "u1"), ("actions", "<u2"),
        ("stick_x", "i1"), ("stick_y", "i1"), ("cstick_x", "i1"), ("cstick_y", "i1"),
        ("trigger_l", "u1"), ("trigger_r", "u1"),
    ]
)  # fmt: skip
ANALOG = ("stick_x", "stick_y", "cstick_x", "cstick_y", "trigger_l", "trigger_r")

#: Seconds after which a tab that stopped sending counts as gone. Held keys are repeated every 0.4 s.
EXPIRY = 1.5


class PadState:
    """What every tab holds down, merged: two tabs add up and never overwrite each other. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[int, int], tuple[float, np.ndarray]] = {}
        self.sequence = 0

    def receive(self, message: bytes) -> np.ndarray | None:
        """Take in one message.

        Returns
        -------
        ndarray or None
            The `MESSAGE` record; None if it is malformed or older than one that was taken before.
        """
        if len(message) != MESSAGE.itemsize:
            return None
        record: np.ndarray = np.frombuffer(message, MESSAGE)[0]
        if record["player"] >= N_PLAYERS:
            return None
        key = int(record["client"]), int(record["player"])
        with self._lock:
            now = self._clock()
            before = self._held.get(key)
            if before is not None and now - before[0] < EXPIRY:
                ahead = (int(record["sequence"]) - int(before[1]["sequence"])) & 0xFFFF
                if ahead == 0 or ahead >= 0x8000:
                    return None
            self._held[key] = now, record
            self._held = {k: v for k, v in self._held.items() if now - v[0] < EXPIRY}
            self.sequence = int(record["sequence"])
        return record

    def controller(self, player: int) -> np.ndarray:
        """What a player holds now, a `CONTROLLER` scalar."""
        with self._lock:
            now = self._clock()
            live = [r for (_, owner), (at, r) in self._held.items() if owner == player and now - at < EXPIRY]
        actions = 0
        for record in live:
            actions |= int(record["actions"])
        pad = actions_to_controller(actions)
        for name in ANALOG:
            values = [int(pad[name]), *(int(record[name]) for record in live)]
            pad[name] = max(values, key=abs)
        return pad


class Pad(anywidget.AnyWidget):
    """The widget; show it beside the game and give `controller` to a match.

    Parameters
    ----------
    keyboard : KeyboardMap
        May be changed at any time by `remap`.
    words : mapping of str to str, optional
        What the game calls its actions, where it is not what they are called here.
    """

    _esm = Path(__file__).with_name("pad.js")
    _css = """
    .awm-pad { font: 12px ui-monospace, monospace; padding: 6px 10px; cursor: pointer;
               color: var(--jp-ui-font-color2, #5a6478); border: 2px solid #8894a8; border-radius: 6px;
               outline: none; white-space: pre-wrap; }
    .awm-pad.awm-focused { border-color: #009e73; color: inherit; }
    /* Pixel for pixel where there is room: scaling blurs, and costs browsers without a graphics card time. */
    .awm-play canvas { width: auto; max-width: 100%; height: auto; align-self: flex-start; }
    """

    bindings: traitlets.Dict[str, list[int]] = traitlets.Dict().tag(sync=True)
    legend: traitlets.List[str] = traitlets.List().tag(sync=True)
    gamepad_buttons: traitlets.Dict[str, int] = traitlets.Dict().tag(sync=True)
    dead_zone = traitlets.Float().tag(sync=True)
    gamepad_players = traitlets.List([0]).tag(sync=True)

    def __init__(
        self,
        keyboard: KeyboardMap | None = None,
        words: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._words = words
        self.remap_gamepad(GamepadMap())
        self.state = PadState()
        self._on_click: list[Callable[[], object]] = []
        self.remap(keyboard or KeyboardMap.solo())
        self.on_msg(self._receive)
        take_messages_on_the_senders_thread(self)

    def __repr__(self) -> str:
        return f"<Pad {', '.join(self.legend)}>"

    def remap(self, keyboard: KeyboardMap) -> None:
        """Use other keys from now on; gamepads follow the players that have keys."""
        self.keyboard = keyboard
        players = [i for i in range(N_PLAYERS) if keyboard.players[i]]
        self.gamepad_players = players or [0]
        self.bindings = keyboard.bindings()
        self.legend = [f"P{i + 1}: {keyboard.legend(i, self._words)}" for i in players]

    def remap_gamepad(self, gamepad: GamepadMap) -> None:
        """Use other buttons and another dead zone from now on, on every gamepad."""
        self.gamepad_buttons, self.dead_zone = gamepad.bits(), gamepad.dead_zone

    def controller(self, player: int) -> Controller:
        """A controller for `awm_kit.play.match.Match` that reads what people press."""
        return lambda frame: self.state.controller(player)

    def on_click(self, callback: Callable[[], object]) -> None:
        """Call back whenever somebody clicks the game, in the thread that the message arrives in."""
        self._on_click.append(callback)

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        if "click" in content:
            for callback in self._on_click:
                callback()
        if "pad" in content and buffers:
            self.state.receive(bytes(buffers[0]))


def take_messages_on_the_senders_thread(widget: anywidget.AnyWidget) -> None:
    """Have ipykernel hand over messages even while a cell runs.

    ipykernel 7.4 sends a comm's messages to the shell that last published on it. Frames are
    published from the main shell, which is busy while a cell runs; the page's own subshell is not.
    """
    comm = widget.comm
    if comm is not None and hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda data, default: default
