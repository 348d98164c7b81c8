"""What a ledger says of one match, for whoever asks: no key is needed to read."""

from __future__ import annotations

import numpy as np
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import (
    HIDDEN_HEADER,
    SESSION_STATE,
    Phase,
    SessionKeys,
    Winner,
    frame_of,
    parse,
    state_of,
)
from awm_kit.chain.ledger import Ledger
from awm_kit.errors import LedgerError
from awm_kit.quant.reference import state_hash


class MatchAccounts:
    """The accounts of a match; every property and method reads them anew.

    Parameters
    ----------
    ledger : Ledger
    keys : SessionKeys

    Raises
    ------
    LedgerError
        From all of them: there is no such match, or the ledger does not answer.
    """

    def __init__(self, ledger: Ledger, keys: SessionKeys) -> None:
        self.ledger, self.keys = ledger, keys

    @property
    def phase(self) -> Phase:
        """Whether the match is open, joined, running or over."""
        return Phase(int(self._state()["phase"]))

    @property
    def winner(self) -> Winner:
        """Who won; ``NONE_YET`` until the match ended."""
        return Winner(int(self._state()["winner"]))

    @property
    def wallets(self) -> list[Pubkey]:
        """The wallets of both seats; zeros for one that is free."""
        return [Pubkey.from_bytes(wallet.tobytes()) for wallet in self._memory()["wallets"]]

    def state_hash(self) -> str:
        """SHA-256 (hex) of the frame record and the recurrent state on the ledger."""
        session, hidden = self.read(self.keys.session, self.keys.hidden)
        return state_hash(frame_of(session), state_of(hidden))

    def hidden_state(self) -> np.ndarray:
        """The recurrent state on the ledger, uint8."""
        return np.frombuffer(state_of(self.read(self.keys.hidden)[0]), np.uint8)

    def chain_hash(self) -> str:
        """The hash chain over all frames and inputs so far, hex."""
        chain: bytes = self._state()["chain"].tobytes()
        return chain.hex()

    def silence(self, player: int) -> int:
        """Frames in a row, at most 600, that have begun without a new input of a player."""
        return int(self._memory()["silent"][player])

    def read(self, *keys: Pubkey) -> list[bytes]:
        """The bytes of some of the match's accounts."""
        accounts = self.ledger.accounts(keys)
        if not all(a and a.owner == self._program for a in accounts):
            raise LedgerError(f"there is no match {self.keys.session} on {self.ledger.name}; was it closed?")
        return [account.data for account in accounts if account]

    def _state(self) -> np.void:
        return parse(self.read(self.keys.session)[0], SESSION_STATE)

    def _memory(self) -> np.void:
        return parse(self.read(self.keys.hidden)[0], HIDDEN_HEADER)

    @property
    def _program(self) -> Pubkey:
        return self.ledger.program_id
