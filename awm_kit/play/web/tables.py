"""What the page's scripts must know about the game, as JSON: the tables that the Python views draw from."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from awm_kit.action_states import family_of, name_of
from awm_kit.data.bumper.game import CART_RADIUS, FALL_FRAMES, FUEL, TABLE_RADIUS
from awm_kit.data.bumper.schema import DIRECTIONS
from awm_kit.data.bumper.schema import SCHEMA_NAME as BUMPER
from awm_kit.data.scuffle.stage import STAGES, Floor
from awm_kit.play.bumper_scene import HEAVY, LIGHT, MARGIN, WHEEL
from awm_kit.play.controllers import ACTIONS, BUTTONS, KeyboardMap
from awm_kit.play.draw_fighter import BLADE, HAIR, RUNNER, SWORDSMAN, SWORDSMEN
from awm_kit.play.gamepads import GAMEPAD
from awm_kit.play.palette import LIVERIES, heat
from awm_kit.play.poses import clip, clip_name, clip_names
from awm_kit.schema import FIGHTER, Field, Schema

_STATES = FIGHTER.player("action_state").classes


def page_tables(schema: Schema = FIGHTER) -> dict[str, Any]:
    """Schema, action states, clips, stages, colours and keys.

    Parameters
    ----------
    schema : Schema
        Of the world.

    Returns
    -------
    dict
        Ready for `json.dumps`; ``states`` is a list by action-state id; ``table`` is there for bumper only.
    """
    game = {"table": _table()} if schema.name == BUMPER else {}
    return {
        **game,
        "schema": {
            "global": [_field(f) for f in schema.global_fields],
            "player": [_field(f) for f in schema.player_fields],
        },
        "states": [_state(number) for number in range(_STATES)],
        "clips": {name: clip(name)._asdict() for name in clip_names()},
        "builds": {"runner": asdict(RUNNER), "swordsman": asdict(SWORDSMAN)},
        "swordsmen": sorted(SWORDSMEN),
        "blade": BLADE,
        "hair": HAIR,
        "stages": {number: _stage(number) for number in STAGES},
        "liveries": [livery._asdict() for livery in LIVERIES],
        "heat": [heat(150 * k / 4) for k in range(5)],
        "keys": {"solo": _keys(KeyboardMap.solo()), "shared": _keys(KeyboardMap.shared())},
        "gamepad": GAMEPAD,
        "actions": ACTIONS,
        "buttons": BUTTONS,
    }


def _field(field: Field) -> dict[str, Any]:
    type_name = field.dtype.removeprefix("<")
    return {"name": field.name, "type": type_name, "offset": field.offset, "one": 1 << field.frac_bits}


def _state(number: int) -> dict[str, str]:
    poses = {"ground": clip_name(number, True), "air": clip_name(number, False)}
    return {"name": name_of(number), "family": family_of(number).name, **poses}


def _stage(number: int) -> dict[str, Any]:
    def corners(floor: Floor) -> list[float]:
        return [floor.left, floor.right, floor.y]

    stage = STAGES[number]
    floors = [corners(platform) for platform in stage.platforms]
    return {"name": stage.name, "floor": corners(stage.floor), "platforms": floors}


def _table() -> dict[str, Any]:
    return {
        "radius": TABLE_RADIUS,
        "margin": MARGIN,
        "cart": CART_RADIUS,
        "directions": DIRECTIONS,
        "fall": FALL_FRAMES,
        "fuel": FUEL,
        "light": LIGHT,
        "heavy": HEAVY,
        "wheel": WHEEL,
    }


def _keys(keyboard: KeyboardMap) -> dict[str, tuple[int, str]]:
    return {code: (i, a) for i, mapping in enumerate(keyboard.players) for code, a in mapping.items()}
