"""Keys that people choose: the file that keeps them, and the menu."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from awm_kit.errors import KeymapError
from awm_kit.play.controllers import ACTIONS, BIT, KeyboardMap
from awm_kit.play.gamepads import GamepadMap
from awm_kit.play.keymap import DEFAULTS, bind, keys_file, load_gamepad, load_keys, save_keys, seated, unbind
from awm_kit.play.keymap_menu import KeyMenu
from awm_kit.play.pad import Pad


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWM_CONFIG_DIR", str(tmp_path / "config"))


class TestFile:
    def test_nothing_saved_is_the_built_in_keys(self) -> None:
        assert load_keys() == DEFAULTS

    def test_saved_keys_come_back(self, tmp_path: Path) -> None:
        changed = bind(KeyboardMap.shared(), 1, "jump", "KeyW")
        path = save_keys({"shared": changed})
        assert path == keys_file() and path.is_relative_to(tmp_path)
        assert load_keys() == {"solo": KeyboardMap.solo(), "shared": changed}
        assert changed.players[1]["KeyW"] == "jump" and "KeyW" not in changed.players[0]
        assert [p.name for p in path.parent.iterdir()] == ["keys.json"]

    def test_a_saved_gamepad_comes_back(self) -> None:
        assert load_gamepad() == GamepadMap()
        chosen = GamepadMap().rebind(7, "jump").unbind("taunt")
        save_keys({}, gamepad=GamepadMap(chosen.buttons, 0.35))
        assert load_gamepad().buttons[7] == "jump" and "taunt" not in load_gamepad().buttons.values()
        assert load_gamepad().dead_zone == 0.35 and load_keys() == DEFAULTS

    @pytest.mark.parametrize(
        ("gamepad", "said"),
        [
            ({"buttons": {"0": "fly"}, "dead_zone": 0.2}, "expected actions"),
            ({"buttons": {"99": "jump"}, "dead_zone": 0.2}, "expected buttons 0 to 31"),
            ({"buttons": {"a": "jump"}, "dead_zone": 0.2}, "not a file of key bindings"),
            ({"buttons": {}, "dead_zone": 0.9}, "expected a dead zone"),
            ({"buttons": {}, "dead_zone": float("nan")}, "expected a dead zone"),
            ({"buttons": {}}, "dead_zone"),
            (3, "not a file of key bindings"),
        ],
    )
    def test_a_bad_gamepad_is_named(self, tmp_path: Path, gamepad: Any, said: str) -> None:
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"format": 1, "maps": {}, "gamepad": gamepad}))
        with pytest.raises(KeymapError, match=said):
            load_gamepad(path)
        assert seated(0, path) == (KeyboardMap.solo(), GamepadMap())

    def test_everybody_takes_their_keys_to_any_seat(self) -> None:
        save_keys({"solo": bind(KeyboardMap.solo(), 0, "jump", "KeyQ")}, gamepad=GamepadMap({5: "shield"}))
        for player in (0, 1):
            keyboard, gamepad = seated(player)
            assert keyboard.players[player]["KeyQ"] == "jump" and keyboard.players[1 - player] == {}
            assert gamepad.buttons == {5: "shield"}

    @pytest.mark.parametrize(
        ("maps", "said"),
        [
            ("{", "not a file of key bindings"),
            ("[]", "not a file of key bindings"),
            ({"solo": [{"KeyA": "fly"}, {}]}, "expected actions"),
            ({"solo": [{"KeyA": "left"}, {"KeyA": "right"}]}, "one player only"),
            ({"solo": [{"KeyA": "left"}]}, "the keys of 2 players"),
            ({"solo": [{"<b>": "left"}, {}]}, "no key '<b>'"),
            ({"solo": [{"Tab": "left"}, {}]}, "no key 'Tab'"),
            ({"trio": [{}, {}]}, "expected maps of"),
        ],
    )
    def test_a_bad_file_is_named(self, tmp_path: Path, maps: Any, said: str) -> None:
        path = tmp_path / "keys.json"
        path.write_text(maps if isinstance(maps, str) else json.dumps({"format": 1, "maps": maps}))
        with pytest.raises(KeymapError, match=said) as caught:
            load_keys(path)
        assert "keys.json" in str(caught.value)

    def test_another_format_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        path.write_text('{"format": 2, "maps": {}}')
        with pytest.raises(KeymapError, match="expected format 1"):
            load_keys(path)

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(KeymapError, match="cannot keep"):
            save_keys({}, tmp_path / "file" / "keys.json")


class TestBinding:
    @pytest.mark.parametrize("code", ["Escape", "Tab", "", "Unidentified", "a b", "<script>"])
    def test_some_keys_may_not_be_used(self, code: str) -> None:
        with pytest.raises(KeymapError, match="cannot be used"):
            bind(KeyboardMap.solo(), 0, "jump", code)

    def test_actions_and_players_must_exist(self) -> None:
        with pytest.raises(KeymapError, match="expected actions"):
            bind(KeyboardMap.solo(), 0, "fly", "KeyQ")
        with pytest.raises(KeymapError, match="player 0 or 1"):
            bind(KeyboardMap.solo(), 2, "jump", "KeyQ")

    def test_unbinding_takes_every_key_of_an_action(self) -> None:
        freed = unbind(KeyboardMap.solo(), 0, "attack")
        assert "attack" not in freed.players[0].values() and "jump" in freed.players[0].values()


class TestMenu:
    def test_changes_reach_the_pad_and_the_file(self) -> None:
        pad = Pad()
        menu = KeyMenu(pad.remap)
        menu._receive(None, {"bind": [0, "grab", "KeyG"]}, [])
        assert pad.bindings["KeyG"] == [0, BIT["grab"]] and load_keys()["solo"] == menu.keyboard
        row = {name: keys for name, *keys in menu.rows}["grab"]
        assert "G" in row[0] and row[1] == [] and row[2] == ["L", "R"]
        assert KeyMenu().keyboard == menu.keyboard  # a new session finds them

    def test_two_people_at_one_keyboard(self) -> None:
        pad = Pad()
        menu = KeyMenu(pad.remap)
        menu._receive(None, {"show": "shared"}, [])
        assert pad.gamepad_players == [0, 1] and menu.shown == "shared"
        menu._receive(None, {"bind": [1, "attack", "KeyC"]}, [])  # was player 1's
        assert pad.bindings["KeyC"] == [1, BIT["attack"]] and "KeyC" not in menu.keyboard.players[0]
        assert load_keys()["solo"] == KeyboardMap.solo()

    def test_unbind_and_reset(self) -> None:
        menu = KeyMenu()
        menu._receive(None, {"unbind": [0, "jump"]}, [])
        assert "jump" not in menu.keyboard.players[0].values()
        menu._receive(None, {"reset": 1}, [])
        assert menu.keyboard == KeyboardMap.solo()

    @pytest.mark.parametrize(
        "message",
        [{"bind": [0, "jump", "Escape"]}, {"bind": [0, "fly", "KeyA"]}, {"bind": [5, "jump", "KeyA"]},
         {"bind": [0]}, {"bind": ["x", "jump", "KeyA"]}, {"bind": 3}, {"unbind": [7, "jump"]},
         {"press": ["fly", 0]}, {"press": ["jump", 40]}, {"press": ["jump"]}, {"dead_zone": 2},
         {"show": "trio"}],
    )  # fmt: skip
    def test_what_may_not_be_is_told_and_changes_nothing(self, message: dict[str, Any]) -> None:
        menu = KeyMenu()
        menu._receive(None, message, [])
        assert menu.status and menu.keyboard == KeyboardMap.solo() and load_keys() == DEFAULTS

    def test_buttons_reach_the_pad_and_the_file(self) -> None:
        pad = Pad()
        menu = KeyMenu(pad.remap, gamepad_chosen=pad.remap_gamepad)
        menu._receive(None, {"press": ["shield", 5]}, [])
        menu._receive(None, {"dead_zone": 0.4}, [])
        menu._receive(None, {"release": "taunt"}, [])
        assert pad.gamepad_buttons["5"] == BIT["shield"] and pad.dead_zone == 0.4 == menu.dead_zone
        assert "12" not in pad.gamepad_buttons and load_gamepad() == menu.gamepad
        row = {name: buttons for name, *_, buttons in menu.rows}
        assert row["shield"] == ["R"] and row["grab"] == ["L"] and row["taunt"] == []
        menu._receive(None, {"reset": 1}, [])
        assert load_gamepad() == GamepadMap() and pad.dead_zone == GamepadMap().dead_zone

    def test_a_damaged_file_is_told_and_does_not_stop_anybody(self) -> None:
        keys_file().parent.mkdir(parents=True)
        keys_file().write_text("{")
        menu = KeyMenu()
        assert "not a file of key bindings" in menu.status and menu.keyboard == KeyboardMap.solo()

    def test_rows_name_every_action(self) -> None:
        menu = KeyMenu(layout_name="shared")
        assert [row[0] for row in menu.rows] == list(ACTIONS) and "0x" not in repr(menu)
        with pytest.raises(ValueError, match="expected a layout"):
            KeyMenu(layout_name="trio")
