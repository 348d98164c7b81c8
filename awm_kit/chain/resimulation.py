"""A match run again by the native kernel: its frames, its hash chain, its winner."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from awm_kit.chain import inputlog
from awm_kit.chain.accounts import EndReason, Winner
from awm_kit.chain.match_record import MatchRecord
from awm_kit.data.replay import clean_frame
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.reference import state_hash
from awm_kit.schema import CONTROLLER, N_PLAYERS, STATUS_DECIDED, STATUS_PLAYING

_DOMAIN = b"awm-chain-1"


class Resimulation:
    """A match run by the native kernel, with its hash chain.

    Attributes
    ----------
    state : ndarray of uint8
    frame : ndarray of the frame dtype, shape ()
    chain : bytes
        32; covers all frames and inputs so far.
    """

    def __init__(self, cartridge: Cartridge, start_frame: np.ndarray) -> None:
        self.world = NativeWorld(cartridge)
        self.state = self.world.initial_state()
        self.frame = start_frame
        self.chain = chain_start(cartridge.world_hash, self.frame)

    def step(self, inputs: np.ndarray) -> None:
        """One frame."""
        self.frame = self.world.step(self.state, self.frame, inputs)
        self.chain = chain_next(self.chain, self.frame, inputs)

    @property
    def short(self) -> int:
        """What a record's trace keeps of the chain hash."""
        return int.from_bytes(self.chain[:4], "little")

    def state_hash(self) -> str:
        """As the program commits it."""
        return state_hash(self.frame, self.state)


def chain_start(world_hash: str, frame: np.ndarray) -> bytes:
    """The hash chain before the first frame."""
    return hashlib.sha256(_DOMAIN + bytes.fromhex(world_hash) + frame.tobytes()).digest()


def chain_next(chain: bytes, frame: np.ndarray, inputs: np.ndarray) -> bytes:
    """The hash chain after ``frame``, computed with ``inputs`` (CONTROLLER, shape (2,))."""
    pads = inputlog.physical(inputs.reshape(1, N_PLAYERS)).tobytes()
    return hashlib.sha256(chain + frame.tobytes() + pads).digest()


def record_match(
    cartridge: Cartridge,
    start_frame: np.ndarray,
    inputs: np.ndarray,
    reason: EndReason | None = None,
    meta: dict[str, Any] | None = None,
) -> MatchRecord:
    """The record of a match that was played off chain, from its inputs.

    Parameters
    ----------
    cartridge : Cartridge
    start_frame : ndarray of FRAME, shape ()
    inputs : ndarray of CONTROLLER, shape (T, 2)
        Cut where the match is decided.
    reason : EndReason, optional
        Why it ended if it was not decided; by default it was stopped, a draw.
    meta : dict, optional
    """
    start_frame = clean_frame(start_frame)
    match, trace = Resimulation(cartridge, start_frame), []
    for pads in inputs:
        match.step(pads)
        trace.append(match.short)
        if match.frame["status"] != STATUS_PLAYING:
            break
    if match.frame["status"] != STATUS_PLAYING:
        reason = EndReason.DECIDED if match.frame["status"] == STATUS_DECIDED else EndReason.TIMEOUT
    reason = EndReason.STOPPED if reason is None else reason
    played = np.array(inputs[: len(trace)], CONTROLLER)
    played["sequence"] = 0
    return MatchRecord(
        world_hash=cartridge.world_hash,
        start_frame=start_frame,
        inputs=played,
        winner=winner_for(reason, leading(match.frame)),
        reason=reason,
        chain_hash=match.chain.hex(),
        state_hash=match.state_hash(),
        trace=np.array(trace, np.uint32),
        meta=dict(meta or {}),
    )


def leading(frame: np.ndarray) -> Winner:
    """Who leads: more stocks, then less damage."""
    a, b = frame["players"]
    if a["stocks"] != b["stocks"]:
        return Winner.PLAYER_0 if a["stocks"] > b["stocks"] else Winner.PLAYER_1
    if a["percent"] != b["percent"]:
        return Winner.PLAYER_0 if a["percent"] < b["percent"] else Winner.PLAYER_1
    return Winner.DRAW


def winner_for(reason: EndReason, leader: Winner) -> Winner:
    """Who wins a match that ended for this reason."""
    if reason in (EndReason.PLAYER_0_QUIT, EndReason.PLAYER_0_VANISHED):
        return Winner.PLAYER_1
    if reason in (EndReason.PLAYER_1_QUIT, EndReason.PLAYER_1_VANISHED):
        return Winner.PLAYER_0
    return Winner.DRAW if reason in (EndReason.STOPPED, EndReason.ABANDONED) else leader
