"""A world made from another one: dequantise, train on, quantise; the child names its parent by hash."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from awm_kit.data.scuffle import Params
from awm_kit.data.teachers import teacher_of
from awm_kit.errors import ModelFileError
from awm_kit.model.calibrate import calibrate
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.recipe import Recipe
from awm_kit.model.train import Trainer
from awm_kit.model.train_config import TrainConfig
from awm_kit.model.transfer import refit
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.quantize import quantize

#: Fine-tuning starts from a world that already plays: a fifth of the usual rate, and few steps.
FINE_TUNING = TrainConfig(steps=400, lanes=32, lr=4e-4, warmup=0.1, finish=400)
SEEDS = (0, 64)


def physics_recipe(
    parent: Cartridge, name: str, physics: dict[str, Any], seeds: tuple[int, int] = SEEDS
) -> Recipe:
    """A recipe for the parent's teacher under other physics.

    Parameters
    ----------
    parent : Cartridge
    name : str
        Of the child.
    physics : dict
        Fields of `awm_kit.data.scuffle.Params` that differ from the parent's.
    seeds : (int, int)
        First and last + 1 of the matches to learn from.

    Raises
    ------
    ModelFileError
        If scuffle did not teach the parent.
    ValueError
        If there is no such physics: see `Params.of`.
    """
    notes = parent.manifest.notes
    teacher = teacher_of(notes)
    if teacher is None or teacher.name != "scuffle":
        raise ModelFileError(
            f"{parent.manifest.name} was not taught by scuffle, whose physics can be changed: "
            "fork it with a recipe (--recipe)"
        )
    Params.of(physics)
    changes = ", ".join(f"{key} {value:g}" for key, value in physics.items()) or "unchanged physics"
    return Recipe(
        name=name,
        trained_on=f"forked from {parent.manifest.name}: {changes}",
        seeds=seeds,
        params={**teacher.params, **physics},
        train=FINE_TUNING,
    )


def fork(parent: Cartridge, recipe: Recipe, folder: Path | str, progress: bool = True) -> Cartridge:
    """Train a world on from where another one stands.

    Parameters
    ----------
    parent : Cartridge
    recipe : Recipe
        Data and training; its model is ignored, the parent's is kept.
    folder : path
        Of the training run, which resumes from there if it was interrupted.
    progress : bool

    Returns
    -------
    Cartridge
        The child, also written to ``NAME.awm`` in ``folder``.

    Raises
    ------
    ModelFileError
        If the parent lacks the scales to be dequantised, or the folder holds another run.
    """
    folder = Path(folder)
    notes = {**recipe.notes(), "parent": parent.world_hash}
    _check_same_fork(folder / "last.safetensors", notes)
    data = recipe.data(progress)
    model = refit(dequantize(unpack(parent)), data)
    config = replace(recipe.train, model=model.config)
    model = Trainer(data, config, folder, model=model, notes=notes).run(progress).eval()
    notes |= {"steps": config.steps}
    ranges = calibrate(model.cpu(), data)
    child = pack(quantize(model, ranges, recipe.name, notes, bytes.fromhex(parent.world_hash)))
    child.save(folder / f"{recipe.name}.awm")
    return child


def _check_same_fork(saved: Path, notes: dict[str, Any]) -> None:
    """A run is only gone on with if it started from this parent and learns from this data."""
    if not saved.exists():
        return
    _, before = load_checkpoint(saved)
    for key in ("parent", "data"):
        expected, got = json.loads(json.dumps(notes[key])), before.get(key)
        if got != expected:
            raise ModelFileError(
                f"{saved.parent} holds another run ({key}: expected {expected}, got {got}); "
                "choose another folder or delete it"
            )
