"""The verb that plays."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from awm_kit.cli.app import Json, app, show, to_write
from awm_kit.cli.ledger import Yes


class Home(StrEnum):
    """Where frames are computed: `awm_kit.play.headless.HOMES`."""

    NATIVE = "native"
    CHAIN = "chain"
    ROLLUP = "rollup"
    WASM = "wasm"
    REFERENCE = "reference"


LIVE = """Live play is in the notebook: `make lab` opens JupyterLab, then run notebooks/03_play.ipynb
(or `voila notebooks/03_play.ipynb` for the page alone). Without a window: awm play {world} --headless"""


@app.command()
def play(
    world: Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")] = "scuffle",
    headless: Annotated[bool, typer.Option("--headless", help="Scripted players, no window.")] = False,
    engine: Annotated[Home, typer.Option("--engine", help="What computes the frames.")] = Home.NATIVE,
    frames: Annotated[int, typer.Option("--frames", min=1, help="Stop after so many, or at the end.")] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Fixes all that happens.")] = 0,
    player: Annotated[str, typer.Option("--player", help="Style of player 1.")] = "balanced",
    opponent: Annotated[str, typer.Option("--opponent", help="Style of player 2.")] = "balanced",
    at: Annotated[
        str | None,
        typer.Option("--at", help="Where chain and rollup play: embedded, localnet, a URL, or URL,URL."),
    ] = None,
    keypair: Annotated[
        Path | None, typer.Option("--keypair", help="Wallet that pays there [default: by airdrop].")
    ] = None,
    yes: Yes = False,
    save: Annotated[
        Path | None,
        typer.Option("--save", callback=to_write, help="Keep the match (.awmatch), or its frames (.npz)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play a match.

    With --headless the same seed ends in the same state hash on every engine.
    """
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    if not headless and (as_json or save):
        raise ValueError("--json and --save are for a match without a window: give --headless too")
    if not headless:
        typer.echo(LIVE.format(world=world))
        return
    from awm_kit.chain.wallet import load_wallet
    from awm_kit.play.headless import check_saved, play_headless

    if save:
        check_saved(cartridge, save)
    if (at or keypair) and engine not in (Home.CHAIN, Home.ROLLUP):
        raise ValueError(f"--at and --keypair are for --engine chain or rollup (got {engine.value})")
    if keypair and not yes:
        raise ValueError(f"this spends SOL of {keypair}: confirm it with --yes")
    wallet = load_wallet(keypair) if keypair else None
    match = play_headless(cartridge, engine.value, frames, seed, (player, opponent), at, wallet)
    result = {
        "frames": match.frames,
        "engine": match.engine,
        "seed": seed,
        "state_hash": match.state_hash,
        "frames_per_second": round(match.frames_per_second, 1),
    }
    text = "{frames} frames on {engine}, {frames_per_second} a second; state {state_hash}".format(**result)
    if match.result:
        result["result"] = str(match.result.key)
        text += f"; recorded as {match.result.key}"
    if save:
        result["saved"] = str(match.save(save))
        text += f"; saved to {result['saved']}"
    show(result, text, as_json)
