"""The kernel as WebAssembly: built from its sources, the same bytes as natively, no trust in its inputs."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

from awm_kit.data.scuffle import initial_frame
from awm_kit.errors import KernelError, ModelFileError
from awm_kit.play.engine import Engine, NativeEngine
from awm_kit.play.engines import make_engine
from awm_kit.play.headless import play_headless
from awm_kit.play.web import build
from awm_kit.play.web.engine import WasmEngine
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.pack import pack
from awm_kit.quant.random_model import Shape, random_frame, random_inputs, random_model
from awm_kit.schema import CONTROLLER, FRAME
from awm_kit.worlds import load_world

VECTORS = Path(__file__).parent / "vectors"
wasmtime = pytest.importorskip("wasmtime")
SMALL = Shape(d_model=32, nheads=2, headdim=8, d_state=8, n_layers=1)


_spec = importlib.util.spec_from_file_location("vectors_generate", VECTORS / "generate.py")
assert _spec and _spec.loader
generate = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(generate)


def small_world() -> Cartridge:
    return pack(random_model(5, SMALL))


def test_committed_module_is_what_the_sources_make() -> None:
    assert build.build() == build.OUTPUT.read_bytes(), (
        "sources have changed: run `python -m awm_kit.play.web.build` and commit the new kernel.wasm"
    )


def test_the_checkout_s_place_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "elsewhere"
    shutil.copytree(build.KERNEL, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for source in build.WEB.glob("*.c"):
        shutil.copy(source, folder)
    monkeypatch.setattr(build, "SOURCES", [folder / source.name for source in build.SOURCES])
    monkeypatch.setattr(build, "KERNEL", folder)
    made = build.build()
    assert made == build.OUTPUT.read_bytes()
    assert str(tmp_path).encode() not in made


def test_module_imports_nothing_and_stays_small() -> None:
    module = wasmtime.Module(wasmtime.Engine(), build.OUTPUT.read_bytes())
    assert module.imports == []
    names = {export.name for export in module.exports}
    assert names == {
        "memory", "__heap_base", "model_bytes", "open", "state_bytes", "scratch_bytes", "step"
    }  # fmt: skip
    assert build.OUTPUT.stat().st_size < 32 * 1024


def test_frame_vectors() -> None:
    for comment, (manifest, shard, first, pads, hashes) in generate.read("frames.txt"):
        engine = WasmEngine(Cartridge(manifest, [shard]), np.frombuffer(first, FRAME)[0, ...])
        for t, pair in enumerate(np.frombuffer(pads, CONTROLLER).reshape(-1, 2)):
            engine.step(pair)
            assert engine.state_hash() == hashes[32 * t :][:32].hex(), f"{comment}, frame {t}"


@pytest.mark.parametrize(
    ("shape", "flavor", "frames"),
    [
        (SMALL, "plain", 600),
        (Shape(64, 4, 16, 16, 2), "extreme", 600),
        (Shape(128, 8, 32, 16, 3), "plain", 600),
        (Shape(40, 3, 8, 24, 2, n_views=1), "extreme", 600),
        (Shape(512, 32, 32, 16, 2), "plain", 60),
    ],
)
def test_equals_native(shape: Shape, flavor: str, frames: int, rng: np.random.Generator) -> None:
    world = pack(random_model(shape.d_model, shape, flavor))  # type: ignore[arg-type]
    start, inputs = random_frame(rng), random_inputs(rng, frames)
    here, there = NativeEngine(world, start), WasmEngine(world, start)
    for t, pads in enumerate(inputs):
        assert here.step(pads) == there.step(pads), f"frame {t}"
        if t % 60 == 59:
            assert here.state_hash() == there.state_hash(), f"state after frame {t}"
    np.testing.assert_array_equal(here.state, there.state)


def test_shipped_world_equals_native() -> None:
    try:
        world = load_world("scuffle")
    except ModelFileError:
        pytest.skip("no shipped world in this checkout")
    hashes = {home: play_headless(world, home, 600, seed=3).state_hash for home in ("native", "wasm")}
    assert hashes["native"] == hashes["wasm"]


def test_is_an_engine_like_the_others() -> None:
    start = initial_frame(1)
    engine = make_engine("wasm", small_world(), start)
    assert isinstance(engine, Engine)
    assert engine.frame == start
    with pytest.raises(ValueError, match="expected 2 controllers"):
        engine.step(np.zeros(2, np.uint8))


def test_matches_do_not_share_memory(rng: np.random.Generator) -> None:
    world, start, inputs = small_world(), initial_frame(1), random_inputs(rng, 20)
    alone = WasmEngine(world, start)
    for pads in inputs:
        alone.step(pads)
    first, other = WasmEngine(world, start), WasmEngine(world, random_frame(rng))
    for pads in inputs:
        first.step(pads)
        other.step(pads[::-1])
    assert first.state_hash() == alone.state_hash() != other.state_hash()


def test_refuses_what_the_native_kernel_refuses() -> None:
    world = small_world()
    manifest = bytearray(world.manifest_bytes)
    manifest[0] ^= 1
    with pytest.raises(KernelError, match="code 3"):  # AWM_ERR_MAGIC
        WasmEngine(Cartridge(bytes(manifest), world.shards), initial_frame(1))
    with pytest.raises(KernelError, match="code 9"):  # AWM_ERR_SHARD_LENGTH
        short = [world.shards[0][:-8], *world.shards[1:]]
        WasmEngine(Cartridge(world.manifest_bytes, short), initial_frame(1))
