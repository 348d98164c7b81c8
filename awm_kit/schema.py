"""What a world's frame and controller are: fields, fixed-point units, ranges, decode rules.

One `Schema` object is the single description from which everything else follows: the NumPy
dtypes, the frame record inside SessionState, the 12-byte controller, the encoder's features,
the heads, and the schema block that travels in the ModelManifest. Nothing below this module knows what
a fighter is; `FIGHTER` is merely the schema of the worlds shipped here.

Values are stored as integers: ``real = stored / 2**frac_bits``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import numpy as np

Slot = Literal["self", "other", "global", "input", "other_input"]

FRAME_BYTES = 80
GLOBAL_BYTES = 16
PLAYER_BYTES = 32
CONTROLLER_BYTES = 12
N_PLAYERS = 2

# Values of the frame record's ``status``.
STATUS_PLAYING, STATUS_DECIDED, STATUS_TIMEOUT = 0, 1, 2


@dataclass(frozen=True)
class Scale:
    """One linear int8 feature of a field: saturates at ``real == +-reach``.

    ``relative`` subtracts the other player's value of the same field first. ``mirror`` names a player field,
    the facing say, whose sign then multiplies, so that *ahead* means the same on both sides. It is the sign
    of the player that the field belongs to: a relative scale with a mirror is there for either player.
    """

    reach: float
    relative: bool = False
    center: float = 0.0
    mirror: str = ""


@dataclass(frozen=True)
class Update:
    """How the next value of a field is decoded from the network (see NUMERICS.md, decode).

    ``kind`` is ``hold`` (the field never changes), ``class`` (the value is the argmax class) or
    ``mix`` (argmax over a codebook of constants, learned from data, plus one regressed step).
    The *base* of a ``mix`` is ``old + step + sum of the named velocities' new values``: what
    arithmetic can advance exactly is declared here and not learned.

    A field that ``leads`` (at most one) is chosen before the others, and the heads of both players'
    other fields see both choices: what changes together then changes in the same frame.
    """

    kind: Literal["hold", "class", "mix"]
    step: int = 0
    velocities: tuple[str, ...] = ()
    free: bool = False
    free_scale: float = 1.0
    codebook: int = 0
    tolerance: int = 0
    increase_only: bool = False
    leads: bool = False


@dataclass(frozen=True)
class Field:
    """One stored quantity of a player, the frame or a controller."""

    name: str
    dtype: str
    offset: int
    frac_bits: int = 0
    unit: str = ""
    lo: float = 0.0
    hi: float = 0.0
    scales: tuple[Scale, ...] = ()
    classes: int = 0
    embed: int = 0
    bits: int = 0
    update: Update = Update("hold")
    doc: str = ""

    def to_real(self, stored: np.ndarray) -> np.ndarray:
        """Stored integers to real units, float64."""
        return np.asarray(stored, np.float64) / (1 << self.frac_bits)

    def to_stored(self, real: np.ndarray | float) -> np.ndarray:
        """Real units to stored integers, rounded half to even and clipped to ``lo..hi``."""
        clipped = np.clip(np.asarray(real, np.float64), self.lo, self.hi)
        return np.round(clipped * (1 << self.frac_bits)).astype(self.dtype)


@dataclass(frozen=True)
class Schema:
    """A game: its frame fields, controller fields and the rule that ends a match."""

    name: str
    global_fields: tuple[Field, ...]
    player_fields: tuple[Field, ...]
    controller_fields: tuple[Field, ...]
    end_field: str = ""
    end_value: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def player_dtype(self) -> np.dtype[Any]:
        """Structured dtype of one player, `PLAYER_BYTES` long."""
        return _dtype(self.player_fields, PLAYER_BYTES)

    @property
    def frame_dtype(self) -> np.dtype[Any]:
        """Structured dtype of the frame record, `FRAME_BYTES` long."""
        spec = _dtype_spec(self.global_fields)
        spec["names"].append("players")
        spec["formats"].append((self.player_dtype, (N_PLAYERS,)))
        spec["offsets"].append(GLOBAL_BYTES)
        return _struct(spec, FRAME_BYTES)

    @property
    def controller_dtype(self) -> np.dtype[Any]:
        """Structured dtype of one controller, `CONTROLLER_BYTES` long."""
        return _dtype(self.controller_fields, CONTROLLER_BYTES)

    def player(self, name: str) -> Field:
        """The player field called ``name``; ``KeyError`` if there is none."""
        return _by_name(self.player_fields, name)

    def to_json(self) -> str:
        """Compact JSON of the whole description; `Schema.from_json` inverts it."""
        return json.dumps(_without_defaults(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Schema:
        """Rebuild a schema from `to_json`'s text."""
        raw = json.loads(text)

        def fields_of(key: str) -> tuple[Field, ...]:
            return tuple(
                Field(
                    **{
                        **f,
                        "scales": tuple(Scale(**s) for s in f.get("scales", ())),
                        "update": _update_from(f.get("update", {"kind": "hold"})),
                    }
                )
                for f in raw[key]
            )

        groups = {k: fields_of(k) for k in ("global_fields", "player_fields", "controller_fields")}
        return cls(**{**raw, **groups})


