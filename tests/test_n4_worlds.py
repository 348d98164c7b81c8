"""Worlds with matrices of 4-bit weights: file format, and the same frames in every home."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onchain import Chain, Match, World
from test_kernel_neon import Emulated, request

from awm_kit import kernel
from awm_kit.chain.cu import measure_cu, measure_formats
from awm_kit.errors import KernelError, ModelFileError
from awm_kit.kernel import NativeWorld
from awm_kit.kernel_build import KERNEL_C, sources
from awm_kit.play.engine import NativeEngine
from awm_kit.quant import layout as L
from awm_kit.quant import n4, reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.integer_model import IntegerModel, Linear
from awm_kit.quant.manifest import unpack
from awm_kit.quant.model_check import check_model
from awm_kit.quant.n4_convert import to_four_bits
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, in_four_bits, random_frame, random_inputs, random_model
from awm_kit.schema import CONTROLLER, FIGHTER, FRAME

SMALL = Shape(40, 3, 8, 4, 1, 2)
#: Shape, flavor, share of 4-bit matrices: odd block and chunk sizes, one view, mixed formats.
WORLDS = [
    (SMALL, "plain", 1.0),
    (Shape(64, 4, 16, 16, 2, 2), "extreme", 1.0),
    (Shape(72, 5, 24, 12, 2, 2), "extreme", 0.5),
    (Shape(48, 2, 16, 8, 1, 1), "extreme", 1.0),
    (Shape(128, 8, 32, 16, 2, 2), "plain", 1.0),
]


def world(shape: Shape, flavor: str = "plain", share: float = 1.0) -> IntegerModel:
    return in_four_bits(random_model(7, shape, flavor), 1, share)  # type: ignore[arg-type]


def play(model: IntegerModel, frames: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """A first frame, inputs, and the reference's state hashes after each frame."""
    rng = np.random.default_rng(11)
    first, inputs = random_frame(rng), random_inputs(rng, frames)
    state, frame, hashes = reference.initial_state(model), first, []
    for pads in inputs:
        frame = reference.step(model, state, frame, pads)
        hashes.append(reference.state_hash(frame, state))
    return first, inputs, hashes


# ---------------------------------------------------------------- file


@pytest.mark.parametrize(("shape", "flavor", "share"), WORLDS)
def test_unpack_is_the_inverse_of_pack(shape: Shape, flavor: str, share: float) -> None:
    model = world(shape, flavor, share)
    cartridge = pack(model, shard_limit=30_000)
    again = unpack(cartridge)
    assert pack(again, shard_limit=30_000).manifest_bytes == cartridge.manifest_bytes
    for one, other in ((model.encoder, again.encoder), (model.head, again.head)):
        assert np.array_equal(one.weight, other.weight) and np.array_equal(one.bias, other.bias)
        assert (one.scales is None) == (other.scales is None)
        assert one.scales is None or np.array_equal(one.scales, other.scales)


def test_the_manifest_says_which_matrices_and_shards_are_in_four_bits() -> None:
    model = world(Shape(64, 4, 16, 16, 3, 2), share=0.5)
    manifest = pack(model, shard_limit=30_000).manifest
    matrices = manifest.ops[manifest.ops["kind"] == L.OpKind.MATVEC]
    assert manifest.format == L.FORMAT_N4 and set(matrices["format"]) == {L.FORMAT_I8, L.FORMAT_N4}
    for number, shard in enumerate(manifest.shard_table):
        mine = matrices["format"][matrices["shard"] == number]
        assert shard["format"] == max(mine, default=L.FORMAT_I8)
    assert pack(random_model(7, SMALL)).manifest.format == L.FORMAT_I8


def test_four_bits_take_half_the_bytes() -> None:
    shape = Shape(256, 8, 64, 16, 2, 2)
    small, large = (sum(map(len, pack(m).shards)) for m in (world(shape), random_model(7, shape)))
    assert small < 0.56 * large


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: replace(a, weight=np.where(a.weight == 7, 8, a.weight)), "weight"),
        (lambda a: replace(a, scales=np.asarray(a.scales)[:, 1:]), "scales"),
        (lambda a: replace(a, bias=np.full_like(a.bias, -(1 << 31))), "bias"),
    ],
)
def test_matrices_out_of_range_are_refused(change, message: str) -> None:
    model = world(SMALL)
    with pytest.raises(ModelFileError, match=message):
        check_model(replace(model, encoder=change(model.encoder)))


