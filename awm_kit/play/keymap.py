"""Keys and gamepad buttons that people chose, kept in a file; keys alone and for two at one keyboard."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from awm_kit.errors import KeymapError
from awm_kit.files import written_whole
from awm_kit.play.controllers import KeyboardMap
from awm_kit.play.gamepads import GamepadMap
from awm_kit.schema import N_PLAYERS

FORMAT = 1
#: The maps of a file by name, with what each is unless somebody changed it.
DEFAULTS = {"solo": KeyboardMap.solo(), "shared": KeyboardMap.shared()}
#: Keys that the menu or the browser needs: nobody may play with them.
RESERVED = ("Escape", "Tab", "F5", "F11", "F12", "MetaLeft", "MetaRight", "Unidentified", "")
# Names of physical keys in the UI Events standard, as KeyA, Digit1, ArrowUp, NumpadEnter or IntlBackslash.
_CODE = re.compile(r"[A-Z][A-Za-z0-9]{0,23}")


def keys_file() -> Path:
    """Where key bindings are kept: ``keys.json`` in ``$AWM_CONFIG_DIR``, else in the user's settings."""
    if folder := os.environ.get("AWM_CONFIG_DIR"):
        return Path(folder) / "keys.json"
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "awm-kit" / "keys.json"


def load_keys(path: Path | str | None = None) -> dict[str, KeyboardMap]:
    """The saved maps, by the names of `DEFAULTS`; those that nobody saved are the built-in ones.

    Parameters
    ----------
    path : path, optional
        `keys_file` by default.

    Raises
    ------
    KeymapError
        If the file is damaged, or names an action or key that does not exist, or a key twice.
    """
    return _load(path)[0]


def load_gamepad(path: Path | str | None = None) -> GamepadMap:
    """The saved buttons of gamepads, or the built-in ones; raises as `load_keys`."""
    return _load(path)[1]


def seated(player: int, path: Path | str | None = None) -> tuple[KeyboardMap, GamepadMap]:
    """What somebody saved, for the seat that they play from; the built-in bindings if the file is damaged."""
    try:
        maps, gamepad = _load(path)
    except KeymapError:
        maps, gamepad = dict(DEFAULTS), GamepadMap()
    keys = maps["solo"].players[0]
    return KeyboardMap((keys, {}) if player == 0 else ({}, keys)), gamepad


def _load(path: Path | str | None) -> tuple[dict[str, KeyboardMap], GamepadMap]:
    path = Path(path) if path is not None else keys_file()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["format"] != FORMAT:
            raise KeymapError(f"{path}: expected format {FORMAT} (got {raw['format']!r})")
        saved = {name: _keyboard(players) for name, players in raw["maps"].items()}
        gamepad = _gamepad(raw["gamepad"]) if "gamepad" in raw else GamepadMap()
    except FileNotFoundError:
        return dict(DEFAULTS), GamepadMap()
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeymapError(f"{path}: not a file of key bindings: {error}") from error
    if unknown := set(saved) - set(DEFAULTS):
        raise KeymapError(f"{path}: expected maps of {sorted(DEFAULTS)} (got {sorted(unknown)})")
    return {**DEFAULTS, **saved}, gamepad


def save_keys(
    maps: Mapping[str, KeyboardMap], path: Path | str | None = None, gamepad: GamepadMap | None = None
) -> Path:
    """Write maps by name; a reader never sees half a file.

    Parameters
    ----------
    maps : mapping of str to KeyboardMap
    path : path, optional
        `keys_file` by default.
    gamepad : GamepadMap, optional
        By default the built-in one.

    Raises
    ------
    ValueError
        If a name is none of `DEFAULTS`.
    KeymapError
        If the file cannot be written.
    """
    if unknown := set(maps) - set(DEFAULTS):
        raise ValueError(f"expected maps of {sorted(DEFAULTS)} (got {sorted(unknown)})")
    path = Path(path) if path is not None else keys_file()
    players = {name: [dict(keys) for keys in keyboard.players] for name, keyboard in maps.items()}
    gamepad = gamepad or GamepadMap()
    buttons = {"buttons": dict(gamepad.buttons), "dead_zone": gamepad.dead_zone}
    text = json.dumps({"format": FORMAT, "maps": players, "gamepad": buttons}, indent=1)
    try:
        with written_whole(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KeymapError(f"cannot keep the key bindings in {path}: {error}") from error
    return path


def bind(keyboard: KeyboardMap, player: int, action: str, code: str) -> KeyboardMap:
    """A map in which a key is a player's action, and nothing else any more.

    Raises
    ------
    KeymapError
        If the key is reserved or none, or there is no such action or player.
    """
    if code in RESERVED or not _CODE.fullmatch(code):
        raise KeymapError(f"{code or 'this key'} cannot be used to play")
    if player not in range(N_PLAYERS):
        raise KeymapError(f"expected player 0 or 1 (got {player})")
    try:
        return keyboard.rebind(player, code, action)
    except ValueError as error:
        raise KeymapError(str(error)) from error


def unbind(keyboard: KeyboardMap, player: int, action: str) -> KeyboardMap:
    """A map in which no key is that action of that player."""
    players = [dict(keys) for keys in keyboard.players]
    players[player] = {code: name for code, name in players[player].items() if name != action}
    return KeyboardMap((players[0], players[1]))


def _keyboard(players: list[dict[str, str]]) -> KeyboardMap:
    if len(players) != N_PLAYERS or not all(isinstance(keys, dict) for keys in players):
        raise ValueError(f"expected the keys of {N_PLAYERS} players (got {players!r})")
    for code in [code for keys in players for code in keys]:
        if code in RESERVED or not _CODE.fullmatch(code):
            raise ValueError(f"no key {code!r}")
    return KeyboardMap((players[0], players[1]))


def _gamepad(saved: dict[str, Any]) -> GamepadMap:
    buttons = {int(index): str(action) for index, action in saved["buttons"].items()}
    return GamepadMap(buttons, float(saved["dead_zone"]))
