"""The records by which a cartridge says what its network sees."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from awm_kit.feature_table import LINEAR_SHIFT, Feature, FeatureTable
from awm_kit.quant.layout import FEATURE, NO_SLOT, TYPE_CODES, FeatureMode, SlotCode


def records_of(table: FeatureTable, starts: Mapping[str, int]) -> np.ndarray:
    """A record a feature, ndarray of layout.FEATURE.

    Parameters
    ----------
    table : FeatureTable
    starts : mapping of str to int
        Where the embedding table of each field begins among the bytes of all.
    """
    records = np.zeros(len(table.features), FEATURE)
    for record, item in zip(records, table.features, strict=True):
        _fill(record, item)
        if item.mode == "table":
            record["table"], record["rows"] = starts[item.field.name], item.field.classes
        if item.mirror:
            record["operand"] = 1 + table.schema.player(item.mirror).offset
    return records


def _fill(record: np.void, item: Feature) -> None:
    record["mode"] = FeatureMode[item.mode.upper()]
    record["slot"] = SlotCode[item.slot.upper()]
    record["type"] = TYPE_CODES[item.field.dtype.lstrip("<")]
    record["offset"] = item.field.offset
    opposite = SlotCode.SELF if item.slot == "other" else SlotCode.OTHER
    record["minus_slot"] = opposite if item.relative else NO_SLOT
    record["shift"] = LINEAR_SHIFT if item.mode == "linear" else 1
    record["width"], record["out"] = item.width, item.out
    record["bias"], record["mul"] = item.bias, item.mul
