"""Verbs for a match of two processes: one hosts, the other joins; scripts play, at 60 frames a second."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awm_kit.cli.app import Json, app, note, show
from awm_kit.cli.ledger import Priority, ProgramId, parse_key, program_key, unit_price
from awm_kit.errors import LedgerError

if TYPE_CHECKING:
    from awm_kit.play.places import Place
    from awm_kit.play.seat import Seat

At = Annotated[
    str,
    typer.Option("--at", help="localnet, a cluster's name or URL, or with its rollup's: URL,URL."),
]
Purse = Annotated[
    Path | None, typer.Option("--keypair", help="Wallet (JSON) [default: a new one, funded by airdrop].")
]
Style = Annotated[str, typer.Option("--player", help="Style of this process's scripted player.")]
Publish = Annotated[
    bool, typer.Option("--publish", help="Put the replay on the ledger afterwards, for `awm verify`.")
]


@app.command()
def host(
    world: Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")] = "scuffle",
    at: At = "localnet",
    keypair: Purse = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of start and player.")] = 0,
    time_limit: Annotated[
        int | None, typer.Option("--time-limit", min=1, help="Frames until it ends [default: the game's].")
    ] = None,
    stocks: Annotated[
        int | None, typer.Option("--stocks", min=1, max=255, help="Lives [default: the game's].")
    ] = None,
    player: Style = "balanced",
    publish: Publish = False,
    program_id: ProgramId = None,
    priority_fee: Priority = "0",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend the wallet's SOL.")] = False,
    as_json: Json = False,
) -> None:
    """Open a match for whoever joins, play and settle it.

    Says on stderr what it costs a wallet that is named, then its ID; runs it in real time.
    """
    from awm_kit.chain.deploy import plan_deploy
    from awm_kit.chain.match_cost import match_cost
    from awm_kit.chain.wallet import load_wallet
    from awm_kit.play.engines import deployed, find_deployed, start_frame
    from awm_kit.play.seat import Seat
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    place = _place(at, priority_fee, program_id)
    costs: list[object] = []
    if keypair is not None:
        if find_deployed(place, cartridge) is None:
            costs.append(plan_deploy(place.ledger, cartridge, load_wallet(keypair)))
        costs.append(match_cost(place.ledger, cartridge, rollup=place.rollup is not None))
    wallet = _wallet(place, keypair, yes, costs)
    frame = start_frame(cartridge, seed)
    if time_limit is not None:
        frame["time_limit"] = time_limit
    if stocks is not None:
        frame["players"]["stocks"] = stocks
    seat = Seat.host(place, deployed(place, cartridge, wallet), wallet, frame)
    note(f"match {seat.key}")
    _play(seat, player, seed, publish, as_json)


@app.command()
def join(
    match: Annotated[str, typer.Argument(help="ID that the host was told.")],
    at: At = "localnet",
    keypair: Purse = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of this player.")] = 0,
    player: Style = "balanced",
    publish: Publish = False,
    program_id: ProgramId = None,
    priority_fee: Priority = "0",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Spend the wallet's SOL.")] = False,
    as_json: Json = False,
) -> None:
    """Play a match that another process hosts, to its end."""
    from awm_kit.chain.instructions import KEEP_CHARACTER
    from awm_kit.play.seat import Seat

    key = parse_key(match)
    place = _place(at, priority_fee, program_id)
    wallet = _wallet(place, keypair, yes)
    _play(Seat.join(place, key, wallet, KEEP_CHARACTER), player, seed, publish, as_json)


def _place(at: str, priority_fee: str, program_id: str | None) -> Place:
    """Where two processes can meet; ``ValueError`` of a ledger that only this one sees."""
    from awm_kit.chain.embedded import EmbeddedLedger
    from awm_kit.play.places import open_place

    if at == EmbeddedLedger.name:
        raise ValueError("the embedded ledger is this process's own: expected --at localnet, or a URL")
    return open_place(at, unit_price(priority_fee), program_key(program_id))


def _wallet(place: Place, keypair: Path | None, yes: bool, costs: Iterable[object] = ()) -> Any:
    """A throw-away wallet with the development chain's money, or the named one if its owner agrees."""
    from solders.keypair import Keypair

    from awm_kit.chain.wallet import load_wallet

    if keypair is None:
        wallet = Keypair()
        place.fund(wallet)
        return wallet
    for cost in costs:
        note(repr(cost))
    if not yes:
        raise LedgerError(f"this spends SOL of {keypair} on {place.ledger.name}: confirm it with --yes")
    return load_wallet(keypair)


def _play(seat: Seat, style: str, seed: int, publish: bool, as_json: bool) -> None:
    from awm_kit.play.duel import finish_seat, play_seat
    from awm_kit.play.games import script

    try:
        rhythm = play_seat(seat, script(seat.game, style, seat.player or 0, seed))
        result = finish_seat(seat, publish=publish)
    finally:
        seat.disconnect()
        seat.place.close()
    report = {
        "match": str(seat.key),
        "player": seat.player,
        **rhythm.report(),
        "winner": result.winner.name.lower(),
        "reason": result.reason.name.lower(),
        "state_hash": result.state_hash,
        "published": publish,
    }
    text = "{frames} frames at {fps} a second, {winner} by {reason}; awm verify {match}".format(**report)
    show(report, text, as_json)
