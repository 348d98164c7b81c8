"""A finished match as a file of inputs, and the proof that they lead to the result that was claimed.

Whoever has the world can re-simulate a match natively and compare its hash chain, which covers every frame
and every input, with the one that the program committed.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.chain import inputlog
from awm_kit.chain.accounts import (
    HIDDEN_HEADER,
    LOG_HEADER,
    SESSION_STATE,
    EndReason,
    Winner,
    entries_of,
    frame_of,
    key_of,
    keys_of_session,
    parse,
    replay_of,
)
from awm_kit.chain.ledger import Ledger
from awm_kit.chain.results import MatchResult
from awm_kit.chain.session import ChainSession
from awm_kit.data.replay import clean_frame, open_npz
from awm_kit.errors import LedgerError, VerificationError
from awm_kit.files import written_whole
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.reference import state_hash
from awm_kit.schema import CONTROLLER, FRAME, N_PLAYERS, STATUS_DECIDED, STATUS_PLAYING

FORMAT = 1
_DOMAIN = b"awm-chain-1"
#: A match that ended between the transactions of a frame has no state to hash.
NO_HASH = "00" * 32


@dataclass
class MatchRecord:
    """A match, whole: world, first frame, inputs, and what is claimed to follow from them.

    Attributes
    ----------
    world_hash : str
        SHA-256 of the world's manifest, hex.
    start_frame : ndarray of FRAME, shape ()
    inputs : ndarray of CONTROLLER, shape (T, 2)
        ``inputs[i]`` leads to frame ``i + 1``.
    chain_hash, state_hash : str
        Hex digests after frame T; ``NO_HASH`` as state hash if the match ended in mid-frame.
    unfinished : ndarray of CONTROLLER, shape (0, 2) or (1, 2)
        What that frame had begun with: it is in the log, and so in the result's ``log_hash``.
    trace : ndarray of uint32, shape (T,) or (0,)
        The first four bytes of the chain hash after each frame, where they were recorded: they tell in
        which frame a divergence begins.
    meta : dict
        JSON-able facts: where it was played, by whom.
    """

    world_hash: str
    start_frame: np.ndarray
    inputs: np.ndarray
    winner: Winner
    reason: EndReason
    chain_hash: str
    state_hash: str
    unfinished: np.ndarray = field(default_factory=lambda: np.zeros((0, N_PLAYERS), CONTROLLER))
    trace: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint32))
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number T of frames computed."""
        return len(self.inputs)

    @property
    def replay(self) -> bytes:
        """Frame 0 and the input log's entries: what a result's ``log_hash`` covers."""
        # The log gets frame 0 with the first frame; without one there is nothing to play again.
        start = self.start_frame.tobytes() if len(self._begun) else bytes(FRAME.itemsize)
        return start + inputlog.encode(self._begun)

    @property
    def _begun(self) -> np.ndarray:
        """Controllers of all frames that began."""
        return np.concatenate([self.inputs, self.unfinished])

    def __repr__(self) -> str:
        end = f"{self.winner.name}, {self.reason.name}"
        return f"<MatchRecord {self.frames} frames, {end}, chain {self.chain_hash[:16]}>"

    def save(self, path: Path | str) -> Path:
        """Write a ``.awmatch`` file; a reader never sees half of one."""
        path = Path(path)
        facts = {
            "format": FORMAT,
            "world": self.world_hash,
            "winner": self.winner.name,
            "reason": self.reason.name,
            "chain": self.chain_hash,
            "state": self.state_hash,
            "meta": self.meta,
        }
        log = np.frombuffer(inputlog.encode(self._begun), np.uint8)
        start = np.frombuffer(self.start_frame.tobytes(), np.uint8)
        with written_whole(path) as part, open(part, "wb") as file:
            np.savez_compressed(
                file, facts=np.array(json.dumps(facts)), start=start, log=log,
                frames=np.array(self.frames), begun=np.array(len(self._begun)), trace=self.trace,
            )  # fmt: skip
        return path

    @classmethod
    def load(cls, path: Path | str) -> MatchRecord:
        """Read a file that `save` wrote.

        Raises
        ------
        VerificationError
            It is damaged, or no match record.
        FileNotFoundError
            There is no such file.
        """
        try:
            with open_npz(path) as file:
                facts = json.loads(str(file["facts"]))
                if facts["format"] != FORMAT:
                    raise VerificationError(f"{path}: expected format {FORMAT} (got {facts['format']})")
                frames = int(file["frames"])
                # Files made before `unfinished` was kept do not say.
                begun = int(file["begun"]) if "begun" in file else frames
                rows = inputlog.decode(file["log"].tobytes(), begun)
                return cls(
                    world_hash=facts["world"],
                    start_frame=np.frombuffer(file["start"].tobytes(), FRAME).reshape(()),
                    inputs=rows[:frames],
                    unfinished=rows[frames:],
                    winner=Winner[facts["winner"]],
                    reason=EndReason[facts["reason"]],
                    chain_hash=facts["chain"],
                    state_hash=facts["state"],
                    trace=file["trace"],
                    meta=facts["meta"],
                )
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, TypeError, OSError) as error:
            raise VerificationError(f"{path} is damaged or no match record: {error}") from error


