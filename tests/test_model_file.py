"""Cartridges: pack and unpack are inverses, files are atomic, whatever is damaged is refused by name."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from awm_kit.errors import KernelError, ModelFileError
from awm_kit.kernel import NativeWorld
from awm_kit.quant import layout as L
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.costs import CU_TRANSACTION, op_cost
from awm_kit.quant.integer_model import IntegerModel
from awm_kit.quant.manifest import Manifest, unpack
from awm_kit.quant.model_check import check_schema
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.quant.reference import state_bytes
from awm_kit.schema import FIGHTER, PLAYER_BYTES, Field, Scale

SHAPES = [Shape(), Shape(40, 3, 8, 4, 1, 1), Shape(128, 4, 32, 16, 3, 2)]


def equal(a: Any, b: Any) -> bool:
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return all(equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


@pytest.mark.parametrize("flavor", ["plain", "extreme"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_unpack_is_the_inverse_of_pack(shape: Shape, flavor: str) -> None:
    model = random_model(1, shape, flavor)  # type: ignore[arg-type]
    for limits in ({}, {"shard_limit": 30_000, "cu_limit": 300_000}):
        cartridge = pack(model, **limits)
        again = unpack(cartridge)
        assert equal(model, again)
        assert pack(again, **limits) == cartridge


def test_manifest_says_what_the_model_is() -> None:
    model = random_model(1, Shape(128, 4, 32, 16, 3, 2))
    manifest = pack(model).manifest
    assert (manifest.name, manifest.parent, manifest.notes) == (model.name, model.parent, model.notes)
    assert manifest.schema == model.schema
    assert (manifest.d_model, manifest.n_layers, manifest.n_views, manifest.d_feat) == (
        128,
        3,
        2,
        model.d_feat,
    )
    assert manifest.state_bytes == state_bytes(model)
    layers = [(a.in_zx, a.in_dt, a.out) for a in model.layers]
    linears = [model.encoder, model.head, *(x for row in layers for x in row)]
    assert manifest.macs_per_frame == 2 * sum(x.weight.size for x in linears)
    assert manifest.n_params > sum(x.weight.size for x in linears)
    with pytest.raises(AttributeError, match="flavour"):
        _ = manifest.flavour


@pytest.mark.parametrize(("name", "value"), [("stocks", 0), ("stocks", 2), ("percent", 6400)])
def test_the_rule_that_ends_a_match_is_in_the_header(name: str, value: int) -> None:
    schema = dataclasses.replace(FIGHTER, end_field=name, end_value=value)
    raw = pack(dataclasses.replace(random_model(), schema=schema)).manifest_bytes
    header, field = np.frombuffer(raw, L.HEADER, 1)[0], FIGHTER.player(name)
    assert (header["end_offset"], header["end_value"]) == (field.offset, value)
    assert header["end_type"] == L.TYPE_CODES[field.dtype.lstrip("<")]


def test_segments_fill_transactions_without_overrunning_them() -> None:
    model = random_model(2, Shape(256, 8, 64, 16, 4, 2))
    limit = 1_200_000
    manifest = pack(model, cu_limit=limit).manifest
    ends = manifest.segments.tolist()
    costs = [
        CU_TRANSACTION + sum(op_cost(model, op) for op in manifest.ops[begin:end])
        for begin, end in zip([0, *ends], ends, strict=False)
    ]
    assert max(costs) <= limit
    assert np.mean(costs[:-1]) > 0.93 * limit


def test_limits_that_nothing_fits_are_named() -> None:
    model = random_model(1)
    with pytest.raises(ModelFileError, match="shard"):
        pack(model, shard_limit=1000)
    with pytest.raises(ModelFileError, match="CU"):
        pack(model, cu_limit=26_000)


def test_equal_tables_are_stored_once() -> None:
    model = random_model(1, Shape(64, 4, 16, 16, 6, 2))
    manifest = pack(model).manifest
    assert len(manifest.luts) == 512 + 256
    assert len(set(manifest.layers["z_lut"][:6].tolist())) == 1


# ---------------------------------------------------------------- invalid models


D_FEAT = random_model(1).d_feat


def _broken(field: str, value: object) -> IntegerModel:
    """A valid model with one thing changed, named by a dotted path."""
    model = random_model(1)
    target: Any = model
    *path, last = field.split(".")
    for name in path:
        target = target[int(name)] if name.isdigit() else getattr(target, name)
    setattr(target, last, value)
    return model


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("d_state", 6, "d_state: expected a multiple of 4"),
        ("d_feat", 257, "d_feat: expected a multiple of 8"),
        ("n_views", 3, "n_views: expected 1 or 2"),
        ("headdim", 15, "nheads"),
        ("layers", [], "layers: expected 1..64"),
        ("name", "x" * 33, "name"),
        ("parent", b"short", "parent: expected 32 bytes"),
        ("encoder.weight", np.full((64, D_FEAT), 64, np.int8), "encoder.weight: expected values in -63..63"),
        ("encoder.weight", np.zeros((64, 192), np.int8), rf"encoder.weight: expected shape \(64, {D_FEAT}\)"),
        ("encoder.mul", np.full(64, -1, np.int32), "encoder.mul"),
        ("encoder.shift", 0, "encoder.shift: expected a shift in 1..62"),
        ("layers.0.gain_shift", 63, "gain_shift"),
        ("layers.1.conv_lut", np.full(256, -128, np.int8), "layer 1.conv_lut"),
        ("layers.1.z_lut", np.zeros(256, np.float32), "an integer array"),
        ("layers.0.norm.num", 1 << 60, "layer 0.norm.num"),
        ("final_norm.eps", 0, "final_norm.eps"),
        ("embed", np.zeros(1, np.int8), "embed: expected exactly"),
        ("heads.0.row0", 16000, "expected rows"),
        ("heads.0.name", "mana", "unknown field"),
        ("heads.0.name", "character", "no decode rule"),
        ("heads.0.slot", 2, "SELF or OTHER"),
        ("choice.gate", np.full((2, 24, 64), -128, np.int8), "choice.gate: expected values in -127..127"),
        ("choice.offset", np.zeros((2, 23, 64), np.int8), "choice.offset: expected shape"),
        ("choice.mul", 1 << 31, "choice.mul"),
        ("choice.shift", 0, "choice.shift"),
        ("choice.gate", np.zeros((2, 23, 64), np.int8), "choice.offset: expected shape"),
        ("heads.0.row0", 1, "the leading one"),
        ("heads.1.kinds", np.zeros(3, np.uint8), "expected shape"),
        ("heads.0.kinds", np.full(99, L.ClassKind.FREE, np.uint8), "expected shape"),
    ],
)
def test_models_out_of_range_cannot_be_packed(field: str, value: object, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        pack(_broken(field, value))


def test_a_free_class_needs_a_free_row() -> None:
    model = random_model(1)
    head = next(h for h in model.heads if (h.kinds == L.ClassKind.FREE).any())
    head.free_row = -1
    with pytest.raises(ModelFileError, match="free_row"):
        pack(model)


# ---------------------------------------------------------------- files


def test_files_hold_exactly_the_accounts_bytes(tmp_path: Path) -> None:
    cartridge = pack(random_model(1, SHAPES[2]), shard_limit=60_000)
    path = cartridge.save(tmp_path / "deep" / "world.awm")
    assert Cartridge.load(path) == cartridge
    assert path.read_bytes().endswith(b"".join([cartridge.manifest_bytes, *cartridge.shards]))
    assert cartridge.world_hash == hashlib.sha256(cartridge.manifest_bytes).hexdigest()
    assert [p.name for p in path.parent.iterdir()] == ["world.awm"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pack(random_model(1)).save(tmp_path / "world.awm")
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        pack(random_model(2)).save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["world.awm"]


@pytest.mark.parametrize("cut", [0, 7, 15, 16, 60, 200, 5000, -1])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    path = pack(random_model(1)).save(tmp_path / "world.awm")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelFileError, match=r"truncated|expected"):
        Cartridge.load(path)


def test_every_changed_byte_of_a_file_is_refused(tmp_path: Path) -> None:
    raw = pack(random_model(1, SHAPES[1])).save(tmp_path / "world.awm").read_bytes()
    rng = np.random.default_rng(0)
    places = [*range(112), *rng.integers(112, len(raw), 60).tolist()]
    for at in places:
        damaged = bytearray(raw)
        damaged[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.awm").write_bytes(damaged)
        with pytest.raises(ModelFileError):
            Cartridge.load(tmp_path / "bad.awm")
    (tmp_path / "bad.awm").write_bytes(raw + b"\0")
    with pytest.raises(ModelFileError, match=f"expected {len(raw)} bytes"):
        Cartridge.load(tmp_path / "bad.awm")


def test_shards_of_another_world_are_refused() -> None:
    one, two = pack(random_model(1)), pack(random_model(2))
    with pytest.raises(ModelFileError, match="shard 0"):
        Cartridge(one.manifest_bytes, two.shards).verify()
    with pytest.raises(ModelFileError, match="expected 1 shards"):
        Cartridge(one.manifest_bytes, []).verify()


# ---------------------------------------------------------------- manifests


@pytest.mark.parametrize(
    ("field", "value", "python", "kernel"),
    [
        ("magic", b"NOTAWM", "magic", "MAGIC"),
        ("version", 4, "version 1 to 3", "VERSION"),
        ("format", 2, "format in", "VERSION"),
        ("total_len", 999, "expected 999 bytes", "LENGTH"),
        ("d_model", 60, "expected", "DIMENSIONS"),
        ("n_views", 3, "expected", "DIMENSIONS"),
        ("nheads", 5, "expected", "DIMENSIONS"),
        ("off_luts", 4, "section luts", "SECTION"),
        ("off_heads", 1 << 30, "section heads", "SECTION"),
        ("len_schema", 1 << 30, "section schema", "SECTION"),
        ("n_layers", 3, "expected", "OP|TAPE|LAYER"),
        ("n_logits", 10, "n_logits", "DIMENSIONS"),
        ("n_segments", 0, "segment", "SEGMENTS"),
    ],
)
def test_a_wrong_header_is_refused_by_both_readers(
    field: str, value: object, python: str, kernel: str
) -> None:
    cartridge = pack(random_model(1))
    raw = np.frombuffer(bytearray(cartridge.manifest_bytes), np.uint8)
    raw[: L.HEADER.itemsize].view(L.HEADER)[field] = value
    damaged = Cartridge(raw.tobytes(), cartridge.shards)
    with pytest.raises(ModelFileError, match=python):
        unpack(damaged)
    with pytest.raises(KernelError, match=kernel):
        NativeWorld(damaged)


@pytest.mark.parametrize(
    ("version", "slot", "operand", "message"),
    [
        (2, L.SlotCode.SELF, 29, "no mirrors before version 3"),
        (1, L.SlotCode.INPUT, 29, "no mirrors before version 3"),
        (3, L.SlotCode.GLOBAL, 29, "controller's of a mirror"),
        (3, L.SlotCode.OTHER, PLAYER_BYTES + 1, "offset of an i1 field"),
        (3, L.SlotCode.OTHER_INPUT, 255, "offset of an i1 field"),
    ],
)
def test_a_wrong_mirror_is_refused_by_both_readers(
    version: int, slot: L.SlotCode, operand: int, message: str
) -> None:
    cartridge = pack(random_model(1))
    header = cartridge.manifest.header
    raw = np.frombuffer(bytearray(cartridge.manifest_bytes), np.uint8)
    raw[: L.HEADER.itemsize].view(L.HEADER)["version"] = version
    features = raw[int(header["off_features"]) :][: L.FEATURE.itemsize * int(header["n_features"])]
    records = features.view(L.FEATURE)
    if version < L.VERSION:
        records["operand"] = 0
    wide = (records["slot"] == slot) & (records["mode"] == L.FeatureMode.LINEAR)
    record = records[int(np.argmax(wide)) if wide.any() else 0 :][:1]
    record["slot"], record["mode"], record["operand"] = slot, L.FeatureMode.LINEAR, operand
    record["shift"], record["minus_slot"], record["offset"], record["type"] = 1, L.NO_SLOT, 0, L.TypeCode.I8
    damaged = Cartridge(raw.tobytes(), cartridge.shards)
    with pytest.raises(ModelFileError, match=message):
        unpack(damaged)
    with pytest.raises(KernelError, match="FEATURE"):
        NativeWorld(damaged)


def test_a_mirror_that_no_field_is_runs_but_is_not_unpacked() -> None:
    """The kernel asks for bytes that are there; what they mean is the schema's, which Python knows."""
    model = random_model(1)
    turned = np.flatnonzero(
        (model.features["mode"] == L.FeatureMode.LINEAR) & (model.features["operand"] > 0)
    )
    cartridge = pack(model)
    raw = bytearray(cartridge.manifest_bytes)
    at = int(cartridge.manifest.header["off_features"]) + L.FEATURE.itemsize * int(turned[0])
    raw[at + L.FEATURE.fields["operand"][1]] = 1  # offset 0 is an i4
    damaged = Cartridge(bytes(raw), cartridge.shards)
    assert NativeWorld(damaged).manifest.version == L.VERSION
    with pytest.raises(ModelFileError, match="offset of an i1 field"):
        unpack(damaged)


