"""The verb that films a world beside the game it learned."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from awm_kit.cli.app import Json, Progress, app, show, to_write
from awm_kit.errors import ReplayError, ReplayUnsupportedError

if TYPE_CHECKING:
    from awm_kit.data.replay import Replay
    from awm_kit.quant.cartridge import Cartridge


class Layout(StrEnum):
    """How the two are shown: side by side, or the recording as a ghost behind the world."""

    BESIDE = "beside"
    GHOST = "ghost"


@app.command()
def film(
    world: Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT.gif|OUT.mp4", callback=to_write, help="The file to write.")
    ],
    replay: Annotated[
        Path | None, typer.Option("--replay", help="A recorded game (.slp, .npz, .awmatch).")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**32 - 1, help="A game of the world's own teacher.")
    ] = None,
    start: Annotated[
        int, typer.Option("--from", min=0, help="Frame at which the world is left to itself.")
    ] = 0,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=600, help="Length.")] = 10.0,
    renew: Annotated[
        int, typer.Option("--renew", min=0, help="Back to the recording every so many frames; 0: never.")
    ] = 0,
    layout: Annotated[Layout, typer.Option("--layout", help="Side by side, or one as a ghost.")] = (
        Layout.BESIDE
    ),
    scale: Annotated[float, typer.Option("--scale", min=0.1, max=2, help="Size against 960 × 540.")] = 0.5,
    every: Annotated[
        int, typer.Option("--every", min=1, max=6, help="One picture of so many frames; 3 is 20 a second.")
    ] = 3,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Film a recorded game beside what a world makes of it.

    Both are under the same controllers.
    """
    from tqdm.auto import tqdm

    from awm_kit.errors import VideoError
    from awm_kit.play.film import Film, Take
    from awm_kit.play.gif import render_gif
    from awm_kit.play.loop import FPS
    from awm_kit.play.reruns import rerun
    from awm_kit.play.video import render_mp4
    from awm_kit.worlds import load_world

    writers: dict[str, Callable[..., object]] = {".gif": render_gif, ".mp4": render_mp4}
    if out.suffix.lower() not in writers:
        raise VideoError(f"expected a file ending {' or '.join(writers)} (got {out.name!r})")
    cartridge = load_world(world)
    game, title = _game(cartridge, replay, seed)
    span = slice(start, start + max(round(seconds * FPS), 1))
    learned = rerun(cartridge, game, start, renew)[span]
    frames, name, drawn_as = game.frames[span], cartridge.manifest.name, cartridge.manifest.schema.name
    if layout == Layout.GHOST:
        takes = [Take(learned, f"{name} (ghost: {title})", ghosts=frames, game=drawn_as)]
    else:
        takes = [Take(frames, title, game=drawn_as), Take(learned, f"{name}, learned", game=drawn_as)]
    pictures = -(-len(frames) // every)
    with tqdm(total=pictures, unit="picture", disable=not progress, delay=1.0) as bar:
        writers[out.suffix.lower()](Film(takes, scale, lambda share: bar.update()), out, every)
    result = {"film": str(out), "bytes": out.stat().st_size, "frames": len(frames), "of": title}
    show(result, "{film}: {bytes:,} bytes, {frames} frames of {of}".format(**result), as_json)


def _game(cartridge: Cartridge, replay: Path | None, seed: int | None) -> tuple[Replay, str]:
    """The recording that ``--replay`` or ``--seed`` means, and what to call it."""
    from awm_kit.cli.games import teacher_games
    from awm_kit.play.recordings import game_of, open_recording

    if (replay is None) == (seed is None):
        raise ValueError("expected either --replay FILE or --seed N")
    if replay is not None:
        wanted = cartridge.manifest.schema.name
        try:
            game = open_recording(replay, cartridge if replay.suffix == ".awmatch" else None)
            if game_of(game) != wanted:
                raise ReplayUnsupportedError(f"expected a game of {wanted!r} (got one of {game_of(game)!r})")
        except ReplayError as error:
            raise type(error)(f"{replay}: {error}") from error
        return game, "recorded"
    return teacher_games(cartridge.manifest.notes, range(seed or 0, (seed or 0) + 1))[0], "teacher"
