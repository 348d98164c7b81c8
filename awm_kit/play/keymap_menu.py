"""The menu in which people choose their keys: click a field, press a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from awm_kit.errors import KeymapError
from awm_kit.play.controllers import ACTIONS, KeyboardMap, key_label
from awm_kit.play.keymap import DEFAULTS, bind, load_keys, save_keys, unbind


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

    Attributes
    ----------
    keyboard : KeyboardMap
        The map that is shown.
    status : str
        What happened last, or what was wrong.
    """

    _esm = Path(__file__).with_name("keymap_menu.js")
    _css = """
    .awm-keys { border-collapse: collapse; font: 13px system-ui, sans-serif; }
    .awm-keys td, .awm-keys th { padding: 2px 10px; text-align: left; }
    .awm-keys button { min-width: 90px; font: 12px ui-monospace, monospace; cursor: pointer; }
    .awm-keys button.awm-waiting { outline: 2px solid #009e73; }
    .awm-keys-status { color: #5a6478; min-height: 1.4em; }
    """

    shown = traitlets.Unicode("solo").tag(sync=True)
    names: traitlets.List[str] = traitlets.List(list(DEFAULTS)).tag(sync=True)
    rows: traitlets.List[list[Any]] = traitlets.List().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        chosen: Callable[[KeyboardMap], object] | None = None,
        layout_name: str = "solo",
        path: Path | str | None = None,
    ) -> None:
        if layout_name not in DEFAULTS:
            raise ValueError(f"expected a layout of {sorted(DEFAULTS)} (got {layout_name!r})")
        super().__init__(shown=layout_name)
        self._chosen, self._path = chosen, path
        try:
            self.maps = load_keys(path)
        except KeymapError as error:
            self.maps, self.status = dict(DEFAULTS), str(error)
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

    def reset(self) -> None:
        """Bring the built-in keys of the shown map back."""
        self._change(DEFAULTS[self.shown], "the built-in keys are back")

    def show(self, name: str) -> None:
        """Show and use the map ``solo`` or ``shared``; `KeymapError` if there is no such map."""
        if name not in DEFAULTS:
            raise KeymapError(f"expected a map of {sorted(DEFAULTS)} (got {name!r})")
        self.shown, self.status = name, ""
        self._show()

    def _change(self, keyboard: KeyboardMap, status: str) -> None:
        self.maps[self.shown] = keyboard
        try:
            save_keys(self.maps, self._path)
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
            ]
            for action in ACTIONS
        ]
        if self._chosen is not None:
            self._chosen(self.keyboard)

    def _receive(self, _: object, content: dict[str, Any], buffers: list[Any]) -> None:
        try:
            if "bind" in content:
                player, action, code = content["bind"]
                self.bind(int(player), str(action), str(code))
            elif "unbind" in content:
                player, action = content["unbind"]
                self.unbind(int(player), str(action))
            elif "show" in content:
                self.show(str(content["show"]))
            elif "reset" in content:
                self.reset()
        except (KeymapError, ValueError, IndexError, TypeError) as error:  # a page may send anything
            self.status = str(error)
