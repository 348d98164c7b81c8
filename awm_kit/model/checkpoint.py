"""Checkpoints: one safetensors file holds the weights and, as metadata, all that rebuilds the network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from awm_kit.errors import ModelFileError
from awm_kit.files import written_whole
from awm_kit.model.config import ModelConfig
from awm_kit.model.heads import SET, Head
from awm_kit.model.world import WorldModel
from awm_kit.schema import Schema

FORMAT = "awm-checkpoint-1"


def save_checkpoint(path: Path | str, model: WorldModel, notes: dict[str, Any]) -> None:
    """Write ``model`` atomically.

    Parameters
    ----------
    path : path
    model : WorldModel
    notes : dict
        JSON-able: how it was trained (data hash, seeds, steps, name).
    """
    metadata = {
        "format": FORMAT,
        "config": json.dumps(vars(model.config)),
        "schema": model.schema.to_json(),
        "heads": json.dumps([_head_to_json(h) for h in model.heads]),
        "notes": json.dumps(notes),
    }
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with written_whole(path) as part:
        save_file(tensors, str(part), metadata)


def load_checkpoint(path: Path | str) -> tuple[WorldModel, dict[str, Any]]:
    """Read a checkpoint back as a network on the CPU and its notes.

    Raises
    ------
    ModelFileError
        If the file is missing, truncated, or not a checkpoint of this format.
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelFileError(
            f"cannot read checkpoint {Path(path).name}, expected a .safetensors file of `awm train`: {error}"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"expected a checkpoint of format {FORMAT!r} (got {metadata.get('format')!r})")
    try:
        model, notes = _described(metadata)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelFileError(
            f"checkpoint {Path(path).name} describes no network that this version knows: {error!r}"
        ) from error
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelFileError(
            f"checkpoint {Path(path).name} does not fit its own description: {error}"
        ) from error
    return model, notes


def _described(metadata: dict[str, str]) -> tuple[WorldModel, dict[str, Any]]:
    """An untrained network as a checkpoint's metadata say, and its notes."""
    schema = Schema.from_json(metadata["schema"])
    heads = [_head_from_json(h, schema) for h in json.loads(metadata["heads"])]
    config = {"conv_reach": 0.0, **json.loads(metadata["config"])}  # unbounded before it could be bounded
    return WorldModel(ModelConfig(**config), schema, heads), dict(json.loads(metadata["notes"]))


def save_optimizer(path: Path, state: dict[str, Any]) -> None:
    """Write the optimiser's state beside the weights, atomically."""
    with written_whole(path) as part:
        torch.save(state, part)


def load_optimizer(path: Path, restore: Callable[[dict[str, Any]], object]) -> None:
    """Hand ``restore``, an optimiser's ``load_state_dict``, what `save_optimizer` wrote.

    Raises
    ------
    ModelFileError
        If the file is damaged, or the state another optimiser's.
    """
    try:
        restore(torch.load(path, weights_only=True))
    except (RuntimeError, EOFError, UnpicklingError, KeyError, ValueError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise ModelFileError(
            f"cannot go on with {path}: {why}; delete it to go on with a fresh optimiser"
        ) from error


def _head_to_json(head: Head) -> dict[str, Any]:
    return {**vars(head), "field": head.field.name}


def _head_from_json(raw: dict[str, Any], schema: Schema) -> Head:
    lists = {k: tuple(raw[k]) for k in ("kinds", "consts", "velocities")}
    if not lists["kinds"]:  # written before choices had constants: a class was its value
        lists |= {"kinds": (SET,) * raw["n_classes"], "consts": tuple(range(raw["n_classes"]))}
    return Head(**{**raw, **lists, "field": schema.player(raw["field"])})
