"""An integer world whose matrices become 4-bit ones, without the network that it was made from."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from awm_kit.model.rounding import FOUR_BITS, MATRICES, four_bits
from awm_kit.quant import n4
from awm_kit.quant.integer_model import IntegerModel, Linear
from awm_kit.quant.quantize import int32, multipliers


def to_four_bits(model: IntegerModel, names: Collection[str] = FOUR_BITS) -> IntegerModel:
    """The same world with the matrices of ``names`` in 4 bits, rounded and not trained on.

    Parameters
    ----------
    model : IntegerModel
    names : collection of str
        Of `awm_kit.model.rounding.MATRICES`. Matrices too wide for the format stay as they are.

    Returns
    -------
    IntegerModel
    """
    if unknown := set(names) - set(MATRICES):
        raise ValueError(f"expected matrices of {MATRICES} (got {sorted(unknown)})")

    def converted(name: str, linear: Linear, lead: int = 0) -> Linear:
        wide = linear.weight.shape[1] > n4.MAX_COLS
        return linear if name not in names or wide else _rounded(linear, lead)

    layers = [
        replace(
            layer,
            in_zx=converted("in_zx", layer.in_zx),
            in_dt=converted("in_dt", layer.in_dt),
            out=converted("out", layer.out),
        )
        for layer in model.layers
    ]
    head = converted("head", model.head, model.choice.n_lead if model.choice else 0)
    return replace(model, encoder=converted("encoder", model.encoder), layers=layers, head=head)


def _rounded(linear: Linear, lead: int) -> Linear:
    """Sums become smaller by each row's unit, multipliers larger; the first ``lead`` rows are a matrix."""
    factors = torch.from_numpy(linear.factors.astype(np.float64))
    parts = [four_bits(part) for part in (factors[:lead], factors[lead:]) if len(part)]
    weight, scales, unit = (torch.cat(tensors).numpy() for tensors in zip(*parts, strict=True))
    mul, shift = multipliers(linear.mul * unit / 2.0**linear.shift)
    bias = int32(torch.from_numpy(linear.bias / unit))
    return Linear(weight.astype(np.int8), bias, mul, shift, scales.astype(np.uint8))
