"""What a match will cost, before anything is sent: deposits, what stays on the ledger, fees."""

from __future__ import annotations

from dataclasses import dataclass

from awm_kit.chain.accounts import (
    INPUT_BUFFER,
    MATCH_RESULT,
    MAX_GROWTH,
    MAX_LOG_KIB,
    SESSION_STATE,
    STATE_OFFSET,
)
from awm_kit.chain.ledger import MAX_COMPUTE_UNITS, Ledger, sol
from awm_kit.kernel import NativeWorld
from awm_kit.quant.cartridge import Cartridge

#: What the delegation program keeps of a match that is lent: eight accounts with so many bytes together.
_HELPERS, _HELPER_BYTES = 8, 789
#: What it keeps for itself of each account that comes back.
_FEE_OF_RETURN, _LENT = 300_000, 4


@dataclass(frozen=True)
class MatchCost:
    """Lamports that the host of a match needs.

    Attributes
    ----------
    ledger : str
    deposit : int
        Comes back when the match is closed.
    stays : int
        For the result, which is for ever.
    fees : int
        At most; without those of the frames.
    frame_fees : int
        Of each frame, where the ledger itself computes them; 0 on a rollup.
    """

    ledger: str
    deposit: int
    stays: int
    fees: int
    frame_fees: int

    @property
    def total(self) -> int:
        """What the host's wallet must hold, fees of frames not counted."""
        return self.deposit + self.stays + self.fees

    def rows(self) -> list[tuple[str, str]]:
        """Label and value."""
        frames = [("fees of each frame", sol(self.frame_fees))] if self.frame_fees else []
        return [
            ("deposit", f"{sol(self.deposit)} (comes back when the match is closed)"),
            ("result", f"{sol(self.stays)} (stays)"),
            ("fees", f"at most {sol(self.fees)}"),
            *frames,
            ("total", sol(self.total)),
        ]

    def __repr__(self) -> str:
        lines = [f"  {label.ljust(18)}  {value}" for label, value in self.rows()]
        return "\n".join([f"a match on {self.ledger}", *lines])


def match_cost(
    ledger: Ledger, cartridge: Cartridge, *, rollup: bool, log_kib: int = MAX_LOG_KIB
) -> MatchCost:
    """Work out what a match on a world costs its host; sends nothing.

    Parameters
    ----------
    ledger : Ledger
        Where its accounts are made, and its result is kept.
    cartridge : Cartridge
        The world, which is there already.
    rollup : bool
        Whether its frames are computed by a rollup, to which it is lent.
    log_kib : int
        Size of its input log in KiB.
    """
    world = NativeWorld(cartridge)
    hidden, log = STATE_OFFSET + world.state_bytes + world.scratch_bytes, log_kib << 10
    deposit = sum(map(ledger.rent_exempt, (SESSION_STATE.itemsize, INPUT_BUFFER.itemsize, hidden, log)))
    one, large = ledger.fee(), ledger.fee(1, MAX_COMPUTE_UNITS)
    fees = 3 * large  # create; delegate, if so; record and close
    if not rollup:
        growths = -(-log // MAX_GROWTH) - (-hidden // MAX_GROWTH)
        fees += growths * large + 3 * one  # ready, end, perhaps a claim
        segments = len(cartridge.manifest.segments)
        return MatchCost(ledger.name, deposit, _result(ledger), fees, segments * large)
    fees += _LENT * _FEE_OF_RETURN
    deposit += ledger.rent_exempt(_HELPER_BYTES) + (_HELPERS - 1) * ledger.rent_exempt(0)
    return MatchCost(ledger.name, deposit, _result(ledger), fees, 0)


def _result(ledger: Ledger) -> int:
    return ledger.rent_exempt(MATCH_RESULT.itemsize)
