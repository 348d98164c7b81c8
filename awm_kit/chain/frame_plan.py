"""How a frame is cut into transactions: as the manifest says, or in half as many with the system call.

Where the cuts are changes no byte of the result, so the crank is free to choose them (``run_inference`` in
``ACCOUNTS.md``): a world need not know which build of the program will run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import shards_of_ops
from awm_kit.chain.ledger import Ledger
from awm_kit.quant import pack
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.layout import FORMAT_I8, OpKind
from awm_kit.quant.manifest import Manifest

#: The name by which the program's syscall build imports it.
SYSCALL = b"sol_matmul_i8"
_PROGRAM_DATA = 2  # first word of a program account that only names the account with the code

# Of a matrix of bytes in the syscall build, measured and rounded up: a call, an input element (for the bias
# of the weights), a row (bias, requantise, clamp, store), a multiply-accumulate. 4 bits are no cheaper there.
_CU_CALL = 600
_CU_COLUMN = 2
_CU_ROW = 20.5
_CU_MAC = 1
# Of a scan for which that build has one with fewer loads and stores (`AWM_FEW_STATES`): a head, a channel.
_CU_SSM_HEAD = 280
_CU_SSM_CHANNEL = 240
_SSM_STATES, _SSM_CHANNELS, _SSM_MOST = 16, 8, 1 << 16
_CU_NORM = 2.2  # more than elsewhere, for fewer stores
# Of a transaction around its ops; the first of a frame has 11,000, the last 7,000, the others 2,000.
_CU_TRANSACTION = 12_000
#: Of the 1.4 million that a transaction may use: what an op takes depends on the values by less than 1 %.
CU_LIMIT = 1_385_000


@dataclass(frozen=True)
class Piece:
    """Ops ``[begin, end)`` of the tape, one transaction, and the accounts of the shards that they read."""

    begin: int
    end: int
    shards: tuple[Pubkey, ...]


def frame_plan(
    manifest: Manifest, shards: Sequence[Pubkey], *, syscall: bool = False, cu_limit: int = CU_LIMIT
) -> list[Piece]:
    """The transactions of a frame.

    Parameters
    ----------
    manifest : Manifest
    shards : sequence of Pubkey
        The world's shard accounts, all, in order.
    syscall : bool
        Plan for the program's syscall build; else the manifest's own segments.
    cu_limit : int
        Compute units that one transaction of the syscall plan may be expected to cost.
    """
    ends = _filled(syscall_units(manifest), cu_limit) if syscall else manifest.segments.tolist()
    starts = [0, *ends[:-1]]
    return [
        Piece(begin, end, tuple(shards[i] for i in shards_of_ops(manifest, begin, end)))
        for begin, end in zip(starts, ends, strict=True)
    ]


def left_of(plan: Sequence[Piece], next_op: int) -> list[Piece]:
    """What remains of a frame whose cursor is at ``next_op``, which another plan may have cut."""
    return [replace(piece, begin=max(piece.begin, next_op)) for piece in plan if piece.end > next_op]


def has_syscall(ledger: Ledger) -> bool:
    """Whether the world program on a ledger is the build that multiplies matrices with ``sol_matmul_i8``."""
    program = ledger.account(ledger.program_id)
    if program and len(program.data) == 36 and program.data[:4] == _PROGRAM_DATA.to_bytes(4, "little"):
        program = ledger.account(Pubkey.from_bytes(program.data[4:]))
    return program is not None and SYSCALL in program.data


def syscall_units(manifest: Manifest) -> np.ndarray:
    """Compute units that each op is planned with in the syscall build, float64, shape (n_ops,)."""
    return np.array([_units(manifest, op) for op in manifest.ops], np.float64)


def _units(manifest: Manifest, op: np.void) -> float:
    kind, views = OpKind(int(op["kind"])), manifest.n_views
    if kind == OpKind.MATVEC and op["format"] == FORMAT_I8:
        rows, cols = int(op["rows"]), int(op["cols"])
        return views * (_CU_CALL + _CU_COLUMN * cols + rows * (_CU_ROW + _CU_MAC * cols))
    if kind == OpKind.DECODE:
        classes = int(manifest.heads["n_classes"].sum())
        return pack.CU_OP + views * (pack.CU_HEAD * len(manifest.heads) + pack.CU_CLASS * classes)
    if kind in (OpKind.NORM, OpKind.GATED_NORM):
        width = manifest.d_model if kind == OpKind.NORM else manifest.d_inner
        return pack.op_cost(cast(IntegerModel, manifest), op) + views * _CU_NORM * width
    if kind == OpKind.SSM and _has_few(manifest, int(op["rows"])):
        return pack.CU_OP + views * int(op["rows"]) * (_CU_SSM_HEAD + _CU_SSM_CHANNEL * manifest.headdim)
    # A manifest has the dimensions that the other costs depend on under the model's names.
    return pack.op_cost(cast(IntegerModel, manifest), op)


def _has_few(manifest: Manifest, heads: int) -> bool:
    """Whether the syscall build scans so many heads with fewer loads and stores, and more units."""
    states = heads * manifest.headdim * manifest.d_state * manifest.n_views
    fits = manifest.d_state == _SSM_STATES and manifest.headdim % _SSM_CHANNELS == 0
    return fits and states <= _SSM_MOST


def _filled(units: np.ndarray, cu_limit: int) -> list[int]:
    """Op indices at which transactions end when each takes as many ops as it can pay for."""
    ends, spent = [], float(_CU_TRANSACTION)
    for i, cost in enumerate(units.tolist()):
        if i and spent + cost > cu_limit:
            ends.append(i)
            spent = _CU_TRANSACTION
        spent += cost
    return [*ends, len(units)]
