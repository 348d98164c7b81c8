"""A world as integers: everything that the step reads, before it is laid out as accounts.

`quantize` fills one from a trained network, `pack` turns it into a `Cartridge`, `reference.step`
runs it. Shapes use the names of the Mamba2 paper; ``channels = d_inner + 2 * d_state``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from awm_kit.quant import layout as L
from awm_kit.quant import n4
from awm_kit.schema import Schema


@dataclass
class Linear:
    """Rows of ``requantize((sum_k w[r,k] x[k] + bias[r]) * mul[r], shift)``.

    Attributes
    ----------
    weight : ndarray of int8, shape (rows, cols), in -63..63, or -7..7 with ``scales``
    bias : ndarray of int32, shape (rows,), in accumulator units
    mul : ndarray of int32, shape (rows,), >= 0
    shift : int, 1..62
    scales : ndarray of uint8, shape (rows, chunks of 32 columns), optional
        Makes it a 4-bit matrix (`awm_kit.quant.n4`): a chunk's part of the sum is multiplied by its scale.
    """

    weight: np.ndarray
    bias: np.ndarray
    mul: np.ndarray
    shift: int
    scales: np.ndarray | None = None

    def rows(self, first: int, end: int) -> Linear:
        """Rows ``first`` to ``end`` alone."""
        cut = slice(first, end)
        scales = None if self.scales is None else self.scales[cut]
        return Linear(self.weight[cut], self.bias[cut], self.mul[cut], self.shift, scales)

    @property
    def factors(self) -> np.ndarray:
        """What multiplies each activation: int64, shape (rows, cols)."""
        return self.weight.astype(np.int64) if self.scales is None else n4.expand(self.weight, self.scales)


@dataclass
class Norm:
    """RMSNorm to int8, ``clamp8(x * (num // isqrt(sum x^2 + eps)) >> shift)``."""

    num: int
    eps: int
    shift: int


@dataclass
class Layer:
    """One Mamba2 layer.

    Attributes
    ----------
    in_zx : Linear, rows 2*d_inner + 2*d_state in order z, x, B, C; outputs clamp to int8
    in_dt : Linear, rows nheads; outputs clamp to int16, Q10
    conv_w : ndarray of int8, shape (channels, 4); index 3 multiplies the newest sample
    conv_b, conv_m : ndarray of int32, shape (channels,)
    conv_shift : int
    conv_lut : ndarray of int8, shape (256,); index is the requantised sum + 128
    z_lut : ndarray of int16, shape (256,)
    decay : ndarray of uint32, shape (nheads,); exp(A_log) * log2(e) in Q16
    gain : ndarray of uint32, shape (nheads,); dt to state units, with ``gain_shift``
    y_mul, x_mul : ndarray of int32, shape (nheads,); C.h and skip term to y units, with ``y_shift``
    """

    norm: Norm
    in_zx: Linear
    in_dt: Linear
    conv_w: np.ndarray
    conv_b: np.ndarray
    conv_m: np.ndarray
    conv_shift: int
    conv_lut: np.ndarray
    z_lut: np.ndarray
    decay: np.ndarray
    gain: np.ndarray
    gain_shift: int
    x_shift: int
    y_mul: np.ndarray
    x_mul: np.ndarray
    y_shift: int
    gated_norm: Norm
    out: Linear


@dataclass
class Choice:
    """What the leading head's choices do to the residual before the other heads read it.

    ``clamp(rq(r * (128 + gate[0, mine] + gate[1, theirs]), 7)
    + rq((offset[0, mine] + offset[1, theirs]) * mul, shift))`` with NUMERICS.md's ``rq``.

    Attributes
    ----------
    gate, offset : ndarray of int8, shape (2, n_lead, d_model)
    mul, shift : int
    norm : Norm; of the changed residual
    """

    gate: np.ndarray
    offset: np.ndarray
    mul: int
    shift: int
    norm: Norm

    @property
    def n_lead(self) -> int:
        """Classes of the leading head, which are the first rows of the logits."""
        return int(self.gate.shape[1])


@dataclass
class HeadTable:
    """One head: a player field of ``slot`` and how its logits decode.

    ``kinds``/``consts`` are empty for a ``class`` head, whose class index is the value.
    """

    name: str
    slot: int
    row0: int
    n_classes: int
    kinds: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint8))
    consts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    free_row: int = -1


@dataclass
class IntegerModel:
    """All of a world's integers and its descriptions.

    Attributes
    ----------
    features : ndarray of layout.FEATURE; ``table`` counts from the start of ``embed``
    embed : ndarray of int8, 1-D; rows of all TABLE features
    d_feat : int; feature vector length, a multiple of 8 (the tail is zero)
    choice : Choice or None; None: all logits come from the same residual
    heads : list of HeadTable, in decode order (the leading one, velocities before positions)
    n_views : int; 2: each player in turn is ``self``; 1: player 0 is
    notes : dict; JSON-able training notes
    parent : bytes; SHA-256 of the parent's manifest or 32 zeros
    """

    schema: Schema
    name: str
    d_model: int
    d_inner: int
    d_state: int
    headdim: int
    nheads: int
    n_views: int
    d_feat: int
    features: np.ndarray
    embed: np.ndarray
    encoder: Linear
    layers: list[Layer]
    final_norm: Norm
    head: Linear
    heads: list[HeadTable]
    choice: Choice | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    parent: bytes = bytes(32)

    @property
    def has_mirrors(self) -> bool:
        """Whether a LINEAR feature is turned by a mirror, which readers before version 3 do not know."""
        return bool(self.features[self.features["mode"] == L.FeatureMode.LINEAR]["operand"].any())
