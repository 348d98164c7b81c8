"""What makes an `IntegerModel` valid: the ranges on which NUMERICS.md's proofs rest, checked in one place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.quant import layout as L
from awm_kit.quant import n4
from awm_kit.quant.decode_rules import head_record, stored_range
from awm_kit.quant.integer_model import Choice, IntegerModel, Layer, Linear, Norm
from awm_kit.schema import CONTROLLER_BYTES, GLOBAL_BYTES, PLAYER_BYTES, Field, Scale, Schema

_SLOT_BYTES = {
    L.SlotCode.SELF: PLAYER_BYTES,
    L.SlotCode.OTHER: PLAYER_BYTES,
    L.SlotCode.GLOBAL: GLOBAL_BYTES,
    L.SlotCode.INPUT: CONTROLLER_BYTES,
    L.SlotCode.OTHER_INPUT: CONTROLLER_BYTES,
}


def check_model(model: IntegerModel) -> None:
    """Check shapes and ranges of everything that a step reads.

    Raises
    ------
    ModelFileError : naming the tensor, what was expected and what was got
    """
    check_schema(model.schema)
    _check_dims(model)
    _check_linear("encoder", model.encoder, model.d_model, model.d_feat)
    for i, layer in enumerate(model.layers):
        _check_layer(f"layer {i}", model, layer)
    _check_norm("final_norm", model.final_norm)
    _check_linear("head", model.head, model.head.weight.shape[0], model.d_model)
    _check_features(model)
    _check_heads(model)
    if model.choice is not None:
        _check_choice(model, model.choice)


def check_schema(schema: Schema) -> None:
    """Check what a schema read from a manifest says, before anything is computed from it.

    Raises
    ------
    ModelFileError : naming the field, what was expected and what was got
    """
    groups = {
        "global": (schema.global_fields, GLOBAL_BYTES),
        "player": (schema.player_fields, PLAYER_BYTES),
        "controller": (schema.controller_fields, CONTROLLER_BYTES),
    }
    _expect(isinstance(schema.name, str), "schema.name", "text", schema.name)
    for group, (fields, room) in groups.items():
        for field in fields:
            _check_field(f"{group} field {field.name!r}", field, room)
        names = [field.name for field in fields]
        _expect(len(set(names)) == len(names), f"{group} fields", "names that differ", names)
    for group, (fields, _) in groups.items():
        for field in fields:
            for scale in field.scales:
                _check_scale(f"{group} field {field.name!r}", scale, group, schema)
    players = {field.name for field in schema.player_fields}
    for field in schema.player_fields:
        _expect(
            players >= set(field.update.velocities), f"velocities of {field.name!r}", players, field.update
        )
    _expect(schema.end_field in players | {""}, "end_field", "a player field or none", schema.end_field)
    _expect(_is_int(schema.end_value), "end_value", "an int32", schema.end_value)


def _check_field(what: str, field: Field, room: int) -> None:
    _expect(isinstance(field.name, str) and field.name.isidentifier(), what, "an identifier", field.name)
    _expect(
        isinstance(field.dtype, str) and field.dtype.lstrip("<") in L.TYPE_CODES, what, "a dtype", field.dtype
    )
    size = int(field.dtype[-1])
    numbers = (field.offset, field.frac_bits, field.classes, field.embed, field.bits, field.update.step)
    _expect(all(map(_is_int, numbers)), what, "32-bit integers", numbers)
    _expect(0 <= field.frac_bits < 32, f"{what}.frac_bits", "0..31", field.frac_bits)
    aligned = field.offset >= 0 and field.offset % size == 0 and field.offset + size <= room
    _expect(aligned, f"{what}.offset", f"aligned, within {room} bytes", field.offset)
    reals = [field.lo, field.hi, field.update.free_scale]
    reals += [value for scale in field.scales for value in (scale.reach, scale.center)]
    _expect(
        all(isinstance(r, int | float) and abs(r) <= 2**32 for r in reals), what, "numbers up to 2**32", reals
    )
    info = np.iinfo(field.dtype)
    lo, hi = stored_range(field)
    _expect(info.min <= lo <= hi <= info.max, f"{what} range", f"within {info.min}..{info.max}", (lo, hi))


def _check_scale(what: str, scale: Scale, group: str, schema: Schema) -> None:
    if scale.mirror == "":
        return
    signed = [field.name for field in schema.player_fields if _is_i8(field)]
    fits = group == "player" or (group == "controller" and not scale.relative)
    _expect(fits, f"{what}.mirror", "of a player, or of a controller and not relative", group)
    _expect(scale.mirror in signed, f"{what}.mirror", f"one of {signed}", repr(scale.mirror))


def _is_i8(field: Field) -> bool:
    return field.dtype.lstrip("<") == "i1"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 1 << 31


def count_params(model: IntegerModel) -> int:
    """Learned numbers of a world: matrices, biases, embeddings, convolutions, A and D of each head."""
    linears = [model.encoder, model.head, *(x for a in model.layers for x in (a.in_zx, a.in_dt, a.out))]
    total = int(model.embed.size) + sum(int(x.weight.size + x.bias.size) for x in linears)
    if model.choice is not None:
        total += int(model.choice.gate.size + model.choice.offset.size)
    return total + sum(int(a.conv_w.size + a.conv_b.size) + 2 * model.nheads for a in model.layers)


def _expect(ok: bool, what: str, expected: object, got: object) -> None:
    if not ok:
        raise ModelFileError(f"{what}: expected {expected} (got {got})")


def _check_dims(m: IntegerModel) -> None:
    for name in ("d_feat", "d_model", "d_inner"):
        size = getattr(m, name)
        _expect(
            8 <= size <= L.MAX_DIM and size % L.COLUMN_ALIGN == 0,
            name,
            f"a multiple of 8 in 8..{L.MAX_DIM}",
            size,
        )
    ok = 4 <= m.d_state <= L.MAX_D_STATE and m.d_state % 4 == 0
    _expect(ok, "d_state", f"a multiple of 4 in 4..{L.MAX_D_STATE}", m.d_state)
    _expect(
        m.nheads >= 1 and m.nheads * m.headdim == m.d_inner,
        "nheads * headdim",
        m.d_inner,
        m.nheads * m.headdim,
    )
    _expect(m.n_views in (1, 2), "n_views", "1 or 2", m.n_views)
    _expect(1 <= len(m.layers) <= L.MAX_LAYERS, "layers", f"1..{L.MAX_LAYERS}", len(m.layers))
    _expect(
        len(m.name.encode()) <= 32 and "\0" not in m.name, "name", "at most 32 bytes of UTF-8", repr(m.name)
    )
    _expect(len(m.parent) == 32, "parent", "32 bytes", len(m.parent))


def _check_linear(what: str, linear: Linear, rows: int, cols: int) -> None:
    most = L.WEIGHT_MAX if linear.scales is None else n4.WEIGHT_MAX
    _check_array(f"{what}.weight", linear.weight, (rows, cols), -most, most)
    _check_array(f"{what}.bias", linear.bias, (rows,), L.LEAST_BIAS, (1 << 31) - 1)
    _check_array(f"{what}.mul", linear.mul, (rows,), 0, (1 << 31) - 1)
    _check_shift(f"{what}.shift", linear.shift)
    if linear.scales is None:
        return
    _expect(cols <= n4.MAX_COLS, f"{what}.weight", f"at most {n4.MAX_COLS} columns in 4 bits", cols)
    _check_array(f"{what}.scales", linear.scales, (rows, n4.n_chunks(cols)), 0, n4.SCALE_MAX)
    stored = int((linear.bias - n4.bias_offset(linear.scales)).min())
    _expect(stored >= L.LEAST_BIAS, f"{what}.bias", "room for the offset of the scales", stored)


def _check_layer(what: str, m: IntegerModel, layer: Layer) -> None:
    channels = m.d_inner + 2 * m.d_state
    i32 = (-(1 << 31), (1 << 31) - 1)
    u32 = (0, (1 << 32) - 1)
    _check_norm(f"{what}.norm", layer.norm)
    _check_norm(f"{what}.gated_norm", layer.gated_norm)
    _check_linear(f"{what}.in_zx", layer.in_zx, 2 * m.d_inner + 2 * m.d_state, m.d_model)
    _check_linear(f"{what}.in_dt", layer.in_dt, m.nheads, m.d_model)
    _check_linear(f"{what}.out", layer.out, m.d_model, m.d_inner)
    _check_array(f"{what}.conv_w", layer.conv_w, (channels, 4), -128, 127)
    _check_array(f"{what}.conv_b", layer.conv_b, (channels,), L.LEAST_BIAS, i32[1])
    _check_array(f"{what}.conv_m", layer.conv_m, (channels,), *i32)
    _check_array(f"{what}.conv_lut", layer.conv_lut, (256,), -127, 127)
    _check_array(f"{what}.z_lut", layer.z_lut, (256,), -(1 << 15), (1 << 15) - 1)
    for name, limits in (("decay", u32), ("gain", u32), ("y_mul", i32), ("x_mul", i32)):
        _check_array(f"{what}.{name}", getattr(layer, name), (m.nheads,), *limits)
    for name in ("conv_shift", "x_shift", "y_shift"):
        _check_shift(f"{what}.{name}", getattr(layer, name))
    _check_shift(f"{what}.gain_shift", layer.gain_shift, lowest=0)


def _check_choice(m: IntegerModel, choice: Choice) -> None:
    _expect(m.n_views == 2, "n_views", "2 where a head leads", m.n_views)
    _expect(choice.gate.ndim == 3, "choice.gate", "shape (2, n_lead, d_model)", choice.gate.shape)
    shape = (2, choice.n_lead, m.d_model)
    _check_array("choice.gate", choice.gate, shape, -127, 127)
    _check_array("choice.offset", choice.offset, shape, -127, 127)
    _expect(0 <= choice.mul < 1 << 31, "choice.mul", "0..2**31-1", choice.mul)
    _check_shift("choice.shift", choice.shift)
    _check_norm("choice.norm", choice.norm)
    first = m.heads[0] if m.heads else None
    leads = first is not None and first.row0 == 0 and first.n_classes == choice.n_lead
    _expect(leads, "head 0", f"the leading one, rows 0..{choice.n_lead - 1}", first)
    _expect(choice.n_lead < m.head.weight.shape[0], "n_lead", "fewer rows than logits", choice.n_lead)


def _check_array(what: str, array: np.ndarray, shape: tuple[int, ...], lo: int, hi: int) -> None:
    _expect(array.dtype.kind in "iu", what, "an integer array", array.dtype)
    _expect(array.shape == shape, what, f"shape {shape}", array.shape)
    if array.size and not (lo <= int(array.min()) and int(array.max()) <= hi):
        _expect(False, what, f"values in {lo}..{hi}", f"{int(array.min())}..{int(array.max())}")


def _check_shift(what: str, shift: int, lowest: int = 1) -> None:
    _expect(lowest <= shift <= 62, what, f"a shift in {lowest}..62", shift)


def _check_norm(what: str, norm: Norm) -> None:
    _expect(0 <= norm.num < L.NORM_LIMIT, f"{what}.num", "0..2**60-1", norm.num)
    _expect(1 <= norm.eps < L.NORM_LIMIT, f"{what}.eps", "1..2**60-1", norm.eps)
    _check_shift(f"{what}.shift", norm.shift)


def _check_features(m: IntegerModel) -> None:
    _expect(m.features.dtype == L.FEATURE, "features", "dtype layout.FEATURE", m.features.dtype)
    _expect(
        m.embed.dtype == np.int8 and m.embed.ndim == 1, "embed", "1-D int8", (m.embed.dtype, m.embed.shape)
    )
    used = 0
    for i, row in enumerate(m.features):
        used = max(used, _check_feature(f"feature {i}", m, row))
    _expect(used == m.embed.size, "embed", f"exactly the {used} bytes that TABLE features use", m.embed.size)


def _check_feature(what: str, m: IntegerModel, row: np.void) -> int:
    """Check one record; returns where its table ends in ``embed``."""
    mode, width, operand = int(row["mode"]), int(row["width"]), int(row["operand"])
    size = _check_place(what, int(row["slot"]), int(row["type"]), int(row["offset"]), tuple(L.SlotCode))
    outputs = 1 if mode == L.FeatureMode.LINEAR else width
    _expect(
        outputs >= 1 and int(row["out"]) + outputs <= m.d_feat,
        f"{what}.out",
        f"below d_feat={m.d_feat}",
        row["out"],
    )
    if mode == L.FeatureMode.LINEAR:
        _check_shift(f"{what}.shift", int(row["shift"]))
        minus = int(row["minus_slot"])
        if minus != L.NO_SLOT:
            _check_place(f"{what}.minus", minus, int(row["type"]), int(row["offset"]), tuple(L.SlotCode))
        if operand:
            _check_mirror(what, m, int(row["slot"]), operand - 1)
        return 0
    if mode == L.FeatureMode.BITS:
        _expect(operand + width <= 8 * size, f"{what}.width", f"bits within {8 * size}", operand + width)
        _expect(abs(int(row["mul"])) <= 127, f"{what}.mul", "-127..127", row["mul"])
        return 0
    _expect(mode == L.FeatureMode.TABLE, f"{what}.mode", "a FeatureMode", mode)
    _expect(int(row["rows"]) >= 1, f"{what}.rows", "at least 1", row["rows"])
    return int(row["table"]) + int(row["rows"]) * width


def _check_mirror(what: str, m: IntegerModel, slot: int, offset: int) -> None:
    places = [field.offset for field in m.schema.player_fields if _is_i8(field)]
    _expect(slot != L.SlotCode.GLOBAL, f"{what}.slot", "a player's or a controller's of a mirror", slot)
    _expect(offset in places, f"{what}.mirror", "offset of an i1 field of a player", offset)


def _check_place(what: str, slot: int, type_: int, offset: int, slots: Iterable[int]) -> int:
    """Check that a field lies inside its record, aligned; returns its size."""
    _expect(slot in slots, f"{what}.slot", f"one of {[int(s) for s in slots]}", slot)
    _expect(type_ in tuple(L.TypeCode), f"{what}.type", "a TypeCode", type_)
    size = 1 << (type_ >> 1)
    room = _SLOT_BYTES[L.SlotCode(slot)]
    _expect(
        offset % size == 0 and offset + size <= room,
        f"{what}.offset",
        f"aligned, within {room} bytes",
        offset,
    )
    return size


def _check_heads(m: IntegerModel) -> None:
    n_logits = m.head.weight.shape[0]
    _expect(1 <= n_logits <= L.MAX_LOGITS, "logits", f"1..{L.MAX_LOGITS}", n_logits)
    for table in m.heads:
        what = f"head {table.name!r}"
        record = head_record(m.schema, table)
        last = table.row0 + table.n_classes
        _expect(
            table.n_classes >= 1 and table.row0 >= 0 and last <= n_logits,
            what,
            f"rows in 0..{n_logits}",
            last,
        )
        _expect(
            -1 <= table.free_row < min(n_logits, L.NO_ROW), what, "a free row below n_logits", table.free_row
        )
        size = table.n_classes if record["kind"] == L.HeadKind.MIX else 0
        _check_array(f"{what}.kinds", table.kinds, (size,), 0, max(L.ClassKind))
        _check_array(f"{what}.consts", table.consts, (size,), -(1 << 31), (1 << 31) - 1)
        if table.free_row < 0 and (table.kinds == L.ClassKind.FREE).any():
            raise ModelFileError(f"{what}: expected a free_row for its FREE class (got none)")
