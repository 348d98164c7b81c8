"""A finished match: its inputs and what is claimed to follow from them, in a file or from its accounts."""

from __future__ import annotations

import hashlib
import json
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
from awm_kit.chain.match_accounts import MatchAccounts
from awm_kit.chain.session import ChainSession
from awm_kit.data.replay import read_npz
from awm_kit.errors import LedgerError, VerificationError
from awm_kit.files import written_whole
from awm_kit.schema import CONTROLLER, FRAME, N_PLAYERS

FORMAT = 1
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
            return cls._of(read_npz(path))
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError, TypeError, VerificationError) as error:
            raise VerificationError(f"{path} is damaged or no match record: {error}") from error

    @classmethod
    def _of(cls, file: dict[str, np.ndarray]) -> MatchRecord:
        """A record from a file's arrays, which somebody else may have written."""
        facts, trace, frames = json.loads(str(file["facts"])), file["trace"], int(file["frames"])
        if facts["format"] != FORMAT:
            raise ValueError(f"expected format {FORMAT} (got {facts['format']})")
        world, chain, state = hashes = facts["world"], facts["chain"], facts["state"]
        if not all(isinstance(text, str) for text in hashes) or not isinstance(facts["meta"], dict):
            raise ValueError("expected hashes as text and facts as a table")
        if trace.dtype != np.uint32 or trace.shape not in ((0,), (frames,)):
            raise ValueError(f"expected a trace of {frames} hashes or none (got {trace.dtype} {trace.shape})")
        begun = int(file.get("begun", frames))  # files made before `unfinished` was kept do not say
        if begun - frames not in (0, 1):
            raise ValueError(f"expected {frames} or one more frame begun (got {begun})")
        rows = inputlog.decode(file["log"].tobytes(), begun)
        return cls(
            world_hash=world,
            start_frame=np.frombuffer(file["start"].tobytes(), FRAME).reshape(()),
            inputs=rows[:frames],
            unfinished=rows[frames:],
            winner=Winner[facts["winner"]],
            reason=EndReason[facts["reason"]],
            chain_hash=chain,
            state_hash=state,
            trace=trace,
            meta=facts["meta"],
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
    data, hidden, log = MatchAccounts(ledger, keys).read(keys.session, keys.hidden, keys.log)
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
