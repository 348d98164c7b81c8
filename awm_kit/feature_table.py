"""What a network sees of a schema: its features in their order, in training and in cartridges alike."""

from __future__ import annotations

from dataclasses import dataclass

from awm_kit.schema import Field, Schema

FEATURE_ONE = 64  # an int8 feature of 64 means 1.0
LINEAR_SHIFT = 24
LINEAR_MAX = 127


@dataclass(frozen=True)
class Feature:
    """One row of the feature table; see NUMERICS.md, FEATURES, for the arithmetic.

    ``reach`` is the distance, in stored units, at which a linear feature is full.
    """

    mode: str  # linear | table | bits
    slot: str
    field: Field
    out: int
    width: int = 1
    relative: bool = False
    bias: int = 0
    mul: int = 0
    mirror: str = ""
    reach: float = 0.0


class FeatureTable:
    """All features of a schema, in order.

    Attributes
    ----------
    features : list of Feature
    d_feat : int
        Length of the feature vector, padded to a multiple of 8.
    columns : dict
        (slot, field name) -> column of the raw integers that one view sees.
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
                Feature("linear", slot, item, self.width, 1, scale.relative, bias, mul, scale.mirror, full)
            )
        if item.embed:
            self._append(Feature("table", slot, item, self.width, item.embed))
        if item.bits:
            self._append(Feature("bits", slot, item, self.width, item.bits, mul=FEATURE_ONE))

    def _append(self, feature: Feature) -> None:
        self.features.append(feature)
        self.width += feature.width
