"""Carry a network over: to other data by new codebooks, to a finer sight by new features, to more layers."""

from __future__ import annotations

from dataclasses import replace

import torch

from awm_kit.model.dataset import PackedReplays
from awm_kit.model.features import Feature, FeatureTable
from awm_kit.model.heads import Head, fit_heads
from awm_kit.model.world import WorldModel
from awm_kit.schema import Schema


def refit(model: WorldModel, data: PackedReplays) -> WorldModel:
    """The same network with codebooks fitted to ``data``.

    Under other physics other constants are frequent: half the gravity is another step of the fall. A new
    class starts from the row of the nearest old constant of its kind, so it is chosen where
    that one was, and fine-tuning only has to tell apart what the old world did not.

    Parameters
    ----------
    model : WorldModel
        Left as it is.
    data : PackedReplays
        Of the same schema.

    Returns
    -------
    WorldModel
    """
    heads = fit_heads(model.schema, *data.transitions())
    child = WorldModel(model.config, model.schema, heads).to(model.head.weight.device)
    weights = model.state_dict()
    rows = torch.tensor(_source_rows(model.heads, heads), device=model.head.weight.device)
    weights["head.weight"] = weights["head.weight"][rows]
    weights["head.bias"] = weights["head.bias"][rows]
    if child.choice is not None:
        lead = rows[: child.n_lead]
        for name in ("choice.gate", "choice.offset"):
            weights[name] = weights[name][:, lead]
    child.load_state_dict(weights)
    return child


def with_features(model: WorldModel, schema: Schema) -> WorldModel:
    """The same network reading the features of ``schema``: what it did not read before weighs nothing yet.

    Parameters
    ----------
    model : WorldModel
        Left as it is.
    schema : Schema
        The model's own with other scales: finer features for what it could not tell apart.

    Returns
    -------
    WorldModel
        Gives the same logits, as long as no feature of the model is missing from ``schema``.
    """
    child = WorldModel(model.config, schema, model.heads).to(model.head.weight.device)
    weights = model.state_dict()
    before = dict(zip(_identities(model.table), model.table.features, strict=True))
    embed = torch.zeros_like(child.embed.weight)
    for key, feature in zip(_identities(child.table), child.table.features, strict=True):
        if key in before:
            embed[:, _columns(feature)] = model.embed.weight.detach()[:, _columns(before[key])]
    weights["embed.weight"] = embed
    child.load_state_dict(weights)
    return child


def with_layers(model: WorldModel, n_layers: int) -> WorldModel:
    """The same network with layers added at its end that add nothing to the residual yet.

    A new layer's output projection is zero and learns at once; the rest of the layer as soon as it is not.

    Parameters
    ----------
    model : WorldModel
        Left as it is.
    n_layers : int
        Of the result.

    Returns
    -------
    WorldModel
        Gives the same logits.

    Raises
    ------
    ValueError
        If the model has more layers than that.
    """
    if n_layers < (present := model.config.n_layers):
        raise ValueError(f"expected at least the {present} layers that the model has (got {n_layers})")
    child = WorldModel(replace(model.config, n_layers=n_layers), model.schema, model.heads)
    added = {k: v for k, v in child.state_dict().items() if k not in model.state_dict()}
    still = {k: torch.zeros_like(v) for k, v in added.items() if k.endswith("out_proj.weight")}
    child.load_state_dict(added | still | model.state_dict())
    return child.to(model.head.weight.device)


def _identities(table: FeatureTable) -> list[tuple[object, ...]]:
    """What each feature computes, wherever it lies in the vector."""
    return [
        (f.mode, f.slot, f.field.name, f.width, f.relative, f.bias, f.mul, f.mirror) for f in table.features
    ]


def _columns(feature: Feature) -> slice:
    return slice(feature.out, feature.out + feature.width)


def _source_rows(old: list[Head], new: list[Head]) -> list[int]:
    """For every row of the new head matrix, the old row that it starts from."""
    before = {h.field.name: h for h in old}
    rows: list[int] = []
    for head in new:
        parent = before[head.field.name]
        for kind, const in zip(head.kinds, head.consts, strict=True):
            rows.append(parent.row0 + _nearest_class(parent, kind, const))
        if head.free_row >= 0:
            rows.append(parent.free_row)
    return rows


def _nearest_class(parent: Head, kind: int, const: int) -> int:
    """Index of the parent's class of this kind with the nearest constant, or of any kind if there is none."""
    same = [i for i, k in enumerate(parent.kinds) if k == kind] or list(range(parent.n_classes))
    return min(same, key=lambda i: abs(parent.consts[i] - const))
