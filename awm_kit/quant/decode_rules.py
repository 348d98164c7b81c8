"""From the schema's declared update rules to the HEAD records that every implementation decodes by."""

from __future__ import annotations

import numpy as np

from awm_kit.errors import ModelFileError
from awm_kit.quant.integer_model import HeadTable
from awm_kit.quant.layout import HEAD, LOGIT_FRAC_BITS, NO_ROW, TYPE_CODES, HeadKind, SlotCode
from awm_kit.schema import Field, Schema

FREE_SHIFT = 20


def stored_range(field: Field) -> tuple[int, int]:
    """Lowest and highest stored value of a field."""
    one = 1 << field.frac_bits
    return round(field.lo * one), round(field.hi * one)


def type_code(field: Field) -> int:
    """`TypeCode` of a field's dtype."""
    return TYPE_CODES[np.dtype(field.dtype).str[1:]]


def head_record(schema: Schema, table: HeadTable, consts_at: int = 0) -> np.ndarray:
    """One HEAD record.

    A free change is ``free_scale`` real units at ``d == 1.0``, so that its multiplier is
    ``free_scale * 2**frac_bits / 2**LOGIT_FRAC_BITS``, held with `FREE_SHIFT` bits.

    Parameters
    ----------
    schema : Schema
        Declares the field ``table.name``.
    table : HeadTable
    consts_at : int
        Index of the head's first constant in the manifest.

    Returns
    -------
    ndarray of layout.HEAD, shape ()

    Raises
    ------
    ModelFileError : if the field is unknown, held, or its rule cannot be represented
    """
    try:
        target = schema.player(table.name)
    except KeyError as error:
        raise ModelFileError(f"head of an unknown field: {error.args[0]}") from error
    if target.update.kind not in ("class", "mix"):
        raise ModelFileError(f"field {target.name!r} has no decode rule (got {target.update.kind!r})")
    if table.slot not in (SlotCode.SELF, SlotCode.OTHER):
        raise ModelFileError(f"head {table.name!r}: expected slot SELF or OTHER (got {table.slot})")
    lo, hi = stored_range(target)
    record = np.zeros((), HEAD)
    mixes = target.update.kind == "mix" or len(table.kinds)  # classes may stand for listed values
    record["kind"] = HeadKind.MIX if mixes else HeadKind.CLASS
    record["slot"], record["type"], record["offset"] = table.slot, type_code(target), target.offset
    record["n_classes"], record["row0"] = table.n_classes, table.row0
    record["lo"], record["hi"] = lo, hi
    record["free_row"] = NO_ROW
    if record["kind"] == HeadKind.MIX:
        _fill_mix(record, schema, target, table, consts_at)
    return record


def _fill_mix(record: np.ndarray, schema: Schema, target: Field, table: HeadTable, consts_at: int) -> None:
    update = target.update
    velocities = [schema.player(name) for name in update.velocities]
    if len(velocities) > 2 or any(np.dtype(v.dtype).str[1:] != "i2" for v in velocities):
        raise ModelFileError(f"field {target.name!r}: expected at most two int16 velocities")
    record["consts"], record["step"] = consts_at, update.step
    record["n_velocities"] = len(velocities)
    record["velocity"][: len(velocities)] = [v.offset for v in velocities]
    if table.free_row >= 0:
        span = int(record["hi"]) - int(record["lo"])
        free_mul = update.free_scale * 2.0 ** (target.frac_bits + FREE_SHIFT - LOGIT_FRAC_BITS)
        if not 0 < round(free_mul) < 1 << 31:
            raise ModelFileError(f"field {target.name!r}: free_scale {update.free_scale} is out of range")
        record["free_row"], record["free_shift"], record["free_mul"] = (
            table.free_row,
            FREE_SHIFT,
            round(free_mul),
        )
        record["free_lo"], record["free_hi"] = 0 if update.increase_only else -span, span