def test_worlds_without_mirrors_are_what_older_programs_read() -> None:
    fields = tuple(unmirrored(field) for field in FIGHTER.player_fields)
    inputs = tuple(unmirrored(field) for field in FIGHTER.controller_fields)
    plain = dataclasses.replace(FIGHTER, player_fields=fields, controller_fields=inputs)
    assert pack(random_model(1, schema=plain)).manifest.version == L.VERSION_NO_MIRROR
    assert pack(random_model(1)).manifest.version == L.VERSION


def unmirrored(field: Field) -> Field:
    """The field without mirrored scales."""
    return dataclasses.replace(field, scales=tuple(s for s in field.scales if not s.mirror))


@pytest.mark.parametrize(
    ("group", "name", "scale"),
    [
        ("player_fields", "x", Scale(8, mirror="wings")),
        ("player_fields", "x", Scale(8, mirror="x")),
        ("player_fields", "x", Scale(8, mirror=["facing"])),  # type: ignore[arg-type]
        ("controller_fields", "stick_x", Scale(8, relative=True, mirror="facing")),
        ("global_fields", "frame", Scale(8, mirror="facing")),
    ],
)
def test_a_schema_with_a_wrong_mirror_is_refused(group: str, name: str, scale: Scale) -> None:
    fields = [
        dataclasses.replace(f, scales=(*f.scales, scale)) if f.name == name else f
        for f in getattr(FIGHTER, group)
    ]
    with pytest.raises(ModelFileError, match=f"{name}.*mirror"):
        check_schema(dataclasses.replace(FIGHTER, **{group: tuple(fields)}))


