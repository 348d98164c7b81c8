"""The schema of `bumper`: two carts seen from above push each other off a round table."""

from __future__ import annotations

from enum import IntEnum

from awm_kit.schema import Field, Scale, Schema, Update

SCHEMA_NAME = "bumper"
DIRECTIONS = 64  # headings; 0 looks along x, 16 along y


class Act(IntEnum):
    """What a cart is doing."""

    DRIVE, BOOST, SPIN, FALL, RETURN = range(5)


def _tiles(reach: float, count: int, relative: bool = False) -> tuple[Scale, ...]:
    """``count`` features side by side: a linear layer of them is any function with a knot where two meet."""
    return tuple(Scale(reach, relative, reach * (2 * i + 1 - count)) for i in range(count))


# Squares decide this game: the table's edge, and whether two carts touch. From tiles of 8 units a linear
# layer makes the distance from the middle within an eighth of a unit; from tiles of 2, the carts' distance
# within a tenth. A velocity is seen to its last bit: friction keeps what is missed for 32 frames.
_TABLE_TILES, _CONTACT_TILES, _VELOCITY_TILES = _tiles(4, 16), _tiles(1, 8, relative=True), _tiles(0.5, 6)


def _position(name: str, offset: int, velocity: str) -> Field:
    return Field(
        name, "<i4", offset, 8, "units", -128, 128,
        scales=(
            Scale(64), Scale(64, relative=True), Scale(16, relative=True), Scale(4, relative=True),
            *_TABLE_TILES, *_CONTACT_TILES,
        ),
        update=Update("mix", velocities=(velocity,), free=True, free_scale=0.5, codebook=8, tolerance=1),
    )  # fmt: skip


def _velocity(name: str, offset: int) -> Field:
    return Field(
        name, "<i2", offset, 8, "units/frame", -16, 16,
        scales=(
            Scale(4), Scale(1), Scale(0.25), Scale(8, relative=True), Scale(2, relative=True),
            *_VELOCITY_TILES,
        ),
        update=Update("mix", free=True, free_scale=0.125, codebook=64),
    )  # fmt: skip


# The world program settles matches by three bytes of a player's record, whatever the game: percent (damage),
# stocks (lives) and character (here the model of the cart).
BUMPER = Schema(
    name=SCHEMA_NAME,
    global_fields=(
        Field("frame", "<u4", 0, unit="frames", hi=2**32 - 1),
        Field("stage", "u1", 4, hi=63, doc="the table; there is one"),
        Field("status", "u1", 5, hi=2, doc="0 playing, 1 decided, 2 timeout"),
        Field("time_limit", "<u4", 8, unit="frames", hi=2**32 - 1, doc="0: none"),
        Field("seed", "<u4", 12, hi=2**32 - 1),
    ),
    player_fields=(
        _position("x", 0, "vx"),
        _position("y", 4, "vy"),
        _velocity("vx", 8),
        _velocity("vy", 10),
        Field(
            "percent", "<u2", 18, 6, "damage", 0, 999, scales=(Scale(200), Scale(50), *_tiles(32, 4)[2:]),
            update=Update("mix", free=True, free_scale=4.0, codebook=8, tolerance=1, increase_only=True),
        ),
        Field(
            "action_state", "<u2", 22, hi=4, classes=5, embed=4, update=Update("class", leads=True),
            doc="0 drive, 1 boost, 2 spin, 3 fall, 4 return",
        ),
        Field(
            "state_age", "<u2", 24, unit="frames", hi=4095, bits=2,  # fuel comes back every fourth frame
            scales=(Scale(64), Scale(16), *(Scale(4, center=c) for c in (9, 24, 40, 50))),
            update=Update("mix", step=1, codebook=4), doc="frames since this action state was entered",
        ),
        Field(
            "fuel", "u1", 26, unit="frames", hi=90,
            scales=(Scale(45, center=45), Scale(4), Scale(4, center=8)),
            update=Update("mix", codebook=6), doc="frames of boost left",
        ),
        Field("stocks", "u1", 27, hi=4, scales=(Scale(2, center=2),), update=Update("mix", codebook=4)),
        Field(
            "heading", "u1", 28, hi=63, classes=DIRECTIONS, embed=16,
            update=Update("mix", codebook=16), doc="1/64 turns, anticlockwise",
        ),
        Field("character", "u1", 31, hi=1, scales=(Scale(1),), doc="0 light, 1 heavy"),
    ),
    controller_fields=(
        Field(
            "stick_x", "i1", 0, unit="1/80", lo=-80, hi=80,
            # about where it turns a cart by one direction more
            scales=(Scale(80), *(Scale(12, center=c) for c in (-60, -20, 20, 60))),
        ),
        Field("buttons", "<u2", 6, hi=0x1FFF, bits=13, doc="`Button`: A throttle, B brake, X boost"),
        Field("sequence", "<u4", 8, hi=2**32 - 1),
    ),
    end_field="stocks",
    end_value=0,
)  # fmt: skip

FRAME = BUMPER.frame_dtype
CONTROLLER = BUMPER.controller_dtype
