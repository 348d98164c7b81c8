"""Verbs that make a world: train, quantize."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from awm_kit.cli.app import Json, Progress, Replays, Seeds, app, note, show, to_fill, to_name, to_write
from awm_kit.cli.games import choose_games, parse_seeds, taught_seeds, teacher_games
from awm_kit.errors import ModelFileError
from awm_kit.files import check_folder, check_writable, find_file
from awm_kit.wording import counted

CALIBRATION_GAMES = 64
REPORT_GAMES = 8


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file (.toml) or the name of a shipped one.")],
    out: Annotated[
        Path | None, typer.Option("--out", callback=to_fill, help="Folder of the run [default: runs/NAME].")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Instead of the recipe's.")] = None,
    other_data: Annotated[
        bool, typer.Option("--other-data", help="Go on even if the run in the folder began on other data.")
    ] = False,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Train a world from a recipe.

    Goes on where an interrupted run of the same folder stopped; --steps may raise its end.

    On several CPUs, GPUs or machines: torchrun --nproc-per-node N -m awm_kit.cli train RECIPE.
    """
    from awm_kit.model.plots import read_log, save_training_plot
    from awm_kit.model.recipe_file import load_recipe

    plan = load_recipe(recipe)
    folder = out or Path("runs") / plan.name
    check_folder(folder)
    trainer = plan.trainer(folder, progress, other_data, **({"steps": steps} if steps else {}))
    if trainer.step and trainer.ranks.first:
        note(f"going on from step {trainer.step:,}")
    try:
        trainer.run(progress)
    except KeyboardInterrupt:
        note(f"stopped at step {trainer.step:,}: the same command goes on from there")
        raise
    trainer.ranks.leave()
    if not trainer.ranks.first:
        return
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
    show(result, f"{checkpoint}: {counted(trainer.step, 'step')}, loss {loss:.4f}; curve in {plot}", as_json)


class Weights(StrEnum):
    """How a cartridge's matrices are stored."""

    I8 = "i8"
    N4 = "n4"


@app.command()
def quantize(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint (.safetensors), or a shipped one's name.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", callback=to_write, help="The cartridge to write [default: NAME.awm]."),
    ] = None,
    replays: Replays = None,
    seeds: Seeds = None,
    name: Annotated[
        str | None, typer.Option("--name", callback=to_name, help="Name of the world, at most 32 bytes.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", callback=to_fill, help="Folder for the comparison of float and integers."),
    ] = None,
    weights: Annotated[
        Weights, typer.Option("--format", help="n4: most matrices in 4 bits, for about half the rent.")
    ] = Weights.I8,
    tune: Annotated[
        int, typer.Option("--tune", min=0, help="Steps to train on with 4-bit weights before (n4).")
    ] = 0,
    progress: Progress = True,
    as_json: Json = False,
) -> None:
    """Turn a checkpoint into a cartridge of integers.

    The file holds the exact bytes of the world's accounts.
    """
    from awm_kit.model.calibrate import calibrate
    from awm_kit.model.checkpoint import load_checkpoint
    from awm_kit.model.dataset import PackedReplays
    from awm_kit.model.qat import TUNING
    from awm_kit.model.qat import tune as tune_four_bits
    from awm_kit.model.rounding import FOUR_BITS
    from awm_kit.quant.pack import pack
    from awm_kit.quant.quantize import quantize as to_integers

    four_bits = FOUR_BITS if weights is Weights.N4 else ()
    if tune and not four_bits:
        raise ValueError("--tune trains with 4-bit weights: give --format n4 too")
    checkpoint = find_file(checkpoint, ".safetensors", "checkpoint", ModelFileError)
    model, notes = load_checkpoint(checkpoint)
    title = name or str(notes.get("name") or checkpoint.stem)
    path = out or Path(f"{title}.awm")
    check_writable(path)
    if replays is None and seeds is None and (taught := taught_seeds(notes)):
        seeds = f"{taught.start}:{taught[:CALIBRATION_GAMES].stop}"
    games = choose_games(notes, replays, seeds, progress)
    packed = PackedReplays(model.schema, games)
    if tune:
        run, config = path.with_suffix(".tuning"), replace(TUNING, steps=tune)
        tune_four_bits(model, packed, run, four_bits, config, notes, progress)
        notes["four_bit_steps"] = tune
    ranges = calibrate(model, packed)
    cartridge = pack(to_integers(model, ranges, title, notes, four_bits=four_bits))
    path = cartridge.save(path)
    result: dict[str, Any] = {
        "world": title,
        "cartridge": str(path),
        "bytes": cartridge.nbytes,
        "world_hash": cartridge.world_hash,
        "params": cartridge.manifest.n_params,
        "macs_per_frame": cartridge.manifest.macs_per_frame,
        "tx_per_frame": len(cartridge.manifest.segments),
    }
    each = counted(result["tx_per_frame"], "transaction")
    text = "{cartridge}: {bytes:,} bytes, {params:,} parameters, ".format(**result) + f"{each} a frame"
    if report:
        from awm_kit.fidelity import fidelity_report, save_report

        judged = games if replays else teacher_games(notes, _unseen_seeds(notes, seeds))
        fidelity = fidelity_report(model, cartridge, judged, progress=progress)
        result["report"] = [str(p) for p in save_report(fidelity, report)]
        result["fidelity"] = {row: {"fp32": a, "int8": b} for row, a, b in fidelity.rows()}
        text += f"\n{fidelity!r}"
    show(result, text, as_json)


def _unseen_seeds(notes: dict[str, Any], calibrated: str | None) -> range:
    taught = taught_seeds(notes) or range(0)
    first = max(taught.stop, parse_seeds(calibrated).stop if calibrated else 0)
    return range(first, first + REPORT_GAMES)
