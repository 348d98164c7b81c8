"""An L1 that loses transactions, and somebody with money on it, for tests of the RPC ledger."""

from __future__ import annotations

from typing import Any

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from awm_kit.chain.ledger import LAMPORTS_PER_SOL
from awm_kit.chain.rpc import RpcLedger
from validator import l1_chain


class LossyChain(l1_chain.Chain):
    """Accepts the next ``lost`` transactions and forgets them."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0

    def rpc_sendTransaction(self, encoded: str, config: Any = None) -> Any:
        if self.lost:
            self.lost -= 1
            return str(l1_chain.decoded(encoded, config)[0].signatures[0])
        return super().rpc_sendTransaction(encoded, config)


def rich(ledger: RpcLedger) -> Keypair:
    """A new wallet with 100 SOL."""
    key = Keypair()
    ledger.airdrop(key.pubkey(), 100 * LAMPORTS_PER_SOL)
    return key


def gift(payer: Keypair, target: Pubkey) -> Instruction:
    """One SOL from ``payer``."""
    params = TransferParams(from_pubkey=payer.pubkey(), to_pubkey=target, lamports=LAMPORTS_PER_SOL)
    return transfer(params)
