"""From frames and controllers to the int8 features that every home of a world computes.

Training uses the very integers of the deployed step (`FeatureTable.compute`), so the encoder adds
no quantisation error: what the network sees in PyTorch is what it sees onchain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from awm_kit.schema import Field, Schema

FEATURE_ONE = 64  # an int8 feature of 64 means 1.0
LINEAR_SHIFT = 24
LINEAR_MAX = 127
SLOTS = ("self", "other", "global", "input", "other_input")


@dataclass(frozen=True)
class Feature:
    """One row of the feature table; see NUMERICS.md, FEATURES, for the arithmetic."""

    mode: str  # linear | table | bits
    slot: str
    field: Field
    out: int
    width: int = 1
    relative: bool = False
    bias: int = 0
    mul: int = 0
    mirror: str = ""


class FeatureTable:
    """All features of a schema, in order.

    Attributes
    ----------
    features : list of Feature
    d_feat : int
        Length of the feature vector, padded to a multiple of 8.
    columns : dict
        (slot, field name) -> column of the raw integer matrix of `columns_of`.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.features: list[Feature] = []
        self.width = 0
        groups = {
            "self": schema.player_fields,
            "other": schema.player_fields,
            "global": schema.global_fields,
            "input": schema.controller_fields,
            "other_input": schema.controller_fields,
        }
        self.columns: dict[tuple[str, str], int] = {}
        for slot, fields in groups.items():
            for item in fields:
                self.columns[slot, item.name] = len(self.columns)
                self._add_field(slot, item)
        self.d_feat = -(-self.width // 8) * 8

    def _add_field(self, slot: str, item: Field) -> None:
        for scale in item.scales:
            if scale.relative and not scale.mirror and slot != "self":
                continue
            full = scale.reach * (1 << item.frac_bits)
            mul = round(LINEAR_MAX / full * (1 << LINEAR_SHIFT))
            bias = round(scale.center * (1 << item.frac_bits))
            self._append(
                Feature("linear", slot, item, self.width, 1, scale.relative, bias, mul, scale.mirror)
            )
        if item.embed:
            self._append(Feature("table", slot, item, self.width, item.embed))
        if item.bits:
            self._append(Feature("bits", slot, item, self.width, item.bits, mul=FEATURE_ONE))

    def _append(self, feature: Feature) -> None:
        self.features.append(feature)
        self.width += feature.width

    def raw(self, globals_: Tensor, players: Tensor, inputs: Tensor, view: int) -> Tensor:
        """Raw integers as one view sees them.

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
