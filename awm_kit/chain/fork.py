"""Forks on chain: a child world names its parent's account and hash, so that descent can be followed."""

from __future__ import annotations

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.deploy import deploy
from awm_kit.chain.ledger import Ledger
from awm_kit.chain.worlds import World, WorldList, world_info
from awm_kit.errors import LedgerError
from awm_kit.quant.cartridge import Cartridge


def deploy_fork(
    ledger: Ledger, parent: World | Pubkey, child: Cartridge, payer: Keypair, progress: bool = True
) -> World:
    """Deploy a world that was made from another one on the same ledger.

    Parameters
    ----------
    ledger : Ledger
    parent : World or Pubkey
        The origin, or its manifest account.
    child : Cartridge
        Quantised with ``parent=bytes.fromhex(world_hash of the parent)``.
    payer : Keypair
        Pays, and becomes the child's authority; it need not be the parent's.
    progress : bool

    Raises
    ------
    ValueError
        The cartridge names another parent.
    LedgerError, InsufficientFundsError, VerificationError
        As `deploy`.
    """
    return deploy(ledger, child, payer, parent.key if isinstance(parent, World) else parent, progress)


def lineage(ledger: Ledger, world: World | Pubkey) -> WorldList:
    """A world and its ancestors, nearest first, as far as they are still on the ledger."""
    found = WorldList([world_info(ledger, world.key if isinstance(world, World) else world)])
    seen = {found[0].key}
    while (parent := found[-1].parent) and parent not in seen:
        try:
            found.append(world_info(ledger, parent))
        except LedgerError:
            break
        seen.add(parent)
    return found
