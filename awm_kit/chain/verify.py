"""The proof that a match's inputs lead to the result that was claimed.

Whoever has the world can re-simulate a match natively and compare its hash chain, which covers every frame
and every input, with the one that the program committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from awm_kit.chain.accounts import EndReason, Winner
from awm_kit.chain.match_record import NO_HASH, MatchRecord
from awm_kit.chain.resimulation import Resimulation, leading, winner_for
from awm_kit.chain.results import MatchResult
from awm_kit.errors import VerificationError
from awm_kit.quant.cartridge import Cartridge
from awm_kit.schema import STATUS_PLAYING


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
