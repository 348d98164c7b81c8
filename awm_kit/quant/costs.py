"""What the ops of a tape cost on the SBF build of the world program, in Solana compute units.

Measured and rounded up: a transaction that runs out of units fails, one that has some left costs nothing.
`syscall_costs` has the other build's.
"""

from __future__ import annotations

import numpy as np

from awm_kit.quant import layout as L
from awm_kit.quant.integer_model import IntegerModel

CU_TRANSACTION = 25_000  # the program around the kernel: accounts, checks, hashes
CU_OP = 400
# With one view, with two that share the weights: with the largest activations; usual ones cost 1.2 to 1.3.
CU_MAC = (2.035, 1.685)
CU_MAC_EIGHT = (2.11, 1.685)  # a fast column count that is no multiple of 16
CU_MAC_GENERIC = (2.65, 2.08)
CU_MAC_N4 = (1.31, 1.16)  # with one view, with two that share the unpacking
CU_ROW = (26, 14.2)
CU_COLUMN = (8, 6.4)
CU_COLUMN_N4 = 11
CU_ROW_N4 = (26, 21)
CU_TAIL = 400  # rows that do not fill a block
CU_TAIL_COLUMN = (0, 6)  # and a column of them
CU_TAIL_N4 = 12  # a column of rows that do not fill a block of 16
CU_FEATURE = 100
CU_BIT = 10
CU_NORM = 13.2
CU_NORM_ONCE = 700
CU_CONV = (62.5, 34.6)
CU_SSM_HEAD = 250
CU_SSM_CHANNEL = 46
CU_SSM_ELEMENT = 7.4
CU_SSM_CHANNEL_GENERIC = 62
CU_SSM_ELEMENT_GENERIC = 11.2
CU_CLASS = 16  # a logit's turn and the check of its constant
CU_CHOOSE = 40  # a value of the residual: two gates, two offsets
CU_CHOOSE_CLASS = 8  # a logit's turn, for both players
CU_HEAD = 200

# Column counts that awm_matvec_swar.c has compiled in; others are slower on SBF.
FAST_COLS = (64, 96, 128, 160, 192, 224, 256, 304, 320, 352, 384, 448, 512, 640, 768, 1024)
FAST_STATES = (16, 32, 64)  # and states that awm_scan_swar.c has


def op_cost(model: IntegerModel, op: np.void) -> float:
    """Compute units that one op is planned with, over all views."""
    return cost_of(model, L.OpKind(int(op["kind"])), int(op["rows"]), int(op["cols"]), int(op["format"]))


def cost_of(m: IntegerModel, kind: L.OpKind, rows: int, cols: int, code: int) -> float:
    """`op_cost` by kind, rows (of a scan: heads), columns and format."""
    if kind == L.OpKind.MATVEC and code == L.FORMAT_N4:
        per_mac = CU_MAC_N4[m.n_views - 1]
        per_view = (
            rows * (per_mac * cols + CU_ROW_N4[m.n_views - 1]) + CU_COLUMN_N4 * cols + CU_TAIL_N4 * cols
        )
    elif kind == L.OpKind.MATVEC:
        view = m.n_views - 1
        per_mac = (CU_MAC_GENERIC if cols not in FAST_COLS else CU_MAC_EIGHT if cols % 16 else CU_MAC)[view]
        per_column = CU_COLUMN[view] + CU_TAIL_COLUMN[view]
        per_view = rows * (per_mac * cols + CU_ROW[view]) + per_column * cols + CU_TAIL
    elif kind == L.OpKind.SSM:
        fast = m.d_state in FAST_STATES
        per_element = CU_SSM_ELEMENT if fast else CU_SSM_ELEMENT_GENERIC
        per_channel = (CU_SSM_CHANNEL if fast else CU_SSM_CHANNEL_GENERIC) + per_element * m.d_state
        per_view = rows * (CU_SSM_HEAD + m.headdim * per_channel) + 18 * m.d_state
    elif kind == L.OpKind.FEATURES:
        per_view = CU_FEATURE * len(m.features) + CU_BIT * int(m.features["width"].sum()) + m.d_feat
    elif kind == L.OpKind.DECODE:
        per_view = CU_HEAD * len(m.heads) + CU_CLASS * sum(h.n_classes for h in m.heads)
    elif kind == L.OpKind.CHOOSE:
        per_view = 2 * CU_CHOOSE_CLASS * rows + CU_CHOOSE * m.d_model + CU_HEAD
    elif kind == L.OpKind.CONV:
        per_view = CU_CONV[m.n_views - 1] * (m.d_inner + 2 * m.d_state)
    else:
        per_view = CU_NORM_ONCE + CU_NORM * (m.d_model if kind == L.OpKind.NORM else m.d_inner)
    return CU_OP + m.n_views * per_view
