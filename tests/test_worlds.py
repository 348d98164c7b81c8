"""The shipped world: what it learned, held to figures that a damaged one would miss."""

from __future__ import annotations

from pathlib import Path

import pytest

from awm_kit.data.scuffle import FOX, MARTH, generate
from awm_kit.data.slp import load_slp
from awm_kit.errors import ModelFileError
from awm_kit.fidelity import NativeRunner, fidelity_report, save_report
from awm_kit.files import SHIPPED
from awm_kit.model.checkpoint import load_checkpoint
from awm_kit.model.evaluate import evaluate
from awm_kit.model.recipe_file import load_recipe
from awm_kit.play import Match, RecordedController, make_engine
from awm_kit.play.engines import start_frame
from awm_kit.probe import run_probes
from awm_kit.quant.cartridge import Cartridge
from awm_kit.soak import soak_scripted
from awm_kit.worlds import load_world, shipped


@pytest.fixture(scope="module")
def world() -> Cartridge:
    return load_world("scuffle")


def test_shipped_worlds_are_small_and_sound(world: Cartridge) -> None:
    assert "scuffle" in shipped()
    for name in shipped():
        cartridge = load_world(name)
        cartridge.verify()
        assert cartridge.nbytes <= 1_500_000 and cartridge.manifest.name == name
        assert load_recipe(name).name == name
    with pytest.raises(ModelFileError, match="shipped are"):
        load_world("nowhere")


def test_it_predicts_the_teacher_better_than_any_baseline(world: Cartridge) -> None:
    result = evaluate(NativeRunner(world), generate(range(70_000, 70_003), 900), starts=60, progress=False)
    assert result.teacher_forced["action_acc"] > 0.97
    assert result.free[5]["rc"] < 0.3 * result.free[5]["velocity_rc"]
    assert result.free[20]["rc"] < 0.3 * result.free[20]["velocity_rc"]
    assert result.free[20]["action_acc"] > result.free[20]["frozen_action_acc"] + 0.2


def test_it_learned_to_jump_fall_and_run(world: Cartridge) -> None:
    exact = ("full hop apex", "short hop apex", "double jump apex", "gravity", "shield decay")
    near = ("fall speed", "run speed", "stopping distance", "air drift")
    errors = {(r.name, r.character): r.error for r in run_probes(world)}
    assert max(errors[name, c] for name in exact for c in (FOX, MARTH)) < 0.01, errors
    assert max(errors[name, c] for name in near for c in (FOX, MARTH)) < 0.1, errors


def test_integers_lose_little(world: Cartridge, tmp_path) -> None:
    model, _ = load_checkpoint(SHIPPED / "scuffle.safetensors")
    games = generate(range(71_000, 71_002), 700)
    report = fidelity_report(model.eval(), world, games, starts=40, progress=False)
    assert abs(report.fp32.teacher_forced["action_acc"] - report.int8.teacher_forced["action_acc"]) < 0.01
    text, image = save_report(report, tmp_path)
    assert "forced action_acc" in text.read_text() and image.stat().st_size > 10_000


def test_matches_in_it_have_hits_and_few_impossible_events(world: Cartridge) -> None:
    report = soak_scripted(world, 4, matches=16, progress=False)
    assert report.rates["hit"].ratio > 0.3
    assert report.events["stocks_rise"] == report.events["stocks_skip"] == 0
    assert sum(report.events.values()) < 0.1 * report.minutes * 3600


def test_a_thousand_real_inputs_end_in_one_state_on_every_home(world: Cartridge, slp_dir: Path) -> None:
    replay = load_slp(next((slp_dir / "train").glob("*fox-falco_FD*.slp")))
    hashes = {}
    for home in ("reference", "native", "chain", "wasm"):
        pads = [RecordedController(replay.inputs[1:1001, player].copy()) for player in (0, 1)]
        match = Match(make_engine(home, world, start_frame(world, 3)), pads)
        match.run_headless(1000)
        assert match.n_frames == 1000
        hashes[home] = match.engine.state_hash()
    assert len(set(hashes.values())) == 1, hashes