def test_a_reordered_tape_is_refused_by_both_readers() -> None:
    cartridge = pack(random_model(1))
    header = cartridge.manifest.header
    for first, second in ((1, 2), (3, 4), (5, 6), (0, 18)):
        raw = np.frombuffer(bytearray(cartridge.manifest_bytes), np.uint8)
        ops = raw[int(header["off_ops"]) :][: 24 * int(header["n_ops"])].view(L.OP)
        ops[[first, second]] = ops[[second, first]]
        damaged = Cartridge(raw.tobytes(), cartridge.shards)
        with pytest.raises(ModelFileError, match="op "):
            unpack(damaged)
        with pytest.raises(KernelError, match="TAPE"):
            NativeWorld(damaged)


def test_mutated_manifests_raise_nothing_but_named_errors() -> None:
    """What Python's reader lets through, the kernel still judges for itself; neither raises anything else."""
    cartridge = pack(random_model(1, SHAPES[1]))
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(400):
        raw = bytearray(cartridge.manifest_bytes)
        for _ in range(int(rng.integers(1, 4))):
            top = 256 if rng.random() < 0.5 else len(raw)
            raw[int(rng.integers(top))] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
        if rng.random() < 0.1:
            raw = raw[: int(rng.integers(len(raw)))]
        damaged = Cartridge(bytes(raw), cartridge.shards)
        try:
            unpack(damaged)
        except ModelFileError:
            refused += 1
        with contextlib.suppress(KernelError, ModelFileError):
            NativeWorld(damaged)
    assert refused > 200


def test_parse_names_what_is_short() -> None:
    with pytest.raises(ModelFileError, match="at least 256 bytes"):
        Manifest.parse(b"AWMMODEL")
