"""Frames by the rollup itself: MagicBlock's task scheduler repeats `run_next` under the crank's licence.

A task is a transaction that the validator signs and sends again and again; it can carry nobody's signature
but the validator's, and anybody can make one. So it has no authority of its own: the crank licenses a number
of frames beforehand, and ``ACCOUNTS.md`` says what that allows and what it does not.
"""

from __future__ import annotations

import secrets
import struct

import numpy as np
from solders.compute_budget import set_compute_unit_limit
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain import instructions as ix
from awm_kit.chain.accounts import SessionKeys
from awm_kit.chain.delegation import MAGIC_PROGRAM_ID
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger
from awm_kit.chain.session import ChainSession
from awm_kit.chain.session_setup import manifest_of
from awm_kit.errors import LedgerError

#: Between a task's transactions; the validator counts it from the end of one, so that 13 give 60 a second.
#: Frames of several transactions take all of a 60th as they are, and the program lets no slot have two.
INTERVAL_MS, LEAST_MS = 13, 1
_SCHEDULE_TASK, _CANCEL_TASK = 6, 7
_RESCHEDULES = 5
_UNTIL_IT_FAILS = 2**31 - 1  # executions; a used up licence ends the task sooner


def schedule_frames(
    rollup: Ledger,
    keys: SessionKeys,
    crank: Keypair,
    world: Pubkey,
    frames: int,
    interval_ms: int | None = None,
) -> int:
    """License a match's frames and have the rollup run them; also before the players are ready.

    Parameters
    ----------
    rollup : Ledger
        Where the match is; a ledger without MagicBlock's Magic program refuses.
    keys : SessionKeys
    crank : Keypair
        The session's authority.
    world : Pubkey
        Manifest account of the match's world.
    frames : int
        Number of the last frame that is licensed.
    interval_ms : int, optional
        Milliseconds between transactions; by default for 60 frames a second.

    Returns
    -------
    int
        The task's id, for `cancel_frames`.

    Raises
    ------
    ProgramError
        ``crank`` is not the session's authority, or the match has ended.
    """
    permit = ix.license_frames(keys, crank.pubkey(), frames, program_id=rollup.program_id)
    rollup.send([permit], crank, label="license frames")
    return reschedule_frames(rollup, keys, crank, crank.pubkey(), world, interval_ms)


def reschedule_frames(
    rollup: Ledger,
    keys: SessionKeys,
    payer: Keypair,
    crank: Pubkey,
    world: Pubkey,
    interval_ms: int | None = None,
) -> int:
    """Make a task for frames that the crank ``crank`` has licensed; anybody may.

    Version 0.8.3 of the validator drops a task for good when one of its transactions does not go through, as
    happens under load ("Blockhash not found"); the licence holds, so any player can go on. Parameters and
    result are those of `schedule_frames`; ``payer`` owns the task.
    """
    manifest, shards = manifest_of(rollup, world)
    run = ix.run_next(keys, crank, world, shards, program_id=rollup.program_id)
    if interval_ms is None:
        interval_ms = INTERVAL_MS if len(manifest.segments) == 1 else LEAST_MS
    task = secrets.randbits(62)  # ids are the validator's, not the crank's: another's would be refused
    budget = set_compute_unit_limit(MAX_COMPUTE_UNITS)
    order = schedule_task(payer.pubkey(), task, interval_ms, _UNTIL_IT_FAILS, [budget, run])
    rollup.send([order], payer, label="schedule frames")
    return task


def follow_scheduled(session: ChainSession, crank: Pubkey, patience: float = 1.0) -> np.ndarray:
    """The newest frame of a match that the rollup runs, once there is one after the session's.

    Parameters
    ----------
    session : ChainSession
        Without a crank of its own.
    crank : Pubkey
        The session's authority, who licensed the frames.
    patience : float
        Seconds without a frame after which the task is taken for dropped and made again.

    Raises
    ------
    LedgerError
        No frame comes even so.
    """
    before = int(session.frame["frame"])
    for _ in range(_RESCHEDULES):
        if int(session.follow(patience)["frame"]) > before:
            return session.frame
        reschedule_frames(session.ledger, session.keys, session.payer, crank, session.world)
    raise LedgerError(f"{session.ledger.name} runs no frame after {before}: has the licence been used up?")


def cancel_frames(rollup: Ledger, keys: SessionKeys, crank: Keypair, task: int) -> None:
    """Take the licence back and end the task; a frame that has begun waits for somebody to finish it."""
    permit = ix.license_frames(keys, crank.pubkey(), 0, program_id=rollup.program_id)
    rollup.send([permit, cancel_task(crank.pubkey(), task)], crank, label="cancel frames")


def schedule_task(
    authority: Pubkey, task: int, interval_ms: int, iterations: int, orders: list[Instruction]
) -> Instruction:
    """The Magic program's ScheduleTask: u32 6, i64 id, i64 interval, i64 iterations, the instructions."""
    data = struct.pack("<IqqqQ", _SCHEDULE_TASK, task, interval_ms, iterations, len(orders))
    accounts = [AccountMeta(authority, True, True)]
    for order in orders:
        data += bytes(order.program_id) + struct.pack("<Q", len(order.accounts))
        data += b"".join(bytes(m.pubkey) + bytes([m.is_signer, m.is_writable]) for m in order.accounts)
        data += struct.pack("<Q", len(order.data)) + bytes(order.data)
        accounts += [AccountMeta(m.pubkey, False, m.is_writable) for m in order.accounts]
    return Instruction(MAGIC_PROGRAM_ID, data, accounts)


def cancel_task(authority: Pubkey, task: int) -> Instruction:
    """The Magic program's CancelTask: u32 7, i64 id; by the authority that scheduled it."""
    data = struct.pack("<Iq", _CANCEL_TASK, task)
    return Instruction(MAGIC_PROGRAM_ID, data, [AccountMeta(authority, True, True)])
