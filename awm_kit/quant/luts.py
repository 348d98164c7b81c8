"""Look-up tables that stand in for softplus, exp2 and SiLU; they travel in the manifest.

The two shared tables are computed with decimal arithmetic, so that every machine builds the same bytes.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from functools import lru_cache

import numpy as np

from awm_kit.quant.layout import LUT_POINTS

SOFTPLUS_FRAC_BITS = 24
EXP2_FRAC_BITS = 30
DT_FRAC_BITS = 10
_DIGITS = 40


@lru_cache(maxsize=1)
def softplus_table() -> np.ndarray:
    """Softplus at ``(256 i - 32768) / 1024`` for i in 0..256.

    Returns
    -------
    ndarray of uint32, shape (257,), Q24; read-only
    """
    with localcontext() as ctx:
        ctx.prec = _DIGITS
        points = [Decimal(256 * i - 32768) / (1 << DT_FRAC_BITS) for i in range(LUT_POINTS)]
        return _fixed([(1 + x.exp()).ln() for x in points], SOFTPLUS_FRAC_BITS)


@lru_cache(maxsize=1)
def exp2_table() -> np.ndarray:
    """``2**-(i / 256)`` for i in 0..256.

    Returns
    -------
    ndarray of uint32, shape (257,), Q30; read-only. The ends are exactly 2**30 and 2**29.
    """
    with localcontext() as ctx:
        ctx.prec = _DIGITS
        ln2 = Decimal(2).ln()
        return _fixed([(-ln2 * i / 256).exp() for i in range(LUT_POINTS)], EXP2_FRAC_BITS)


def _fixed(values: list[Decimal], frac_bits: int) -> np.ndarray:
    scaled = [int((v * (1 << frac_bits)).to_integral_value(ROUND_HALF_EVEN)) for v in values]
    table = np.array(scaled, "<u4")
    table.flags.writeable = False
    return table


def silu_lut(in_step: float, out_step: float, dtype: str = "i1") -> np.ndarray:
    """SiLU of an int8 as a table; entry ``i`` is for the stored value ``i - 128``.

    Parameters
    ----------
    in_step : float
        Real value of one unit of the input.
    out_step : float
        Real value of one unit of the output.
    dtype : str
        ``"i1"`` for the convolution's activation, ``"i2"`` for the gate z, whose product with the
        int16 output is divided by 256 (see NUMERICS.md, SSM).

    Returns
    -------
    ndarray of dtype, shape (256,), clipped symmetrically, rounded half to even

    Raises
    ------
    ValueError : if a step is not positive and finite
    """
    if not (0 < in_step < np.inf and 0 < out_step < np.inf):
        raise ValueError(f"expected positive finite steps (got in_step={in_step}, out_step={out_step})")
    limit = np.iinfo(dtype).max
    x = np.arange(-128, 128) * float(in_step)
    # exp of the negative magnitude cannot overflow
    decay = np.exp(-np.abs(x))
    sigmoid = np.where(x >= 0, 1.0, decay) / (1.0 + decay)
    table: np.ndarray = np.clip(np.round(x * sigmoid / out_step), -limit, limit).astype(dtype)
    return table
