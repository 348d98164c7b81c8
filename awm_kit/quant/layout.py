"""Binary layout of a ModelManifest and its shards, as NumPy dtypes; the C twin is ``awm_format.h``.

MODEL_FILE.md says the same in prose. All integers are little endian, all offsets count from the
first byte of the manifest's (or shard's) content, all sections start at multiples of 8, and every
field lies at a multiple of its own size: C reads the records as plain structs.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

MAGIC = b"AWMMODEL"
VERSION = 3
VERSIONS = (1, 2, 3)  # readable; 1 knows no CHOOSE, 2 no mirrors
VERSION_NO_MIRROR = 2  # written for worlds without: programs deployed before version 3 run them
FORMAT_I8 = 0  # 7-bit symmetric weights stored as w + 64, row-major
FORMAT_N4 = 1  # 4-bit weights with scales, see n4.py; a manifest's: some matrices are
FORMATS = (FORMAT_I8, FORMAT_N4)
WEIGHT_BIAS = 64
LEAST_BIAS = -(1 << 31) + (1 << 28)  # of rows and convolutions, as stored
WEIGHT_MAX = 63
COLUMN_ALIGN = 8
LUT_POINTS = 257
LOGIT_FRAC_BITS = 12
GATE_FRAC_BITS = 7  # of CHOOSE's int8 gates
RESIDUAL_MAX = (1 << 23) - 1
NO_SLOT = 0xFF
NO_ROW = 0xFFFF
NO_END = 0xFF

# Limits that NUMERICS.md's overflow proofs and the C kernel rely on.
MAX_DIM = 4096  # d_feat, d_model, d_inner
MAX_D_STATE = 256
MAX_LAYERS = 64
MAX_LOGITS = 16384
MAX_SHARDS = 64
NORM_LIMIT = 1 << 60


class TypeCode(IntEnum):
    """Integer types of frame fields."""

    I8, U8, I16, U16, I32, U32 = range(6)


TYPE_CODES = {"i1": 0, "u1": 1, "i2": 2, "u2": 3, "i4": 4, "u4": 5}


class SlotCode(IntEnum):
    """Whose field a feature or head touches, seen from the view being computed."""

    SELF, OTHER, GLOBAL, INPUT, OTHER_INPUT = range(5)


class FeatureMode(IntEnum):
    """How a field becomes int8 features."""

    LINEAR, TABLE, BITS = range(3)


class HeadKind(IntEnum):
    """How logits become the next value of a field."""

    CLASS, MIX = range(2)


class ClassKind(IntEnum):
    """What one class of a ``MIX`` head means for a constant c."""

    OLD, BASE, SET, FREE = range(4)


class OpKind(IntEnum):
    """Operations of the tape that one frame runs."""

    FEATURES, NORM, MATVEC, CONV, SSM, GATED_NORM, DECODE, CHOOSE = range(8)


class MatvecOut(IntEnum):
    """Where a matvec's requantised rows go."""

    RESIDUAL_SET, PROJ_I8, PROJ_I16, RESIDUAL_ADD, LOGITS = range(5)


HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("version", "<u4"),
        ("total_len", "<u4"),
        ("d_model", "<u2"),
        ("d_inner", "<u2"),
        ("d_state", "<u2"),
        ("headdim", "<u2"),
        ("nheads", "<u2"),
        ("d_conv", "u1"),
        ("n_layers", "u1"),
        ("n_views", "u1"),
        ("n_players", "u1"),
        ("d_feat", "<u2"),
        ("n_logits", "<u2"),
        ("n_features", "<u2"),
        ("n_heads", "<u2"),
        ("n_ops", "<u2"),
        ("n_shards", "<u2"),
        ("n_segments", "<u2"),
        ("end_type", "u1"),
        ("end_offset", "u1"),
        ("embed_shard", "<u2"),
        ("end_value", "<i4"),
        ("format", "<u4"),
        ("n_consts", "<u4"),
        ("n_lead", "<u4"),  # logits of the head that is chosen before the others; 0: none is
        ("off_shards", "<u4"),
        ("off_features", "<u4"),
        ("off_heads", "<u4"),
        ("off_consts", "<u4"),
        ("off_kinds", "<u4"),
        ("off_softplus", "<u4"),
        ("off_exp2", "<u4"),
        ("off_luts", "<u4"),
        ("off_layers", "<u4"),
        ("off_ops", "<u4"),
        ("off_segments", "<u4"),
        ("off_schema", "<u4"),
        ("len_schema", "<u4"),
        ("off_notes", "<u4"),
        ("len_notes", "<u4"),
        ("len_luts", "<u4"),
        ("n_params", "<u8"),
        ("name", "S32"),
        ("parent", "V32"),  # SHA-256 of the parent world's manifest; zeros for none
        ("reserved", "V56"),
    ]
)