def test_a_world_can_be_rounded_without_its_network() -> None:
    """Rows' sums stay what they were up to a tenth; what is not named stays as it is."""
    model = random_model(7, Shape(64, 4, 16, 16, 2, 2))
    small = to_four_bits(model, ["in_zx", "head"])
    check_model(small)
    assert small.encoder is model.encoder and small.layers[0].out is model.layers[0].out
    x = np.random.default_rng(0).integers(-60, 61, model.d_model)
    pairs = [(model.head, small.head)]
    pairs += [(a.in_zx, b.in_zx) for a, b in zip(model.layers, small.layers, strict=True)]
    for before, after in pairs:
        assert after.scales is not None
        old, new = (
            (linear.factors @ x + linear.bias) * (linear.mul / 2.0**linear.shift)
            for linear in (before, after)
        )
        assert np.linalg.norm(new - old) < 0.15 * np.linalg.norm(old)
    assert pack(small).nbytes < pack(model).nbytes
    with pytest.raises(ValueError, match="matrices"):
        to_four_bits(model, ["conv"])


def test_pairs_of_rows_must_share_their_scales() -> None:
    model = world(SMALL)
    scales = np.asarray(model.encoder.scales).copy()
    scales[0] ^= 1
    with pytest.raises(ModelFileError, match="same scales"):
        pack(replace(model, encoder=replace(model.encoder, scales=scales)))


def test_wide_matrices_stay_in_eight_bits() -> None:
    rows, cols = 8, n4.MAX_COLS + 8
    wide = Linear(
        np.zeros((rows, cols), np.int8), np.zeros(rows, np.int32), np.ones(rows, np.int32), 1,
        np.ones((rows, n4.n_chunks(cols)), np.uint8),
    )  # fmt: skip
    model = world(SMALL)
    with pytest.raises(ModelFileError, match="columns"):
        check_model(replace(model, d_model=rows, d_feat=cols, encoder=wide))


# ---------------------------------------------------------------- homes


@pytest.mark.parametrize(("shape", "flavor", "share"), WORLDS)
def test_native_backends_play_what_the_reference_plays(shape: Shape, flavor: str, share: float) -> None:
    model = world(shape, flavor, share)
    first, inputs, hashes = play(model, 60)
    for name in kernel.available_backends():
        native = NativeWorld(pack(model), name)
        state, frame = native.initial_state(), first
        for t, pads in enumerate(inputs):
            frame = native.step(state, frame, pads)
            assert reference.state_hash(frame, state) == hashes[t], f"{name}, frame {t}"


@pytest.mark.parametrize(("shape", "flavor", "share"), WORLDS)
def test_wasm(shape: Shape, flavor: str, share: float) -> None:
    pytest.importorskip("wasmtime")
    from awm_kit.play.web.engine import WasmEngine

    cartridge = pack(world(shape, flavor, share))
    first, inputs, _ = play(world(SMALL), 40)
    here, there = NativeEngine(cartridge, first), WasmEngine(cartridge, first)
    for t, pads in enumerate(inputs):
        assert here.step(pads) == there.step(pads), f"frame {t}"
    assert here.state_hash() == there.state_hash()


