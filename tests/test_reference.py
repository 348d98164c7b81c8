"""The reference step against real-number arithmetic: each integer operation is near what it stands for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from awm_kit.quant import layout as L
from awm_kit.quant import reference
from awm_kit.quant.decode_rules import head_record
from awm_kit.quant.integer_model import HeadTable, IntegerModel, Norm
from awm_kit.quant.luts import exp2_table, silu_lut, softplus_table
from awm_kit.quant.random_model import Shape, random_frame, random_inputs, random_model
from awm_kit.schema import FIGHTER, FRAME, STATUS_DECIDED, STATUS_PLAYING, STATUS_TIMEOUT

# ---------------------------------------------------------------- tables


def test_tables_are_rounded_reals() -> None:
    x = (np.arange(257) * 256 - 32768) / 1024
    assert np.abs(softplus_table() - np.logaddexp(0, x) * 2**24).max() <= 0.5 + 1e-6
    assert np.abs(exp2_table() - 2.0 ** -(np.arange(257) / 256) * 2**30).max() <= 0.5 + 1e-6
    assert (exp2_table()[0], exp2_table()[256]) == (1 << 30, 1 << 29)


def test_tables_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        softplus_table()[0] = 1


@pytest.mark.parametrize(("dtype", "limit"), [("i1", 127), ("i2", 32767)])
def test_silu_tables(dtype: str, limit: int) -> None:
    table = silu_lut(0.05, 0.02, dtype).astype(float)
    x = np.arange(-128, 128) * 0.05
    expected = np.clip(x / (1 + np.exp(-x)) / 0.02, -limit, limit)
    assert np.abs(table - expected).max() <= 0.5
    assert np.abs(silu_lut(1000.0, 1e-6, dtype)).max() == limit
    with pytest.raises(ValueError, match="positive"):
        silu_lut(0.0, 1.0)


# ---------------------------------------------------------------- operations


def test_discretize_is_exp_of_softplus() -> None:
    """The error is that of softplus between points a quarter apart: 0.002 at most, 0.8 % where small."""
    dt = np.arange(-32767, 32768, 37)
    a = 3.7
    layer = SimpleNamespace(
        decay=np.full(len(dt), round(a / np.log(2) * 2**16)),
        gain=np.full(len(dt), 1 << 20),
        gain_shift=24,
    )
    out = reference.discretize(layer, dt)  # type: ignore[arg-type]
    step = np.logaddexp(0, dt / 1024)
    decay = np.exp(-a * step)
    assert (np.abs(out.decay / 32768 - decay) <= 0.002 * a * decay + 2 / 32768).all()
    wide = dt > -8 * 1024
    assert np.abs(out.gain[wide] / (step[wide] * 2**20) - 1).max() < 0.009
    assert (np.diff(out.decay) <= 0).all() and (np.diff(out.gain) >= 0).all()


def test_norm_is_rms_norm() -> None:
    rng = np.random.default_rng(0)
    for scale in (30, 3000, 300_000):
        x = rng.normal(0, scale, 256).round().astype(np.int64)
        gain = 40
        u = reference.rms_norm(Norm(int(gain * np.sqrt(256)) << 24, 1, 24), x)
        expected = np.clip(x / np.sqrt((x**2).mean()) * gain, -127, 127)
        # half a unit, and one part in root = 16 * scale for the floor of the root
        assert np.abs(u - expected).max() < 0.51 + 127 / (16 * scale)


def test_state_stays_in_int16_whatever_the_inputs() -> None:
    rng = np.random.default_rng(1)
    layer = SimpleNamespace(
        x_shift=1, y_shift=20, z_lut=silu_lut(0.05, 0.001, "i2"), y_mul=np.ones(4, int), x_mul=np.ones(4, int)
    )
    h = rng.choice([-32767, 32767], (32, 16)).astype("<i2")
    for _ in range(500):
        decay = rng.choice([0, 1, 16384, 32766, 32767], 4)
        discrete = reference.Discrete(decay, np.full(4, (1 << 31) - 1))
        x, b, c, z = (rng.choice([-127, -1, 0, 1, 127], n) for n in (32, 16, 16, 32))
        reference.scan(layer, h, x, b, c, z, discrete)  # type: ignore[arg-type]
        assert np.abs(h.astype(int)).max() <= 32767
    assert np.abs(h.astype(int)).max() > 32000


def test_values_outside_a_proved_range_are_caught() -> None:
    with pytest.raises(ArithmeticError, match="norm input"):
        reference.rms_norm(Norm(1, 1, 1), np.array([1 << 24]))


# ---------------------------------------------------------------- features


def _features(rows: list[dict[str, int]], frame: np.ndarray, pads: np.ndarray, view: int = 0) -> list[int]:
    records = np.zeros(len(rows), L.FEATURE)
    records["minus_slot"] = L.NO_SLOT
    for record, row in zip(records, rows, strict=True):
        for name, value in row.items():
            record[name] = value
    model = SimpleNamespace(d_feat=16, features=records, embed=np.arange(60, dtype=np.int8))
    raw = np.frombuffer(reference.frame_bytes(frame), np.uint8)
    f = reference._features(model, raw, np.frombuffer(pads.tobytes(), np.uint8), view)  # type: ignore[arg-type]
    return [int(v) for v in f]


def test_features_round_saturate_and_look_up() -> None:
    frame, pads = np.zeros((), FRAME), np.zeros(2, FIGHTER.controller_dtype)
    frame["players"]["x"] = [-3 * 1024, 5 * 1024]
    frame["players"]["action_state"] = [7, 399]
    frame["players"]["facing"] = [-1, 1]
    pads["buttons"] = [0b1010, 0]
    x = {"mode": L.FeatureMode.LINEAR, "type": L.TypeCode.I32, "offset": 0, "shift": 10, "mul": 2}
    action = {"mode": L.FeatureMode.TABLE, "type": L.TypeCode.U16, "offset": 22, "rows": 20, "width": 3}
    facing = {"mode": L.FeatureMode.TABLE, "type": L.TypeCode.I8, "offset": 28, "rows": 2, "width": 1}
    bits = {"mode": L.FeatureMode.BITS, "slot": L.SlotCode.INPUT, "type": L.TypeCode.U16, "offset": 6}
    rows = [
        {**x, "out": 0},
        {**x, "out": 1, "minus_slot": L.SlotCode.OTHER},
        {**x, "out": 2, "mul": 1 << 20},
        {**x, "out": 3, "bias": 1024 * 4},
        {**x, "out": 4, "slot": L.SlotCode.OTHER, "shift": 12, "mul": 1},
        {**action, "out": 5},
        {**action, "out": 8, "slot": L.SlotCode.OTHER},
        {**facing, "out": 11},
        {**bits, "out": 12, "width": 3, "operand": 1, "mul": 64},
    ]
    got = _features(rows, frame, pads)
    # 5 * 1024 / 4096 = 1.25 -> 1; action 399 and facing -1 are held to the table's ends
    assert got[:5] == [-6, -16, -127, -14, 1]
    assert got[5:12] == [21, 22, 23, 57, 58, 59, 0]
    assert got[12:15] == [64, 0, 64]
    swapped = _features(rows, frame, pads, view=1)
    assert swapped[:2] == [10, 16] and swapped[12:15] == [0, 0, 0]


# ---------------------------------------------------------------- decode


def _decoder(tables: list[HeadTable], n_views: int = 1) -> IntegerModel:
    model = random_model(0, Shape(8, 1, 8, 4, 1, n_views))
    model.heads = tables
    return model


def _mix(name: str, *classes: tuple[L.ClassKind, int], free_row: int = -1, slot: int = 0) -> HeadTable:
    kinds = np.array([kind for kind, _ in classes], np.uint8)
    return HeadTable(
        name, slot, 0, len(classes), kinds, np.array([c for _, c in classes], np.int32), free_row
    )


def _decode_one(table: HeadTable, frame: np.ndarray, choice: int, free: int = 0) -> np.ndarray:
    logits = np.zeros((1, 16), np.int64)
    logits[0, choice] = 5
    logits[0, 15] = free
    return reference.decode(_decoder([table]), frame, logits)


def test_each_kind_of_class_means_what_the_contract_says() -> None:
    frame = np.zeros((), FRAME)
    frame["players"][0] = np.zeros((), FRAME["players"].base)
    frame["players"]["x"][0], frame["players"]["stocks"] = 1000, 4
    frame["players"]["speed_air_x"][0], frame["players"]["speed_attack_x"][0] = 30, -7
    table = _mix(
        "x",
        (L.ClassKind.OLD, 5),
        (L.ClassKind.BASE, 5),
        (L.ClassKind.SET, 5),
        (L.ClassKind.FREE, 9),
        free_row=15,
    )
    values = [int(_decode_one(table, frame, i, 4096)["players"]["x"][0]) for i in range(4)]
    # FREE: d = 1 (1 + |1|) = 2 real units of 1024
    assert values == [1005, 1028, 5, 1023 + 2 * 1024]
    assert int(_decode_one(table, frame, 3, -4096)["players"]["x"][0]) == 1023 - 2 * 1024
    assert int(_decode_one(table, frame, 3, 1 << 24)["players"]["x"][0]) == 1023 + 72 * 1024
    assert int(frame["players"]["x"][0]) == 1000


def test_ages_step_and_values_stay_in_range() -> None:
    frame = np.zeros((), FRAME)
    frame["players"]["state_age"], frame["players"]["stocks"] = 4095, 4
    age = _mix("state_age", (L.ClassKind.BASE, 0), (L.ClassKind.SET, 0), (L.ClassKind.OLD, -5000))
    assert [int(_decode_one(age, frame, i)["players"]["state_age"][0]) for i in range(3)] == [4095, 0, 0]
    other = _mix("stocks", (L.ClassKind.OLD, -1), slot=L.SlotCode.OTHER)
    assert _decode_one(other, frame, 0)["players"]["stocks"].tolist() == [4, 3]


def test_percent_never_falls_by_its_free_change() -> None:
    record = head_record(FIGHTER, _mix("percent", (L.ClassKind.FREE, 0), free_row=3))
    assert (int(record["free_lo"]), int(record["free_hi"])) == (0, 999 * 64)


def test_lowest_class_wins_ties() -> None:
    frame = np.zeros((), FRAME)
    table = HeadTable("action_state", 0, 4, 6)
    logits = np.zeros((1, 16), np.int64)
    logits[0, [2, 7, 9]] = [99, 4, 4]
    assert reference.decode(_decoder([table]), frame, logits)["players"]["action_state"].tolist() == [3, 0]


def test_the_match_ends_as_the_schema_says() -> None:
    model = _decoder([])
    logits = np.zeros((1, 16), np.int64)
    frame = np.zeros((), FRAME)
    frame["players"]["stocks"], frame["frame"], frame["time_limit"] = 1, 8, 10
    frame = reference.decode(model, frame, logits)
    assert (int(frame["frame"]), int(frame["status"])) == (9, STATUS_PLAYING)
    late = reference.decode(model, frame, logits)
    assert (int(late["frame"]), int(late["status"])) == (10, STATUS_TIMEOUT)
    late["players"]["stocks"][1] = 0
    assert int(reference.decode(model, late, logits)["status"]) == STATUS_DECIDED
    endless = np.zeros((), FRAME)
    endless["players"]["stocks"], endless["frame"] = 1, 2**32 - 1
    after = reference.decode(model, endless, logits)
    assert (int(after["frame"]), int(after["status"])) == (0, STATUS_PLAYING)


# ---------------------------------------------------------------- the whole step


def test_two_views_see_the_same_match_from_both_sides() -> None:
    """Exchanging the players and their controllers exchanges the players of the next frame."""
    model = random_model(4, Shape(64, 2, 16, 8, 2, 2))
    rng = np.random.default_rng(5)
    frame, inputs = random_frame(rng), random_inputs(rng, 30)
    mirrored = frame.copy()
    mirrored["players"] = frame["players"][::-1].copy()
    state, other = reference.initial_state(model), reference.initial_state(model)
    for pads in inputs:
        frame = reference.step(model, state, frame, pads)
        mirrored = reference.step(model, other, mirrored, pads[::-1])
        assert frame["players"].tobytes() == mirrored["players"][::-1].tobytes()


def test_memory_reaches_beyond_the_frame() -> None:
    model = random_model(4)
    rng = np.random.default_rng(5)
    frame, inputs = random_frame(rng), random_inputs(rng, 8)
    state = reference.initial_state(model)
    fresh = reference.forward(model, state.copy(), frame, inputs[7])
    for pads in inputs[:7]:
        reference.forward(model, state, frame, pads)
    assert (reference.forward(model, state, frame, inputs[7]) != fresh).any()


def test_hash_ignores_what_numpy_leaves_between_fields() -> None:
    raw = bytearray(80)
    clean = np.frombuffer(bytes(raw), FRAME).reshape(())
    raw[6:8] = b"\xaa\xbb"
    dirty = np.frombuffer(bytes(raw), FRAME).reshape(())
    assert reference.state_hash(clean, b"state") == reference.state_hash(dirty, b"state")
    assert reference.state_hash(clean, b"state") != reference.state_hash(clean, b"State")
    raw[31] = 1
    assert reference.state_hash(
        np.frombuffer(bytes(raw), FRAME).reshape(()), b"state"
    ) != reference.state_hash(clean, b"state")


def test_wrong_sizes_are_refused() -> None:
    model = random_model(4)
    rng = np.random.default_rng(0)
    frame, pads = random_frame(rng), random_inputs(rng, 1)[0]
    with pytest.raises(ValueError, match="uint8 of state"):
        reference.step(model, np.zeros(8, np.uint8), frame, pads)
    with pytest.raises(ValueError, match="24 of inputs"):
        reference.step(model, reference.initial_state(model), frame, pads[:1])
