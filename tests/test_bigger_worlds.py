"""The source document's sizes, through every tool: trained a few steps, quantised, deployed, played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from awm_kit.chain.embedded import EmbeddedLedger
from awm_kit.chain.frame_plan import frame_plan
from awm_kit.chain.session import ChainSession
from awm_kit.chain.verify import check_result, verify
from awm_kit.chain.worlds import list_worlds, open_world
from awm_kit.data.scuffle import generate
from awm_kit.fidelity import fidelity_report
from awm_kit.kernel import NativeWorld, available_backends
from awm_kit.model.calibrate import Ranges, calibrate
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.config import PRESETS
from awm_kit.model.dataset import PackedReplays
from awm_kit.model.plots import read_log
from awm_kit.model.recipe import Recipe
from awm_kit.model.recipe_file import load_recipe
from awm_kit.model.rounding import FOUR_BITS
from awm_kit.model.world import WorldModel
from awm_kit.play import make_engine
from awm_kit.play.engines import start_frame
from awm_kit.play.headless import play_headless
from awm_kit.quant.cartridge import Cartridge
from awm_kit.quant.dequantize import dequantize
from awm_kit.quant.manifest import unpack
from awm_kit.quant.pack import pack
from awm_kit.quant.quantize import quantize
from awm_kit.quant.random_model import Shape, random_model
from awm_kit.schema import CONTROLLER
from awm_kit.soak import soak_scripted
from awm_kit.worlds import shipped

#: Recipe, its preset, millions of parameters, and transactions a frame at most: plain, and by the syscall.
SIZES = {"scuffle-4m": ("4M", 3.5, 4.5, 15, 11), "scuffle-15m": ("source", 15.0, 21.0, 72, 50)}
STEPS = 3
FRAMES = 3

at_every_size = pytest.mark.parametrize("size", SIZES, scope="module", indirect=True)


@dataclass(frozen=True)
class Size:
    """A recipe, and what was made by it in a few steps on a few frames."""

    recipe: Recipe
    run: Path
    data: PackedReplays
    model: WorldModel
    ranges: Ranges
    cartridge: Cartridge

    @property
    def name(self) -> str:
        return self.recipe.name


@pytest.fixture(scope="module")
def size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Size]:
    run = tmp_path_factory.mktemp(request.param)
    recipe = load_recipe(request.param)
    recipe = replace(recipe, seeds=(0, 2), n_frames=200, **dict.fromkeys(recipe.drills, 0))
    changes = {"steps": STEPS, "lanes": 2, "length": 12, "self_forcing": ((STEPS - 1, 1),)}
    recipe.trainer(run, progress=False, **changes).run(progress=False)
    model, notes = load_checkpoint(run / "last.safetensors")
    data = recipe.data(progress=False)
    ranges = calibrate(model.eval(), data, lanes=2, windows=1, length=32)
    path = pack(quantize(model, ranges, recipe.name, notes)).save(run / "world.awm")
    yield Size(recipe, run, data, model, ranges, Cartridge.load(path))


def test_recipes_have_the_shapes_of_the_presets() -> None:
    ours = load_recipe("scuffle")
    for name, (preset, *_) in SIZES.items():
        recipe = load_recipe(name)
        assert recipe.name == name and recipe.train.model == PRESETS[preset]
        assert replace(recipe, name=ours.name, trained_on=ours.trained_on, train=ours.train) == ours
        assert name not in shipped()


def test_a_match_with_much_memory_starts_on_a_ledger() -> None:
    """Its hidden state takes more growths than one transaction can trace."""
    world = pack(random_model(3, Shape(d_model=64, nheads=8, headdim=64, d_state=64, n_layers=3)))
    first, pads = start_frame(world, 1), np.zeros(2, CONTROLLER)
    here, there = (make_engine(name, world, first) for name in ("native", "chain"))
    assert isinstance(there, ChainSession)
    assert len(here.state) > 32 * 10_240
    assert here.step(pads) == there.step(pads) and here.state_hash() == there.state_hash()


@pytest.mark.slow
@at_every_size
def test_training_lowers_the_loss_and_says_how_far_it_went(size: Size) -> None:
    loss = read_log(size.run / "log.csv")["loss"]
    assert len(loss) == STEPS and loss[-1] < 0.7 * loss[0]
    notes = size.cartridge.manifest.notes
    assert notes["step"] == STEPS and notes["train"]["model"]["d_model"] == size.model.config.d_model


@pytest.mark.slow
@at_every_size
def test_cartridges_are_as_large_as_their_parameters(size: Size) -> None:
    _, least, most, plain, by_syscall = SIZES[size.name]
    manifest = size.cartridge.manifest
    size.cartridge.verify()
    assert least * 1e6 < manifest.n_params < most * 1e6
    assert manifest.n_params < size.cartridge.nbytes < 1.04 * manifest.n_params
    assert len(manifest.segments) <= plain
    keys = [EmbeddedLedger().program_id] * manifest.n_shards
    assert len(frame_plan(manifest, keys, syscall=True)) <= by_syscall


@pytest.mark.slow
@at_every_size
def test_every_home_plays_the_same(size: Size) -> None:
    hashes = {
        home: play_headless(size.cartridge, home, FRAMES, seed=5).state_hash
        for home in ("reference", "native", "wasm")
    }
    assert len(set(hashes.values())) == 1, hashes
    inputs = np.zeros((40, 2), CONTROLLER)
    inputs["stick_x"] = np.arange(80).reshape(40, 2) - 40
    ends = set()
    for backend in available_backends():
        world = NativeWorld(size.cartridge, backend)
        state = world.initial_state()
        ends.add(world.run(state, start_frame(size.cartridge, 5), inputs).tobytes() + state.tobytes())
    assert len(ends) == 1


@pytest.mark.slow
@at_every_size
def test_the_program_plays_it_and_the_result_verifies(size: Size) -> None:
    ledger = EmbeddedLedger()
    played = play_headless(size.cartridge, "chain", FRAMES, seed=5, ledger=ledger)
    assert played.state_hash == play_headless(size.cartridge, "native", FRAMES, seed=5).state_hash
    (info,) = list_worlds(ledger)
    assert open_world(ledger, info.key).cartridge == size.cartridge
    record = played.match.record(size.cartridge)
    assert played.frames == FRAMES and verify(record, size.cartridge).check().frames == FRAMES
    assert played.result is not None
    check_result(record, played.result)


@pytest.mark.slow
@at_every_size
def test_four_bits_halve_it(size: Size) -> None:
    small = pack(quantize(size.model, size.ranges, size.name, four_bits=FOUR_BITS))
    assert small.nbytes < 0.62 * size.cartridge.nbytes
    assert len(small.manifest.segments) < len(size.cartridge.manifest.segments)
    hashes = {play_headless(small, home, 2, seed=6).state_hash for home in ("reference", "native", "wasm")}
    assert len(hashes) == 1


@pytest.mark.slow
@at_every_size
def test_it_is_evaluated_soaked_and_taken_back_to_floats(size: Size) -> None:
    games = generate(range(60_000, 60_001), 120)
    report = fidelity_report(size.model, size.cartridge, games, starts=2, progress=False, horizons=(1, 3))
    assert abs(report.fp32.teacher_forced["action_acc"] - report.int8.teacher_forced["action_acc"]) < 0.1
    assert soak_scripted(size.cartridge, 0.05, matches=1, progress=False).minutes > 0
    again = dequantize(unpack(size.cartridge))
    assert again.config == size.model.config
    before, after = (last_projection(model) for model in (size.model, again))
    assert float((after - before).norm()) < 0.02 * float(before.norm())


def last_projection(model: WorldModel) -> torch.Tensor:
    """With the gains before it, which are folded into it when it is quantised."""
    layer = model.layers[-1]
    return (layer.out_proj.weight * layer.gated_norm.weight).detach()
