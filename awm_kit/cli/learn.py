"""Verbs that make and judge a world: train, eval, quantize."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from awm_kit.cli.app import Json, Progress, Replays, Seeds, app, note, show
from awm_kit.cli.games import choose_games, parse_seeds, teacher_games, teacher_of

if TYPE_CHECKING:
    from awm_kit.model.evaluate import Evaluation, Runner

CALIBRATION_GAMES = 64
REPORT_GAMES = 8


class Numbers(StrEnum):
    """Which arithmetic predicts."""

    INT8 = "int8"
    FP32 = "fp32"


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file (.toml) or the name of a shipped one.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the run [default: runs/NAME].")] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Instead of the recipe's.")] = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Train a world from a recipe, or go on with an interrupted run."""
    from awm_kit.model.plots import read_log, save_training_plot
    from awm_kit.model.recipe import load_recipe

    plan = load_recipe(recipe)
    folder = out or Path("runs") / plan.name
    trainer = plan.trainer(folder, progress, **({"steps": steps} if steps else {}))
    if trainer.step:
        note(f"going on from step {trainer.step:,}")
    trainer.run(progress)
    loss = float(read_log(folder / "log.csv")["loss"][-100:].mean())
    checkpoint, plot = folder / "last.safetensors", save_training_plot(folder)
    result = {
        "name": plan.name,
        "checkpoint": str(checkpoint),
        "plot": str(plot),
        "steps": trainer.step,
        "seconds": round(trainer.seconds, 1),
        "loss": loss,
    }
    show(result, f"{checkpoint}: {trainer.step:,} steps, loss {loss:.4f}; curve in {plot}", as_json)


@app.command("eval")
def evaluate(
    world: Annotated[str, typer.Argument(help="Cartridge, checkpoint, or the name of a shipped world.")],
    replays: Replays = None,
    seeds: Seeds = None,
    engine: Annotated[
        Numbers | None,
        typer.Option("--engine", help="[default: int8 for a cartridge, fp32 for a checkpoint]"),
    ] = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Measure how true a world is: free-running and teacher-forced error against games, beside baselines."""
    from awm_kit.model.evaluate import evaluate as measure

    runner, name, notes = open_runner(world, engine)
    games = choose_games(notes, replays, seeds, progress)
    _warn_of_training_games(notes, seeds)
    result = measure(runner, games, progress=progress)
    show({"world": name, **result.to_json()}, f"{name}, {evaluation_table(result)}", as_json)


@app.command()
def quantize(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors).")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The cartridge to write [default: NAME.awm].")
    ] = None,
    replays: Replays = None,
    seeds: Seeds = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the world, at most 31 bytes.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for the comparison of float and integers.")
    ] = None,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint into a cartridge of integers, the exact bytes of its accounts."""
    from awm_kit.model.checkpoint import load_checkpoint
    from awm_kit.model.dataset import PackedReplays
    from awm_kit.quant.calibrate import calibrate
    from awm_kit.quant.pack import pack
    from awm_kit.quant.quantize import quantize as to_integers

    model, notes = load_checkpoint(checkpoint)
    if replays is None and seeds is None and (data := teacher_of(notes)) is not None:
        first, end = data["seeds"]
        seeds = f"{first}:{min(end, first + CALIBRATION_GAMES)}"
    games = choose_games(notes, replays, seeds, progress)
    ranges = calibrate(model, PackedReplays(model.schema, games))
    title = name or str(notes.get("name") or checkpoint.stem)
    cartridge = pack(to_integers(model, ranges, title, notes))
    path = cartridge.save(out or Path(f"{title}.awm"))
    result: dict[str, Any] = {
        "world": title,
        "cartridge": str(path),
        "bytes": cartridge.nbytes,
        "world_hash": cartridge.world_hash,
        "params": cartridge.manifest.n_params,
        "macs_per_frame": cartridge.manifest.macs_per_frame,
        "tx_per_frame": len(cartridge.manifest.segments),
    }
    text = "{cartridge}: {bytes:,} bytes, {params:,} parameters, {tx_per_frame} transactions a frame".format(
        **result
    )
    if report:
        from awm_kit.fidelity import fidelity_report, save_report

        judged = games if replays else teacher_games(notes, _unseen_seeds(notes, seeds))
        fidelity = fidelity_report(model, cartridge, judged, progress=progress)
        result["report"] = [str(p) for p in save_report(fidelity, report)]
        result["fidelity"] = {row: {"fp32": a, "int8": b} for row, a, b in fidelity.rows()}
        text += f"\n{fidelity!r}"
    show(result, text, as_json)


def open_runner(world: str, engine: Numbers | None) -> tuple[Runner, str, dict[str, Any]]:
    """What predicts the frames of ``world``, its name, and its training notes."""
    from awm_kit.model.evaluate import TorchRunner
    from awm_kit.worlds import find_world

    path = find_world(world)
    if path.suffix == ".safetensors":
        from awm_kit.model.checkpoint import load_checkpoint

        if engine is Numbers.INT8:
            raise ValueError(
                f"{path.name} is a checkpoint of floats: make integers of it with `awm quantize` first"
            )
        model, notes = load_checkpoint(path)
        return TorchRunner(model), str(notes.get("name") or path.stem), notes
    from awm_kit.quant.cartridge import Cartridge

    cartridge = Cartridge.load(path)
    manifest = cartridge.manifest
    if engine is Numbers.FP32:
        from awm_kit.quant.dequantize import dequantize
        from awm_kit.quant.manifest import unpack

        return TorchRunner(dequantize(unpack(cartridge))), manifest.name, manifest.notes
    from awm_kit.fidelity import NativeRunner

    return NativeRunner(cartridge), manifest.name, manifest.notes


def evaluation_table(result: Evaluation) -> str:
    """An evaluation for people: one line a horizon, baselines beside."""
    lines = [
        f"{result.engine}, {result.games} games; free-running, mean over horizons 1..K",
        f"{'K':>4}{'position':>10}{'frozen':>10}{'velocity':>10}{'percent':>10}{'action':>9}{'frozen':>9}",
    ]
    for k, row in result.free.items():
        lines.append(
            f"{k:4}{row['rc']:10.3f}{row['frozen_rc']:10.3f}{row['velocity_rc']:10.3f}{row['percent_err']:10.3f}"
            f"{row['action_acc']:9.4f}{row['frozen_action_acc']:9.4f}"
        )
    forced = ("action_acc", "action_change_acc", "hit_recall", "hit_precision")
    lines.append(
        "teacher-forced: " + ", ".join(f"{name} {result.teacher_forced[name]:.4f}" for name in forced)
    )
    return "\n".join(lines)


def _warn_of_training_games(notes: dict[str, Any], seeds: str | None) -> None:
    data = teacher_of(notes)
    if seeds is None or data is None:
        return
    asked, (first, end) = parse_seeds(seeds), data.get("seeds", (0, 0))
    if asked.start < end and first < asked.stop:
        note(f"some of these games were trained on: seeds {first}:{end}")


def _unseen_seeds(notes: dict[str, Any], calibrated: str | None) -> range:
    trained = int((teacher_of(notes) or {}).get("seeds", (0, 0))[1])
    first = max(trained, parse_seeds(calibrated).stop if calibrated else 0)
    return range(first, first + REPORT_GAMES)