@dataclass(frozen=True)
class VerifyReport:
    """What re-simulating a match gave.

    Attributes
    ----------
    frames : int
        Frames re-simulated.
    problems : tuple of str
        What disagrees with the record; empty if it holds.
    first_bad_frame : int or None
        The first frame that is known to differ.
    winner : Winner
        Who leads after the last frame.
    chain_hash, state_hash : str
        As re-simulated.
    """

    frames: int
    problems: tuple[str, ...]
    first_bad_frame: int | None
    winner: Winner
    chain_hash: str
    state_hash: str

    @property
    def ok(self) -> bool:
        """Whether the record holds."""
        return not self.problems

    def check(self) -> VerifyReport:
        """Return the report itself; `VerificationError` if the record does not hold."""
        if self.problems:
            raise VerificationError("; ".join(self.problems))
        return self

    def __repr__(self) -> str:
        verdict = "verified" if self.ok else "NOT VERIFIED: " + "; ".join(self.problems)
        return f"{self.frames} frames re-simulated, chain {self.chain_hash[:16]}…: {verdict}"


def verify(record: MatchRecord, cartridge: Cartridge) -> VerifyReport:
    """Re-simulate a match natively and compare everything that the record claims.

    Parameters
    ----------
    record : MatchRecord
    cartridge : Cartridge
        The world that it names; any copy will do, its hash is checked.
    """
    if record.world_hash != cartridge.world_hash:
        problem = f"expected world {record.world_hash} (got {cartridge.world_hash})"
        return VerifyReport(0, (problem,), 0, Winner.NONE_YET, NO_HASH, NO_HASH)
    bad, problems = None, []
    match = Resimulation(cartridge, record.start_frame)
    for number, pads in enumerate(record.inputs, start=1):
        if match.frame["status"] != STATUS_PLAYING:
            problems.append(f"the match was over after frame {number - 1}, but the record goes on")
            bad = bad or number
            break
        match.step(pads)
        if bad is None and number <= len(record.trace) and match.short != record.trace[number - 1]:
            problems.append(f"frame {number} differs from the recorded one")
            bad = number
    leader = leading(match.frame)
    problems += _differences(record, match, leader)
    if problems and bad is None:
        bad = record.frames
    frames = int(match.frame["frame"])
    return VerifyReport(frames, tuple(problems), bad, leader, match.chain.hex(), match.state_hash())


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


