"""Features and heads of the float model, against their definition in plain integers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from awm_kit.feature_table import FeatureTable
from awm_kit.model.features import Encoder
from awm_kit.model.heads import BASE, FREE, SET, HeadDecoder, fit_heads, n_logits
from awm_kit.quant import reference
from awm_kit.quant.quantize import feature_records
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME, Field

NAMES = [f.name for f in FIGHTER.player_fields]
Rows = tuple[np.ndarray, np.ndarray]


def column(name: str) -> int:
    return NAMES.index(name)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(FeatureTable(FIGHTER))


def random_raw(table: FeatureTable, n: int) -> torch.Tensor:
    """Values of every field, a tenth of them at either end of its range."""
    rng = np.random.default_rng(0)
    raw = np.zeros((n, len(table.columns)), np.int64)
    fields: dict[str, tuple[Field, ...]] = {
        "self": FIGHTER.player_fields,
        "other": FIGHTER.player_fields,
        "global": FIGHTER.global_fields,
        "input": FIGHTER.controller_fields,
        "other_input": FIGHTER.controller_fields,
    }
    for (slot, name), at in table.columns.items():
        field = next(f for f in fields[slot] if f.name == name)
        low, high = (round(end * (1 << field.frac_bits)) for end in (field.lo, field.hi))
        raw[:, at] = rng.integers(low, high + 1, n)
        raw[: n // 20, at], raw[n // 20 : n // 10, at] = low, high
    return torch.from_numpy(raw)


def test_linear_features_round_half_up_and_saturate(encoder: Encoder) -> None:
    table, raw = encoder.table, random_raw(encoder.table, 400)
    got = (encoder(raw) * 64).round().to(torch.int64)
    linear = [f for f in table.features if f.mode == "linear"]
    assert any(f.relative for f in linear) and any(f.bias for f in linear) and any(f.mirror for f in linear)
    for feature in linear:
        value = raw[:, table.columns[feature.slot, feature.field.name]].tolist()
        opposite = "self" if feature.slot == "other" else "other"
        other = table.columns.get((opposite, feature.field.name), 0)
        theirs = (raw[:, other] * feature.relative).tolist()
        side = feature.slot.replace("_input", "").replace("input", "self")
        signs = [1] * len(value)
        if feature.mirror:
            signs = [-1 if v < 0 else 1 for v in raw[:, table.columns[side, feature.mirror]].tolist()]
        for row, (mine, minus, sign) in enumerate(zip(value, theirs, signs, strict=True)):
            wanted = ((sign * (mine - minus) - feature.bias) * feature.mul + (1 << 23)) >> 24
            assert got[row, feature.out] == max(-127, min(127, wanted)), feature


def test_a_mirrored_frame_gives_the_same_mirrored_features(encoder: Encoder) -> None:
    """Whatever is turned by the facing does not change when left and right are exchanged."""
    table = encoder.table
    raw = random_raw(table, 400)
    for side in ("self", "other"):
        facing = raw[:, table.columns[side, "facing"]]
        facing[facing == 0] = 1
    mirrored = raw.clone()
    for (_, name), at in table.columns.items():
        if name in ("x", "facing", "stick_x"):
            mirrored[:, at] = -raw[:, at]
    turned = [f.out for f in table.features if f.mirror]
    plain = [f.out for f in table.features if f.field.name in ("x", "stick_x") and not f.mirror]
    assert {f.slot for f in table.features if f.mirror} == {"self", "other", "input", "other_input"}
    here, there = encoder(raw), encoder(mirrored)
    assert torch.equal(here[:, turned], there[:, turned])
    assert (here[:, plain] != there[:, plain]).any()


def test_the_reference_gives_the_features_that_training_saw(encoder: Encoder) -> None:
    table = encoder.table
    records, embed = feature_records(table, dict(encoder.tables.items()))
    model = SimpleNamespace(d_feat=table.d_feat, features=records, embed=embed)
    raw = random_raw(table, 40)
    expected = (encoder(raw) * 64).round().to(torch.int64).tolist()
    for row, features in zip(raw.tolist(), expected, strict=True):
        values = dict(zip(table.columns, row, strict=True))
        frame, pads = np.zeros((), FRAME), np.zeros(2, CONTROLLER)
        for (slot, name), value in values.items():
            if slot == "global":
                frame[name] = value
            elif "input" in slot:
                pads[name][int(slot == "other_input")] = value
            else:
                frame["players"][name][int(slot == "other")] = value
        record = np.frombuffer(reference.frame_bytes(frame), np.uint8)
        bytes_ = np.frombuffer(pads.tobytes(), np.uint8)
        assert reference._features(model, record, bytes_, 0).tolist() == features  # type: ignore[arg-type]


def test_tables_and_bits_are_looked_up(encoder: Encoder) -> None:
    table, raw = encoder.table, random_raw(encoder.table, 100)
    state = table.columns["self", "action_state"]
    raw[0, state], raw[1, state], raw[2, state] = 0, 399, 1000  # the last is beyond the table
    vector = encoder(raw)
    (feature,) = [f for f in table.features if f.slot == "self" and f.field.name == "action_state"]
    shown = vector[:3, feature.out : feature.out + feature.width] * 64
    rows = (encoder.tables["action_state"][[0, 399, 399]] * 64).round().clamp(-127, 127)
    assert torch.equal(shown, rows)
    (feature,) = [f for f in table.features if f.slot == "input" and f.mode == "bits"]
    buttons = raw[:, table.columns["input", "buttons"]]
    for bit in range(feature.width):
        assert torch.equal(vector[:, feature.out + bit], ((buttons >> bit) & 1).float())


def still(n: int) -> Rows:
    """Transitions in which nothing changes."""
    rows = np.zeros((n, len(NAMES)), np.int64)
    rows[:, column("stocks")] = 4
    return rows.copy(), rows.copy()


def test_a_step_is_taken_before_a_value_and_a_rarity_not_at_all() -> None:
    old, new = still(100)
    shield = column("shield")
    old[:40, shield], new[:40, shield] = 500, 564  # "64 more", which goes for every shield
    new[40:42, shield] = 9000  # twice only
    (head,) = [h for h in fit_heads(FIGHTER, old, new) if h.field.name == "shield"]
    codebook = set(zip(head.kinds, head.consts, strict=True))
    assert (BASE, 64) in codebook and (SET, 564) not in codebook
    assert (SET, 9000) not in codebook and (BASE, 9000) not in codebook


@pytest.fixture(scope="module")
def decoder() -> HeadDecoder:
    old, new = still(200)
    percent = column("percent")
    new[:20, percent] = old[:20, percent] + 512
    return HeadDecoder(fit_heads(FIGHTER, old, new))


def test_values_out_of_a_regressed_steps_reach_have_classes_of_their_own() -> None:
    """A regressed step moves 72 units at most; where a lost life goes on is further."""
    old, new = still(300_000)
    y, frequent = column("y"), np.arange(300_000) % 100
    new[:, y] = old[:, y] + frequent * 700  # more frequent steps than there are classes, all within reach
    new[:2, y], new[2, y] = 188 << 10, -190 << 10
    head = next(h for h in fit_heads(FIGHTER, old, new) if h.field.name == "y")
    classes = list(zip(head.kinds, head.consts, strict=True))
    assert (SET, 188 << 10) in classes
    assert (SET, -190 << 10) not in classes  # once only
    assert head.n_classes == FIGHTER.player("y").update.codebook + 1


def test_what_is_decoded_stays_within_the_schema(decoder: HeadDecoder) -> None:
    """The free step of a percent never falls, and no value leaves its field's range."""
    old = torch.zeros(2, len(NAMES), dtype=torch.int64)
    old[:, column("percent")] = 100 * 64
    old[:, column("x")] = round(499.9 * 1024)
    logits = torch.zeros(2, n_logits(decoder.heads))
    for name, steps in (("percent", (-3.0, 3.0)), ("x", (3.0, -3.0))):
        head = next(h for h in decoder.heads if h.field.name == name)
        logits[:, head.row0 + head.kinds.index(FREE)] = 9.0
        logits[:, head.free_row] = torch.tensor(steps)
    new = decoder.decode(logits, old)
    grown = round(3 * (1 + 3) * 4.0 * 64)  # companded, times the field's scale of 4 percent
    assert new[:, column("percent")].tolist() == [6400, 6400 + grown]
    assert new[:, column("x")].tolist() == [500 * 1024, round(499.9 * 1024) - 12 * 1024]


def test_only_what_no_constant_gives_is_regressed(decoder: HeadDecoder) -> None:
    old = torch.zeros(3, len(NAMES), dtype=torch.int64)
    new = old.clone()
    new[1, column("percent")] = 512  # a constant of the codebook
    new[2, column("percent")] = 3072  # none: 12 scales of 4 percent, which 3 (1 + 3) stands for
    head = next(h for h in decoder.heads if h.field.name == "percent")
    logits = torch.zeros(3, n_logits(decoder.heads), requires_grad=True)
    decoder.loss(logits, old, new, torch.ones(3))["percent"].backward()
    pulled = logits.grad[:, head.free_row]
    assert pulled[:2].tolist() == [0, 0] and pulled[2] < 0
    decoder.free_weight, logits.grad = 3 * decoder.free_weight, None
    decoder.loss(logits, old, new, torch.ones(3))["percent"].backward()
    assert torch.equal(logits.grad[:, head.free_row], 3 * pulled)
    right = torch.zeros(3, n_logits(decoder.heads))
    right[:, head.free_row] = 3.0
    right.requires_grad_(True)
    decoder.loss(right, old, new, torch.ones(3))["percent"].backward()
    assert right.grad[2, head.free_row] == 0
