"""A trained network and its measured ranges to integers; NUMERICS.md says what each integer does."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from awm_kit.errors import QuantizationError
from awm_kit.feature_table import FEATURE_ONE, FeatureTable
from awm_kit.model import choice as choice_module
from awm_kit.model.calibrate import LayerRanges, Ranges
from awm_kit.model.features import quantized_table
from awm_kit.model.heads import LOGIT_ONE, Head
from awm_kit.model.mamba2 import Mamba2
from awm_kit.model.rounding import MATRICES
from awm_kit.model.rounding import four_bits as round_to_four_bits
from awm_kit.model.world import WorldModel
from awm_kit.quant.feature_records import records_of
from awm_kit.quant.integer_model import Choice, HeadTable, IntegerModel, Layer, Linear, Norm
from awm_kit.quant.layout import WEIGHT_MAX, SlotCode

INT8 = 127
INT16 = 32767
NORM_SHIFT = 40
DT_ONE = 1024  # dt logits travel in Q10
DT_FRAC_BITS = 24
RESIDUAL_HEADROOM = 16.0


def quantize(
    model: WorldModel,
    ranges: Ranges,
    name: str,
    notes: dict[str, Any] | None = None,
    parent: bytes = bytes(32),
    four_bits: Collection[str] = (),
) -> IntegerModel:
    """Turn a float network into the integer model that every home runs.

    Parameters
    ----------
    model : WorldModel
    ranges : Ranges
        From `calibrate`, on replays of the same game.
    name : str
        At most 31 bytes of UTF-8.
    notes : dict
        JSON-able training notes for the manifest.
    parent : bytes
        SHA-256 of the parent world's manifest, 32 zeros for none.
    four_bits : collection of str
        Matrices in 4 bits, of `awm_kit.model.rounding.MATRICES`; the others have 7.

    Raises
    ------
    QuantizationError
        If weights or ranges are not finite.
    """
    if not all(bool(torch.isfinite(p).all()) for p in model.parameters()):
        raise QuantizationError("expected finite weights; this network has diverged")
    if unknown := set(four_bits) - set(MATRICES):
        raise ValueError(f"expected matrices of {MATRICES} (got {sorted(unknown)})")
    config = model.config
    residual = RESIDUAL_HEADROOM * max(ranges.residual, 1e-3) / (1 << 23)
    residual = 2.0 ** math.ceil(math.log2(residual))
    layers = [m for m in model.layers if isinstance(m, Mamba2)]
    quantized = [_layer(m, r, residual, four_bits) for m, r in zip(layers, ranges.layers, strict=True)]
    tables = {k: quantized_table(v) for k, v in model.encoder.tables.items()}
    features, embed = feature_records(model.table, tables)
    head_weight, head_scale = _head_rows(model, ranges)
    scales = {
        "residual": residual,
        "conv_reach": config.conv_reach,
        "layers": [[r.conv / INT8, r.mixed / INT8, r.z / INT8] for r in ranges.layers],
    }
    return IntegerModel(
        schema=model.schema,
        name=name,
        d_model=config.d_model,
        d_inner=config.d_inner,
        d_state=config.d_state,
        headdim=config.headdim,
        nheads=config.nheads,
        n_views=config.n_views,
        d_feat=model.table.d_feat,
        features=features,
        embed=embed,
        encoder=_linear(
            model.embed.weight, model.embed.bias, 1 / FEATURE_ONE, residual, "encoder" in four_bits
        ),
        layers=quantized,
        final_norm=_norm(config.d_model, ranges.final / INT8, residual, model.final_norm.eps),
        head=_linear(
            head_weight, model.head.bias, head_scale, 1 / LOGIT_ONE, "head" in four_bits, model.n_lead
        ),
        heads=[_head(h) for h in model.heads],
        choice=_choice(model.choice, ranges.choice, residual),
        notes={**(notes or {}), "scales": scales},
        parent=parent,
    )


def _head_rows(model: WorldModel, ranges: Ranges) -> tuple[Tensor, Tensor]:
    """The head matrix times the gains of the norms before it; and, per row, the scale of its input."""
    weight = model.head.weight * model.final_norm.weight
    scale = torch.full((len(weight),), ranges.final / INT8, dtype=torch.float64)
    if model.choice is not None:
        rest = model.head.weight[model.n_lead :] * model.choice.norm.weight
        weight = torch.cat([weight[: model.n_lead], rest])
        scale[model.n_lead :] = ranges.choice / INT8
    return weight, scale


def _choice(choice: choice_module.Choice | None, reach: float, residual: float) -> Choice | None:
    if choice is None:
        return None
    gate = (choice.gate.detach().double() * choice_module.GATE_ONE).round()
    offset = choice.offset.detach().double()
    step = max(float(offset.abs().max()), 1e-9) / INT8
    mul, shift = multipliers(np.array([step / residual]))
    return Choice(
        gate=gate.clamp(-INT8, INT8).numpy().astype(np.int8),
        offset=(offset / step).round().numpy().astype(np.int8),
        mul=int(mul[0]),
        shift=shift,
        norm=_norm(offset.shape[2], reach / INT8, residual, choice.norm.eps),
    )


def _linear(
    weight: Tensor,
    bias: Tensor | None,
    scale_in: float | Tensor,
    scale_out: float | Tensor,
    in_four_bits: bool = False,
    lead: int = 0,
) -> Linear:
    """Symmetric weights with ``real_out = scale_out * requantize(acc + bias)``.

    Of 7 bits with a scale for each row, or of 4 bits with scales for chunks; then the first ``lead`` rows
    are a matrix of their own.
    """
    w = weight.detach().double()
    if w.shape[1] % 8:
        w = torch.nn.functional.pad(w, (0, -w.shape[1] % 8))
    if in_four_bits:
        parts = [round_to_four_bits(part) for part in (w[:lead], w[lead:]) if len(part)]
        q, scales, scale_w = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    else:
        scale_w = w.abs().amax(1).clamp(min=1e-12) / WEIGHT_MAX
        q = (w / scale_w[:, None]).round().clamp(-WEIGHT_MAX, WEIGHT_MAX)
    acc = scale_w * scale_in
    b = torch.zeros_like(acc) if bias is None else bias.detach().double() / acc
    mul, shift = multipliers((acc / scale_out).numpy())
    stored = scales.numpy().astype(np.uint8) if in_four_bits else None
    return Linear(q.numpy().astype(np.int8), int32(b), mul, shift, stored)


def multipliers(real: np.ndarray) -> tuple[np.ndarray, int]:
    """Multipliers and one shift with ``mul / 2**shift == real`` as closely as 31 bits allow."""
    top = float(np.abs(real).max())
    if not math.isfinite(top):
        raise QuantizationError(f"expected finite scales (got {top})")
    shift = int(np.clip(30 - math.floor(math.log2(max(top, 1e-30))), 1, 62))
    mul = np.round(real * 2.0**shift)
    if np.abs(mul).max() >= 2**31:
        raise QuantizationError(f"a scale of {top:g} does not fit a 31-bit multiplier")
    return mul.astype(np.int32), shift


def _norm(width: int, scale: float, unit: float, eps: float) -> Norm:
    """``scale``: real value of one int8 step of the output; ``unit``: of one step of the input."""
    num = round(math.sqrt(width) / scale * (1 << NORM_SHIFT))
    return Norm(num, max(1, round(width * eps / unit**2)), NORM_SHIFT)


def _layer(layer: Mamba2, seen: LayerRanges, residual: float, four_bits: Collection[str]) -> Layer:
    config = layer.config
    inner, channels = config.d_inner, config.channels
    su, sz, sa, sc = seen.u / INT8, seen.z / INT8, seen.conv / INT8, seen.mixed / INT8
    sp = seen.channels.clamp(min=1e-6) / INT8
    weight = layer.in_proj.weight * layer.norm.weight
    zx_out = torch.cat([torch.full((inner,), sz), sp]).double()
    conv_w, conv_b, conv_m, conv_shift = _conv(layer, sp, sa)
    a = torch.exp(layer.A_log.detach().double())
    sh = seen.bound.double().clamp(min=1e-9) / INT16
    gain, gain_shift, x_shift = _gain(sc, sh.numpy(), seen.dt.double().numpy())
    sy = seen.y * 1.25 / INT16
    y_real, x_real = (sh * sc / sy).numpy(), (layer.D.detach().double() * sc / sy).numpy()
    both, y_shift = multipliers(np.concatenate([y_real, x_real]))
    z_lut = _silu_table(sz)
    szs = float(np.abs(z_lut).max()) / INT16
    conv_lut = np.clip(np.round(_silu_table(sa) / sc), -INT8, INT8).astype(np.int8)
    sg = seen.gated / INT8
    return Layer(
        norm=_norm(config.d_model, su, residual, layer.norm.eps),
        in_zx=_linear(weight[: inner + channels], None, su, zx_out, "in_zx" in four_bits),
        in_dt=_linear(weight[inner + channels :], layer.dt_bias, su, 1 / DT_ONE, "in_dt" in four_bits),
        conv_w=conv_w,
        conv_b=conv_b,
        conv_m=conv_m,
        conv_shift=conv_shift,
        conv_lut=conv_lut,
        z_lut=np.round(z_lut / szs).astype(np.int16),
        decay=np.round(a.numpy() * math.log2(math.e) * (1 << 16)).astype(np.uint32),
        gain=gain,
        gain_shift=gain_shift,
        x_shift=x_shift,
        y_mul=both[: config.nheads],
        x_mul=both[config.nheads :],
        y_shift=y_shift,
        gated_norm=_norm(inner, sg, sy * szs * 256, layer.gated_norm.eps),
        out=_linear(layer.out_proj.weight * layer.gated_norm.weight, None, sg, residual, "out" in four_bits),
    )


def _conv(layer: Mamba2, sp: Tensor, sa: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    real = layer.conv_weight.detach().double() * sp[:, None]
    step = real.abs().amax(1).clamp(min=1e-12) / INT8
    mul, shift = multipliers((step / sa).numpy())
    bias = layer.conv_bias.detach().double() / step
    return (real / step[:, None]).round().numpy().astype(np.int8), int32(bias), mul, shift


def _gain(sc: float, sh: np.ndarray, dt: np.ndarray) -> tuple[np.ndarray, int, int]:
    """``X = xc * gain(dt) >> x_shift`` with ``X * B >> 15`` in units of the state."""
    per_dt = 32768.0 * sc * sc / sh
    x_shift = int(np.clip(28 - math.ceil(math.log2(float((per_dt * np.maximum(dt, 1e-6)).max()))), 1, 40))
    real = per_dt * 2.0 ** (x_shift - DT_FRAC_BITS)
    gain_shift = int(np.clip(30 - math.floor(math.log2(float(real.max()))), 1, 62))
    return np.round(real * 2.0**gain_shift).astype(np.uint32), gain_shift, x_shift


def _silu_table(step: float) -> np.ndarray:
    x = np.clip(np.arange(-128, 128), -INT8, INT8) * step
    return np.asarray(x / (1 + np.exp(-x)))


def int32(values: Tensor) -> np.ndarray:
    """Rounded and limited to half of int32's range, shape of ``values``."""
    return values.round().clamp(-(2**30), 2**30).numpy().astype(np.int32)


def feature_records(table: FeatureTable, tables: Mapping[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Feature records and the bytes of the embedding tables that they point into.

    Parameters
    ----------
    table : FeatureTable
    tables : mapping of str to Tensor, shape (classes, embed)
        Embedding tables by their field's name.

    Returns
    -------
    ndarray of layout.FEATURE, ndarray of int8
    """
    blobs: dict[str, int] = {}
    embed: list[np.ndarray] = []
    size = 0
    for name, weight in tables.items():
        blobs[name] = size
        rows = (weight.detach() * FEATURE_ONE).round().clamp(-INT8, INT8).numpy().astype(np.int8)
        embed.append(rows.ravel())
        size += rows.size
    return records_of(table, blobs), np.concatenate(embed) if embed else np.zeros(0, np.int8)


def _head(head: Head) -> HeadTable:
    return HeadTable(
        name=head.field.name,
        slot=int(SlotCode.SELF),
        row0=head.row0,
        n_classes=head.n_classes,
        kinds=np.array(head.kinds, np.uint8),
        consts=np.array(head.consts, np.int32),
        free_row=head.free_row,
    )
