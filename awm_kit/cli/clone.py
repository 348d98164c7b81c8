"""The verb that makes a player."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from awm_kit.cli.app import Json, Progress, Replays, app, show, to_write
from awm_kit.wording import counted

#: What the shipped player was cloned from: `awm clone OUT.npz` makes it again.
SEEDS, LENGTH = "0:480", 3600
STYLES = ("rusher", "balanced", "guard", "jumper")


@app.command()
def clone(
    out: Annotated[Path, typer.Argument(metavar="OUT.npz", callback=to_write, help="The file to write.")],
    replays: Replays = None,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="A:B", help="Scripted matches of the teacher, if no replays.")
    ] = SEEDS,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of training.")] = 4000,
    winners: Annotated[bool, typer.Option("--winners", help="Copy only who was ahead at the end.")] = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Train a small network to press what recorded players press."""
    from awm_kit.cli.games import choose_games, parse_seeds
    from awm_kit.data.scuffle import generate
    from awm_kit.model.clone import CloneConfig
    from awm_kit.model.clone import clone as train

    if replays is None:
        games, config = generate(parse_seeds(seeds), LENGTH), CloneConfig(styles=STYLES)
    else:
        games, config = choose_games({}, replays, None, progress), CloneConfig()
    source = counted(len(games), "replay") if replays else f"scuffle {seeds}, {', '.join(STYLES)}"
    config = replace(config, winners=winners, steps=steps)
    policy = train(games, config, {"cloned_from": source}, progress)
    policy.save(out)
    result = {"player": str(out), "bytes": out.stat().st_size, "params": policy.n_params, **policy.notes}
    show(result, f"{out}: {result['bytes']:,} bytes, {policy!r}, {policy.notes}", as_json)
