"""Carry a network over: to other data by new codebooks, to finer features, to more layers, to more width."""

from __future__ import annotations

from dataclasses import replace

import torch

from awm_kit.feature_table import Feature, FeatureTable
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.heads import Head, fit_heads
from awm_kit.model.mamba2 import Mamba2
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


def with_width(model: WorldModel, d_model: int) -> WorldModel:
    """The same network with a wider residual and, in proportion, more heads, which add nothing yet.

    Whatever writes to what is new is zero and whatever reads it is random, so that both learn from the first
    step on (Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer", 2016).

    Parameters
    ----------
    model : WorldModel
        Left as it is.
    d_model : int
        Of the result.

    Returns
    -------
    WorldModel
        Gives the same logits but for rounding and the norms' ``eps``, which is one of a wider mean.

    Raises
    ------
    ValueError
        If the model is wider than that.
    """
    if d_model < model.config.d_model:
        raise ValueError(f"expected a width of at least the model's {model.config.d_model} (got {d_model})")
    child = WorldModel(replace(model.config, d_model=d_model), model.schema, model.heads)
    child.encoder.load_state_dict(model.encoder.state_dict())
    with torch.no_grad():
        _widen_linear(child.embed, model.embed)
        for wide, layer in zip(child.mixers, model.mixers, strict=True):
            _widen_layer(wide, layer)
        _widen_norm(child.final_norm.weight, model.final_norm.weight)
        child.head.bias.copy_(model.head.bias)
        child.head.weight[:, : model.config.d_model] = model.head.weight
        if child.choice is not None and model.choice is not None:
            for name in ("gate", "offset"):
                getattr(child.choice, name)[..., : model.config.d_model] = getattr(model.choice, name)
            _widen_norm(child.choice.norm.weight, model.choice.norm.weight)
    return child.to(model.head.weight.device)


def _widen_layer(wide: Mamba2, layer: Mamba2) -> None:
    """Old heads first, then the new ones, whose x is zero and so whatever they put out."""
    for (_, to), (part, rows) in zip(_in_rows(wide), _in_rows(layer), strict=True):
        if part == "x":
            wide.in_proj.weight[to] = 0
        block = wide.in_proj.weight[to.start : to.start + (rows.stop - rows.start)]
        block[:, : layer.config.d_model] = layer.in_proj.weight[rows]
    inner, new = layer.config.d_inner, wide.config.d_inner
    for name in ("conv_weight", "conv_bias"):
        old, target = getattr(layer, name), getattr(wide, name)
        target[:inner], target[new:] = old[:inner], old[inner:]
    for name in ("A_log", "D", "dt_bias"):
        getattr(wide, name)[: layer.config.nheads] = getattr(layer, name)
    _widen_norm(wide.norm.weight, layer.norm.weight)
    _widen_norm(wide.gated_norm.weight, layer.gated_norm.weight)
    wide.out_proj.weight[layer.config.d_model :] = 0
    wide.out_proj.weight[: layer.config.d_model, :inner] = layer.out_proj.weight


def _in_rows(layer: Mamba2) -> list[tuple[str, slice]]:
    """The rows of the input projection: part, slice."""
    c, at, rows = layer.config, 0, []
    for part, n in (("z", c.d_inner), ("x", c.d_inner), ("B", c.d_state), ("C", c.d_state), ("dt", c.nheads)):
        rows.append((part, slice(at, at + n)))
        at += n
    return rows


def _widen_linear(wide: torch.nn.Linear, old: torch.nn.Linear) -> None:
    wide.weight.zero_()
    wide.bias.zero_()
    wide.weight[: len(old.weight)] = old.weight
    wide.bias[: len(old.bias)] = old.bias


def _widen_norm(wide: torch.Tensor, old: torch.Tensor) -> None:
    """RMSNorm gains: the mean square of what zeros were added to is smaller by the share of the old."""
    scale = (len(old) / len(wide)) ** 0.5
    wide.fill_(float(old.mean()) * scale)
    wide[: len(old)] = old * scale


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
