"""From frames and controllers to the int8 features that every home of a world computes.

Training uses the very integers of the deployed step, so the encoder adds no quantisation error: what the
network sees in PyTorch is what it sees onchain.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from awm_kit.feature_table import FEATURE_ONE, LINEAR_MAX, LINEAR_SHIFT, Feature, FeatureTable


class Encoder(nn.Module):
    """Feature vector (as floats, 1.0 = 64) of raw integers, with learned embedding tables."""

    lin_src: Tensor
    lin_minus: Tensor
    lin_bias: Tensor
    lin_mul: Tensor
    lin_mirror: Tensor
    order: Tensor

    def __init__(self, table: FeatureTable) -> None:
        super().__init__()
        self.table = table
        linear = [f for f in table.features if f.mode == "linear"]
        column = table.columns
        self.register_buffer("lin_src", torch.tensor([column[f.slot, f.field.name] for f in linear]), False)
        minus = [column[_opposite(f.slot), f.field.name] if f.relative else -1 for f in linear]
        self.register_buffer("lin_minus", torch.tensor(minus), False)
        self.register_buffer("lin_bias", torch.tensor([f.bias for f in linear]), False)
        self.register_buffer("lin_mul", torch.tensor([f.mul for f in linear]), False)
        self.register_buffer("lin_mirror", torch.tensor([_mirror_column(f, column) for f in linear]), False)
        self.register_buffer("order", torch.tensor(self._order()), False)
        self.tables = nn.ParameterDict()
        for f in table.features:
            if f.mode == "table" and f.field.name not in self.tables:
                self.tables[f.field.name] = nn.Parameter(torch.randn(f.field.classes, f.field.embed) * 0.5)

    def _order(self) -> list[int]:
        """Where each output of the concatenation linear + tables + bits belongs in the vector."""
        outs: list[int] = []
        for mode in ("linear", "table", "bits"):
            for f in self.table.features:
                if f.mode == mode:
                    outs += range(f.out, f.out + f.width)
        return [int(i) for i in np.argsort(outs)]

    def forward(self, raw: Tensor) -> Tensor:
        """``raw`` int64 (..., columns) -> float (..., d_feat)."""
        value = raw[..., self.lin_src]
        minus = raw[..., self.lin_minus.clamp(min=0)] * (self.lin_minus >= 0)
        turned = (self.lin_mirror >= 0) & (raw[..., self.lin_mirror.clamp(min=0)] < 0)
        difference = torch.where(turned, minus - value, value - minus)
        scaled = (difference - self.lin_bias) * self.lin_mul + (1 << (LINEAR_SHIFT - 1))
        linear = (scaled >> LINEAR_SHIFT).clamp(-LINEAR_MAX, LINEAR_MAX)
        parts = [linear.to(torch.float32) / FEATURE_ONE]
        column = self.table.columns
        for f in self.table.features:
            if f.mode == "table":
                rows = raw[..., column[f.slot, f.field.name]].clamp(0, f.field.classes - 1)
                parts.append(quantized_table(self.tables[f.field.name])[rows])
        for f in self.table.features:
            if f.mode == "bits":
                bit = torch.arange(f.width, device=raw.device)
                parts.append(((raw[..., column[f.slot, f.field.name], None] >> bit) & 1).to(torch.float32))
        vector = torch.cat(parts, -1)[..., self.order]
        return nn.functional.pad(vector, (0, self.table.d_feat - self.table.width))


def _opposite(slot: str) -> str:
    return "self" if slot == "other" else "other"


def _mirror_column(feature: Feature, columns: dict[tuple[str, str], int]) -> int:
    """Column of the field whose sign a feature is multiplied by, -1 for none."""
    side = "other" if feature.slot.startswith("other") else "self"
    return columns[side, feature.mirror] if feature.mirror else -1


def quantized_table(weight: Tensor) -> Tensor:
    """An embedding table rounded to the int8 grid; gradients pass straight through."""
    grid = (weight * FEATURE_ONE).round().clamp(-LINEAR_MAX, LINEAR_MAX) / FEATURE_ONE
    return weight + (grid - weight).detach()


def raw_columns(globals_: Tensor, players: Tensor, inputs: Tensor, view: int) -> Tensor:
    """Raw integers as one view sees them, in the order of `FeatureTable.columns`.

    Parameters
    ----------
    globals_ : Tensor of int, shape (..., n_global_fields)
    players : Tensor of int, shape (..., 2, n_player_fields)
    inputs : Tensor of int, shape (..., 2, n_controller_fields)
    view : int
        Which player is *self*.
    """
    me, other = view, 1 - view
    mine, theirs = players[..., me, :], players[..., other, :]
    return torch.cat([mine, theirs, globals_, inputs[..., me, :], inputs[..., other, :]], -1)
