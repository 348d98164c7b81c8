"""Schemas: real units to stored integers and back, and the description that travels in a manifest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from awm_kit.data.bumper import BUMPER
from awm_kit.schema import FIGHTER, FRAME_BYTES, PLAYER_BYTES, Field, Scale, Schema, Update


def test_real_units_are_rounded_half_to_even_and_clipped() -> None:
    field = Field("half", "<i2", 0, frac_bits=1, lo=-3.0, hi=5.0)
    assert field.to_stored(np.array([0.25, 0.75, -0.25, -0.8, 4.9])).tolist() == [0, 2, 0, -2, 10]
    assert field.to_stored(np.array([-9.0, 9.0])).tolist() == [-6, 10]
    assert field.to_stored(1.5).dtype == np.int16 and field.to_real(np.int16(3)) == 1.5


@pytest.mark.parametrize("schema", [FIGHTER, BUMPER], ids=lambda s: s.name)
def test_every_field_keeps_its_ends(schema: Schema) -> None:
    for field in (*schema.global_fields, *schema.player_fields, *schema.controller_fields):
        for end in (field.lo, field.hi):
            assert field.to_real(field.to_stored(end)) == end, field.name
    assert (schema.frame_dtype.itemsize, schema.player_dtype.itemsize) == (FRAME_BYTES, PLAYER_BYTES)


@pytest.mark.parametrize("schema", [FIGHTER, BUMPER], ids=lambda s: s.name)
def test_json_holds_all_of_a_schema(schema: Schema) -> None:
    assert Schema.from_json(schema.to_json()) == schema
    fields = schema.player_fields
    other = replace(fields[0], update=Update("mix", step=3, velocities=("vx",), tolerance=9))
    turned = replace(fields[1], scales=(Scale(3.0, relative=True, mirror="facing"), Scale(2.0, center=1.0)))
    changed = replace(schema, player_fields=(other, turned, *fields[2:]), end_value=7)
    assert Schema.from_json(changed.to_json()) == changed != schema


def test_a_field_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match=r"no field 'speed'; there are \['x'"):
        FIGHTER.player("speed")
