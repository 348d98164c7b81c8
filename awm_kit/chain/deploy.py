"""Upload a world in chunks that resume, read it back and verify it; and take it down again."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, overload

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from tqdm.auto import tqdm

from awm_kit.chain import instructions as ix
from awm_kit.chain.deploy_plan import DeployPlan as DeployPlan
from awm_kit.chain.deploy_plan import plan_deploy as plan_deploy
from awm_kit.chain.ledger import Ledger, sol
from awm_kit.chain.worlds import World, open_world, shard_accounts
from awm_kit.errors import InsufficientFundsError, LedgerError, VerificationError
from awm_kit.quant.cartridge import Cartridge

_RETIRED_PER_TRANSACTION = 8


@overload
def deploy(
    ledger: Ledger,
    cartridge: Cartridge,
    payer: Keypair,
    parent: Pubkey | None = None,
    progress: bool = True,
    dry_run: Literal[False] = False,
) -> World: ...


@overload
def deploy(
    ledger: Ledger,
    cartridge: Cartridge,
    payer: Keypair,
    parent: Pubkey | None = None,
    progress: bool = True,
    *,
    dry_run: Literal[True],
) -> DeployPlan: ...


def deploy(
    ledger: Ledger,
    cartridge: Cartridge,
    payer: Keypair,
    parent: Pubkey | None = None,
    progress: bool = True,
    dry_run: bool = False,
) -> World | DeployPlan:
    """Upload a world, freeze it and read it back; call again after an interruption to go on.

    Parameters
    ----------
    ledger, cartridge, payer, parent
        As in `plan_deploy`.
    progress : bool
        Show a progress bar of transactions.
    dry_run : bool
        Only check the funds and return the plan.

    Raises
    ------
    InsufficientFundsError
        The payer cannot pay for all of it; nothing was sent.
    VerificationError
        What was read back differs from the cartridge.
    LedgerError
        As in `plan_deploy`, or the ledger failed on the way; what was sent stays.
    """
    plan = plan_deploy(ledger, cartridge, payer, parent)
    require_funds(ledger, plan, payer)
    if dry_run:
        return plan
    carry_out(ledger, plan, payer, progress)
    world = open_world(ledger, plan.world)
    if world.cartridge != cartridge:
        raise VerificationError(
            f"world {plan.world}: the bytes on {ledger.name} are not those of the cartridge"
        )
    return world


def retire(ledger: Ledger, world: World | Pubkey, payer: Keypair) -> int:
    """Empty all accounts of a world, uploaded fully or not; its deposit goes back to ``payer``.

    Matches on it can go no further, and replays of it can only be verified by those who kept the cartridge.

    Parameters
    ----------
    ledger : Ledger
    world : World or Pubkey
        The world or its key.
    payer : Keypair
        The world's authority.

    Returns
    -------
    int
        Lamports returned, fees not deducted.

    Raises
    ------
    LedgerError
        There is nothing at ``world``.
    ProgramError
        ``payer`` is not the authority.
    """
    world = world.key if isinstance(world, World) else world
    manifest = ledger.account(world)
    # The manifest goes last: an interrupted retirement is taken up again by the same key.
    accounts = [*shard_accounts(ledger, world), *([manifest] if manifest else [])]
    if not accounts:
        raise LedgerError(f"there is no world at {world} on {ledger.name}")
    me = payer.pubkey()
    orders = [ix.retire(a.key, me, me, program_id=ledger.program_id) for a in accounts]
    for at in range(0, len(orders), _RETIRED_PER_TRANSACTION):
        ledger.send(orders[at : at + _RETIRED_PER_TRANSACTION], payer, label="retire")
    return sum(a.lamports for a in accounts)


def carry_out(ledger: Ledger, plan: DeployPlan, payer: Keypair, progress: bool = True) -> None:
    """Send a plan's transactions, stage by stage; call again with a new plan after an interruption."""
    with tqdm(total=plan.transactions, desc=f"deploy {plan.name}", unit="tx", disable=not progress) as bar:
        for stage in plan.stages:
            units = stage.compute_units
            ledger.send_many(
                stage.batches, payer, compute_units=units, label=stage.label, on_done=partial(_tick, bar)
            )


def _tick(bar: tqdm[Any], _: int) -> None:
    bar.update()


def require_funds(ledger: Ledger, plan: DeployPlan, payer: Keypair) -> None:
    """`InsufficientFundsError` unless the payer can pay for all of a plan."""
    if not plan.transactions:
        return
    # What stays must keep the wallet itself rent exempt.
    needed = plan.total + ledger.rent_exempt(0)
    balance = ledger.balance(payer.pubkey())
    if balance < needed:
        raise InsufficientFundsError(
            f"deploying {plan.name!r} needs {sol(needed)} in {payer.pubkey()} (got {sol(balance)}); "
            "nothing was sent"
        )
