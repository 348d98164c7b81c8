"""The verb that makes a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from awm_kit.cli.app import Json, app, show, to_write


@app.command()
def export(
    world: Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")],
    page: Annotated[Path, typer.Argument(metavar="OUT.html", callback=to_write, help="The file to write.")],
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31, help="Of the first match.")] = 0,
    as_json: Json = False,
) -> None:
    """Make one HTML file in which a world plays offline.

    In any browser, for one or two people.
    """
    from awm_kit.play.web.export import export as write
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    path = write(cartridge, page, seed)
    result = {"page": str(path), "bytes": path.stat().st_size, "world": cartridge.world_hash}
    show(result, f"{path}: {result['bytes']:,} bytes; open it in a browser", as_json)
