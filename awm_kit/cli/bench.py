"""Verbs that measure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from awm_kit.cli.app import Json, app, show

bench = typer.Typer(help="Measure the parts on this machine.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(bench, name="bench")

World = Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")]
Frames = Annotated[int, typer.Option("--frames", min=1, help="Frames to measure over.")]


@bench.command()
def kernel(
    world: Annotated[str | None, typer.Argument(help="Cartridge, or the name of a shipped world.")] = None,
    frames: Frames = 300,
    size: Annotated[list[str] | None, typer.Option("--size", help="1M, 4M or 15M; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Time of a frame in the native kernel.

    Of a world, for every backend of this CPU; without one, of random worlds of three sizes, next to the
    bandwidth of memory, PyTorch, ONNX Runtime and LiteRT (where installed) and a plain loop.
    """
    from awm_kit.bench.kernel import SIZES, measure_kernel, measure_sizes
    from awm_kit.worlds import load_world

    if world is not None:
        _print(measure_kernel(load_world(world), frames), as_json)
        return
    unknown = [name for name in size or () if name not in SIZES]
    if unknown:
        raise ValueError(f"expected a size of {list(SIZES)} (got {unknown[0]!r})")
    _print(measure_sizes(tuple(size or SIZES)), as_json)


@bench.command()
def cu(world: World = "scuffle", frames: Frames = 30, as_json: Json = False) -> None:
    """Compute units and transactions of a frame.

    In the Solana VM, with 7-bit and with 4-bit weights.
    """
    from awm_kit.chain.cu import measure_formats
    from awm_kit.worlds import load_world

    _print(measure_formats(load_world(world), frames), as_json)


@bench.command()
def players(
    world: Annotated[str | None, typer.Argument(help="A scuffle world to play in too.")] = None,
    player: Annotated[str, typer.Option("--player", help="cloned, or a style of the scripted.")] = "cloned",
    opponents: Annotated[list[str] | None, typer.Option("--opponent", help="A style; repeatable.")] = None,
    matches: Annotated[int, typer.Option("--matches", min=1, help="Against each opponent.")] = 32,
    frames: Frames = 3600,
    as_json: Json = False,
) -> None:
    """Share of games won against ever stronger scripted players."""
    from awm_kit.bench.players import measure_players
    from awm_kit.play.controllers import LEVELS
    from awm_kit.worlds import load_world

    cartridge = load_world(world) if world else None
    _print(measure_players(cartridge, player, opponents or LEVELS, matches, frames), as_json)


@bench.command()
def canvas(
    world: World = "scuffle",
    seconds: Annotated[float, typer.Option("--seconds", min=1.0, help="For each way of playing.")] = 15.0,
    as_json: Json = False,
) -> None:
    """Live play in JupyterLab and headless Chromium.

    Rate, jitter, key latency, bytes and the kernel's share: drawn by Python with and without the server
    extension, and predicted in the page. Needs Playwright and a Chromium.
    """
    from awm_kit.bench.canvas import measure_canvas

    _print(measure_canvas(world, seconds), as_json)


@bench.command()
def drawing(frames: Frames = 120, as_json: Json = False) -> None:
    """Time to compose a picture, and to paint it as an image."""
    from awm_kit.bench.drawing import measure_drawing

    _print(measure_drawing(frames), as_json)


@bench.command()
def scuffle(
    matches: Annotated[int, typer.Option("--matches", min=1, help="Matches at once.")] = 2048,
    frames: Frames = 300,
    processes: Annotated[int, typer.Option("--processes", min=1, help="Worker processes.")] = 1,
    as_json: Json = False,
) -> None:
    """Frames that the teacher makes a second."""
    from awm_kit.bench.scuffle import measure_scuffle

    _print(measure_scuffle(matches, frames, processes), as_json)


@bench.command()
def homes(world: World = "scuffle", frames: Frames = 60, as_json: Json = False) -> None:
    """The same match on every engine.

    Frames a second of each, one state hash for all.
    """
    from awm_kit.bench.homes import measure_homes
    from awm_kit.worlds import load_world

    _print(measure_homes(load_world(world), frames), as_json)


@bench.command()
def rollup(
    worlds: Annotated[
        list[str] | None,
        typer.Argument(help="Cartridges, shipped worlds, 1M, 4M, 15M, 15Mx2, 1M-n4. [default: 1M, 4M, 15M]"),
    ] = None,
    build: Annotated[
        str,
        typer.Option("--build", help="sbf, syscall or both; without worlds, sbf is measured for 1M only."),
    ] = "sbf,syscall",
    seconds: Annotated[float, typer.Option("--seconds", min=0.5, help="For each world and build.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Frames in real time on MagicBlock's rollup.

    Intervals, latency, transactions and units a frame.
    """
    from awm_kit.bench.rollup import CASES, measure_rollup

    cases = [(name, one) for one in build.split(",") for name in worlds or ()]
    _print(measure_rollup(cases or CASES, seconds), as_json)


@bench.command()
def lifecycle(
    world: World = "scuffle",
    frames: Frames = 600,
    as_json: Json = False,
) -> None:
    """What each step of a match on the rollup takes.

    Seconds, transactions on the L1, lamports.
    """
    from awm_kit.bench.lifecycle import measure_lifecycle
    from awm_kit.worlds import load_world

    _print(measure_lifecycle(load_world(world), frames), as_json)


def _print(result: dict[str, Any], as_json: bool) -> None:
    rows = list(_rows(result))
    width = max(len(name) for name, _ in rows)
    show(result, "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows), as_json)


def _rows(result: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if isinstance(value, dict):
            yield from _rows(value, f"{prefix}{name} ")
        elif isinstance(value, list):
            for row in value:
                which = f"{row['name']} {row['build']}" if "build" in row else row["name"]
                yield from _rows(row, f"{prefix}{which} ")
        else:
            yield (
                f"{prefix}{name}".replace("_", " "),
                f"{value:,}" if isinstance(value, int | float) else str(value),
            )