def _without_defaults(item: Any) -> Any:
    """A dataclass as plain JSON data, leaving out what equals its default: manifests cost rent."""
    if isinstance(item, tuple):
        return [_without_defaults(i) for i in item]
    if not is_dataclass(item) or isinstance(item, type):
        return item
    values = {f.name: (getattr(item, f.name), f.default) for f in fields(item)}
    return {name: _without_defaults(v) for name, (v, default) in values.items() if v != default}


def _update_from(raw: dict[str, Any]) -> Update:
    return Update(**{**raw, "velocities": tuple(raw.get("velocities", ()))})


def _by_name(fields: tuple[Field, ...], name: str) -> Field:
    for candidate in fields:
        if candidate.name == name:
            return candidate
    raise KeyError(f"no field {name!r}; there are {[f.name for f in fields]}")


def _dtype_spec(fields: tuple[Field, ...]) -> dict[str, list[Any]]:
    return {
        "names": [f.name for f in fields],
        "formats": [f.dtype for f in fields],
        "offsets": [f.offset for f in fields],
    }


def _dtype(fields: tuple[Field, ...], size: int) -> np.dtype[Any]:
    return _struct(_dtype_spec(fields), size)


def _struct(spec: Any, size: int) -> np.dtype[Any]:
    # NumPy's stubs do not know that names, formats and offsets may be any lists
    whole: Any = {**spec, "itemsize": size}
    dtype: np.dtype[Any] = np.dtype(whole)
    return dtype


def _tiles(reach: float, *centers: float) -> tuple[Scale, ...]:
    """Features of one fine resolution that cover a wide range side by side."""
    return tuple(Scale(reach, center=center) for center in centers)


# Melee's legal stages: a quarter of a unit up to the blast zones, a sixteenth near edges and platforms.
_FLOOR_ENDS = _tiles(8, -92, -76, -60, -20, 20, 60, 76, 92)
_X_TILES = _tiles(32, -240, -192, -128, -64, 64, 128, 192, 240) + _FLOOR_ENDS
_Y_TILES = _tiles(32, -128, -64, 64, 128, 192, 240) + _tiles(8, -32, -16, 24, 40, 52)
_PERCENT_TILES = _tiles(32, 32, 96, 160)
# A sixteenth again where each stage's blast zones end: a quarter too far is knocked out a frame too late.
_X_TILES += _tiles(8, -250, -227, -200, -176, 176, 200, 227, 250)
_Y_TILES += _tiles(8, -143, -126, -110, -92, 172, 184, 200, 250)
# Most attacks reach 8 to 24 units; most states that end by themselves last less than 128 frames.
_REACH_TILES = (Scale(8, relative=True, center=-16), Scale(8, relative=True, center=16))
_AGE_TILES = _tiles(12, 20, 44, 68, 92, 116)
# How far the other is behind (below 0: ahead), since an attack reaches as far on either side. A fraction of a
# unit decides whether it hits, and a network's step is only as steep as the slope of what it sees.
_STEPS = tuple(range(-26, 27, 4))
_AHEAD = (
    Scale(32, relative=True, mirror="facing"),
    *(Scale(2, relative=True, center=c, mirror="facing") for c in _STEPS),
)
_ABOVE = tuple(Scale(2, relative=True, center=c) for c in _STEPS[1:-1])


def _position(
    name: str,
    offset: int,
    velocities: tuple[str, ...],
    tiles: tuple[Scale, ...],
    reach: tuple[Scale, ...],
) -> Field:
    return Field(
        name,
        "<i4",
        offset,
        frac_bits=10,
        unit="game units",
        lo=-500.0,
        hi=500.0,
        scales=(
            Scale(256), Scale(96), Scale(32), Scale(8),
            Scale(128, relative=True), Scale(32, relative=True), Scale(8, relative=True),
            *_REACH_TILES, *reach, *tiles,
        ),
        update=Update("mix", velocities=velocities, free=True, free_scale=1.0, codebook=32, tolerance=4),
    )  # fmt: skip


def _speed(name: str, offset: int, doc: str) -> Field:
    return Field(
        name,
        "<i2",
        offset,
        frac_bits=10,
        unit="game units/frame",
        lo=-31.0,
        hi=31.0,
        scales=(Scale(8), Scale(2), Scale(0.5)),
        update=Update("mix", free=True, free_scale=0.25, codebook=48, tolerance=1),
        doc=doc,
    )


