"""Random worlds: valid, meaningless, seeded; they exercise the format and the kernels without training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from awm_kit.feature_table import FEATURE_ONE, FeatureTable
from awm_kit.quant import layout as L
from awm_kit.quant import n4
from awm_kit.quant.feature_records import records_of
from awm_kit.quant.integer_model import Choice, HeadTable, IntegerModel, Layer, Linear, Norm
from awm_kit.quant.luts import silu_lut
from awm_kit.schema import FIGHTER, FRAME, Schema

Flavor = Literal["plain", "extreme"]


@dataclass(frozen=True)
class Shape:
    """Dimensions of a random world; ``d_inner = nheads * headdim``."""

    d_model: int = 64
    nheads: int = 4
    headdim: int = 16
    d_state: int = 16
    n_layers: int = 2
    n_views: int = 2

    @property
    def d_inner(self) -> int:
        """Channels of the selective scan."""
        return self.nheads * self.headdim


def random_model(
    seed: int = 0,
    shape: Shape | None = None,
    flavor: Flavor = "plain",
    schema: Schema = FIGHTER,
    n_classes: int = 24,
) -> IntegerModel:
    """A valid world with random weights.

    Parameters
    ----------
    seed : int
    shape : Shape, optional
    flavor : str
        ``"plain"``: values spread as in a trained world. ``"extreme"``: weights of +-63, aligned with each
        other, biases and multipliers that saturate, decays at both ends of their range.
    schema : Schema
        Gives the features and heads.
    n_classes : int
        Most classes of one head (class heads keep their field's number if smaller).

    Returns
    -------
    IntegerModel
    """
    shape = shape or Shape()
    rng = np.random.default_rng(seed)
    features, embed, d_feat = random_features(schema, rng)
    heads, n_logits = random_heads(schema, rng, n_classes, shape.n_views)
    draw = _Draw(rng, flavor)
    leads = shape.n_views == 2 and schema.player(heads[0].name).update.leads
    return IntegerModel(
        schema=schema, name=f"random-{seed}", notes={"seed": seed, "flavor": flavor},
        parent=rng.bytes(32) if seed % 2 else bytes(32), n_views=shape.n_views,
        d_model=shape.d_model, d_inner=shape.d_inner, d_state=shape.d_state, headdim=shape.headdim,
        nheads=shape.nheads, d_feat=d_feat, features=features, embed=embed,
        encoder=draw.linear(shape.d_model, d_feat, target=1 << 14),
        layers=[draw.layer(shape) for _ in range(shape.n_layers)], final_norm=draw.norm(shape.d_model),
        head=draw.linear(n_logits, shape.d_model, target=1 << 13), heads=heads,
        choice=draw.choice(heads[0].n_classes, shape.d_model) if leads else None,
    )  # fmt: skip


def in_four_bits(model: IntegerModel, seed: int = 0, share: float = 1.0) -> IntegerModel:
    """The same world with matrices of 4-bit weights and random scales.

    Parameters
    ----------
    model : IntegerModel
    seed : int
    share : float
        About how many of the matrices.

    Returns
    -------
    IntegerModel
    """
    rng = np.random.default_rng(seed)

    def convert(linear: Linear, lead: int = 0) -> Linear:
        if rng.random() >= share:
            return linear
        rows, cols = linear.weight.shape
        pairs = rng.integers(64, 256, (rows, n4.n_chunks(cols)))
        if model.notes.get("flavor") == "extreme":
            pairs = np.where(rng.random(pairs.shape) < 0.6, rng.choice([0, 255], pairs.shape), pairs)
        parts = [pairs[start:end][: -(-(end - start) // 2)] for start, end in ((0, lead), (lead, rows))]
        scales = np.concatenate(
            [p.repeat(2, 0)[:n] for p, n in zip(parts, (lead, rows - lead), strict=True)]
        ).astype(np.uint8)
        weight = np.clip(np.round(linear.weight / 9), -n4.WEIGHT_MAX, n4.WEIGHT_MAX).astype(np.int8)
        grown = 160 / 9  # a mean scale, for weights a ninth as large
        bias = (linear.bias * grown).clip(-(1 << 30), (1 << 31) - 1).astype(np.int32)
        mul = np.maximum(linear.mul / grown, 1).astype(np.int32)
        return Linear(weight, bias, mul, linear.shift, scales)

    layers = [
        replace(a, in_zx=convert(a.in_zx), in_dt=convert(a.in_dt), out=convert(a.out)) for a in model.layers
    ]
    head = convert(model.head, model.choice.n_lead if model.choice else 0)
    return replace(model, encoder=convert(model.encoder), layers=layers, head=head)


class _Draw:
    """Draws tensors of one flavor."""

    def __init__(self, rng: np.random.Generator, flavor: Flavor) -> None:
        self.rng, self.extreme = rng, flavor == "extreme"

    def linear(self, rows: int, cols: int, target: int) -> Linear:
        """Rows whose outputs are about ``target`` for inputs of about 40."""
        rng, shift = self.rng, 24
        if self.extreme:
            # Signs that agree along a row: the largest accumulators there are.
            signs = np.where(rng.random(cols) < 0.5, -1, 1) if rng.random() < 0.5 else np.ones(cols, int)
            weight = L.WEIGHT_MAX * signs * np.where(rng.random((rows, 1)) < 0.5, -1, 1)
            noisy = rng.random((rows, 1)) < 0.4
            weight = np.where(noisy, rng.integers(-63, 64, (rows, cols)), weight)
        else:
            weight = np.clip(np.round(rng.normal(0, 20, (rows, cols))), -63, 63)
        scale = target / (800 * np.sqrt(cols))
        mul = np.maximum(1, np.round(scale * (1 << shift) * rng.uniform(0.3, 1.7, rows)))
        if self.extreme:
            mul = np.where(rng.random(rows) < 0.1, rng.integers(0, 1 << 31, rows), mul)
        bias = np.round(rng.normal(0, 400, rows))
        if self.extreme:
            bias = np.where(rng.random(rows) < 0.1, rng.integers(L.LEAST_BIAS, 1 << 31, rows), bias)
        return Linear(
            weight.astype(np.int8), bias.astype(np.int32), mul.clip(0, 2**31 - 1).astype(np.int32), shift
        )

    def norm(self, size: int) -> Norm:
        """About 40 for a typical value of any scale."""
        if self.extreme and self.rng.random() < 0.3:
            return Norm((1 << 60) - 1, 1, int(self.rng.integers(30, 63)))
        return Norm(int(40 * np.sqrt(size)) << 24, int(self.rng.integers(1, 1 << 12)), 24)

    def choice(self, n_lead: int, d_model: int) -> Choice:
        """Gates and offsets that change much of a residual."""
        size = (2, n_lead, d_model)
        if self.extreme:
            gate, offset = (self.rng.choice([-127, 127], size).astype(np.int8) for _ in range(2))
            return Choice(gate, offset, (1 << 31) - 1, int(self.rng.integers(1, 20)), self.norm(d_model))
        gate, offset = (self.rng.integers(-127, 128, size).astype(np.int8) for _ in range(2))
        return Choice(gate, offset, 5000, 12, self.norm(d_model))

    def layer(self, shape: Shape) -> Layer:
        rng, heads = self.rng, shape.nheads
        channels = shape.d_inner + 2 * shape.d_state
        decay = (rng.uniform(0.5, 16, heads) * 1.4427 * 65536).astype(np.uint32)
        gain = rng.integers(1 << 10, 1 << 14, heads).astype(np.uint32)
        y_mul, x_mul = rng.integers(-4000, 4000, (2, heads)).astype(np.int32)
        if self.extreme:
            # Decays of exactly 0 and 32767, gains that pin the input to its limit.
            decay = np.where(rng.random(heads) < 0.6, rng.choice([0, 1, (1 << 32) - 1], heads), decay).astype(
                np.uint32
            )
            gain = np.where(rng.random(heads) < 0.6, rng.choice([0, (1 << 32) - 1], heads), gain).astype(
                np.uint32
            )
            y_mul = np.where(rng.random(heads) < 0.3, rng.choice([-(1 << 31), (1 << 31) - 1], heads), y_mul)
            x_mul = np.where(rng.random(heads) < 0.3, rng.choice([-(1 << 31), (1 << 31) - 1], heads), x_mul)
        conv_m = rng.integers(1 << 8, 1 << 10, channels)
        return Layer(
            norm=self.norm(shape.d_model),
            in_zx=self.linear(2 * shape.d_inner + 2 * shape.d_state, shape.d_model, target=40),
            in_dt=self.linear(heads, shape.d_model, target=(1 << 15) if self.extreme else (1 << 11)),
            conv_w=rng.integers(*((-128, 128) if self.extreme else (-60, 61)), (channels, 4), np.int8),
            conv_b=rng.integers(-3000, 3000, channels).astype(np.int32), conv_m=conv_m.astype(np.int32),
            conv_shift=16, conv_lut=silu_lut(6 / 128, 6 / 127, "i1"), z_lut=silu_lut(6 / 128, 1 / 1024, "i2"),
            decay=decay, gain=gain, gain_shift=20, x_shift=7, y_mul=y_mul.astype(np.int32),
            x_mul=x_mul.astype(np.int32), y_shift=20, gated_norm=self.norm(shape.d_inner),
            out=self.linear(shape.d_model, shape.d_inner, target=1 << 12),
        )  # fmt: skip


def random_features(schema: Schema, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """FEATURE records of every field that the schema gives to the network, random tables, and d_feat.

    Unlike in a trained world, linear features are coarser, their width is left out, and each slot of a field
    has a table of its own.
    """
    table = FeatureTable(schema)
    records = records_of(table, {f.field.name: 0 for f in table.features})
    records["shift"] = 0
    for record, feature in zip(records, table.features, strict=True):
        if feature.mode == "linear":
            record["width"], record["shift"] = 0, 20
            record["mul"] = round(FEATURE_ONE * (1 << 20) / feature.reach)
    embed = records["mode"] == L.FeatureMode.TABLE
    sizes = np.where(embed, records["width"].astype(np.int64) * records["rows"], 0)
    records["table"] = np.where(embed, np.cumsum(sizes) - sizes, 0)
    return records, rng.integers(-127, 128, int(sizes.sum())).astype(np.int8), table.d_feat


def random_heads(
    schema: Schema, rng: np.random.Generator, n_classes: int, n_views: int
) -> tuple[list[HeadTable], int]:
    """A head for every field with a decode rule, velocities first, and the number of logits."""
    learned = [f for f in schema.player_fields if f.update.kind != "hold"]
    learned.sort(key=lambda f: (not f.update.leads, bool(f.update.velocities)))
    slots = (L.SlotCode.SELF,) if n_views == 2 else (L.SlotCode.SELF, L.SlotCode.OTHER)
    heads, row = [], 0
    for slot in slots:
        for field in learned:
            if field.update.kind == "class":
                size = min(field.classes, n_classes)
                heads.append(HeadTable(field.name, slot, row, size))
                row += size
                continue
            size = int(rng.integers(2, n_classes))
            choices = list(L.ClassKind) if field.update.free else list(L.ClassKind)[:3]
            kinds = rng.choice(np.array(choices, np.uint8), size)
            span = 1 << min(14, field.frac_bits + 3)
            consts = rng.integers(-span, span, size).astype(np.int32)
            consts[rng.random(size) < 0.3] = 0
            free_row = row + size if field.update.free else -1
            heads.append(HeadTable(field.name, slot, row, size, kinds.astype(np.uint8), consts, free_row))
            row += size + (1 if field.update.free else 0)
    return heads, row


def random_frame(rng: np.random.Generator, schema: Schema = FIGHTER) -> np.ndarray:
    """A frame whose fields lie in their ranges (status 0, no time limit), shape ()."""
    frame = np.zeros((), schema.frame_dtype if schema is not FIGHTER else FRAME)
    for player in range(2):
        for field in schema.player_fields:
            one = 1 << field.frac_bits
            lo, hi = round(field.lo * one), round(field.hi * one)
            frame["players"][field.name][player] = rng.integers(lo, hi + 1)
    return frame


def random_inputs(rng: np.random.Generator, n: int, schema: Schema = FIGHTER) -> np.ndarray:
    """Controllers with every field uniform in its range, held for a few frames each; shape (n, 2)."""
    inputs = np.zeros((n, 2), schema.controller_dtype)
    for field in schema.controller_fields:
        drawn = rng.integers(int(field.lo), int(field.hi) + 1, (n, 2))
        keep = np.where(rng.random((n, 1)) < 0.3, np.arange(n)[:, None], 0)
        inputs[field.name] = np.take_along_axis(drawn, np.maximum.accumulate(keep.repeat(2, 1)), 0)
    return inputs
