"""The menu in which people choose keys and buttons: click a field, press a key or a gamepad's button."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from awm_kit.errors import KeymapError
from awm_kit.play.controllers import ACTIONS, KeyboardMap, key_label
from awm_kit.play.gamepads import MAX_DEAD_ZONE, GamepadMap, button_label
from awm_kit.play.keymap import DEFAULTS, bind, load_gamepad, load_keys, save_keys, unbind


class KeyMenu(anywidget.AnyWidget):
    """A table of actions and keys; every change is saved and applied at once.

    Parameters
    ----------
    chosen : callable, optional
        Called with the `KeyboardMap` in use at first and after every change, as ``pad.remap`` takes it.
    layout_name : str
        The map to show first: ``solo``, or ``shared`` for two people at one keyboard.
    path : path, optional
        The file of the maps; `awm_kit.play.keymap.keys_file` by default.
    gamepad_chosen : callable, optional
        The same with the `GamepadMap`, as ``pad.remap_gamepad`` takes it.

    Attributes
    ----------
    keyboard : KeyboardMap
        The map that is shown.
    gamepad : GamepadMap
        The buttons, which are the same on every gamepad.
    status : str
        What happened last, or what was wrong.
    """

    _esm = Path(__file__).with_name("keymap_menu.js")
    _css = """
    .awm-keys { border-collapse: collapse; font: 13px system-ui, sans-serif; }
    .awm-keys td, .awm-keys th { padding: 2px 10px; text-align: left; }
    .awm-keys button { min-width: 90px; font: 12px ui-monospace, monospace; cursor: pointer; padding: 2px 8px;
                       border: 1px solid var(--jp-border-color1, #bdbdbd); border-radius: 4px;
                       background: var(--jp-layout-color1, #fff); color: var(--jp-ui-font-color1, #111); }
    .awm-keys button:hover { background: var(--jp-layout-color2, #eee); }
    .awm-keys button.awm-waiting { outline: 2px solid #009e73; }
    .awm-keys-zone { font: 13px system-ui, sans-serif; padding: 6px 10px;
                     display: flex; gap: 8px; align-items: center; }
    .awm-keys-status { color: var(--jp-ui-font-color2, #5a6478); min-height: 1.4em; }
    """

    shown = traitlets.Unicode("solo").tag(sync=True)
    names: traitlets.List[str] = traitlets.List(list(DEFAULTS)).tag(sync=True)
    rows: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    dead_zone = traitlets.Float().tag(sync=True)
    max_dead_zone = traitlets.Float(MAX_DEAD_ZONE).tag(sync=True)

    def __init__(
        self,
        chosen: Callable[[KeyboardMap], object] | None = None,
        layout_name: str = "solo",
        path: Path | str | None = None,
        gamepad_chosen: Callable[[GamepadMap], object] | None = None,
    ) -> None:
        if layout_name not in DEFAULTS:
            raise ValueError(f"expected a layout of {sorted(DEFAULTS)} (got {layout_name!r})")
        super().__init__(shown=layout_name)
        self._chosen, self._gamepad_chosen, self._path = chosen, gamepad_chosen, path
        try:
            self.maps, self.gamepad = load_keys(path), load_gamepad(path)
        except KeymapError as error:
            self.maps, self.gamepad, self.status = dict(DEFAULTS), GamepadMap(), str(error)
        self.on_msg(self._receive)
        self._show()

    def __repr__(self) -> str:
        return f"<KeyMenu {self.shown}>"

    @property
    def keyboard(self) -> KeyboardMap:
        """The map that is shown."""
        return self.maps[self.shown]

    def bind(self, player: int, action: str, code: str) -> None:
        """Make a key (`KeyboardEvent.code`) an action of a player; `KeymapError` if it may not be."""
        self._change(bind(self.keyboard, player, action, code), f"{key_label(code)} is now {action}")

    def unbind(self, player: int, action: str) -> None:
        """Take all keys from an action."""
        self._change(unbind(self.keyboard, player, action), f"no key is {action} now")

    def bind_button(self, action: str, index: int) -> None:
        """Make a gamepad's button, by its index, an action; `ValueError` if there is no such one."""
        self.gamepad = self.gamepad.rebind(index, action)
        self._save(f"{button_label(index)} is now {action}")

    def unbind_button(self, action: str) -> None:
        """Take all buttons from an action."""
        self.gamepad = self.gamepad.unbind(action)
        self._save(f"no button is {action} now")

    def set_dead_zone(self, share: float) -> None:
        """How far sticks must move, 0 to `MAX_DEAD_ZONE` of their way; `ValueError` beyond."""
        self.gamepad = replace(self.gamepad, dead_zone=share)
        self._save(f"sticks count from {share:.0%} of their way")

    def reset(self) -> None:
        """Bring the built-in keys of the shown map back, and the built-in buttons."""
        self.gamepad = GamepadMap()
        self._change(DEFAULTS[self.shown], "the built-in keys and buttons are back")

    def show(self, name: str) -> None:
        """Show and use the map ``solo`` or ``shared``; `KeymapError` if there is no such map."""
        if name not in DEFAULTS:
            raise KeymapError(f"expected a map of {sorted(DEFAULTS)} (got {name!r})")
        self.shown, self.status = name, ""
        self._show()

    def _change(self, keyboard: KeyboardMap, status: str) -> None:
        self.maps[self.shown] = keyboard
        self._save(status)

    def _save(self, status: str) -> None:
        try:
            save_keys(self.maps, self._path, self.gamepad)
        except KeymapError as error:  # they hold until the notebook ends
            status = str(error)
        self.status = status
        self._show()

    def _show(self) -> None:
        players = self.keyboard.players
        self.rows = [
            [
                action,
                *([key_label(code) for code, name in keys.items() if name == action] for keys in players),
                [button_label(index) for index, name in self.gamepad.buttons.items() if name == action],
            ]
            for action in ACTIONS
        ]
        self.dead_zone = self.gamepad.dead_zone
        if self._chosen is not None:
            self._chosen(self.keyboard)
        if self._gamepad_chosen is not None:
            self._gamepad_chosen(self.gamepad)

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        try:
            if "bind" in content:
                player, action, code = content["bind"]
                self.bind(int(player), str(action), str(code))
            elif "unbind" in content:
                player, action = content["unbind"]
                self.unbind(int(player), str(action))
            elif "press" in content:
                action, index = content["press"]
                self.bind_button(str(action), int(index))
            elif "release" in content:
                self.unbind_button(str(content["release"]))
            elif "dead_zone" in content:
                self.set_dead_zone(float(content["dead_zone"]))
            elif "show" in content:
                self.show(str(content["show"]))
            elif "reset" in content:
                self.reset()
        except (KeymapError, ValueError, IndexError, TypeError) as error:  # a page may send anything
            self.status = str(error)
