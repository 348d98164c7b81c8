"""The normative step: one frame of a world in NumPy integers, in the order of the Mamba2 paper.

NUMERICS.md says the same in prose; the C kernel, its SIMD variants and the onchain program must give these
bytes. Everything is int64 here, so that a value that leaves its range is caught instead of wrapping.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Any

import numpy as np

from awm_kit.quant import layout as L
from awm_kit.quant.decode_rules import head_record, type_code
from awm_kit.quant.integer_model import Choice, HeadTable, IntegerModel, Layer, Linear, Norm
from awm_kit.quant.luts import exp2_table, softplus_table
from awm_kit.quant.manifest import state_bytes_per_view
from awm_kit.schema import (
    CONTROLLER_BYTES,
    GLOBAL_BYTES,
    PLAYER_BYTES,
    STATUS_DECIDED,
    STATUS_PLAYING,
    STATUS_TIMEOUT,
)

_DTYPES = ("i1", "u1", "<i2", "<u2", "<i4", "<u4")
_LOGIT_MAX = (1 << 24) - 1
_FRAME, _STATUS, _TIME_LIMIT = (0, "<u4"), (5, "u1"), (8, "<u4")


def initial_state(model: IntegerModel) -> np.ndarray:
    """State at the start of a match: zeros, uint8, as long as `state_bytes` says."""
    return np.zeros(state_bytes(model), np.uint8)


def state_bytes(model: IntegerModel) -> int:
    """Bytes of the recurrent state, a multiple of 8."""
    return len(model.layers) * model.n_views * state_bytes_per_view(model.d_inner, model.d_state)


def frame_bytes(frames: np.ndarray) -> bytes:
    """The 80-byte records of frames with zeros between fields, where NumPy's copies leave anything."""
    frames = np.asarray(frames)
    raw = np.frombuffer(frames.tobytes(), np.uint8).reshape(-1, frames.dtype.itemsize)
    return bytes((raw * _covered(frames.dtype)).tobytes())


@lru_cache(maxsize=16)
def _covered(dtype: np.dtype[Any]) -> np.ndarray:
    """1 for each byte of a record that belongs to a field, shape (itemsize,)."""
    if dtype.subdtype:
        inner, shape = dtype.subdtype
        return np.tile(_covered(inner), int(np.prod(shape)))
    if not dtype.fields:
        return np.ones(dtype.itemsize, np.uint8)
    covered = np.zeros(dtype.itemsize, np.uint8)
    for field, offset, *_ in dtype.fields.values():
        covered[offset : offset + field.itemsize] |= _covered(field)
    return covered


def state_hash(frame: np.ndarray, state: np.ndarray | bytes) -> str:
    """SHA-256 (hex) of the 80-byte frame record followed by the state payload: what a match commits to."""
    payload = state if isinstance(state, bytes) else np.ascontiguousarray(state).tobytes()
    return hashlib.sha256(frame_bytes(frame) + payload).hexdigest()