def test_neon(tmp_path: Path) -> None:
    qemu = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if qemu is None:
        pytest.skip("no qemu-aarch64 on the PATH")
    emulated = Emulated(tmp_path, qemu)
    for shape, flavor, share in WORLDS[:4]:
        model = world(shape, flavor, share)
        cartridge = pack(model)
        first, inputs, hashes = play(model, 10)
        sizes = request("f", len(cartridge.manifest_bytes), len(cartridge.shards[0]), len(inputs))
        pads = reference.frame_bytes(inputs)
        given = [sizes, cartridge.manifest_bytes, cartridge.shards[0], reference.frame_bytes(first), pads]
        for backend in ("neon", "portable"):
            out = emulated.run(backend, given)
            last = out[-(len(out) // len(inputs)) :]
            frame = np.frombuffer(last, FRAME, 1)[0:1].reshape(())
            assert reference.state_hash(frame, np.frombuffer(last, np.uint8)[80:]) == hashes[-1], backend


@pytest.mark.parametrize(("shape", "flavor", "share"), WORLDS[:4])
def test_the_onchain_program(shape: Shape, flavor: str, share: float) -> None:
    schema = replace(FIGHTER, end_field="")
    model = in_four_bits(random_model(7, shape, flavor, schema), 1, share)  # type: ignore[arg-type]
    first, inputs, _ = play(model, 3)
    inputs["sequence"] = 1 + np.arange(len(inputs))[:, None]  # acts on nothing
    match = Match(World(Chain(), pack(model)).upload().finalise(), session_id=1)
    match.first_frame = first.copy()
    match.begin()
    state, frame = reference.initial_state(model), first
    for pads in inputs.astype(CONTROLLER):
        for player in range(2):
            match.submit(player, pads[player])
        match.run_frame()
        frame = reference.step(model, state, frame, pads)
        assert reference.state_hash(match.frame(), match.state()) == reference.state_hash(frame, state)


# ---------------------------------------------------------------- hostile bytes


def test_weights_of_minus_eight_are_refused() -> None:
    cartridge = pack(world(SMALL))
    op = next(op for op in cartridge.manifest.ops if op["kind"] == L.OpKind.MATVEC)
    for mask in (0xF0, 0x0F):
        shard = bytearray(cartridge.shards[int(op["shard"])])
        shard[int(op["weights"]) + 77] &= mask
        with pytest.raises(KernelError, match="WEIGHT"):
            NativeWorld(Cartridge(cartridge.manifest_bytes, [bytes(shard)]))


def test_an_unknown_format_is_refused() -> None:
    cartridge = pack(world(SMALL))
    ops = int(cartridge.manifest.header["off_ops"])
    first = next(i for i, op in enumerate(cartridge.manifest.ops) if op["kind"] == L.OpKind.MATVEC)
    at = {
        "header": L.HEADER.fields["format"][1],
        "op": ops + first * L.OP.itemsize + L.OP.fields["format"][1],
    }
    for name, value, error in (("header", 2, "VERSION"), ("header", 0, "OP"), ("op", 2, "OP")):
        raw = bytearray(cartridge.manifest_bytes)
        raw[at[name] : at[name] + 4] = value.to_bytes(4, "little")
        with pytest.raises((KernelError, ModelFileError), match=f"{error}|format"):
            NativeWorld(Cartridge(bytes(raw), cartridge.shards))


def test_hostile_bytes_under_sanitizers(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("clang")
    flags = ["-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = tmp_path / "test_kernel"
    (tmp_path / "probe.c").write_text("int main(void) { return 0; }\n")
    probe = [compiler or "cc", *flags, str(tmp_path / "probe.c"), "-o", str(program)]
    if compiler is None or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no compiler with AddressSanitizer here")
    files = [str(p) for p in sources()] + [str(KERNEL_C / "test_kernel.c")]
    subprocess.run([compiler, *flags, "-fno-strict-aliasing", "-o", str(program), *files], check=True)
    for seed, (shape, flavor, share) in enumerate(WORLDS[:2]):
        cartridge = pack(world(shape, flavor, share))
        parts = []
        for i, data in enumerate([cartridge.manifest_bytes, *cartridge.shards]):
            parts.append(tmp_path / f"part{i}")
            parts[-1].write_bytes(data)
        done = subprocess.run(
            [str(program), str(seed), "600", *map(str, parts)],
            capture_output=True, text=True, check=False, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr[-4000:]
        words = dict(pair.split("=") for pair in done.stdout.split())
        assert int(words["refused"]) > 50 and int(words["ran"]) > 50, done.stdout


# ---------------------------------------------------------------- compute units

FRAME_CEILING = 711_100  # of the matrices of a fixed world, to the next hundred


def test_matrices_of_a_frame_cost_no_more_than_they_did() -> None:
    shape = Shape(128, 8, 32, 16, 2)
    fixed = in_four_bits(random_model(0, shape, schema=replace(FIGHTER, end_field="")))
    assert measure_cu(pack(fixed), frames=2)["parts"]["matvec"] <= FRAME_CEILING


def test_the_measurement_tells_both_formats_apart() -> None:
    """The whole frame is cheaper, a multiplication in 4 bits below 1.3 units."""
    world = pack(random_model(1, Shape(64, 4, 32, 16, 2), schema=replace(FIGHTER, end_field="")))
    result = measure_formats(world, frames=2)
    assert result["matvec_n4_cu_per_mac"] < 1.3 < 1.5 < result["matvec_cu_per_mac"]
    assert result["n4_cu_per_frame"] < 0.95 * result["cu_per_frame"]
    assert result["n4_bytes"] < world.nbytes and result["n4_tx_per_frame"] <= result["tx_per_frame"]
