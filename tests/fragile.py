"""An embedded ledger that goes out in the middle of things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from solders.instruction import Instruction

from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import Receipt
from awm_kit.errors import LedgerError


class PowerCut(LedgerError):
    """The ledger is gone for a moment."""


class Fragile(EmbeddedLedger):
    """Counts what it sends, and once, if told to, goes out instead.

    Attributes
    ----------
    sent : int
        Transactions so far.
    """

    sent = 0
    _cut = -1

    def cut_after(self, transactions: int) -> None:
        """Let so many further transactions pass, then go out."""
        self._cut = self.sent + transactions

    def _send(self, instructions: Sequence[Instruction], *rest: Any) -> Receipt:
        if self.sent == self._cut:
            self._cut = -1
            raise PowerCut
        self.sent += 1
        return super()._send(instructions, *rest)
