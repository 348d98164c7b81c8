"""Writes the vectors in this folder: ``python tests/vectors/generate.py``; test_kernel.py compares them.

Monocypher's form: fields are hex and end with a colon, a ``#`` line says what the next case attacks. All
numbers in them are little endian. The reference (`awm_kit.quant.reference`) computes the answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from awm_kit.quant import layout as L
from awm_kit.quant import reference
from awm_kit.quant.integer_model import IntegerModel, Norm
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Flavor, Shape, random_frame, random_inputs, random_model
from awm_kit.schema import (
    CONTROLLER_BYTES,
    FRAME_BYTES,
    GLOBAL_BYTES,
    PLAYER_BYTES,
    Field,
    Scale,
    Schema,
    Update,
)

FOLDER = Path(__file__).parent
N_FRAMES = 24

#: A game that is no fighter: two carts on a line.
CARTS = Schema(
    name="carts",
    global_fields=(
        Field("frame", "<u4", 0, hi=2**32 - 1),
        Field("track", "u1", 4, hi=2, classes=3, embed=2),
        Field("status", "u1", 5, hi=2),
        Field("time_limit", "<u4", 8, hi=2**32 - 1),
    ),
    player_fields=(
        Field(
            "x", "<i4", 0, 8, lo=-500, hi=500, scales=(Scale(100), Scale(8, relative=True)),
            update=Update("mix", velocities=("speed",), free=True, codebook=8),
        ),
        Field(
            "speed", "<i2", 4, 8, lo=-60, hi=60, scales=(Scale(20),),
            update=Update("mix", free=True, codebook=8),
        ),
        Field(
            "fuel", "<u2", 6, 4, hi=100, scales=(Scale(50, center=50),), update=Update("mix", codebook=6),
        ),
        Field("gear", "u1", 8, hi=4, classes=5, embed=3, update=Update("class", leads=True)),
        Field("turbo", "i1", 9, lo=-1, hi=1, scales=(Scale(1),), update=Update("mix", codebook=4)),
    ),
    controller_fields=(
        Field("wheel", "i1", 0, lo=-80, hi=80, scales=(Scale(80),)),
        Field("pedals", "u1", 4, hi=7, bits=3),
    ),
    end_field="fuel",
    end_value=0,
)  # fmt: skip


#: The same with features that are turned to where a cart heads; turbo is -1, 0 or 1.
MIRRORED_CARTS = replace(
    CARTS,
    player_fields=(
        replace(
            CARTS.player_fields[0],
            scales=(
                Scale(100), Scale(100, center=-30, mirror="turbo"), Scale(8, relative=True),
                Scale(8, relative=True, mirror="turbo"), Scale(2, True, 5, mirror="turbo"),
            ),
        ),
        *CARTS.player_fields[1:],
    ),
    controller_fields=(
        replace(CARTS.controller_fields[0], scales=(Scale(80), Scale(40, mirror="turbo"))),
        CARTS.controller_fields[1],
    ),
)  # fmt: skip


def _line(value: np.ndarray | bytes) -> str:
    return (value if isinstance(value, bytes) else value.tobytes()).hex() + ":"


def _case(comment: str, *fields: np.ndarray | bytes) -> str:
    return "\n".join([f"# {comment}", *map(_line, fields)]) + "\n"


def matvec_cases() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Comment, stored weights uint8 (rows, cols), activations int8 (cols,)."""
    rng = np.random.default_rng(1)

    def full(rows: int, cols: int, byte: int, value: int) -> tuple[np.ndarray, np.ndarray]:
        return np.full((rows, cols), byte, np.uint8), np.full(cols, value, np.int8)

    yield "largest sum there is: weights +63, activations +127", *full(5, 4096, 127, 127)
    yield "smallest sum: weights +63, activations -128", *full(2, 4096, 127, -128)
    yield "weights -63, activations +127", *full(6, 256, 1, 127)
    yield "maddubs: pairs of 127 * -128 are next to int16's end", *full(4, 64, 127, -128)
    signs = rng.choice([-1, 1], 1024)
    aligned = (64 + 63 * signs * rng.choice([-1, 1], (7, 1))).astype(np.uint8)
    yield "weights +-63 aligned with activations +-127", aligned, (127 * signs).astype(np.int8)
    x = np.tile(np.repeat([-128, 127], 4), 64).astype(np.int8)
    w = np.tile(np.repeat([127, 1], 4), (5, 64)).astype(np.uint8)
    yield "lower lanes of the word multiply at their largest, upper ones at their smallest", w, x
    yield "the same, signs exchanged", (128 - w).astype(np.uint8), x[::-1].copy()
    for cols in (8, 16, 24, 32, 40, 56, 64, 72, 96, 104, 128, 136, 160, 200, 256, 264):
        rows = 1 + cols // 8 % 11
        weights = rng.integers(1, 128, (rows, cols), np.uint8)
        yield (
            f"{cols} columns, {rows} rows: tails of SIMD words and row blocks",
            weights,
            _activations(rng, cols),
        )


