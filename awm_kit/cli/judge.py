"""Verbs that ask what a world learned: physics probes and long free runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from awm_kit.cli.app import Json, Progress, Replays, app, show

World = Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")]


@app.command()
def probe(
    world: World,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the errors into this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Measure learned physics against taught: jumps, falls, runs, shields, knockback."""
    from awm_kit.probe import run_probes
    from awm_kit.worlds import load_world

    report = run_probes(load_world(world))
    if plot is not None:
        report.plot().savefig(plot, dpi=120)
    rows = [{**vars(r), "error": r.error} for r in report]
    show({"world": world, "probes": rows}, repr(report), as_json)


@app.command()
def soak(
    world: World,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Minutes of scripted play.")] = 10.0,
    replays: Replays = None,
    as_json: Json = False,
    progress: Progress = True,
) -> None:
    """Let a world run free for long and count what no match can hold.

    Scripted players play, and the teacher beside them; or, with --replays, whole recorded games under
    their true inputs.
    """
    from awm_kit.data.folder import load_folder
    from awm_kit.soak import soak_replays, soak_scripted
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    if replays is not None:
        report = soak_replays(cartridge, load_folder(replays, progress=progress).replays)
    else:
        report = soak_scripted(cartridge, minutes, progress=progress)
    facts = {"world": world, **report.to_json()}
    show(facts, "\n".join(f"{key}: {value}" for key, value in facts.items()), as_json)
