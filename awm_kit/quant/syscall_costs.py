"""What the ops of a tape cost on the build of the world program that multiplies with ``sol_matmul_i8``.

Measured and rounded up, in compute units, as `costs`; a call costs 100 and one unit a multiplication.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from awm_kit.quant import costs
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.layout import FORMAT_I8, OpKind
from awm_kit.quant.manifest import Manifest

# Of a matrix of bytes: a call, an input element (for the bias of the weights), a row (bias, requantise,
# clamp, store), a multiply-accumulate. 4 bits are no cheaper there.
CU_CALL = 600
CU_COLUMN = 2
CU_ROW = 20.5
CU_MAC = 1
# Of a scan for which that build has one with fewer loads and stores (`AWM_FEW_STATES`): a head, a channel.
CU_SSM_HEAD = 280
CU_SSM_CHANNEL = 240
CU_NORM = 2.2  # more than elsewhere, for fewer stores
_SSM_STATES, _SSM_CHANNELS, _SSM_MOST = 16, 8, 1 << 16
#: Of a transaction around its ops, 2,000 with two shards.
CU_TRANSACTION = 4_000
# What a frame begins with (new inputs, which are logged) and ends with (the hash chain) besides.
CU_BEGIN, CU_END = 11_000, 6_000
#: Of the 1.4 million that a transaction may use: what an op takes depends on the values by less than 1 %.
CU_LIMIT = 1_385_000


def op_cost(model: IntegerModel | Manifest, op: np.void) -> float:
    """Compute units that one op is planned with, over all views."""
    return cost_of(model, OpKind(int(op["kind"])), int(op["rows"]), int(op["cols"]), int(op["format"]))


def cost_of(model: IntegerModel | Manifest, kind: OpKind, rows: int, cols: int, code: int) -> float:
    """`op_cost` by kind, rows (of a scan: heads), columns and format."""
    views = model.n_views
    if kind == OpKind.MATVEC and code == FORMAT_I8:
        return views * (CU_CALL + CU_COLUMN * cols + rows * (CU_ROW + CU_MAC * cols))
    if kind == OpKind.DECODE:
        per_view = costs.CU_HEAD * len(model.heads) + costs.CU_CLASS * _classes(model)
        return CU_END + costs.CU_OP + views * per_view
    # A manifest has the dimensions that the other costs depend on under the model's names.
    dimensions = cast(IntegerModel, model)
    if kind == OpKind.SSM and _has_few(dimensions, rows):
        return costs.CU_OP + views * rows * (CU_SSM_HEAD + CU_SSM_CHANNEL * model.headdim)
    usual = costs.cost_of(dimensions, kind, rows, cols, code)
    if kind in (OpKind.NORM, OpKind.GATED_NORM):
        return usual + views * CU_NORM * (model.d_model if kind == OpKind.NORM else model.d_inner)
    return usual + CU_BEGIN if kind == OpKind.FEATURES else usual


def _classes(model: IntegerModel | Manifest) -> int:
    if isinstance(model, Manifest):
        return int(model.heads["n_classes"].sum())
    return sum(head.n_classes for head in model.heads)


def _has_few(model: IntegerModel, heads: int) -> bool:
    """Whether that build scans so many heads with fewer loads and stores, and more units."""
    states = heads * model.headdim * model.d_state * model.n_views
    return model.d_state == _SSM_STATES and model.headdim % _SSM_CHANNELS == 0 and states <= _SSM_MOST