#: Two characters on a stage, in Melee's action-state ids and units: ``scuffle`` and ``melee`` worlds.
FIGHTER = Schema(
    name="fighter",
    global_fields=(
        Field("frame", "<u4", 0, unit="frames", hi=2**32 - 1, doc="frames since the match began; +1 a step"),
        Field("stage", "u1", 4, hi=63, classes=64, embed=4, doc="Melee stage id; 32 Final Destination"),
        Field("status", "u1", 5, hi=2, doc="0 playing, 1 decided, 2 timeout"),
        Field("time_limit", "<u4", 8, unit="frames", hi=2**32 - 1, doc="0: none"),
        Field("seed", "<u4", 12, hi=2**32 - 1, doc="start position and facing; no influence on a step"),
    ),
    player_fields=(
        _position("x", 0, ("speed_air_x", "speed_attack_x"), _X_TILES, _AHEAD),
        _position("y", 4, ("speed_y", "speed_attack_y"), _Y_TILES, _ABOVE),
        _speed("speed_air_x", 8, "self-induced; on the ground too"),
        _speed("speed_ground_x", 10, "self-induced along the ground; 0 in the air"),
        _speed("speed_y", 12, "self-induced"),
        _speed("speed_attack_x", 14, "knockback"),
        _speed("speed_attack_y", 16, "knockback"),
        Field(
            "percent", "<u2", 18, 6, "percent", 0, 999,
            scales=(Scale(500), Scale(100), *_PERCENT_TILES),
            update=Update("mix", free=True, free_scale=4.0, codebook=32, tolerance=1, increase_only=True),
        ),
        Field(
            "shield", "<u2", 20, 8, "shield health", 0, 60,
            scales=(Scale(30, center=30), Scale(4, center=4)),
            update=Update("mix", free=True, free_scale=1.0, codebook=16, tolerance=2),
        ),
        Field(
            "action_state", "<u2", 22, hi=399, classes=400, embed=32,
            update=Update("class", leads=True), doc="Melee action-state id",
        ),
        Field(
            "state_age", "<u2", 24, unit="frames", hi=4095,
            scales=(Scale(127), Scale(32), Scale(8), *_AGE_TILES),
            update=Update("mix", step=1, codebook=8), doc="frames since this action state was entered",
        ),
        Field(
            "hitlag", "u1", 26, unit="frames", hi=30, scales=(Scale(16),),
            update=Update("mix", codebook=24), doc="freeze frames left",
        ),
        Field(
            "stocks", "u1", 27, hi=4, scales=(Scale(2, center=2),),
            update=Update("mix", codebook=4), doc="lives left",
        ),
        Field("facing", "i1", 28, lo=-1, hi=1, scales=(Scale(1),), update=Update("mix", codebook=4)),
        Field("on_ground", "u1", 29, hi=1, scales=(Scale(1),), update=Update("mix", codebook=4)),
        Field("jumps_left", "u1", 30, hi=6, scales=(Scale(2),), update=Update("mix", codebook=8)),
        Field("character", "u1", 31, hi=32, classes=33, embed=8, doc="Melee internal character id"),
    ),
    controller_fields=(
        Field("stick_x", "i1", 0, unit="1/80", lo=-80, hi=80, scales=(Scale(80), Scale(80, mirror="facing"))),
        Field("stick_y", "i1", 1, unit="1/80", lo=-80, hi=80, scales=(Scale(80),)),
        Field("cstick_x", "i1", 2, unit="1/80", lo=-80, hi=80, scales=(Scale(80),)),
        Field("cstick_y", "i1", 3, unit="1/80", lo=-80, hi=80, scales=(Scale(80),)),
        Field("trigger_l", "u1", 4, unit="1/140", hi=140, scales=(Scale(140),)),
        Field("trigger_r", "u1", 5, unit="1/140", hi=140, scales=(Scale(140),)),
        Field("buttons", "<u2", 6, hi=0x1FFF, bits=13, doc="see Button"),
        Field("sequence", "<u4", 8, hi=2**32 - 1, doc="client's counter; must rise; no influence on a step"),
    ),
    end_field="stocks",
    end_value=0,
)  # fmt: skip

FRAME = FIGHTER.frame_dtype
PLAYER = FIGHTER.player_dtype
CONTROLLER = FIGHTER.controller_dtype


class Button:
    """Bits of ``buttons``, as a GameCube controller (and Slippi) has them."""

    DPAD_LEFT, DPAD_RIGHT, DPAD_DOWN, DPAD_UP = 0x1, 0x2, 0x4, 0x8
    Z, R, L = 0x10, 0x20, 0x40
    A, B, X, Y = 0x100, 0x200, 0x400, 0x800
    START = 0x1000


def neutral_inputs(n: int = 1) -> np.ndarray:
    """Controllers with nothing pressed, shape (n, 2), dtype `CONTROLLER`."""
    return np.zeros((n, N_PLAYERS), CONTROLLER)
