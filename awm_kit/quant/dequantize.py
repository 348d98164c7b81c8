"""Integers back to a float network: what a fork starts from.

The integer model fixes the function, not every scale inside it (a convolution's input may be scaled
by anything if its weights undo it), so free scales are chosen here; the few that are not free travel
in the manifest's notes under ``scales``.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from awm_kit.errors import ModelFileError
from awm_kit.feature_table import FEATURE_ONE
from awm_kit.model.choice import GATE_ONE
from awm_kit.model.config import ModelConfig
from awm_kit.model.heads import LOGIT_ONE, SET, Head
from awm_kit.model.mamba2 import Mamba2
from awm_kit.model.world import WorldModel
from awm_kit.quant.integer_model import Choice, HeadTable, IntegerModel, Layer, Linear, Norm
from awm_kit.quant.layout import FEATURE, FeatureMode
from awm_kit.quant.quantize import DT_FRAC_BITS, DT_ONE, feature_records
from awm_kit.schema import Schema


def dequantize(model: IntegerModel) -> WorldModel:
    """Rebuild a float network that computes what ``model`` computes, up to rounding.

    Raises
    ------
    ModelFileError
        If the notes lack the scales that `quantize` records, or the features are not those of the schema.
    """
    scales = model.notes.get("scales")
    if not scales or len(scales.get("layers", ())) != len(model.layers):
        raise ModelFileError(
            f"expected notes['scales'] for {len(model.layers)} layers; this world cannot be forked"
        )
    config = ModelConfig(
        d_model=model.d_model,
        n_layers=len(model.layers),
        d_state=model.d_state,
        headdim=model.headdim,
        expand=model.d_inner // model.d_model,
        n_views=model.n_views,
        conv_reach=float(scales.get("conv_reach", 0.0)),
    )
    world = WorldModel(config, model.schema, [_head(model.schema, h) for h in model.heads])
    residual = float(scales["residual"])
    _check_features(world, model)
    with torch.no_grad():
        _fill_tables(world, model)
        _fill_linear(world.embed, model.encoder, 1 / FEATURE_ONE, residual)
        blocks = [m for m in world.layers if isinstance(m, Mamba2)]
        for block, layer, (sa, sc, sz) in zip(blocks, model.layers, scales["layers"], strict=True):
            _fill_layer(block, layer, residual, sa, sc, sz)
        final = torch.full((len(model.head.mul),), _norm_scale(model.final_norm, model.d_model))
        if model.choice is not None:
            final[model.choice.n_lead :] = _norm_scale(model.choice.norm, model.d_model)
            _fill_choice(world, model.choice, residual)
        _fill_linear(world.head, model.head, final, 1 / LOGIT_ONE)
    return world


def _check_features(world: WorldModel, model: IntegerModel) -> None:
    """A fork computes its features from the schema: they must be what the world's records compute."""
    names = [name for name in FEATURE.names or () if name != "table"]  # tables may lie in any order
    expected, _ = feature_records(world.table, dict(world.encoder.tables.items()))
    if not np.array_equal(model.features[names], expected[names]):
        raise ModelFileError(
            "the features' records do not follow from the schema; this world cannot be forked"
        )


def _real(linear: Linear) -> Tensor:
    """Rows' multipliers as real numbers."""
    return torch.from_numpy(linear.mul.astype(np.float64) / 2.0**linear.shift)


def _rows(linear: Linear, scale_in: float | Tensor, scale_out: float | Tensor) -> Tensor:
    per_row = _real(linear) * scale_out / scale_in
    return torch.from_numpy(linear.factors.astype(np.float64)) * per_row[:, None]


def _bias(linear: Linear, scale_out: float) -> Tensor:
    return torch.from_numpy(linear.bias.astype(np.float64)) * _real(linear) * scale_out


def _fill_linear(target: nn.Linear, source: Linear, scale_in: float | Tensor, scale_out: float) -> None:
    target.weight.copy_(_rows(source, scale_in, scale_out)[:, : target.in_features])
    target.bias.copy_(_bias(source, scale_out))


def _fill_choice(world: WorldModel, choice: Choice, residual: float) -> None:
    if world.choice is None:
        raise ModelFileError("the world has a choice but its schema names no field that leads")
    world.choice.gate.copy_(torch.from_numpy(choice.gate.astype(np.float64)) / GATE_ONE)
    step = choice.mul / 2.0**choice.shift * residual
    world.choice.offset.copy_(torch.from_numpy(choice.offset.astype(np.float64)) * step)


def _norm_scale(norm: Norm, width: int) -> float:
    return math.sqrt(width) * 2.0**norm.shift / norm.num


def _fill_layer(block: Mamba2, layer: Layer, residual: float, sa: float, sc: float, sz: float) -> None:
    config = block.config
    su = _norm_scale(layer.norm, config.d_model)
    conv = torch.from_numpy(layer.conv_w.astype(np.float64))
    step = torch.from_numpy(layer.conv_m.astype(np.float64) / 2.0**layer.conv_shift) * sa
    taps = conv * step[:, None]
    sp = taps.abs().amax(1).clamp(min=1e-9) / 0.5  # free: weights of at most 0.5, as at initialisation
    block.conv_weight.copy_(taps / sp[:, None])
    block.conv_bias.copy_(torch.from_numpy(layer.conv_b.astype(np.float64)) * step)
    out = torch.cat([torch.full((config.d_inner,), sz, dtype=torch.float64), sp])
    block.in_proj.weight.copy_(torch.cat([_rows(layer.in_zx, su, out), _rows(layer.in_dt, su, 1 / DT_ONE)]))
    block.dt_bias.copy_(_bias(layer.in_dt, 1 / DT_ONE))
    decay = torch.from_numpy(layer.decay.astype(np.float64))
    block.A_log.copy_(torch.log((decay / (1 << 16) / math.log2(math.e)).clamp(min=1e-9)))
    gain = layer.gain.astype(np.float64) / 2.0**layer.gain_shift * 2.0 ** (DT_FRAC_BITS - layer.x_shift)
    state = 32768.0 * sc * sc / np.maximum(gain, 1e-12)
    y_mul, x_mul = (m.astype(np.float64) / 2.0**layer.y_shift for m in (layer.y_mul, layer.x_mul))
    sy = float(np.median(state * sc / np.maximum(y_mul, 1e-12)))
    block.D.copy_(torch.from_numpy(x_mul * sy / sc))
    block.out_proj.weight.copy_(_rows(layer.out, _norm_scale(layer.gated_norm, config.d_inner), residual))


def _fill_tables(world: WorldModel, model: IntegerModel) -> None:
    for item, record in zip(world.table.features, model.features, strict=True):
        if record["mode"] == FeatureMode.TABLE:
            size = int(record["rows"]) * int(record["width"])
            start = int(record["table"])
            rows = (
                model.embed[start : start + size].astype(np.float32).reshape(record["rows"], record["width"])
            )
            world.encoder.tables[item.field.name].copy_(torch.from_numpy(rows / FEATURE_ONE))


def _head(schema: Schema, head: HeadTable) -> Head:
    names = [f.name for f in schema.player_fields]
    item = schema.player(head.name)
    kinds, consts = head.kinds, head.consts
    if not len(kinds):  # a class is its value
        kinds, consts = np.full(head.n_classes, SET), np.arange(head.n_classes)
    return Head(
        field=item,
        row0=head.row0,
        n_classes=head.n_classes,
        kinds=tuple(int(k) for k in kinds),
        consts=tuple(int(c) for c in consts),
        free_row=head.free_row,
        column=names.index(head.name),
        velocities=tuple(names.index(v) for v in item.update.velocities),
    )
