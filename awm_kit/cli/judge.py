"""Verbs that ask what a world learned: errors against games, physics probes, long free runs."""

from __future__ import annotations

from enum import StrEnum
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awm_kit.cli.app import Json, Progress, Replays, Seeds, app, note, show, to_fill, to_write
from awm_kit.cli.games import choose_games, parse_seeds, taught_seeds
from awm_kit.wording import counted

if TYPE_CHECKING:
    from awm_kit.model.evaluate import Evaluation

World = Annotated[str, typer.Argument(help="Cartridge, or the name of a shipped world.")]
PLOTS = (".png", ".svg", ".pdf")


def _plot_file(path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() not in PLOTS:
        raise ValueError(f"expected a plot ending {', '.join(PLOTS)} (got {path.name!r})")
    return to_write(path)


Plot = Annotated[
    Path | None,
    typer.Option("--plot", callback=_plot_file, help=f"Draw it into this file ({', '.join(PLOTS)})."),
]


class Numbers(StrEnum):
    """Which arithmetic predicts."""

    INT8 = "int8"
    FP32 = "fp32"
    BOTH = "both"


@app.command("eval")
def evaluate(
    world: Annotated[str, typer.Argument(help="Cartridge, checkpoint, or the name of a shipped world.")],
    replays: Replays = None,
    seeds: Seeds = None,
    engine: Annotated[
        Numbers | None,
        typer.Option("--engine", help="[default: int8 for a cartridge, fp32 for a checkpoint]"),
    ] = None,
    plot: Plot = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Measure how true a world is to games.

    Free-running and one frame ahead, beside baselines, with 95 % intervals over games.
    """
    from awm_kit.fidelity import open_runners
    from awm_kit.model.evaluate import evaluate as measure
    from awm_kit.model.plots import save_figure

    runners, name, notes = open_runners(world, engine.value if engine else None)
    games = choose_games(notes, replays, seeds, progress)
    _warn_of_training_games(notes, seeds)
    results = [measure(runner, games, progress=progress) for runner in runners]
    if plot is not None:
        save_figure(results[0].plot(*results[1:]), plot)
    facts = {"world": name, **results[0].to_json(), **{r.engine: r.to_json() for r in results[1:]}}
    text = "\n".join(f"{name}, {evaluation_table(result)}" for result in results)
    show(facts, text, as_json)


@app.command()
def probe(
    world: World,
    replays: Replays = None,
    plot: Plot = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Measure learned physics against taught.

    Jumps, falls, runs, shields, knockback: the same small experiments in the world and in its teacher. With
    --replays, what recorded games show of them instead: a world that learned from such has no teacher.
    """
    from awm_kit.model.plots import save_figure
    from awm_kit.probe import check_fighter, run_probes
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    check_fighter(cartridge)
    games = None if replays is None else choose_games(cartridge.manifest.notes, replays, None, progress)
    report = run_probes(cartridge, games=games)
    if not report.against:
        note(f"{world} has no teacher to compare with: --replays DIR measures the same in recorded games")
    if plot is not None:
        save_figure(report.plot(), plot)
    show({"world": world, "probes": report.to_json()}, repr(report), as_json)


@app.command()
def soak(
    world: World,
    minutes: Annotated[float, typer.Option("--minutes", min=0.1, help="Minutes of scripted play.")] = 10.0,
    replays: Replays = None,
    plot: Plot = None,
    as_json: Json = False,
    progress: Progress = True,
) -> None:
    """Let a world run free and count what no match can hold.

    Scripted players play, and the teacher beside them; or, with --replays, whole recorded games under
    their true inputs.
    """
    from awm_kit.model.plots import save_figure
    from awm_kit.soak import soak_replays, soak_scripted
    from awm_kit.worlds import load_world

    cartridge = load_world(world)
    if replays is not None:
        games = choose_games(cartridge.manifest.notes, replays, None, progress)
        report = soak_replays(cartridge, games, progress)
    else:
        report = soak_scripted(cartridge, minutes, progress=progress)
    if plot is not None:
        save_figure(report.plot(), plot)
    show({"world": world, **report.to_json()}, f"{world}, {report!r}", as_json)


@app.command()
def report(
    worlds: Annotated[
        list[str] | None, typer.Argument(help="Cartridges or shipped worlds. [default: all shipped]")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", callback=to_fill, help="Folder for page, JSON and plots.")
    ] = Path("report"),
    quick: Annotated[bool, typer.Option("--quick", help="Few games and minutes: a look, no proof.")] = False,
    games: Annotated[int | None, typer.Option("--games", min=1, help="Unseen games a world.")] = None,
    starts: Annotated[int | None, typer.Option("--starts", min=1, help="Free runs a game.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="Of play left alone.")] = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Measure everything about worlds, on one page.

    Errors, events, play left alone, physics. Goes on where an interrupted report stopped.
    """
    from dataclasses import replace

    from awm_kit.report import QUICK, Effort, make_report
    from awm_kit.worlds import shipped

    asked: dict[str, Any] = {"games": games, "starts": starts, "minutes": minutes}
    effort = replace(QUICK if quick else Effort(), **{k: v for k, v in asked.items() if v is not None})
    result = make_report(worlds or shipped(), out, effort, note, progress)
    show(result, out / "REPORT.md", as_json)


def evaluation_table(result: Evaluation) -> str:
    """An evaluation for people: one line a horizon with baselines beside, then single steps."""
    names = ("rc", "frozen_rc", "velocity_rc", "percent_err", "action_acc", "frozen_action_acc")
    heads = ("position", "frozen", "velocity", "percent", "action", "frozen")
    games = counted(result.games, "game")
    spread = ", 95 % over games" if result.games > 1 else ""
    lines = [f"{result.engine}, {games}; free-running, mean over 1..K frames{spread}"]
    shown = [(n, h) for n, h in zip(names, heads, strict=True) if n in result.free[max(result.free)]]
    lines.append(f"{'K':>4}" + "".join(f"{head:>{_width(name)}}" for name, head in shown))
    for k, row in result.free.items():
        ends = result.intervals["free"][k]
        cells = (_cell(row[name], ends[name], _width(name)) for name, _ in shown)
        lines.append(f"{k:4}" + "".join(cells))
    forced, ends = result.teacher_forced, result.intervals["teacher_forced"]
    lines.append("one frame ahead from true frames:")
    for name, value in forced.items():
        if not name.endswith("_exact"):
            count = result.events.get(name.rpartition("_")[0])
            cases = f"  of {count}" if count is not None and name.endswith("recall") else ""
            lines.append(f"  {name:22}{_cell(value, ends[name], 28)}{cases}")
    return "\n".join(lines)


def _width(name: str) -> int:
    return 11 if name.startswith(("frozen", "velocity")) else 26


def _cell(value: float, ends: tuple[float, float], width: int) -> str:
    """A figure with its interval where it has one: one game alone says nothing about others."""
    if isnan(value):
        text = "no case"
    elif width < 20:
        text = f"{value:.3f}"
    else:
        text = f"{value:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends[0] < ends[1] else "")
    return f"{text:>{width}}"


def _warn_of_training_games(notes: dict[str, Any], seeds: str | None) -> None:
    taught = taught_seeds(notes)
    if seeds is None or taught is None:
        return
    asked = parse_seeds(seeds)
    if asked.start < taught.stop and taught.start < asked.stop:
        note(f"some of these games were trained on: seeds {taught.start}:{taught.stop}")
