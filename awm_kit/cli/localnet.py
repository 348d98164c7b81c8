"""Verbs for the local network: an L1 for development and MagicBlock's rollup above it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from awm_kit.cli.app import Json, app, show

localnet = typer.Typer(
    help="A Solana and a rollup on this machine.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(localnet, name="localnet")


@localnet.command()
def up(
    rollup: Annotated[bool, typer.Option("--rollup/--no-rollup", help="MagicBlock's validator too.")] = True,
    slot_ms: Annotated[int, typer.Option("--slot-ms", min=10, help="Length of an L1 slot.")] = 400,
    l1: Annotated[
        str,
        typer.Option(
            "--l1",
            help="built-in, solana-test-validator, surfpool, auto (one of those two if installed), or a URL.",
        ),
    ] = "auto",
    state: Annotated[
        Path | None, typer.Option("--state", help="Folder that keeps the L1, to go on from; else it is lost.")
    ] = None,
    build: Annotated[
        str, typer.Option("--build", help="Of the world program: sbf, or syscall (frames need the rollup).")
    ] = "sbf",
    program: Annotated[Path | None, typer.Option("--program", help="Another image of the program.")] = None,
    as_json: Json = False,
) -> None:
    """Start it; it stays until `awm localnet down`."""
    from awm_kit.play.places import launcher

    launch = launcher()
    if build not in launch.BUILDS:
        raise ValueError(f"expected a build of {', '.join(launch.BUILDS)} (got {build!r})")
    image = program or launch.BUILDS[build]
    _show(launch.up(rollup=rollup, slot_ms=slot_ms, program=image, l1=l1, state=state), as_json)


@localnet.command()
def status(as_json: Json = False) -> None:
    """Say where it answers; exit code 1 if it does not run."""
    from awm_kit.play.places import launcher

    found = launcher().status()
    _show(found, as_json)
    if found is None or not found.alive:
        raise typer.Exit(1)


@localnet.command()
def down(as_json: Json = False) -> None:
    """Stop it and delete what it kept, but no --state folder."""
    from awm_kit.play.places import launcher

    stopped = launcher().down()
    show({"stopped": stopped}, "stopped" if stopped else "nothing was running", as_json)


def _show(network: Any, as_json: bool) -> None:
    alive = network is not None and network.alive
    urls = {"l1": network.l1, "rollup": network.rollup or None} if network else {"l1": None, "rollup": None}
    text = f"L1      {urls['l1']}\nrollup  {urls['rollup']}" if alive else "not running: awm localnet up"
    show({"alive": alive, **urls}, text, as_json)
