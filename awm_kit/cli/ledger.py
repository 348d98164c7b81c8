"""Which ledger and wallet a verb works with, and which world on it is meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awm_kit.errors import LedgerError
from awm_kit.files import shipped_names

if TYPE_CHECKING:
    from solders.keypair import Keypair
    from solders.pubkey import Pubkey

    from awm_kit.chain.ledger import Ledger

Url = Annotated[
    str | None,
    typer.Option("--url", help="RPC endpoint, or devnet, mainnet-beta … [default: $AWM_URL, or embedded]."),
]
Embedded = Annotated[
    Path | None, typer.Option("--embedded", help="The embedded ledger's file [default: in your data folder].")
]
ProgramId = Annotated[str | None, typer.Option("--program-id", help="The world program on that cluster.")]
Wallet = Annotated[
    Path | None,
    typer.Option(
        "--keypair", help="Wallet that pays (JSON) [default: $AWM_KEYPAIR, or id.json of the Solana tools]."
    ),
]
Priority = Annotated[
    str,
    typer.Option("--priority-fee", help="Micro-lamports per compute unit, or auto: as in recent blocks."),
]
Commitment = Annotated[
    str, typer.Option("--commitment", help="When it counts: processed, confirmed, finalized.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Spend real SOL without asking.")]


@dataclass(frozen=True)
class Access:
    """A ledger and who pays on it."""

    ledger: Ledger
    free: bool
    keypair: Path | None

    def wallet(self) -> Keypair:
        """The wallet that pays, funded on the embedded ledger; `LedgerError` if a cluster's is not found."""
        from awm_kit.chain.wallet import cluster_wallet, fund, load_wallet

        wallet = load_wallet(self.keypair) if self.free else cluster_wallet(self.keypair)
        fund(self.ledger, wallet)
        return wallet

    def confirm(self, question: str, yes: bool) -> None:
        """Ask before real SOL is spent; `LedgerError` where nobody can answer."""
        if self.free or yes:
            return
        if not sys.stdin.isatty():
            raise LedgerError(f"this spends SOL on {self.ledger.name}: confirm it with --yes")
        typer.confirm(question, abort=True, err=True)


@contextmanager
def opened(
    url: str | None,
    embedded: Path | None,
    program_id: str | None = None,
    keypair: Path | None = None,
    priority_fee: str = "0",
    commitment: str = "confirmed",
) -> Iterator[Access]:
    """The ledger that the options mean, closed (and the embedded one saved) when the block ends."""
    price = unit_price(priority_fee)
    if url is None and embedded is None:
        url = os.environ.get("AWM_URL") or None
    if url is None:
        from awm_kit.chain.embedded import EmbeddedLedger
        from awm_kit.chain.rpc_node import check_commitment

        check_commitment(commitment)
        if program_id is not None:
            raise ValueError("--program-id is for a cluster: give its --url")
        with EmbeddedLedger.opened(embedded) as ledger:
            yield Access(ledger, True, keypair)
        return
    if embedded is not None:
        raise ValueError("expected either --url or --embedded, not both")
    from awm_kit.chain.rpc import RpcLedger

    cluster = RpcLedger(
        url,
        commitment,
        program_id=program_key(program_id),
        unit_price=price,
    )
    try:
        yield Access(cluster, False, keypair)
    finally:
        cluster.close()


def program_key(text: str | None) -> Pubkey:
    """The world program that ``--program-id`` means; ``ValueError`` if it is no key."""
    from awm_kit.chain.accounts import PROGRAM_ID

    return parse_key(text) if text else PROGRAM_ID


def unit_price(text: str) -> int | None:
    """Micro-lamports per compute unit that ``--priority-fee`` means, None for what the cluster asks for."""
    if text == "auto":
        return None
    if text.isdecimal():
        return int(text)
    raise ValueError(f"expected --priority-fee auto or micro-lamports per compute unit (got {text!r})")


def parse_key(text: str) -> Pubkey:
    """The account that base58 text names; ``ValueError`` if it is none."""
    from solders.pubkey import Pubkey

    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise ValueError(f"expected the key of an account (got {text!r})") from None


def find_key(ledger: Ledger, world: str) -> Pubkey:
    """The manifest account of a world, given as that key, its hash, or its name if only one has it.

    Raises
    ------
    LedgerError
        If no world, or more than one, is meant.
    """
    from awm_kit.chain.worlds import list_worlds

    try:
        return parse_key(world)
    except ValueError:
        pass
    found = [w.key for w in list_worlds(ledger) if world in (w.name, w.world_hash)]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(map(str, found))
        raise LedgerError(
            f"{len(found)} worlds on {ledger.name} are called {world!r}, name one by its key: {keys}"
        )
    hint = "`awm worlds` shows those that are"
    if world in shipped_names(".awm"):
        hint = f"`awm deploy {world}` puts the shipped one there"
    raise LedgerError(f"there is no world {world!r} on {ledger.name}: {hint}")
