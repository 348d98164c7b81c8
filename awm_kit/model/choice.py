"""What was chosen first changes how the rest is read: gates and offsets on the residual, one row a class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from awm_kit.model.mamba2 import RMSNorm, on_grid

GATE_ONE = 128  # a gate of 128 in int8 steps would be 1.0
GATE_MAX = 127


class Choice(nn.Module):
    """``norm(r * (1 + gate[mine] + other_gate[theirs]) + offset[mine] + other_offset[theirs])``.

    A frame's fields change together: a stock is lost in the frame in which the action becomes that of a
    knock-out, and damage is counted in the one in which the victim reels. Heads that chose independently
    would disagree for a few frames. Starts as the identity.
    """

    def __init__(self, n_classes: int, d_model: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(2, n_classes, d_model))
        self.offset = nn.Parameter(torch.zeros(2, n_classes, d_model))
        self.norm = RMSNorm(d_model)

    def forward(self, r: Tensor, mine: Tensor, other: Tensor) -> Tensor:
        """``r`` (..., d_model), classes ``mine`` and ``other`` (...) -> (..., d_model), normalised."""
        out: Tensor = self.norm(self.shifted(r, mine, other))
        return out

    def shifted(self, r: Tensor, mine: Tensor, other: Tensor) -> Tensor:
        """The sum before the norm."""
        gate = quantized_gate(self.gate)
        offset: Tensor = self.offset
        if self.norm.reach:
            offset = on_grid(offset, offset.detach().abs().amax().clamp(min=1e-9))
        return r * (1 + gate[0][mine] + gate[1][other]) + offset[0][mine] + offset[1][other]


def quantized_gate(weight: Tensor) -> Tensor:
    """Gates rounded to their int8 grid; gradients pass straight through."""
    grid = (weight * GATE_ONE).round().clamp(-GATE_MAX, GATE_MAX) / GATE_ONE
    return weight + (grid - weight).detach()
