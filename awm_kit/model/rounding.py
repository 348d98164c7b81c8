"""Matrices as the integer step has them: which there are, and how their weights are rounded.

In 4 bits two rows share a scale in each chunk of 32 columns (format N4, ``kernel_c/awm_matvec_n4.h``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from awm_kit.model.mamba2 import Mamba2
from awm_kit.model.world import WorldModel

CHUNK = 32
WEIGHT_MAX, SCALE_MAX = 7, 255
#: Matrices that can be in 4 bits, and those that are by default. The encoder is small and would cost most:
#: its inputs are mostly at one end of their range, where a rounded weight moves every sum by as much.
MATRICES = ("encoder", "in_zx", "in_dt", "out", "head")
FOUR_BITS = ("in_zx", "out", "head")

#: Shares of the largest magnitude of a pair's chunk that may become 7 steps; the best is taken.
_CLIPS = tuple(0.55 + 0.05 * i for i in range(10))


class FourBits(NamedTuple):
    """A matrix as ``weight * scales * unit``.

    ``weight`` (rows, cols), whole numbers in -7..7; ``scales`` (rows, chunks), whole numbers in 1..255, the
    same for rows 2 i and 2 i + 1; ``unit`` (rows,).
    """

    weight: Tensor
    scales: Tensor
    unit: Tensor

    @property
    def real(self) -> Tensor:
        """The rounded matrix."""
        scales = self.scales.repeat_interleave(CHUNK, 1)[:, : self.weight.shape[1]]
        return self.weight * scales * self.unit[:, None]


def four_bits(weight: Tensor) -> FourBits:
    """Round a matrix to 4 bits with the scales that change it least.

    Parameters
    ----------
    weight : Tensor, shape (rows, cols)

    Returns
    -------
    FourBits
    """
    rows, cols = weight.shape
    top = weight.abs().amax(1).clamp(min=1e-12)
    full = nn.functional.pad(weight / top[:, None], (0, -cols % CHUNK, 0, rows % 2))
    pairs = full.unflatten(0, (-1, 2)).unflatten(2, (-1, CHUNK)).transpose(1, 2)  # (pairs, chunks, 2, 32)
    size = nn.functional.pad(top, (0, rows % 2)).unflatten(0, (-1, 1, 2, 1)).square()
    most = pairs.abs().amax((2, 3), keepdim=True)
    best = torch.full_like(most, torch.inf)
    scales, steps = torch.ones_like(most), torch.zeros_like(pairs)
    for clip in _CLIPS:
        scale = (most * clip * SCALE_MAX).round().clamp(1, SCALE_MAX)
        unit = scale / (SCALE_MAX * WEIGHT_MAX)
        step = (pairs / unit).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
        error = ((step * unit - pairs).square() * size).sum((2, 3), keepdim=True)
        better = error < best
        best, scales = torch.where(better, error, best), torch.where(better, scale, scales)
        steps = torch.where(better, step, steps)
    whole = steps.transpose(1, 2).flatten(2).flatten(0, 1)[:rows, :cols]
    by_row = scales[..., 0, 0].repeat_interleave(2, 0)[:rows]
    return FourBits(whole, by_row, top / (SCALE_MAX * WEIGHT_MAX))


def matrices(model: WorldModel, names: Collection[str]) -> Iterator[tuple[Tensor, slice, Tensor]]:
    """Each matrix of ``names`` as a parameter, its rows there, and what `quantize` multiplies its columns by.

    The rows of the head that lead, and the others, are two matrices.
    """
    if unknown := set(names) - set(MATRICES):
        raise ValueError(f"expected matrices of {MATRICES} (got {sorted(unknown)})")
    if "encoder" in names:
        yield model.embed.weight, slice(None), torch.ones(())
    for layer in model.layers:
        if isinstance(layer, Mamba2):
            split = layer.config.d_inner + layer.config.channels
            if "in_zx" in names:
                yield layer.in_proj.weight, slice(split), layer.norm.weight.detach()
            if "in_dt" in names:
                yield layer.in_proj.weight, slice(split, None), layer.norm.weight.detach()
            if "out" in names:
                yield layer.out_proj.weight, slice(None), layer.gated_norm.weight.detach()
    if "head" in names:
        lead = model.n_lead
        if model.choice is not None:
            yield model.head.weight, slice(lead), model.final_norm.weight.detach()
        rest = model.final_norm if model.choice is None else model.choice.norm
        yield model.head.weight, slice(lead, None), rest.weight.detach()


@contextmanager
def rounded(
    model: WorldModel, names: Collection[str], rounding: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """The model with its matrices rounded; what changes them meanwhile changes the true weights as much."""
    true = {weight: weight.detach().clone() for weight, _, _ in matrices(model, names)}
    with torch.no_grad():
        for weight, rows, gain in matrices(model, names):
            gain = torch.where(gain.abs() < 1e-9, 1e-9, gain)
            weight[rows] = rounding(weight[rows] * gain) / gain
    before = {weight: weight.detach().clone() for weight in true}
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in true.items():
                weight.copy_(value + (weight - before[weight]))