def record_from_session(ledger: Ledger, session: ChainSession | Pubkey) -> MatchRecord:
    """The record of an ended match that is still open, read from its accounts.

    Parameters
    ----------
    ledger : Ledger
    session : ChainSession or Pubkey
        The match, or its SessionState account.

    Raises
    ------
    LedgerError
        There is no such match, or it is still running.
    VerificationError
        Its input log does not have the hash that was committed.
    """
    keys = session.keys if isinstance(session, ChainSession) else keys_of_session(session, ledger.program_id)
    accounts = ledger.accounts([keys.session, keys.hidden, keys.log])
    if any(account is None for account in accounts):
        raise LedgerError(f"match {keys.session} is not on {ledger.name}; was it closed?")
    data, hidden, log = (account.data for account in accounts if account)
    state, memory = parse(data, SESSION_STATE), parse(hidden, HIDDEN_HEADER)
    if state["winner"] == Winner.NONE_YET or memory["reason"] == 0:
        raise LedgerError(f"match {keys.session} is still running: end it first")
    last = frame_of(data)
    if hashlib.sha256(replay_of(log)).digest() != memory["log_hash"].tobytes():
        raise VerificationError(f"the input log of match {keys.session} does not have the committed hash")
    start = np.frombuffer(parse(log, LOG_HEADER)["start"].tobytes(), FRAME).reshape(())
    ended_with = memory["state_hash"].tobytes().hex()
    inputs, unfinished = read_inputs(entries_of(log), int(last["frame"]), ended_with)
    return MatchRecord(
        world_hash=memory["world_hash"].tobytes().hex(),
        start_frame=start if last["frame"] else last,
        inputs=inputs,
        unfinished=unfinished,
        winner=Winner(int(state["winner"])),
        reason=EndReason(int(memory["reason"])),
        chain_hash=state["chain"].tobytes().hex(),
        state_hash=ended_with,
        meta={
            "ledger": ledger.name,
            "session": str(keys.session),
            "world": str(key_of(state, "world")),
            "wallets": [str(Pubkey.from_bytes(w.tobytes())) for w in memory["wallets"]],
        },
    )


def read_inputs(entries: bytes, frames: int, ended_with: str) -> tuple[np.ndarray, np.ndarray]:
    """Controllers of a match's frames, and of the one that had begun if it ended in mid-frame.

    Parameters
    ----------
    entries : bytes
        Its input log's.
    frames : int
        Number T of frames that were computed.
    ended_with : str
        Its final state hash, hex: the program leaves it out, ``NO_HASH``, in mid-frame.

    Returns
    -------
    (ndarray of CONTROLLER, shape (T, 2); ndarray of CONTROLLER, shape (0, 2) or (1, 2))
        ``inputs`` and ``unfinished`` of a `MatchRecord`.

    Raises
    ------
    VerificationError
        The bytes are not what such a match writes.
    """
    rows = inputlog.decode(entries, frames + (ended_with == NO_HASH))
    return rows[:frames], rows[frames:]


def check_result(record: MatchRecord, result: MatchResult) -> None:
    """Compare a record with the result that the ledger keeps; `VerificationError` if they disagree."""
    claims = {
        "winner": (result.winner, record.winner),
        "reason": (result.reason, record.reason),
        "frames": (result.frames, record.frames),
        "chain hash": (result.chain_hash, record.chain_hash),
        "state hash": (result.state_hash, record.state_hash),
        "replay": (result.log_hash, hashlib.sha256(record.replay).hexdigest()),
    }
    wrong = [f"{name}: expected {ours} (got {kept})" for name, (kept, ours) in claims.items() if kept != ours]
    if wrong:
        raise VerificationError(f"result {result.key}: " + "; ".join(wrong))


def chain_start(world_hash: str, frame: np.ndarray) -> bytes:
    """The hash chain before the first frame."""
    return hashlib.sha256(_DOMAIN + bytes.fromhex(world_hash) + frame.tobytes()).digest()


def chain_next(chain: bytes, frame: np.ndarray, inputs: np.ndarray) -> bytes:
    """The hash chain after ``frame``, computed with ``inputs`` (CONTROLLER, shape (2,))."""
    pads = inputlog.physical(inputs.reshape(1, N_PLAYERS)).tobytes()
    return hashlib.sha256(chain + frame.tobytes() + pads).digest()


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


def _differences(record: MatchRecord, match: Resimulation, leader: Winner) -> Iterator[str]:
    if match.chain.hex() != record.chain_hash:
        yield f"expected chain hash {record.chain_hash} after frame {record.frames} (got {match.chain.hex()})"
    if record.state_hash not in (match.state_hash(), NO_HASH):
        yield f"expected state hash {record.state_hash} (got {match.state_hash()})"
    status = int(match.frame["status"])
    if (status != STATUS_PLAYING) != (record.reason in (EndReason.DECIDED, EndReason.TIMEOUT)):
        yield f"the record says {record.reason.name}, but the last frame's status is {status}"
    expected = winner_for(record.reason, leader)
    if record.winner != expected:
        yield f"expected winner {expected.name} (got {record.winner.name})"
