"""The C kernel against the reference: vectors, worlds on every backend, hostile bytes under sanitizers."""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from awm_kit import kernel
from awm_kit.errors import CompilerMissingError, KernelError
from awm_kit.kernel import BACKENDS, NativeWorld
from awm_kit.kernel_build import FLAGS, KERNEL_C, WARNINGS, build, sources
from awm_kit.kernel_library import Kernel, Match
from awm_kit.quant import layout, reference
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, in_four_bits, random_frame, random_inputs, random_model

VECTORS = Path(__file__).parent / "vectors"
_spec = importlib.util.spec_from_file_location("vectors_generate", VECTORS / "generate.py")
assert _spec and _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)

NATIVE = [name for name in BACKENDS if name != "auto"]
SHAPES = [
    Shape(64, 4, 16, 16, 2, 2),
    Shape(40, 3, 8, 4, 1, 1),
    Shape(72, 5, 24, 12, 2, 2),
    Shape(128, 1, 64, 64, 1, 2),
]


@pytest.fixture(params=NATIVE)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name not in kernel.available_backends():
        pytest.skip(f"this CPU has no {name}")
    return name


# ---------------------------------------------------------------- vectors


class _Matvec(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("acc", "w", "x", "lanes")),
        *((name, ctypes.c_uint32) for name in ("rows", "cols")),
        ("bias64", ctypes.c_int32),
        ("backend", ctypes.c_uint32),
    )


class _Scan(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("h", "bc", "x", "z", "v", "z_lut")),
        *(
            (name, ctypes.c_int64)
            for name in ("decay", "gain", "limit", "y_mul", "x_mul", "x_half", "y_half")
        ),
        *((name, ctypes.c_uint32) for name in ("headdim", "d_state", "x_shift", "y_shift", "backend")),
    )


class _Norm(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("num", "eps")),
        *((name, ctypes.c_uint32) for name in ("shift", "n")),
    )


class _Store(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("acc", "bias", "mul")),
        *((name, ctypes.c_uint32) for name in ("shift", "rows")),
        ("out", ctypes.c_void_p),
        ("limit", ctypes.c_int64),
        ("kind", ctypes.c_uint32),
    )


class _Conv(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("samples", "next", "w", "bias", "mul", "lut", "out")),
        *((name, ctypes.c_uint32) for name in ("n", "shift")),
    )


