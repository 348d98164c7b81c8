"""How a frame is cut into transactions: as the manifest says, or in half as many with the system call.

Where the cuts are changes no byte of the result, so the crank is free to choose them (``run_inference`` in
``ACCOUNTS.md``): a world need not know which build of the program will run it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import shards_of_ops
from awm_kit.chain.ledger import Ledger
from awm_kit.quant.manifest import Manifest
from awm_kit.quant.syscall_costs import CU_LIMIT, CU_TRANSACTION, op_cost

#: The name by which the program's syscall build imports it.
SYSCALL = b"sol_matmul_i8"
_PROGRAM_DATA = 2  # first word of a program account that only names the account with the code


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
    return np.array([op_cost(manifest, op) for op in manifest.ops], np.float64)


def _filled(units: np.ndarray, cu_limit: int) -> list[int]:
    """Op indices at which transactions end when each takes as many ops as it can pay for."""
    ends, spent = [], float(CU_TRANSACTION)
    for i, cost in enumerate(units.tolist()):
        if i and spent + cost > cu_limit:
            ends.append(i)
            spent = CU_TRANSACTION
        spent += cost
    return [*ends, len(units)]