def _activations(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(-128, 128, n, np.int8)


def matvec_text() -> str:
    head = "# Fields: weights + 64 (u8, row-major), activations (i8), sums of w * x (i32).\n\n"
    cases = []
    for comment, w, x in matvec_cases():
        acc = (w.astype(np.int64) - 64) @ x.astype(np.int64)
        cases.append(_case(comment, w, x, acc.astype("<i4")))
    return head + "\n".join(cases)


def scan_cases() -> Iterator[tuple[str, dict[str, np.ndarray | int]]]:
    rng = np.random.default_rng(2)

    def case(d_state: int, headdim: int, **given: object) -> dict[str, object]:
        drawn = {
            "decay": 30000, "gain": 5000, "x_shift": 7, "y_shift": 20, "y_mul": 3000, "x_mul": -2000,
            "b": rng.integers(-127, 128, d_state), "c": rng.integers(-127, 128, d_state),
            "x": rng.integers(-127, 128, headdim), "z": rng.integers(-127, 128, headdim),
            "h": rng.integers(-32767, 32768, (headdim, d_state)),
            "z_lut": rng.integers(-32768, 32768, 256),
        }  # fmt: skip
        return {**drawn, **given}

    def full(n: int, value: int) -> np.ndarray:
        return np.full(n, value)

    most = (1 << 31) - 1
    yield (
        "decay 0 forgets all; the input at its limit fills int16",
        case(16, 4, decay=0, gain=most, x_shift=1),
    )
    yield "decay 32767 leaves an input limit of 32767 / bmax", case(16, 4, decay=32767, gain=most, x_shift=1)
    yield "B of zeros: the limit's divisor is 1", case(8, 3, b=full(8, 0), gain=most, x_shift=1, decay=0)
    yield (
        "states -1 and 1 decay by rounding halves up",
        case(8, 2, decay=16384, gain=0, h=np.tile([-1, 1, -2, 2, -3, 3, 0, -32767], (2, 1))),
    )
    yield (
        "the largest C.h: 256 states of 32767, C of 127",
        case(
            256,
            2,
            c=full(256, 127),
            h=np.full((2, 256), 32767),
            b=full(256, 127),
            x=full(2, 127),
            decay=32767,
        ),
    )
    yield (
        "the smallest: 256 states of -32767, C of -128",
        case(
            256,
            2,
            c=full(256, -128),
            h=np.full((2, 256), -32767),
            b=full(256, -128),
            x=full(2, 127),
            decay=32767,
        ),
    )
    yield (
        "states of -32768, which no step makes but an account could hold",
        case(12, 3, h=np.full((3, 12), -32768), decay=32767, b=full(12, -128), gain=most, x_shift=1),
    )
    yield "the output saturates on both sides", case(16, 8, y_mul=most, x_mul=-most - 1, y_shift=8)
    yield "the largest shifts", case(16, 4, x_shift=62, y_shift=62, y_mul=most)
    for d_state in (4, 8, 12, 20, 32, 64):
        yield f"{d_state} states: vector tails", case(d_state, 5)


def scan_text() -> str:
    head = (
        "# Fields: decay, gain, limit, y_mul, x_mul, x_shift, y_shift (i64 each), B, C (i8), x, z (i8),\n"
        "# z_lut (i16), h before (i16), h after (i16), v (i32).\n\n"
    )
    cases = []
    for comment, case in scan_cases():
        k = SimpleNamespace(**case)
        layer = SimpleNamespace(
            x_shift=k.x_shift,
            y_shift=k.y_shift,
            z_lut=k.z_lut,
            y_mul=np.array([k.y_mul]),
            x_mul=np.array([k.x_mul]),
        )
        discrete = reference.Discrete(np.array([k.decay]), np.array([k.gain]))
        limit = int(reference.input_limit(discrete.decay, k.b)[0])
        after = k.h.astype("<i2")
        v = reference.scan(layer, after, k.x, k.b, k.c, k.z, discrete)
        scalars = np.array([k.decay, k.gain, limit, k.y_mul, k.x_mul, k.x_shift, k.y_shift], "<i8")
        narrow = [k.b.astype("i1"), k.c.astype("i1"), k.x.astype("i1"), k.z.astype("i1")]
        fields = [scalars, *narrow, k.z_lut.astype("<i2"), k.h.astype("<i2"), after, v.astype("<i4")]
        cases.append(_case(comment, *fields))
    return head + "\n".join(cases)


def discretize_text() -> str:
    head = (
        "# Fields: a head's decay, gain (u32), gain_shift (u8); dt (i16, Q10); D (i32, Q15), gain (i32).\n\n"
    )
    dt = np.array([-32767, -10240, -4097, -1024, -256, -1, 0, 1, 255, 256, 1023, 4096, 10240, 32766, 32767])
    largest = (1 << 32) - 1
    heads = {
        "A of 1: log2(e) in Q16": (94548, 1 << 14, 20),
        "A of 16, the fastest decay that Mamba2 starts with": (1512775, 1 << 14, 20),
        "no decay: D stays at 32767, not 32768": (0, 1, 0),
        "the fastest decay: D rounds to 0 and the exponent saturates": (largest, largest, 0),
        "the smallest decay, the largest shift": (1, largest, 62),
    }
    cases = []
    for comment, (decay, gain, shift) in heads.items():
        layer = SimpleNamespace(decay=np.full(len(dt), decay), gain=np.full(len(dt), gain), gain_shift=shift)
        out = reference.discretize(layer, dt)
        rule = np.array([decay, gain], "<u4").tobytes() + bytes([shift])
        cases.append(_case(comment, rule, dt.astype("<i2"), out.decay.astype("<i4"), out.gain.astype("<i4")))
    return head + "\n".join(cases)


def norm_text() -> str:
    head = "# Fields: num, eps (u64), shift (u8), x (i32), u (i8).\n\n"
    rng = np.random.default_rng(4)
    top = (1 << 23) - 1
    cases = {
        "sum of squares 24: the root is floored to 4": (np.array([2, 2, 2, 2, 2, 1, 1, 1]), 1 << 20, 1, 10),
        "sum of squares 25: exactly 5": (np.array([2, 2, 2, 2, 2, 2, 0, 0]), 1 << 20, 1, 10),
        "zeros: eps alone, a root of 1": (np.zeros(16, int), (1 << 60) - 1, 1, 62),
        "one value carries the norm: x * (num / root) is next to num, the largest there is": (
            np.array([top, 0, 0, 0, 0, 0, 0, -1]), (1 << 60) - 1, 1, 53,
        ),
        "largest residuals, largest eps": (np.full(512, -top), (1 << 60) - 1, (1 << 60) - 1, 40),
        "small values: u saturates on both sides": (rng.integers(-3, 4, 64), 1 << 40, 1, 30),
        "residuals of a trained size": (rng.integers(-60000, 60001, 192), 555 << 24, 1000, 24),
        "halves round up: x of +-1 and +-3 times 1/2": (np.array([1, -1, 3, -3, 5, -5, 1, 1]), 64, 992, 2),
    }  # fmt: skip
    lines = []
    for comment, (x, num, eps, shift) in cases.items():
        u = reference.rms_norm(Norm(num, eps, shift), x.astype(np.int64))
        rule = np.array([num, eps], "<u8").tobytes() + bytes([shift])
        lines.append(_case(comment, rule, x.astype("<i4"), u.astype("i1")))
    return head + "\n".join(lines)


def store_cases() -> Iterator[tuple[str, str, dict[str, np.ndarray | int]]]:
    """Comment, output kind, and what is requantised: sums, bias, mul, shift, values before."""
    rng = np.random.default_rng(5)
    most, least = (1 << 31) - 1, L.LEAST_BIAS
    top = 63 * 128 * 4096
    ends = np.array([top, -top, 0, 1, -1, top, -top, 64, -64, 127, -128])
    wide = {"acc": ends, "bias": np.resize([most, least, 0], 11), "mul": np.full(11, most), "shift": 1}
    halves = {
        "acc": np.arange(-9, 10), "bias": np.zeros(19, int), "mul": np.full(19, 1 << 22), "shift": 23,
    }  # fmt: skip
    for kind in STORES:
        yield f"{kind}: the largest sums, biases and multipliers saturate on both sides", kind, wide
        yield f"{kind}: halves round up, on both sides of zero", kind, halves
        yield f"{kind}: the largest shift leaves 0 and -1 + 1", kind, {**wide, "shift": 62}
        for rows in (1, 7, 8, 9, 15, 16, 17, 33):
            drawn = {
                "acc": rng.integers(-100000, 100001, rows), "bias": rng.integers(-5000, 5001, rows),
                "mul": rng.integers(0, 1 << 24, rows), "shift": 30,
            }  # fmt: skip
            yield f"{kind}: {rows} rows: tails of SIMD words", kind, drawn


SELF, OTHER, GLOBAL, INPUT, OTHER_INPUT = L.SlotCode
I8, U8, I16, U16, I32, U32 = L.TypeCode


def feature_cases() -> Iterator[tuple[str, list[dict[str, int]], tuple[object, object], tuple[int, int]]]:
    """Comment, LINEAR records, both players' values of the first field, both i8 mirrors (offset 28)."""
    rng = np.random.default_rng(8)
    most, least = (1 << 31) - 1, -(1 << 31)

    def records(**rule: int) -> list[dict[str, int]]:
        """One of each kind: plain, relative, turned, both; of either player."""
        rule = {"type": I32, "mul": 1, "shift": 1, **rule}
        return [
            {**rule, "slot": slot, "minus_slot": minus, "operand": operand}
            for slot, opposite in ((SELF, OTHER), (OTHER, SELF))
            for minus in (L.NO_SLOT, opposite)
            for operand in (0, 29)
        ]

    for mirrors in ((1, -1), (-1, 1), (0, -1), (-128, 127), (127, -128)):
        yield f"mirrors {mirrors}: 0 does not turn", records(), (50, -31), mirrors
    yield "halves round up after the turn, not before", records(), (3, -5), (-1, -1)
    yield "the bias is not turned", records(bias=20, shift=2), (100, -60), (-1, -1)
    for bias in (most, least):
        rule = {"bias": bias, "mul": most, "shift": 62}
        yield f"i32: the largest differences, bias {bias}", records(**rule), (least, most), (-1, 1)
        yield f"u32: the same, bias {bias}", records(type=U32, **rule), ((1 << 32) - 1, 0), (1, -1)
    yield "the clamp to int32, on both sides", records(mul=least, shift=62), (least, most), (-1, -1)
    yield "-2^31 alone turns to 2^31", records(mul=64, shift=31), (least, least), (-1, -1)
    yield "u32 turns below 0", records(type=U32, mul=64, shift=32), (most, (1 << 32) - 1), (-1, 1)
    for type_ in (I8, U8, I16, U16):
        values = tuple(int(v) for v in rng.integers(-128 if type_ in (I8, I16) else 0, 128, 2))
        yield f"{type_.name}", records(type=type_), values, (-1, 1)
    own = [{**r, "type": I8, "offset": 28} for r in records(mul=2)]
    yield "the mirror itself: its amount; -128 turns to 128, which saturates", own, (0, 0), (-128, -5)
    pads = [
        {
            "slot": slot,
            "type": I8,
            "minus_slot": L.NO_SLOT,
            "operand": operand,
            "mul": 2,
            "shift": 1,
            "bias": bias,
        }
        for slot in (INPUT, OTHER_INPUT)
        for operand in (0, 29)
        for bias in (0, 7)
    ]
    yield "controllers turn with their player", pads, (0, 0), (-1, 1)
    yield "and the other way round", pads, (0, 0), (1, -1)
    ends = [{**r, "operand": operand} for r in records()[1:2] for operand in (1, 32)]
    yield "the first and the last byte of a record as mirrors", ends, (-1, 90), (1, 1)


def feature_manifest(records: bytes, d_feat: int) -> bytes:
    """A header and records, all of a manifest that FEATURES reads."""
    header = np.zeros((), L.HEADER)
    header["off_features"], header["n_features"] = L.HEADER.itemsize, len(records) // L.FEATURE.itemsize
    header["d_feat"] = d_feat
    return bytes(header.tobytes() + records)


def features_text() -> str:
    head = (
        "# Fields: feature records (24 bytes each, all LINEAR), frame (80 bytes), controllers (24 bytes),\n"
        "# the features of view 0, then of view 1 (i8).\n\n"
    )
    cases = []
    rng = np.random.default_rng(9)
    for comment, rows, values, mirrors in feature_cases():
        records = np.zeros(len(rows), L.FEATURE)
        for out, (record, row) in enumerate(zip(records, rows, strict=True)):
            for name, value in {**row, "out": out}.items():
                record[name] = value
        frame = rng.integers(0, 256, FRAME_BYTES, np.uint8)
        dtype = reference._DTYPES[rows[0]["type"]]
        for player, (value, mirror) in enumerate(zip(values, mirrors, strict=True)):
            at = frame[GLOBAL_BYTES + PLAYER_BYTES * player :]
            at[: np.dtype(dtype).itemsize] = np.frombuffer(np.array(value, dtype).tobytes(), np.uint8)
            at[28] = mirror & 255
        pads = rng.integers(0, 256, 2 * CONTROLLER_BYTES, np.uint8)
        model = SimpleNamespace(d_feat=-(-len(rows) // 8) * 8, features=records, embed=np.zeros(0, np.int8))
        seen = [reference._features(model, frame, pads, view).astype("i1") for view in range(2)]
        cases.append(_case(comment, records, frame, pads, *seen))
    return head + "\n".join(cases)


#: Output kinds in the order of `AWM_STORE_I8`, ...: type and limit.
STORES = {
    "i8": ("i1", 127), "i16": ("<i2", 32767), "i32": ("<i4", (1 << 24) - 1), "add": ("<i4", (1 << 23) - 1),
}  # fmt: skip


def store_text() -> str:
    head = (
        "# Fields: kind (u8), shift (u8), limit (i32), sums (i32), bias (i32), mul (i32), values before and\n"
        "# after, of the kind's type.\n\n"
    )
    cases = []
    for comment, kind, case in store_cases():
        k = SimpleNamespace(**case)
        dtype, limit = STORES[kind]
        before = np.resize([limit, -limit, 12345, 0] if kind == "add" else [0], len(k.acc))
        t = reference._rounded_shift((k.acc + k.bias) * k.mul, k.shift)
        after = np.clip(before + t, -limit, limit).astype(dtype)
        rule = bytes([list(STORES).index(kind), k.shift]) + np.array([limit], "<i4").tobytes()
        sums = [a.astype("<i4") for a in (k.acc, k.bias, k.mul)]
        cases.append(_case(comment, rule, *sums, before.astype(dtype), after))
    return head + "\n".join(cases)


def conv_cases() -> Iterator[tuple[str, dict[str, np.ndarray | int]]]:
    rng = np.random.default_rng(6)
    most, least = (1 << 31) - 1, -(1 << 31)

    def case(n: int, **given: object) -> dict[str, object]:
        drawn = {
            "samples": rng.integers(-128, 128, (n, 4)), "next": rng.integers(-128, 128, n),
            "w": rng.integers(-127, 128, (n, 4)), "bias": rng.integers(-3000, 3001, n),
            "mul": rng.integers(0, 1 << 14, n), "shift": 18, "lut": rng.integers(-127, 128, 256),
        }  # fmt: skip
        return {**drawn, **given}

    yield (
        "the largest sum there is, and the table's last entry",
        case(8, next=np.full(8, -128), samples=np.full((8, 4), -128), w=np.full((8, 4), -128),
             bias=np.full(8, most), mul=np.full(8, most), shift=1),
    )  # fmt: skip
    yield (
        "the smallest, and entry 1: 0 is never read",
        case(8, next=np.full(8, -128), samples=np.full((8, 4), -128), w=np.full((8, 4), 127),
             bias=np.full(8, L.LEAST_BIAS), mul=np.full(8, most), shift=1),
    )  # fmt: skip
    yield "a multiplier of 0 reads entry 128", case(16, mul=np.zeros(16, int))
    yield "the largest shift", case(8, mul=np.full(8, most), shift=62)
    for n in (8, 16, 24, 32, 40, 48, 56):
        yield f"{n} channels: tails of SIMD words", case(n)
    yield "multipliers of both signs", case(24, mul=rng.integers(-(1 << 14), 1 << 14, 24))
    for shift in (54, 55):  # around the largest shift of which 127 times 2^shift leaves room for the product
        biases, multipliers = rng.choice([most, L.LEAST_BIAS], 16), rng.choice([most, least], 16)
        yield f"largest products, shift {shift}", case(16, bias=biases, mul=multipliers, shift=shift)


def conv_text() -> str:
    head = (
        "# Fields: shift (u8), samples before (i8, 4 a channel, oldest first), newest (i8), w (i8, 4 each),\n"
        "# bias (i32), mul (i32), table (i8, 256), samples after, outputs (i8).\n\n"
    )
    cases = []
    for comment, case in conv_cases():
        k = SimpleNamespace(**case)
        after = np.concatenate([k.samples[:, 1:], k.next[:, None]], axis=1)
        total = k.bias + (after * k.w).sum(axis=1)
        s = np.clip(reference._rounded_shift(total * k.mul, k.shift), -127, 127)
        given = [k.samples.astype("i1"), k.next.astype("i1"), k.w.astype("i1"), k.bias.astype("<i4")]
        given += [k.mul.astype("<i4"), k.lut.astype("i1")]
        cases.append(
            _case(comment, bytes([k.shift]), *given, after.astype("i1"), k.lut[s + 128].astype("i1"))
        )
    return head + "\n".join(cases)


#: Whole random worlds, two of three extreme: d_model, nheads, headdim, d_state, layers, views.
SHAPES = (
    (8, 1, 8, 4, 1, 1), (8, 1, 8, 4, 1, 2), (16, 2, 4, 8, 1, 2), (24, 3, 8, 12, 2, 1),
    (32, 4, 8, 16, 2, 2), (40, 5, 8, 20, 1, 2), (48, 1, 48, 16, 3, 2), (56, 7, 8, 16, 1, 2),
    (64, 2, 40, 16, 2, 2), (72, 9, 8, 24, 1, 2), (80, 2, 64, 32, 1, 2), (96, 6, 32, 16, 2, 2),
    (104, 13, 8, 16, 1, 1), (120, 1, 120, 64, 1, 2), (128, 8, 32, 16, 3, 2), (136, 17, 8, 4, 1, 2),
    (192, 12, 32, 16, 2, 2), (200, 5, 80, 48, 1, 2), (256, 4, 128, 256, 1, 2), (512, 16, 64, 16, 12, 2),
)  # fmt: skip
N_WORLD_FRAMES = 6


def world_case(number: int) -> tuple[str, IntegerModel, np.ndarray, np.ndarray]:
    """Comment, world, first frame and controllers of one of `SHAPES`; nothing of it is in the file."""
    shape = Shape(*SHAPES[number])
    flavor: Flavor = "extreme" if number % 3 else "plain"
    rng = np.random.default_rng(1000 + number)
    model = random_model(number, shape, flavor)
    first, inputs = random_frame(rng), random_inputs(rng, N_WORLD_FRAMES)
    if number % 2:
        first["frame"] = (1 << 32) - 3  # the counter wraps
    return f"{number}: {flavor}, {shape}", model, first, inputs


def worlds_text() -> str:
    head = (
        "# Random worlds by number (see world_case). Field: for each of "
        f"{N_WORLD_FRAMES} frames\n# the SHA-256 of frame record and state.\n\n"
    )
    cases = []
    for number in range(len(SHAPES)):
        comment, model, frame, inputs = world_case(number)
        state, hashes = reference.initial_state(model), b""
        for pads in inputs:
            frame = reference.step(model, state, frame, pads)
            hashes += bytes.fromhex(reference.state_hash(frame, state))
        cases.append(_case(comment, hashes))
    return head + "\n".join(cases)


def worlds() -> dict[str, tuple[Shape, Flavor, int, Schema]]:
    """Whole worlds: comment to shape, flavor, seed and game."""
    return {
        "one view, smallest dimensions": (Shape(8, 1, 8, 4, 1, 1), "plain", 0, CARTS),
        "two views, three heads, two layers": (Shape(16, 3, 8, 8, 2, 2), "plain", 1, CARTS),
        "extremes: all that can saturate does": (
            Shape(24, 2, 8, 4, 1, 2),
            "extreme",
            3,
            CARTS,
        ),
        "mirrors, which version 3 knows": (Shape(16, 2, 8, 8, 1, 2), "plain", 5, MIRRORED_CARTS),
        "mirrors of one view": (Shape(8, 1, 8, 4, 1, 1), "extreme", 6, MIRRORED_CARTS),
    }


def frames_text() -> str:
    head = (
        f"# Fields: manifest, shard, first frame (80 bytes), inputs (24 bytes a frame, {N_FRAMES} frames),\n"
        "# then for each frame the SHA-256 of frame record and state.\n\n"
    )
    cases = []
    for comment, (shape, flavor, seed, schema) in worlds().items():
        model = random_model(seed, shape, flavor, schema, n_classes=6)
        cartridge = pack(model)
        rng = np.random.default_rng(seed)
        frame, inputs = random_frame(rng, schema), random_inputs(rng, N_FRAMES, schema)
        first = reference.frame_bytes(frame)
        state = reference.initial_state(model)
        hashes = b""
        for pads in inputs:
            frame = reference.step(model, state, frame, pads)
            hashes += bytes.fromhex(reference.state_hash(frame, state))
        cases.append(
            _case(comment, cartridge.manifest_bytes, cartridge.shards[0], first, _pads(inputs), hashes)
        )
    return head + "\n".join(cases)


def _pads(inputs: np.ndarray) -> bytes:
    """Controllers with zeros between fields."""
    return reference.frame_bytes(inputs)


TEXTS = {
    "features.txt": features_text,
    "matvec.txt": matvec_text,
    "scan.txt": scan_text,
    "discretize.txt": discretize_text,
    "norm.txt": norm_text,
    "frames.txt": frames_text,
    "store.txt": store_text,
    "conv.txt": conv_text,
    "worlds.txt": worlds_text,
}


def read(name: str) -> list[tuple[str, list[bytes]]]:
    """Cases of a vector file: comment and fields."""
    cases = []
    for block in (FOLDER / name).read_text().split("\n\n")[1:]:
        lines = block.strip().splitlines()
        if any(not line.endswith(":") for line in lines[1:]):
            raise ValueError(f"{name}: expected fields that end with a colon")
        cases.append((lines[0].removeprefix("# "), [bytes.fromhex(line[:-1]) for line in lines[1:]]))
    return cases


if __name__ == "__main__":
    for name, text in TEXTS.items():
        (FOLDER / name).write_text(text())
        print(f"{name}: {(FOLDER / name).stat().st_size} bytes")