SHARD = np.dtype([("length", "<u8"), ("format", "<u4"), ("reserved", "<u4"), ("sha256", "V32")])

FEATURE = np.dtype(
    [
        ("mode", "u1"),
        ("slot", "u1"),
        ("type", "u1"),
        ("offset", "u1"),
        ("minus_slot", "u1"),  # NO_SLOT: nothing is subtracted; else the same field of that slot
        ("shift", "u1"),
        ("width", "u1"),
        (
            "operand",
            "u1",
        ),  # BITS: first bit; LINEAR: 0, or 1 + offset of the mirror in its side's player record
        ("bias", "<i4"),
        ("mul", "<i4"),
        ("table", "<u4"),  # offset in the embed shard
        ("rows", "<u2"),
        ("out", "<u2"),  # first index in the feature vector
    ]
)

HEAD = np.dtype(
    [
        ("kind", "u1"),
        ("slot", "u1"),
        ("type", "u1"),
        ("offset", "u1"),
        ("n_classes", "<u2"),
        ("row0", "<u2"),
        ("consts", "<u4"),  # first index in the constants and kinds (MIX only)
        ("step", "<i4"),
        ("lo", "<i4"),
        ("hi", "<i4"),
        ("free_row", "<u2"),
        ("free_shift", "u1"),
        ("n_velocities", "u1"),
        ("velocity", "u1", (2,)),
        ("reserved", "<u2"),
        ("free_mul", "<i4"),
        ("free_lo", "<i4"),
        ("free_hi", "<i4"),
    ]
)

LAYER = np.dtype(
    [
        ("norm_num", "<u8"),
        ("norm_eps", "<u8"),
        ("gnorm_num", "<u8"),
        ("gnorm_eps", "<u8"),
        ("norm_shift", "u1"),
        ("gnorm_shift", "u1"),
        ("conv_shift", "u1"),
        ("gain_shift", "u1"),
        ("x_shift", "u1"),
        ("y_shift", "u1"),
        ("shard", "<u2"),
        ("conv_w", "<u4"),  # i8[channels][4]
        ("conv_b", "<u4"),  # i32[channels]
        ("conv_m", "<u4"),  # i32[channels]
        ("heads", "<u4"),  # SSM_HEAD[nheads]
        ("z_lut", "<u4"),  # i16[256], offset in the LUT section
        ("conv_lut", "<u4"),  # i8[256], offset in the LUT section
    ]
)

SSM_HEAD = np.dtype([("decay", "<u4"), ("gain", "<u4"), ("y_mul", "<i4"), ("x_mul", "<i4")])

OP = np.dtype(
    [
        ("kind", "u1"),
        ("layer", "u1"),
        ("out", "u1"),
        ("shift", "u1"),
        ("row0", "<u2"),
        ("rows", "<u2"),
        ("cols", "<u2"),
        ("shard", "<u2"),
        ("weights", "<u4"),  # CHOOSE: i8 gates[2][rows][cols], then offsets[2][rows][cols]
        ("params", "<u4"),  # i32 bias[rows], then i32 mul[rows]; CHOOSE: the offsets' multiplier itself
        ("format", "<u4"),  # of a matrix's weights
    ]
)