def step(model: IntegerModel, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Advance a match by one frame.

    Parameters
    ----------
    model : IntegerModel
    state : ndarray of uint8, shape (state_bytes(model),), contiguous; updated in place
    frame : ndarray of the schema's frame dtype, shape (); not changed
    inputs : ndarray of the schema's controller dtype, shape (2,); applied to reach the next frame

    Returns
    -------
    ndarray of the frame dtype, shape ()
    """
    return decode(model, frame, forward(model, state, frame, inputs))


def forward(model: IntegerModel, state: np.ndarray, frame: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The network's half of a step: ndarray of int64 logits (Q12), shape (n_views, n_logits)."""
    if state.dtype != np.uint8 or state.shape != (state_bytes(model),):
        raise ValueError(f"expected {state_bytes(model)} uint8 of state (got {state.shape}, {state.dtype})")
    record = np.frombuffer(frame_bytes(frame), np.uint8)
    pads = np.frombuffer(np.ascontiguousarray(inputs).tobytes(), np.uint8)
    if len(record) != GLOBAL_BYTES + 2 * PLAYER_BYTES or len(pads) != 2 * CONTROLLER_BYTES:
        raise ValueError(f"expected 80 bytes of frame and 24 of inputs (got {len(record)}, {len(pads)})")
    memory = state.reshape(len(model.layers), model.n_views, -1)
    residuals = []
    for view in range(model.n_views):
        f = _features(model, record, pads, view)
        r = _clamp(_matvec(model.encoder, f), L.RESIDUAL_MAX)
        for layer, layer_state in zip(model.layers, memory[:, view], strict=True):
            r = _mamba2(model, layer, layer_state, r)
        residuals.append(r)
    return _logits(model, residuals)


def _logits(model: IntegerModel, residuals: list[np.ndarray]) -> np.ndarray:
    """Heads on each view's last residual; with a leading head, the others know both views' choice."""
    scores = [_head(model.head, rms_norm(model.final_norm, r)) for r in residuals]
    if model.choice is None:
        return np.array(scores)
    lead = model.choice.n_lead
    chosen = [int(np.argmax(s[:lead])) for s in scores]  # the lowest index wins ties
    for view, r in enumerate(residuals):
        u = rms_norm(model.choice.norm, choose(model.choice, r, chosen[view], chosen[1 - view]))
        scores[view][lead:] = _head(model.head, u)[lead:]
    return np.array(scores)


def _head(head: Linear, u: np.ndarray) -> np.ndarray:
    return _clamp(_matvec(head, u), _LOGIT_MAX)


def choose(choice: Choice, r: np.ndarray, mine: int, theirs: int) -> np.ndarray:
    """The residual gated and shifted by both players' classes of the leading head, int64 (d_model,)."""
    gate = (1 << L.GATE_FRAC_BITS) + choice.gate[0, mine].astype(np.int64) + choice.gate[1, theirs]
    offset = choice.offset[0, mine].astype(np.int64) + choice.offset[1, theirs]
    shifted = _rounded_shift(r * gate, L.GATE_FRAC_BITS) + _rounded_shift(offset * choice.mul, choice.shift)
    return _clamp(shifted, L.RESIDUAL_MAX)


# ---------------------------------------------------------------- arithmetic


def _rounded_shift(value: np.ndarray, shift: int) -> np.ndarray:
    """``value / 2**shift``, halves up; NumPy's ``>>`` of negatives is arithmetic."""
    return (value + (1 << (shift - 1))) >> shift


def _clamp(value: np.ndarray, limit: int) -> np.ndarray:
    clamped: np.ndarray = np.clip(value, -limit, limit)
    return clamped


def _within(what: str, value: np.ndarray, limit: int) -> np.ndarray:
    """The range proofs of NUMERICS.md, executed."""
    if value.size and int(np.abs(value).max()) > limit:
        raise ArithmeticError(f"{what}: expected at most {limit} (got {int(np.abs(value).max())})")
    return value


def _matvec(linear: Linear, x: np.ndarray) -> np.ndarray:
    acc = _within("accumulator", linear.factors @ x, (1 << 31) - 1)
    return _rounded_shift((acc + linear.bias) * linear.mul.astype(np.int64), linear.shift)


def rms_norm(norm: Norm, x: np.ndarray) -> np.ndarray:
    """int8 of ``x * num / sqrt(sum x**2 + eps)``; |x_i| <= root, hence |x_i * m| <= num < 2**60."""
    _within("norm input", x, 1 << 23)
    root = isqrt(int((x * x).sum()) + norm.eps)
    return _clamp(_rounded_shift(x * (norm.num // root), norm.shift), 127)


# ---------------------------------------------------------------- encode


def _slot(record: np.ndarray, pads: np.ndarray, view: int, slot: int) -> np.ndarray:
    """Bytes of the record that a feature or head names, seen from ``view``."""
    if slot == L.SlotCode.GLOBAL:
        return record[:GLOBAL_BYTES]
    player = view if slot in (L.SlotCode.SELF, L.SlotCode.INPUT) else 1 - view
    if slot in (L.SlotCode.SELF, L.SlotCode.OTHER):
        return record[GLOBAL_BYTES + PLAYER_BYTES * player :][:PLAYER_BYTES]
    return pads[CONTROLLER_BYTES * player :][:CONTROLLER_BYTES]


def _load(data: np.ndarray, type_: int, offset: int) -> int:
    return int(np.frombuffer(data.tobytes(), _DTYPES[type_], 1, offset)[0])


def _turned(record: np.ndarray, view: int, row: np.void) -> bool:
    """Whether the mirror of a LINEAR feature, an i8 field of the player of its side, is negative."""
    if not row["operand"]:
        return False
    mine = row["slot"] in (L.SlotCode.SELF, L.SlotCode.INPUT)
    player = record[GLOBAL_BYTES + PLAYER_BYTES * (view if mine else 1 - view) :]
    return _load(player, L.TypeCode.I8, int(row["operand"]) - 1) < 0


def _features(model: IntegerModel, record: np.ndarray, pads: np.ndarray, view: int) -> np.ndarray:
    f = np.zeros(model.d_feat, np.int64)
    for row in model.features:
        type_, offset, out, width = (int(row[k]) for k in ("type", "offset", "out", "width"))
        value = _load(_slot(record, pads, view, int(row["slot"])), type_, offset)
        if row["mode"] == L.FeatureMode.LINEAR:
            if row["minus_slot"] != L.NO_SLOT:
                value -= _load(_slot(record, pads, view, int(row["minus_slot"])), type_, offset)
            if _turned(record, view, row):
                value = -value
            value = max(-(1 << 31), min((1 << 31) - 1, value - int(row["bias"])))
            scaled = (value * int(row["mul"]) + (1 << (int(row["shift"]) - 1))) >> int(row["shift"])
            f[out] = max(-127, min(127, scaled))
        elif row["mode"] == L.FeatureMode.TABLE:
            index = min(max(value, 0), int(row["rows"]) - 1)
            start = int(row["table"]) + index * width
            f[out : out + width] = model.embed[start : start + width]
        else:
            bits = np.array([(value >> (int(row["operand"]) + i)) & 1 for i in range(width)])
            f[out : out + width] = bits * int(row["mul"])
    return f


# ---------------------------------------------------------------- one layer


def _mamba2(model: IntegerModel, layer: Layer, memory: np.ndarray, r: np.ndarray) -> np.ndarray:
    """RMSNorm, in_proj, causal conv, selective scan, gate, norm, out_proj, residual.

    ``memory`` is the layer's part of one view's state: int8 (channels, 4), then int16 (d_inner, d_state).
    """
    channels = model.d_inner + 2 * model.d_state
    conv_state = memory[: 4 * channels].view(np.int8).reshape(channels, 4)
    ssm_state = memory[4 * channels :].view("<i2").reshape(model.d_inner, model.d_state)

    u = rms_norm(layer.norm, r)
    zxbc = _clamp(_matvec(layer.in_zx, u), 127)
    dt = _clamp(_matvec(layer.in_dt, u), 32767)
    z, xbc = zxbc[: model.d_inner], zxbc[model.d_inner :]

    conv_state[:, :3] = conv_state[:, 1:].copy()
    conv_state[:, 3] = xbc
    acc = (layer.conv_w.astype(np.int64) * conv_state).sum(1) + layer.conv_b
    mul = layer.conv_m.astype(np.int64)
    activated = layer.conv_lut.astype(np.int64)[
        _clamp(_rounded_shift(acc * mul, layer.conv_shift), 127) + 128
    ]
    x, b, c = np.split(activated, [model.d_inner, model.d_inner + model.d_state])

    v = scan(layer, ssm_state, x, b, c, z, discretize(layer, dt))
    u = rms_norm(layer.gated_norm, v)
    return _clamp(r + _matvec(layer.out, u), L.RESIDUAL_MAX)


@dataclass
class Discrete:
    """Time steps made discrete, shape (nheads,): ``decay`` (Q15) multiplies the state, ``gain`` the input."""

    decay: np.ndarray
    gain: np.ndarray


def discretize(layer: Layer, dt: np.ndarray) -> Discrete:
    """softplus(dt), then exp(-softplus * A) as 2**-(n + fraction); dt int64 Q10, shape (nheads,)."""
    softplus, exp2 = softplus_table().astype(np.int64), exp2_table().astype(np.int64)
    j = dt + 32768
    i, g = j >> 8, j & 255
    sp = (softplus[i] * (256 - g) + softplus[i + 1] * g + 128) >> 8
    # sp < 2**30 and decay, gain < 2**32: the products fit 63 bits
    e = np.minimum((sp * layer.decay.astype(np.int64)) >> 24, 31 * 65536 + 65535)
    n, k = e >> 16, e & 65535
    i, g = k >> 8, k & 255
    t = (exp2[i] * (256 - g) + exp2[i + 1] * g) >> 8
    decay = np.minimum((t + (1 << (14 + n))) >> (15 + n), 32767)
    gain = np.minimum((sp * layer.gain.astype(np.int64)) >> layer.gain_shift, (1 << 31) - 1)
    return Discrete(decay, gain)


def input_limit(decay: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Largest |dt x| that keeps the state in int16: |h| decay + |b| limit <= 32767 * 2**15."""
    return ((32768 - decay) * 32767) // max(1, int(np.abs(b).max()))


def scan(
    layer: Layer, h: np.ndarray, x: np.ndarray, b: np.ndarray, c: np.ndarray, z: np.ndarray,
    discrete: Discrete,
) -> np.ndarray:  # fmt: skip
    """The selective scan: h = decay h + B dt x, y = C.h + D x, gated by SiLU(z).

    Parameters
    ----------
    h : ndarray of int16, shape (d_inner, d_state); updated in place
    x, z : ndarray of int64, shape (d_inner,)
    b, c : ndarray of int64, shape (d_state,)

    Returns
    -------
    ndarray of int64, shape (d_inner,)
    """
    headdim = len(x) // len(discrete.decay)
    per_head = (discrete.decay, discrete.gain, input_limit(discrete.decay, b), layer.y_mul, layer.x_mul)
    decay, gain, limit, y_mul, x_mul = (np.repeat(a.astype(np.int64), headdim) for a in per_head)
    dx = np.clip(_rounded_shift(x * gain, layer.x_shift), -limit, limit)
    new = (h.astype(np.int64) * decay[:, None] + b * dx[:, None] + 16384) >> 15
    h[...] = _within("ssm state", new, 32768)
    y = _within("C.h", new @ c, (1 << 31) - 1)
    y16 = _clamp(_rounded_shift(y * y_mul + x * x_mul, layer.y_shift), 32767)
    gated: np.ndarray = (y16 * layer.z_lut.astype(np.int64)[z + 128] + 128) >> 8
    return gated


# ---------------------------------------------------------------- decode


def decode(model: IntegerModel, frame: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """The declared half of a step: apply each head's rule, count the frame, judge the match.

    Parameters
    ----------
    logits : ndarray of int, shape (n_views, n_logits), Q12

    Returns
    -------
    ndarray of the frame dtype, shape ()
    """
    old = np.frombuffer(frame_bytes(frame), np.uint8)
    new = old.copy()
    for view in range(model.n_views):
        for table in model.heads:
            _decode_head(model, table, old, new, view, logits[view])
    number = (_load(new, *_at(_FRAME)) + 1) & 0xFFFFFFFF
    _store(new, L.TypeCode.U32, 0, number)
    _store(new, L.TypeCode.U8, _STATUS[0], _judge(model, new, number))
    return np.frombuffer(bytearray(new.tobytes()), model.schema.frame_dtype).reshape(())


def _at(place: tuple[int, str]) -> tuple[int, int]:
    return _DTYPES.index(place[1]), place[0]


def _store(data: np.ndarray, type_: int, offset: int, value: int) -> None:
    raw = np.array(value, _DTYPES[type_]).tobytes()
    data[offset : offset + len(raw)] = np.frombuffer(raw, np.uint8)


def _decode_head(
    model: IntegerModel, table: HeadTable, old: np.ndarray, new: np.ndarray, view: int, logits: np.ndarray
) -> None:
    rule = head_record(model.schema, table)
    scores = logits[table.row0 : table.row0 + table.n_classes]
    choice = int(np.argmax(scores))  # the lowest index wins ties
    target = _slot(new, new, view, table.slot)
    type_, offset = int(rule["type"]), int(rule["offset"])
    value = choice
    if rule["kind"] == L.HeadKind.MIX:
        before = _load(_slot(old, old, view, table.slot), type_, offset)
        speeds = (int(v) for v in rule["velocity"][: int(rule["n_velocities"])])
        base = before + int(rule["step"]) + sum(_load(target, L.TypeCode.I16, v) for v in speeds)
        const = int(table.consts[choice])
        kind = L.ClassKind(int(table.kinds[choice]))
        if kind == L.ClassKind.OLD:
            value = before + const
        elif kind == L.ClassKind.BASE:
            value = base + const
        elif kind == L.ClassKind.SET:
            value = const
        else:
            value = base + _free(rule, int(logits[table.free_row]))
    _store(target, type_, offset, max(int(rule["lo"]), min(int(rule["hi"]), value)))


def _free(rule: np.ndarray, logit: int) -> int:
    """The regressed change: d (1 + |d|) of the logit gives fine small and wide large changes."""
    x = max(-32768, min(32768, logit))
    d = (x * (4096 + abs(x))) >> L.LOGIT_FRAC_BITS
    shift = int(rule["free_shift"])
    change = (d * int(rule["free_mul"]) + (1 << (shift - 1))) >> shift
    return max(int(rule["free_lo"]), min(int(rule["free_hi"]), change))


def _judge(model: IntegerModel, new: np.ndarray, number: int) -> int:
    if model.schema.end_field:
        end = model.schema.player(model.schema.end_field)
        players = (new[GLOBAL_BYTES + PLAYER_BYTES * p :] for p in range(2))
        if any(_load(p, type_code(end), end.offset) <= model.schema.end_value for p in players):
            return STATUS_DECIDED
    limit = _load(new, *_at(_TIME_LIMIT))
    return STATUS_TIMEOUT if limit and number >= limit else STATUS_PLAYING
