"""Places to play: a ledger, in this process or behind a URL, and perhaps a rollup above it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from awm_kit.chain.accounts import PROGRAM_ID
from awm_kit.chain.delegation import LOCAL_VALIDATOR
from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.ledger import LAMPORTS_PER_SOL, Ledger
from awm_kit.chain.rpc import RpcLedger
from awm_kit.errors import InsufficientFundsError, LedgerError, ValidatorError

#: What a development chain gives a new wallet: rent of a world of 20M parameters (138 SOL) and of a match.
POCKET_MONEY = 200 * LAMPORTS_PER_SOL
LOCALNET = "localnet"


@dataclass(frozen=True)
class Place:
    """Where worlds and results are kept, and where frames are computed.

    Parameters
    ----------
    ledger : Ledger
        Keeps worlds, results, and matches that are not lent.
    rollup : RpcLedger, optional
        Runs the matches; without one the ledger does.
    validator : Pubkey
        Whose rollup it is.
    """

    ledger: Ledger
    rollup: RpcLedger | None = None
    validator: Pubkey = LOCAL_VALIDATOR

    @property
    def arena(self) -> Ledger:
        """The ledger that computes frames."""
        return self.rollup or self.ledger

    @property
    def name(self) -> str:
        """The ledger and the rollup, as `open_place` takes them where both have URLs."""
        return f"{self.ledger.name},{self.rollup.name}" if self.rollup else self.ledger.name

    def __repr__(self) -> str:
        return f"<Place {self.name}>"

    def fund(self, wallet: Keypair, lamports: int = POCKET_MONEY) -> None:
        """See that a wallet holds ``lamports``, by airdrop where the chain gives any.

        Raises
        ------
        InsufficientFundsError
            It holds less, and nobody gives it more.
        """
        missing = lamports - self.ledger.balance(wallet.pubkey())
        if missing <= 0:
            return
        try:
            self.ledger.airdrop(wallet.pubkey(), missing)
        except InsufficientFundsError:
            raise
        except LedgerError as error:
            raise InsufficientFundsError(str(error)) from error

    def close(self) -> None:
        """Close the connections."""
        self.ledger.close()
        if self.rollup:
            self.rollup.close()


def open_place(
    where: Place | Ledger | str | None = None,
    unit_price: int | None = 0,
    program_id: Pubkey = PROGRAM_ID,
) -> Place:
    """The place that is meant.

    Parameters
    ----------
    where : Place, Ledger or str, optional
        ``"embedded"`` (the default), an empty ledger in this process; ``"localnet"``, what `awm localnet up`
        started; the URL or name of a cluster; or the URLs of a cluster and of a rollup on it, with a comma
        between.
    unit_price : int or None
        Priority fee on a cluster, as `RpcLedger` takes it; rollups have no fees.
    program_id : Pubkey
        The world program behind a URL.

    Raises
    ------
    ValidatorError
        The local network does not run.
    LedgerError
        Nothing answers at a URL.
    """
    if isinstance(where, Place):
        return where
    if isinstance(where, Ledger):
        return Place(where)
    if where is None or where == EmbeddedLedger.name:
        return Place(EmbeddedLedger())
    if where == LOCALNET:
        return _localnet()
    ledger, _, rollup = (part.strip() for part in where.partition(","))
    return _connect(ledger, rollup, unit_price, program_id)


def _connect(ledger: str, rollup: str, unit_price: int | None = 0, program_id: Pubkey = PROGRAM_ID) -> Place:
    with ExitStack() as opened:
        below = RpcLedger(ledger, unit_price=unit_price, program_id=program_id)
        opened.callback(below.close)
        place = Place(below)
        if rollup:
            above = RpcLedger(rollup, preflight=False, program_id=program_id)
            opened.callback(above.close)
            place = Place(below, above, above.identity())
        opened.pop_all()
        return place


def _localnet() -> Place:
    network = launcher().status()
    if network is None or not network.alive:
        raise ValidatorError("the local network does not run: start it with `awm localnet up`")
    return _connect(network.l1, network.rollup)


def launcher() -> ModuleType:
    """What starts, checks and stops the local network; it lies beside the package, in a checkout.

    Raises
    ------
    ValidatorError
        If it is not there.
    """
    try:
        from validator import launch
    except ModuleNotFoundError as error:
        raise ValidatorError(
            f"the local network needs a checkout of awm-kit ({error.name} is not installed); "
            "the embedded ledger needs none"
        ) from error
    return launch