def _copy(raw: bytes, dtype: str = "u1") -> np.ndarray:
    """Aligned, writable, with readable bytes behind it, as a matrix has in its shard."""
    words = np.zeros(len(raw) // 8 + 2, np.uint64)
    words.view(np.uint8)[: len(raw)] = np.frombuffer(raw, np.uint8)
    return words.view(np.uint8)[: len(raw)].view(dtype)


@pytest.mark.parametrize("name", generate.TEXTS)
def test_committed_vectors_are_what_the_reference_says(name: str) -> None:
    assert (VECTORS / name).read_text() == generate.TEXTS[name]()


def test_feature_vectors() -> None:
    lib = Kernel.load().lib
    for comment, (records, frame, pads, *seen) in generate.read("features.txt"):
        given = [_copy(raw) for raw in (generate.feature_manifest(records, len(seen[0])), frame, pads)]
        shards = np.zeros(1, np.uint64)
        model = np.zeros(lib.awm_model_bytes() // 8, np.uint64)
        model[:2] = given[0].ctypes.data, shards.ctypes.data
        match = Match(None, None, given[1].ctypes.data, given[2].ctypes.data)
        for view, expected in enumerate(seen):
            f = np.zeros(len(expected), np.int8)
            at = ctypes.c_void_p(model.ctypes.data), ctypes.byref(match), ctypes.c_uint32(view)
            lib.awm_encode(*at, ctypes.c_void_p(f.ctypes.data))
            assert f.tobytes() == expected, (comment, view)


def test_matvec_vectors(backend: str) -> None:
    lib = Kernel.load().lib
    for comment, (w_raw, x_raw, acc_raw) in generate.read("matvec.txt"):
        w, x = _copy(w_raw), _copy(x_raw)
        rows, cols = len(acc_raw) // 4, len(x_raw)
        acc, lanes = np.zeros(rows, np.int32), np.zeros(cols, np.uint64)
        pointers = (a.ctypes.data for a in (acc, w, x, lanes))
        args = _Matvec(*pointers, rows, cols, 0, BACKENDS[backend])
        lib.awm_matvec_begin(ctypes.byref(args))
        lib.awm_matvec(ctypes.byref(args))
        assert acc.tobytes() == acc_raw, comment


def test_matvec_vectors_for_two_views(backend: str) -> None:
    """Both views at once give what each gives alone."""
    lib = Kernel.load().lib
    if not lib.awm_has_matvec_pair(BACKENDS[backend]):
        pytest.skip(f"{backend} takes the views one after the other")
    for comment, (w_raw, x_raw, acc_raw) in generate.read("matvec.txt"):
        w, x = _copy(w_raw), _copy(x_raw)
        rows, cols = len(acc_raw) // 4, len(x_raw)
        views, out = [x, x[::-1].copy()], np.zeros((2, rows), np.int32)
        both = [
            _Matvec(acc.ctypes.data, w.ctypes.data, view.ctypes.data, None, rows, cols, 0, BACKENDS[backend])
            for acc, view in zip(out, views, strict=True)
        ]
        for args in both:
            lib.awm_matvec_begin(ctypes.byref(args))
        lib.awm_matvec_pair(*map(ctypes.byref, both))
        weights = w.reshape(rows, cols).astype(np.int32) - 64
        assert out[0].tobytes() == acc_raw, comment
        assert np.array_equal(out[1], weights @ views[1].view(np.int8)), comment


def test_scan_vectors(backend: str) -> None:
    lib = Kernel.load().lib
    for comment, fields in generate.read("scan.txt"):
        decay, gain, limit, y_mul, x_mul, x_shift, y_shift = np.frombuffer(fields[0], "<i8").tolist()
        b, c, x, z, z_lut, h = (_copy(f) for f in fields[1:7])
        bc, v = np.zeros(len(b) + 1, np.uint64), np.zeros(len(x), np.int32)
        lib.awm_scan_begin(*(ctypes.c_void_p(a.ctypes.data) for a in (bc, b, c)), len(b), BACKENDS[backend])
        args = _Scan(
            *(a.ctypes.data for a in (h, bc, x, z, v, z_lut)), decay, gain, limit, y_mul, x_mul,
            1 << (x_shift - 1), 1 << (y_shift - 1), len(x), len(b), x_shift, y_shift, BACKENDS[backend],
        )  # fmt: skip
        lib.awm_scan(ctypes.byref(args))
        assert (h.tobytes(), v.tobytes()) == (fields[7], fields[8]), comment


def test_norm_vectors(backend: str) -> None:
    lib = Kernel.load().lib
    for comment, (rule, x_raw, u_raw) in generate.read("norm.txt"):
        num, eps = np.frombuffer(rule[:16], "<u8").tolist()
        x, u = _copy(x_raw), np.zeros(len(u_raw), np.int8)
        args = _Norm(num, eps, rule[16], len(u_raw))
        call = (ctypes.c_void_p(u.ctypes.data), ctypes.c_void_p(x.ctypes.data), ctypes.byref(args))
        if not lib.awm_norm_wide(*call, BACKENDS[backend]):
            lib.awm_rms_norm(*call)
        assert u.tobytes() == u_raw, comment


def test_store_vectors(backend: str) -> None:
    lib = Kernel.load().lib
    for comment, (rule, acc, bias, mul, before, after) in generate.read("store.txt"):
        out, limit = _copy(before), int.from_bytes(rule[2:], "little")
        sums = [_copy(a) for a in (acc, bias, mul)]
        pointers = (a.ctypes.data for a in sums)
        args = _Store(*pointers, rule[1], len(acc) // 4, out.ctypes.data, limit, rule[0])
        lib.awm_store(ctypes.byref(args), BACKENDS[backend])
        assert out.tobytes() == after, comment


def test_conv_vectors(backend: str) -> None:
    lib = Kernel.load().lib
    for comment, fields in generate.read("conv.txt"):
        samples, newest, w, bias, mul, lut = (_copy(f) for f in fields[1:7])
        out = np.zeros(len(newest), np.int8)
        pointers = (a.ctypes.data for a in (samples, newest, w, bias, mul, lut, out))
        lib.awm_conv(ctypes.byref(_Conv(*pointers, len(newest), fields[0][0])), BACKENDS[backend])
        assert (samples.tobytes(), out.tobytes()) == (fields[7], fields[8]), comment


def test_discretize_vectors() -> None:
    world = NativeWorld(pack(random_model(0, Shape(8, 1, 8, 4, 1, 1))))
    lib, scan = world.kernel.lib, _Scan()
    for comment, (rule, dt, decays, gains) in generate.read("discretize.txt"):
        layer, head = np.zeros(1, layout.LAYER), np.zeros(1, layout.SSM_HEAD)
        head["decay"], head["gain"] = np.frombuffer(rule[:8], "<u4")
        layer["gain_shift"] = rule[8]
        got = []
        for value in np.frombuffer(dt, "<i2").tolist():
            pointers = (ctypes.c_void_p(a.ctypes.data) for a in (world._model, layer, head))
            lib.awm_discretize(*pointers, ctypes.byref(scan), ctypes.c_int64(value))
            got.append((scan.decay, scan.gain))
        expected = zip(
            np.frombuffer(decays, "<i4").tolist(), np.frombuffer(gains, "<i4").tolist(), strict=True
        )
        assert got == list(expected), comment


def test_frame_vectors(backend: str) -> None:
    for comment, (manifest, shard, first, pads, hashes) in generate.read("frames.txt"):
        world = NativeWorld(Cartridge(manifest, [shard]), backend)
        frame = np.frombuffer(first, world.frame_dtype)[0:1].reshape(())
        state = world.initial_state()
        inputs = np.frombuffer(pads, world.controller_dtype).reshape(-1, 2)
        for t, pad in enumerate(inputs):
            frame = world.step(state, frame, pad)
            assert reference.state_hash(frame, state) == hashes[32 * t :][:32].hex(), f"{comment}, frame {t}"


@pytest.mark.parametrize("number", range(len(generate.SHAPES)))
def test_world_vectors(number: int) -> None:
    """On every backend, with its own order of the matrices and without."""
    (hashes,) = generate.read("worlds.txt")[number][1]
    comment, model, first, inputs = generate.world_case(number)
    cartridge = pack(model)
    for name in kernel.available_backends():
        for reorder in (True, False):
            world = NativeWorld(cartridge, name, reorder=reorder)
            frame, state = first, world.initial_state()
            for t, pads in enumerate(inputs):
                frame = world.step(state, frame, pads)
                assert reference.state_hash(frame, state) == hashes[32 * t :][:32].hex(), (comment, name, t)


# ---------------------------------------------------------------- whole worlds


@pytest.mark.parametrize("flavor", ["plain", "extreme"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backends_match_the_reference_frame_for_frame(shape: Shape, flavor: str) -> None:
    """State, frame and logits are equal bytes after each of 200 frames."""
    model = random_model(7, shape, flavor)  # type: ignore[arg-type]
    cartridge = pack(model)
    worlds = {name: NativeWorld(cartridge, name) for name in kernel.available_backends()}
    worlds |= {f"{name} in order": NativeWorld(cartridge, name, reorder=False) for name in worlds}
    rng = np.random.default_rng(11)
    frame, inputs = random_frame(rng), random_inputs(rng, 200)
    expected_state = reference.initial_state(model)
    states = {name: world.initial_state() for name, world in worlds.items()}
    for t, pads in enumerate(inputs):
        logits = reference.forward(model, expected_state, frame, pads)
        expected = reference.decode(model, frame, logits)
        for name, world in worlds.items():
            new, got = world.step_logits(states[name], frame, pads)
            assert np.array_equal(got, logits), f"{name}: logits of frame {t}"
            assert states[name].tobytes() == expected_state.tobytes(), f"{name}: state of frame {t}"
            assert new.tobytes() == expected.tobytes(), f"{name}: record of frame {t}"
        frame = expected


def test_extreme_worlds_reach_the_ends_of_the_ranges() -> None:
    """The worlds above attack what they say: both decays' ends occur, states and int8 saturate."""
    decays, top_state = set(), 0
    for shape in SHAPES:
        model = random_model(7, shape, "extreme")
        for layer in model.layers:
            decays |= set(reference.discretize(layer, np.full(model.nheads, 32767)).decay.tolist())
        rng = np.random.default_rng(11)
        frame, inputs, state = random_frame(rng), random_inputs(rng, 40), reference.initial_state(model)
        for pads in inputs:
            frame = reference.step(model, state, frame, pads)
        part = state.reshape(len(model.layers), model.n_views, -1)
        top_state = max(
            top_state,
            int(np.abs(part[..., 4 * (model.d_inner + 2 * model.d_state) :].copy().view("<i2")).max()),
        )
    assert {0, 32767} <= decays
    assert top_state == 32767


def test_a_big_world_runs_in_pieces_on_every_backend() -> None:
    """12 layers of d_model 512, d_inner 1024, cut into transactions: pieces give what whole frames give."""
    cartridge = pack(random_model(3, Shape(512, 16, 64, 16, 12, 2)))
    ends = cartridge.manifest.segments.tolist()
    assert len(ends) > 20 and len(cartridge.shards) > 10
    rng = np.random.default_rng(5)
    first, inputs = random_frame(rng), random_inputs(rng, 3)
    hashes = set()
    for name in kernel.available_backends():
        world = NativeWorld(cartridge, name)
        state, frame = world.initial_state(), first
        for pads in inputs:
            frame = world.step(state, frame, pads)
        hashes.add(reference.state_hash(frame, state))
    state, frame, scratch = (
        world.initial_state(),
        _copy(reference.frame_bytes(first)),
        _copy(bytes(world.scratch_bytes)),
    )
    for pads in inputs:
        buffers = [state, scratch, frame, _copy(reference.frame_bytes(pads))]
        match = Match(*(a.ctypes.data for a in buffers))
        for begin, end in zip([0, *ends], ends, strict=False):
            assert world.kernel.lib.awm_run(world._model.ctypes.data, ctypes.byref(match), begin, end) == 0
    hashes.add(reference.state_hash(frame.view(world.frame_dtype), state))
    assert len(hashes) == 1


def test_many_matches_at_once_are_the_same_matches() -> None:
    world = NativeWorld(pack(random_model(1)))
    rng = np.random.default_rng(2)
    n = 7
    frames = np.stack([random_frame(rng) for _ in range(n)])
    states, alone = world.initial_state(n), world.initial_state(n)
    logits = np.zeros((n, world.manifest.n_views, world.manifest.n_logits), np.int32)
    for threads in (1, 3, 16):
        inputs = random_inputs(rng, n)
        expected = [world.step_logits(alone[i], frames[i], inputs[i]) for i in range(n)]
        frames = world.step_many(states, frames, inputs, threads, logits)
        assert states.tobytes() == alone.tobytes()
        for i, (frame, row) in enumerate(expected):
            assert frames[i].tobytes() == frame.tobytes() and np.array_equal(logits[i], row)


@pytest.mark.parametrize("n_threads", [2, 3, 5])
def test_threads_that_share_a_frame_give_the_same_bytes(backend: str, n_threads: int) -> None:
    """Heads, views and blocks of rows are shared out unevenly; matrices in any format, in blocks or not."""
    model = random_model(9, Shape(136, 5, 24, 16, 2, 2), "extreme")
    for cartridge in (pack(model), pack(in_four_bits(model, 3, 0.5))):
        alone = NativeWorld(cartridge, backend)
        team = NativeWorld(cartridge, backend, n_threads=n_threads)
        rng = np.random.default_rng(4)
        frame, inputs, states = random_frame(rng), random_inputs(rng, 20), alone.initial_state(2)
        ends = [w.run(state, frame, inputs) for w, state in zip((alone, team), states, strict=True)]
        assert ends[0].tobytes() == ends[1].tobytes() and states[0].tobytes() == states[1].tobytes()


def test_a_team_takes_frames_of_many_callers_and_ends() -> None:
    """Callers wait for each other; the threads are gone when the world is."""
    cartridge = pack(random_model(1))
    alone, team = NativeWorld(cartridge), NativeWorld(cartridge, n_threads=2)
    rng = np.random.default_rng(6)
    frame, inputs = random_frame(rng), random_inputs(rng, 10)
    expected = alone.run(alone.initial_state(), frame, inputs).tobytes()
    with ThreadPoolExecutor(3) as pool:
        runs = [pool.submit(team.run, team.initial_state(), frame, inputs) for _ in range(6)]
        assert {run.result().tobytes() for run in runs} == {expected}
    if not (tasks := Path("/proc/self/task")).is_dir():
        return
    gc.collect()
    before = len(list(tasks.iterdir()))
    del team, runs
    gc.collect()
    assert len(list(tasks.iterdir())) == before - 1


@pytest.mark.parametrize("n_threads", [0, 17])
def test_teams_have_bounds(n_threads: int) -> None:
    with pytest.raises(KernelError, match="THREADS"):
        NativeWorld(pack(random_model(1)), n_threads=n_threads)


def test_logits_leave_the_state_alone() -> None:
    world = NativeWorld(pack(random_model(1)))
    rng = np.random.default_rng(2)
    state, frame, pads = world.initial_state(), random_frame(rng), random_inputs(rng, 1)[0]
    before = world.logits(state, frame, pads)
    assert not state.any()
    assert np.array_equal(before, world.step_logits(state, frame, pads)[1])


def test_a_copy_in_another_order_is_made_where_it_pays() -> None:
    """Of every matrix, and not where ops share weights: a small file could ask for much memory then."""
    world = NativeWorld(pack(random_model(1)))
    lib, model = world.kernel.lib, world._model.ctypes.data
    if world.backend == "auto" and "avx512vnni" not in kernel.available_backends():
        pytest.skip("no backend of this CPU has an order of its own")
    assert lib.awm_blocks_bytes(model) >= world.manifest.macs_per_frame / world.manifest.n_views
    lib.awm_set_backend(model, BACKENDS["portable"])
    assert lib.awm_blocks_bytes(model) == 0


# ---------------------------------------------------------------- arguments


def test_bad_arguments_are_value_errors() -> None:
    world = NativeWorld(pack(random_model(1)))
    rng = np.random.default_rng(0)
    frame, pads, state = random_frame(rng), random_inputs(rng, 1)[0], world.initial_state()
    with pytest.raises(ValueError, match="backend"):
        NativeWorld(pack(random_model(1)), "sse9")
    with pytest.raises(ValueError, match="state"):
        world.step(state[:-8], frame, pads)
    with pytest.raises(ValueError, match="aligned"):
        world.step(np.zeros(len(state) + 1, np.uint8)[1:], frame, pads)
    with pytest.raises(ValueError, match="frame"):
        world.step(state, frame["players"], pads)
    with pytest.raises(ValueError, match="controllers"):
        world.step(state, frame, pads[:1])


@pytest.mark.parametrize("inputs", [np.zeros((2, 3), np.int32), np.zeros((2, 12)), np.zeros(24, np.uint8)])
def test_what_are_no_controllers_is_not_taken_for_their_bytes(inputs: np.ndarray) -> None:
    world = NativeWorld(pack(random_model(5, SHAPES[0])))
    frame = random_frame(np.random.default_rng(1))
    with pytest.raises(ValueError, match=r"expected controllers of 12 bytes each \(got \w+\)"):
        world.step(world.initial_state(), frame, inputs)
    with pytest.raises(ValueError, match="expected controllers of 12 bytes each"):
        world.step_many(world.initial_state(1), frame[None], inputs[None])


def test_weights_outside_the_format_are_refused() -> None:
    cartridge = pack(random_model(1))
    op = next(op for op in cartridge.manifest.ops if op["kind"] == layout.OpKind.MATVEC)
    for byte in (0, 128, 255):
        shard = bytearray(cartridge.shards[int(op["shard"])])
        shard[int(op["weights"]) + 77] = byte
        with pytest.raises(KernelError, match="WEIGHT"):
            NativeWorld(Cartridge(cartridge.manifest_bytes, [bytes(shard)]))


def test_negative_multipliers_are_refused() -> None:
    cartridge = pack(random_model(1))
    op = next(op for op in cartridge.manifest.ops if op["kind"] == layout.OpKind.MATVEC)
    for row in (0, int(op["rows"]) - 1):
        shard = bytearray(cartridge.shards[int(op["shard"])])
        shard[int(op["params"]) + 4 * (int(op["rows"]) + row) + 3] |= 0x80
        with pytest.raises(KernelError, match="WEIGHT"):
            NativeWorld(Cartridge(cartridge.manifest_bytes, [bytes(shard)]))


def test_biases_that_sbf_has_no_room_for_are_refused() -> None:
    cartridge = pack(random_model(1))
    manifest = cartridge.manifest
    op = next(op for op in manifest.ops if op["kind"] == layout.OpKind.MATVEC)
    record = manifest.layers[0]
    last = 4 * (int(op["rows"]) - 1)
    for shard, at in ((op["shard"], op["params"] + last), (record["shard"], record["conv_b"])):
        for bias, refused in ((layout.LEAST_BIAS, False), (layout.LEAST_BIAS - 1, True)):
            shards = [bytearray(s) for s in cartridge.shards]
            shards[int(shard)][int(at) : int(at) + 4] = bias.to_bytes(4, "little", signed=True)
            hostile = Cartridge(cartridge.manifest_bytes, [bytes(s) for s in shards])
            with pytest.raises(KernelError, match="WEIGHT") if refused else nullcontext():
                NativeWorld(hostile)


# ---------------------------------------------------------------- building


def test_a_missing_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ziglang" else found(name))
    with pytest.raises(CompilerMissingError, match="pip install ziglang"):
        build()
    monkeypatch.setenv("CC", str(tmp_path / "nothing-here"))
    with pytest.raises(CompilerMissingError, match="nothing-here"):
        build()


def test_a_failing_build_shows_the_compilers_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path))
    with pytest.raises(KernelError, match="no-such-flag"):
        build([*FLAGS, "--no-such-flag"])
    assert not list(tmp_path.glob("*.so"))


def test_a_build_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path))
    flags = [*FLAGS, "-O1"]
    built = build(flags)
    stamp = built.stat().st_mtime_ns
    assert build(flags) == built and built.stat().st_mtime_ns == stamp
    assert build(["-std=c99", "-O1", "-fno-strict-aliasing"]) != built


def test_zig_builds_the_same_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The fallback compiler is clang: other warnings, other vector code, the same bytes."""
    monkeypatch.setenv("CC", f"{sys.executable} -m ziglang cc")
    monkeypatch.setenv("AWM_CACHE_DIR", str(tmp_path))
    world = NativeWorld(pack(random_model(5, SHAPES[2])))
    assert world.kernel.path.parent == tmp_path
    monkeypatch.undo()
    other = NativeWorld(pack(random_model(5, SHAPES[2])))
    assert other.kernel.path != world.kernel.path
    rng = np.random.default_rng(1)
    frame, inputs = random_frame(rng), random_inputs(rng, 20)
    states = world.initial_state(2)
    ends = [w.run(state, frame, inputs) for w, state in zip((world, other), states, strict=True)]
    assert ends[0].tobytes() == ends[1].tobytes() and states[0].tobytes() == states[1].tobytes()


SBF_FLAGS = (
    "-target", "bpfel-freestanding", "-mcpu=v2", "-std=c99", "-O3", "-ffreestanding", "-fno-builtin",
    "-fno-strict-aliasing", *WARNINGS, "-DAWM_PORTABLE_ONLY",
)  # fmt: skip
SBF_SOURCES = [
    *("awm_codec", "awm_dispatch", "awm_matvec_n4", "awm_matvec_n4_swar", "awm_matvec_swar", "awm_model"),
    *("awm_conv_views_sbf", "awm_matvec_views_swar", "awm_scan_swar", "awm_step", "awm_store_views_sbf"),
]


@pytest.mark.parametrize("name", SBF_SOURCES)
def test_sbf_objects_build_without_warnings_and_with_small_frames(name: str, tmp_path: Path) -> None:
    out = tmp_path / "out.s"
    source = KERNEL_C / f"{name}.c"
    # zig adds a -c of its own
    flags = [*SBF_FLAGS, "-Wno-unused-command-line-argument", "-S", str(source), "-o", str(out)]
    command = [sys.executable, "-m", "ziglang", "cc", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lowest = 0
    compiled = re.sub(r"#APP.*?#NO_APP", "", out.read_text(), flags=re.S)  # inline: awm_scan_swar.c
    for line in compiled.splitlines():
        if "(r10 - " in line:
            lowest = max(lowest, int(line.split("(r10 - ")[1].split(")")[0]))
        assert "call mem" not in line, "LLVM made a libc call"
    assert lowest <= 512
    assert ".bss" not in out.read_text() and ".data\n" not in out.read_text()


def test_hostile_bytes_under_sanitizers(tmp_path: Path) -> None:
    """test_kernel.c mutates cartridges thousands of times: each is refused, or runs without a bad access."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    program = tmp_path / "test_kernel"
    flags = ["-std=c99", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    files = [str(p) for p in sources()] + [str(KERNEL_C / "test_kernel.c")]
    command = [compiler or "cc", *flags, "-fno-strict-aliasing", *WARNINGS, "-o", str(program), *files]
    probe = tmp_path / "probe.c"
    probe.write_text("int main(void) { return 0; }\n")
    done = subprocess.run(
        [compiler or "cc", *flags, str(probe), "-o", str(program)], capture_output=True, check=False
    )
    if compiler is None or done.returncode:
        pytest.skip("no compiler with AddressSanitizer here")
    subprocess.run(command, check=True)
    for seed, (shape, flavor) in enumerate(
        [(Shape(16, 3, 8, 8, 2, 2), "plain"), (Shape(24, 2, 8, 4, 1, 2), "extreme")]
    ):
        cartridge = pack(
            random_model(seed, shape, flavor, generate.MIRRORED_CARTS, n_classes=6), shard_limit=1500
        )
        parts = []
        for i, data in enumerate([cartridge.manifest_bytes, *cartridge.shards]):
            parts.append(tmp_path / f"part{i}")
            parts[-1].write_bytes(data)
        done = subprocess.run(
            [str(program), str(seed), "4000", *map(str, parts)],
            capture_output=True, text=True, check=False, env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr[-4000:]
        words = dict(pair.split("=") for pair in done.stdout.split())
        # Both outcomes must be common, or the mutations attack nothing.
        assert int(words["refused"]) > 500 and int(words["ran"]) > 500, done.stdout
